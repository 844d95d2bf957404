/**
 * What JSX of the page compiles to: React's own, but every text that is put on screen is put there visibly. Names, cells, labels and sentences come from
 * strangers' files; the one way to the screen for all of them is here, so that no component has to think of it.
 */
import { Fragment, jsx as reactJsx, jsxs as reactJsxs } from 'react/jsx-runtime';
import { visible } from '../../common.ts';

export type { JSX } from 'react';
export { Fragment };

type Props = Record<string, unknown>;

/** Attributes that a browser shows or reads out. */
const SHOWN = [
  'title',
  'alt',
  'placeholder',
  'aria-label',
  'aria-description',
  'aria-valuetext',
  'textValue',
];

/** A child with its texts written visibly; the same one where nothing is to be changed. */
function shown(child: unknown): unknown {
  if (typeof child === 'string') return visible(child);
  if (!Array.isArray(child)) return child;
  const all = child.map(shown);
  return all.every((one, i) => one === child[i]) ? child : all;
}

/** Props with the same done to their children and attributes; never changed in place. */
export function visibly(props: Props): Props {
  let changed: Props | null = null;
  const put = (name: string, value: unknown): void => {
    if (value === props[name]) return;
    changed ??= { ...props };
    changed[name] = value;
  };
  put('children', shown(props.children));
  for (const name of SHOWN) if (typeof props[name] === 'string') put(name, visible(props[name]));
  return changed ?? props;
}

export const jsx: typeof reactJsx = (type, props, key) => reactJsx(type, visibly(props as Props), key);
export const jsxs: typeof reactJsxs = (type, props, key) => reactJsxs(type, visibly(props as Props), key);
