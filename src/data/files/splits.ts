/** Names that say which split a file, a folder or a part of a file is: `train-00000-of-00001.parquet`, `data/validation.csv`. */
import type { SplitName } from '../types.ts';

const NAMES: Readonly<Record<string, SplitName>> = {
  train: 'train',
  training: 'train',
  test: 'held',
  testing: 'held',
  val: 'held',
  valid: 'held',
  validation: 'held',
  dev: 'held',
  eval: 'held',
  held: 'held',
};

/** The split of a name that is nothing else. */
export const splitNamed = (name: string): SplitName | undefined => NAMES[name.toLowerCase()];

/** The split that a path says by one of its folders, or by the first word of its name. */
export function splitOfPath(path: string): SplitName | undefined {
  const parts = path.split('/');
  const [first = ''] = (parts.at(-1) ?? '').split(/[-_.]/);
  return [...parts.slice(0, -1).reverse(), first].map(splitNamed).find((split) => split !== undefined);
}

/** Whether the path says `test`: left out where there is a validation split too. */
export const isTest = (path: string): boolean => /(^|\/)test(ing)?([-_./]|$)/i.test(path);
export const isValidation = (path: string): boolean =>
  /(^|\/)(val|valid|validation|dev|eval)([-_./]|$)/i.test(path);
