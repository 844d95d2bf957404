/**
 * Which files are learnt from and which are held, by their names and folders: `train-00000-of-00002.parquet`, `my_test-file.csv`, `data/dev/rows.csv`.
 * Every file is given a split or none is; what is left out is said.
 */
import type { InputFile } from '../../lib/bytes.ts';
import { type NamedSplit, splitInName, splitInPath } from '../../lib/names.ts';
import { say } from '../../lib/say.ts';
import type { SplitName } from '../types.ts';

const asHeld = (split: NamedSplit): SplitName => (split === 'train' ? 'train' : 'held');

/** The split of a name. */
export function splitNamed(name: string): SplitName | undefined {
  const split = splitInName(name);
  return split === null ? undefined : asHeld(split);
}

/** The split that one of the folders says, the nearest first. */
export function splitOfFolders(folders: readonly string[]): SplitName | undefined {
  const split = splitInPath(folders.join('/'));
  return split === null ? undefined : asHeld(split);
}

const pathsShown = (files: readonly InputFile[]): string =>
  files.length <= 3 ? files.map(({ name: path }) => path).join(', ') : say`${files.length} files`;

export interface Assigned {
  /** Those that are used. */
  readonly files: readonly InputFile[];
  /** By path; undefined where no split is stated. */
  readonly of: (path: string) => SplitName | undefined;
}

/**
 * The splits of some files of one kind.
 * @param sayingPath the part of a file's path that may say it: all of it, or where a file is one example the folders above its class
 * @param notes hears what is left out, and what is taken as what
 */
export function assignSplits(
  files: readonly InputFile[],
  sayingPath: (file: InputFile) => string,
  notes: string[],
): Assigned {
  const paths = files.map((file) => sayingPath(file));
  const shared = sharedFolders(paths);
  const stated = new Map<string, NamedSplit | null>(
    files.map(({ name: path }, i) => [path, splitInPath(paths[i]!.split('/').slice(shared).join('/'))]),
  );
  const saying = (split: NamedSplit | null) => files.filter(({ name: path }) => stated.get(path) === split);
  const [train, validation, test, none] = [
    saying('train'),
    saying('validation'),
    saying('test'),
    saying(null),
  ];
  const dropped = new Set<InputFile>();
  const drop = (which: readonly InputFile[], why: string): void => {
    if (which.length === 0) return;
    for (const file of which) dropped.add(file);
    notes.push(why);
  };
  if (validation.length > 0)
    drop(
      test,
      test.length === 1
        ? say`Quality is measured on the validation split; ${test[0]!.name} is left out.`
        : say`Quality is measured on the validation split; ${test.length} files of the test split are left out.`,
    );
  const hasHeld = validation.length + test.length > 0;
  const heldShown = () => pathsShown([...validation, ...test].filter((file) => !dropped.has(file)));
  if (hasHeld && train.length > 0)
    drop(
      none,
      none.length === 1
        ? say`${pathsShown(none)} names no split while other files do: left out.`
        : say`${pathsShown(none)} name no split while other files do: left out.`,
    );
  else if (hasHeld && none.length > 0)
    notes.push(
      none.length === 1
        ? say`${pathsShown(none)} names no split and is learnt from; ${heldShown()} held out.`
        : say`${pathsShown(none)} name no split and are learnt from; ${heldShown()} held out.`,
    );
  const isStated = hasHeld && train.length + none.length > 0;
  return {
    files: files.filter((file) => !dropped.has(file)),
    of: (path) => {
      if (!isStated) return undefined;
      return asHeld(stated.get(path) ?? 'train');
    },
  };
}

/** How many folders all paths begin with: what holds everything tells nothing apart. */
function sharedFolders(paths: readonly string[]): number {
  const folders = paths.map((path) => path.split('/').slice(0, -1));
  const [first = []] = folders;
  let count = 0;
  while (count < first.length && folders.every((f) => f[count] === first[count])) count++;
  return count;
}

/** Names of columns that say each row's split. */
const COLUMN = /^(split|set|subset|partition|dataset_split|data_split)$/i;

/** A column that says of every row whether it is for training or testing; null where there is none. */
export function splitColumn(
  columns: readonly string[],
  rows: readonly { readonly values: Readonly<Record<string, unknown>> }[],
): { readonly column: string; readonly of: (value: unknown) => NamedSplit | null } | null {
  const of = (value: unknown) => (typeof value === 'string' ? splitInName(value) : null);
  for (const column of columns) {
    if (!COLUMN.test(column.trim())) continue;
    const found = new Set(rows.map(({ values }) => of(values[column])));
    if (found.has('train') && found.size > 1 && !found.has(null)) return { column, of };
  }
  return null;
}
