/** The data files of a dataset's repository, by configuration and split, as the Hub's own rules read their names. */
import { type NamedSplit as SplitName, splitInPath } from '../lib/splitNames.ts';
import { folderName } from './names.ts';
import type { RepoFile } from './types.ts';

export interface Split {
  /** The folder that the files share, '' for the top. */
  readonly config: string;
  readonly split: SplitName;
  readonly files: readonly RepoFile[];
  readonly bytes: number;
}

const READABLE = /\.(parquet|csv|tsv|jsonl|json|ndjson|txt|zip)(\.gz)?$/;
/** Files about a dataset, not of it. */
const ABOUT = /(^|\/)(dataset_infos?\.json|README\.[a-z]+|\.[^/]*)$/i;

/** The folder above the files, less a folder that is named like the split, or "data". */
function configOf(path: string): string {
  return folderName(path)
    .split('/')
    .filter((part) => part !== '' && part !== 'data' && splitInPath(part) === null)
    .join('/');
}

const ORDER: readonly SplitName[] = ['train', 'validation', 'test'];

/**
 * Splits of a dataset, train first. Files that name no split are for training. Where the same rows lie there in several formats, the first of
 * Parquet, JSON lines, CSV is taken.
 */
export function splitsOf(files: readonly RepoFile[]): Split[] {
  const groups = new Map<string, RepoFile[]>();
  for (const file of files) {
    if (!READABLE.test(file.path) || ABOUT.test(file.path) || file.size === 0) continue;
    const key = JSON.stringify([configOf(file.path), splitInPath(file.path) ?? 'train']);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  const splits = [...groups].map(([key, members]): Split => {
    const [config, split] = JSON.parse(key) as [string, SplitName];
    const own = oneFormat(members);
    return { config, split, files: own, bytes: own.reduce((sum, { size }) => sum + size, 0) };
  });
  return splits.sort(
    (a, b) =>
      (a.config < b.config ? -1 : a.config > b.config ? 1 : 0) ||
      ORDER.indexOf(a.split) - ORDER.indexOf(b.split),
  );
}

const FORMATS = [/\.parquet$/, /\.(jsonl|ndjson|json)(\.gz)?$/, /\.(csv|tsv)(\.gz)?$/, /\.txt(\.gz)?$/];

function oneFormat(files: readonly RepoFile[]): readonly RepoFile[] {
  const format = FORMATS.find((ending) => files.some(({ path }) => ending.test(path)));
  return format === undefined ? files : files.filter(({ path }) => format.test(path));
}

/** What is trained on when nothing is said: the first configuration's training files. */
export const usualSplit = (splits: readonly Split[]): Split | undefined =>
  splits.find(({ split }) => split === 'train') ?? splits[0];
