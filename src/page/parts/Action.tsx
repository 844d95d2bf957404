/** A button with words. */
import type { ReactNode } from 'react';
import { Button, type ButtonProps } from 'react-aria-components';
import { Icon, type IconName, withShortcut } from './Icon.tsx';

const KINDS = {
  plain: 'button',
  strong: 'button button-strong',
  main: 'button button-train',
  link: 'text-button',
} as const;

/** A button with words: a plain one, the one that is meant, the one that trains, or one that reads as a link. */
export function Action({
  text,
  kind = 'plain',
  icon,
  shortcut,
  ...button
}: ButtonProps & {
  readonly text: ReactNode;
  readonly shortcut?: string;
  readonly kind?: keyof typeof KINDS;
  readonly icon?: IconName;
}) {
  return (
    <Button className={KINDS[kind]} ref={withShortcut(shortcut)} {...button}>
      {icon === undefined ? null : <Icon name={icon} />}
      {text}
    </Button>
  );
}
