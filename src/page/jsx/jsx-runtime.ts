/**
 * What JSX of the page compiles to: React's own, but every text that is put on screen is put there visibly, and no line ends between a number and its unit.
 * Names, cells, labels and sentences come from strangers' files, numbers from everywhere; the one way to the screen for all of them is here, so that no
 * component has to think of it.
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

/** The space between a number and its unit, in the languages that there are. */
const BEFORE_UNIT = /(?<=\d) (?=(?:%|°|[kMGT]?i?B|[kMG]|[mµ]?s|min|h)(?![\p{L}\d])|毫秒|秒|分|小时)/gu;

const endsWithNumber = (text: unknown): boolean =>
  typeof text === 'number' || (typeof text === 'string' && /\d$/.test(text));

/** A text that is put on screen, after what stands before it: the number of a unit may be a text of its own. */
function prose(text: string, before: unknown): string {
  const number = endsWithNumber(before) ? '0' : '';
  return (number + visible(text)).replace(BEFORE_UNIT, '\u00a0').slice(number.length);
}

/** A child with its texts written by `write`; the same one where nothing is to be changed. */
function shown(child: unknown, write: typeof prose, before?: unknown): unknown {
  if (typeof child === 'string') return write(child, before);
  if (!Array.isArray(child)) return child;
  const all = child.map((one, i) => shown(one, write, child[i - 1]));
  return all.every((one, i) => one === child[i]) ? child : all;
}

/** Props with the same done to their children and attributes; never changed in place. */
export function visibly(type: unknown, props: Props): Props {
  let changed: Props | null = null;
  const put = (name: string, value: unknown): void => {
    if (value === props[name]) return;
    changed ??= { ...props };
    changed[name] = value;
  };
  // What is there to be copied keeps its spaces.
  put('children', shown(props.children, type === 'pre' || type === 'code' ? visible : prose));
  for (const name of SHOWN) if (typeof props[name] === 'string') put(name, visible(props[name]));
  return changed ?? props;
}

export const jsx: typeof reactJsx = (type, props, key) => reactJsx(type, visibly(type, props as Props), key);
export const jsxs: typeof reactJsxs = (type, props, key) =>
  reactJsxs(type, visibly(type, props as Props), key);
