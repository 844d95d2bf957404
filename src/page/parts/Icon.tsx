/** The page's drawings: its few icons, on a 16-pixel grid in the current colour, the buttons that are an icon alone, and the mark. */
import { Button, type ButtonProps } from 'react-aria-components';

const PATHS = {
  play: 'M4.5 2.8v10.4L13 8z',
  pause: 'M4 3h3v10H4zM9 3h3v10H9z',
  step: 'M3 3v10l6-5zM10.5 3h2v10h-2z',
  reset: 'M8 2.5a5.5 5.5 0 1 0 5.4 6.6h-1.6A4 4 0 1 1 8 4v2.3L11.6 3.2 8 .2z',
  check: 'M6.3 12.4 2.4 8.5l1.2-1.2 2.7 2.7 6.1-6.2 1.2 1.2z',
  cross: 'm8 6.8 3.6-3.6 1.2 1.2L9.2 8l3.6 3.6-1.2 1.2L8 9.2l-3.6 3.6-1.2-1.2L6.8 8 3.2 4.4l1.2-1.2z',
  chevron: 'm6 3.4 4.6 4.6L6 12.6l-1-1L8.6 8 5 4.4z',
  sun: 'M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM7.3 1h1.4v2.2H7.3zM7.3 12.8h1.4V15H7.3zM1 7.3h2.2v1.4H1zM12.8 7.3H15v1.4h-2.2zM2.6 3.6l1-1 1.5 1.5-1 1zM10.9 11.9l1-1 1.5 1.5-1 1zM2.6 12.4l1.5-1.5 1 1-1.5 1.5zM10.9 4.1l1.5-1.5 1 1-1.5 1.5z',
  moon: 'M6.2 1.6a6.5 6.5 0 1 0 8.2 8.2A5.4 5.4 0 0 1 6.2 1.6z',
  auto: 'M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM8 3v10A5 5 0 0 0 8 3z',
  link: 'M6.5 9.5 9.5 6.5M7 4.5 8.8 2.7a3 3 0 0 1 4.4 4.4L11.5 9M9 11.5 7.2 13.3a3 3 0 0 1-4.4-4.4L4.5 7',
  keys: 'M1.5 4h13v8h-13zM4 6.5h1M7.5 6.5h1M11 6.5h1M4 9.5h8',
  info: 'M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM8 7v4.5M8 4.4v1.2',
  pin: 'M5 2h6l-1 4 2 2.5H8.7V13L8 14.5 7.3 13V8.5H4L6 6z',
  download: 'M7.2 2h1.6v6.2l2.3-2.3 1.1 1.1L8 11.2 3.8 7l1.1-1.1 2.3 2.3zM2.5 12.4h11V14h-11z',
  language:
    'M2 3.5h7M5.5 2v1.5M3 10c2.5-1 4.2-3.5 4.6-6.5M3.4 6c.8 1.8 2.3 3 4.1 3.6M8.5 14l3-7.5 3 7.5M9.5 11.5h4',
  trash: 'M6 2h4v1.2h3.4v1.5H2.6V3.2H6zM3.6 5.8h8.8L11.7 14H4.3z',
} as const;

/** Tells assistive technology of the key that does what a button does; react-aria's buttons do not take the attribute. */
export const withShortcut =
  (shortcut: string | undefined) =>
  (button: HTMLButtonElement | null): void => {
    if (shortcut !== undefined) button?.setAttribute('aria-keyshortcuts', shortcut);
  };

export type IconName = keyof typeof PATHS;
const STROKED: readonly IconName[] = ['link', 'keys', 'info', 'language'];

export function Icon({ name }: { readonly name: IconName }) {
  const isStroked = STROKED.includes(name);
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path
        d={PATHS[name]}
        fill={isStroked ? 'none' : 'currentColor'}
        stroke={isStroked ? 'currentColor' : 'none'}
        strokeWidth="1.4"
        strokeLinecap="round"
      />
    </svg>
  );
}

/** A button that is an icon alone; its label is read out. */
export function IconButton({
  icon,
  label,
  className = '',
  shortcut,
  ...button
}: ButtonProps & {
  readonly icon: IconName;
  readonly label: string;
  readonly className?: string;
  readonly shortcut?: string;
}) {
  return (
    <Button
      className={`icon-button ${className}`.trim()}
      aria-label={label}
      ref={withShortcut(shortcut)}
      {...button}
    >
      <Icon name={icon} />
    </Button>
  );
}

/** The mark: a swallowtail, its hind wings drawn out to tails. */
export function Mark() {
  const wings = (
    <>
      <path fill="var(--accent)" d="M16.7 14.6C18.4 7.6 24.6 3 30.6 3.6c1 5.6-4 12.2-13.9 12.6z" />
      <path
        fill="var(--map-tone-a)"
        d="M16.7 17c5.6-1.4 10 .6 10 4.2 0 2.2-1.4 3.2-2 4.1l1.5 4.9-3.4-3.6c-3.4.4-5.7-3.8-6.1-9.600z"
      />
      <circle fill="var(--map-high)" cx="21.4" cy="22" r="1.5" />
    </>
  );
  return (
    <svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">
      {wings}
      <g transform="matrix(-1 0 0 1 32 0)">{wings}</g>
      <path
        fill="none"
        stroke="var(--ink)"
        strokeWidth="1.3"
        strokeLinecap="round"
        d="M16 11v13M16 11c-.6-3-2-4.600-3.600-5.400M16 11c.6-3 2-4.600 3.600-5.400"
      />
    </svg>
  );
}
