/**
 * The place where a command puts what it makes, tried before anything else is opened: made, locked against a second run, written to, looked
 * through for an older result, and held against the room that is left on the disk.
 */
import { lstat, readdir, readFile, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fail } from '../common.ts';
import { MODEL_SIDECARS } from '../merged.ts';
import { disk, makeFolder, refuseWrite, removeLeftovers, replaceIn, takeLock } from './disk.ts';

/** What a run of `finetune` leaves in its folder. */
export const RUN_FILES = [
  'run.json',
  'checkpoint.safetensors',
  'model.onnx',
  'model.failed.onnx',
  'model.unchecked.onnx',
  'adapter_config.json',
  'adapter_model.safetensors',
  'metrics.csv',
] as const;

/** What tells of a run. */
const RECORDS: readonly string[] = ['run.json', 'metrics.csv'];

/** What it may write beside them, as the model has it: somebody's own file of that name is not written over unasked. */
const RUN_WRITES: readonly string[] = [...RUN_FILES, ...MODEL_SIDECARS];

export interface OutFolder {
  /** The folder that is written to. */
  readonly folder: string;
  /** Gives the place free for other runs; a folder that was made for nothing is removed. */
  close(): Promise<void>;
}

export interface OutOptions {
  /** Whether an older result may be written over. */
  readonly overwrite: boolean;
  /** The checkpoint that is gone on with: the run it lies beside is no other run. */
  readonly resume?: string | undefined;
  /** Whether it is the same run again: the records of one that did not come to its end are then no result. */
  readonly isAgain?: boolean;
  /** Names that show an older result; those of a run unless said. */
  readonly holds?: readonly string[];
}

const LOCK = 'papilio.lock';
const PROBE = 'papilio.probe';
/** @returns what gives the lock free */
async function lock(path: string, out: string): Promise<() => Promise<void>> {
  const taken = await takeLock(path);
  if (taken.isTaken) return taken.release;
  const who = taken.pid === null ? '' : ` (process ${taken.pid})`;
  return fail(
    'bad-argument',
    `Another run${who} is writing into ${out}; wait until it has ended, or give another folder.`,
    { path: out },
  );
}

const inMegabytes = (bytes: number): string =>
  `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MB`;

/**
 * Opens a folder for a command's results.
 *
 * @throws PapilioError 'bad-argument' where it cannot be made or written, is in use, or holds an older result; 'quota' where it is full
 */
export const openOut = (out: string, options: OutOptions): Promise<OutFolder> =>
  openPlace(out, out, LOCK, options);

/** The same for a result that is one file. */
export async function openOutFile(path: string, options: OutOptions): Promise<OutFolder> {
  const there = await stat(path).catch(() => null);
  if (there?.isDirectory()) fail('bad-argument', `${path} is a folder; give the name of a file.`, { path });
  // A pipe or a device holds nothing.
  if (there !== null && !there.isFile()) return { folder: dirname(path), close: async () => {} };
  const name = basename(path);
  const holds = [name, ...(options.holds ?? [])];
  return openPlace(dirname(path), path, `${name}.lock`, { ...options, holds });
}

async function openPlace(
  folder: string,
  out: string,
  lockName: string,
  { overwrite, resume, isAgain = false, holds = RUN_WRITES }: OutOptions,
): Promise<OutFolder> {
  let made: string[] = [];
  const undo: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const task of undo.splice(0)) await task().catch(() => {});
    for (const empty of made) {
      const isGone = await rmdir(empty).then(
        () => true,
        () => false,
      );
      if (!isGone) return;
    }
  };
  try {
    made = await makeFolder(folder);
    await replaceIn(folder, PROBE, [new TextEncoder().encode('papilio\n')]);
    await disk.rm(join(folder, PROBE));
    undo.push(await lock(join(folder, lockName), out));
    const isOwn = resume !== undefined && resolve(dirname(resume)) === resolve(folder);
    const results =
      isAgain && (await isUnfinished(folder)) ? holds.filter((name) => !RECORDS.includes(name)) : holds;
    if (!overwrite && !isOwn) await refuseOlder(folder, results);
    if (folder === out) await refuseFolders(folder, holds);
    if (folder === out) await removeLeftovers(folder, await readdir(folder));
  } catch (error) {
    await close();
    refuseWrite(out, error);
  }
  return { folder, close };
}

/** Whether the record that lies in a folder is of a run that did not come to its end. */
async function isUnfinished(folder: string): Promise<boolean> {
  const path = join(folder, 'run.json');
  try {
    // A pipe may say nothing.
    if (!(await lstat(path)).isFile()) return false;
    const record: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof record === 'object' && record !== null && 'stepsWanted' in record;
  } catch {
    return false;
  }
}

/** @throws PapilioError 'bad-argument' naming the files of an older result that lie in a folder */
export async function refuseOlder(folder: string, holds: readonly string[]): Promise<void> {
  const names = await readdir(folder);
  const older = holds.filter((name) => names.includes(name));
  if (older.length === 0) return;
  const what = older.every((name) => MODEL_SIDECARS.includes(name))
    ? `${older.join(', ')}, of which the result has its own`
    : `an older result (${older.join(', ')})`;
  fail('bad-argument', `${folder} holds ${what}; give another place, or --overwrite to write over it.`, {
    path: folder,
    older,
  });
}

/** A folder that lies where a file will be written is found before there is something to write. @throws PapilioError 'bad-argument' */
async function refuseFolders(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names.filter((one) => /\.\w+$/.test(one))) {
    const path = join(folder, name);
    if ((await lstat(path).catch(() => null))?.isDirectory())
      fail(
        'bad-argument',
        `${path} is a folder, and a file of that name will be written; remove it, or give another place.`,
        {
          path,
        },
      );
  }
}

/** A place with what is asked of it; `isFile` for a result that is one file. */
export interface WantedOut extends OutOptions {
  readonly path: string;
  readonly isFile?: boolean;
}

/** Opens the places of a command one after the other, the same one once, and closes them whatever `use` comes to. */
export async function withOut<T>(
  wanted: readonly WantedOut[],
  use: (places: readonly OutFolder[]) => Promise<T>,
): Promise<T> {
  const places = new Map<string, OutFolder>();
  const pathOf = ({ path }: WantedOut): string => resolve(path);
  try {
    for (const one of wanted)
      if (!places.has(pathOf(one)))
        places.set(pathOf(one), await (one.isFile ? openOutFile : openOut)(one.path, one));
    return await use(wanted.map((one) => places.get(pathOf(one))!));
  } finally {
    for (const place of places.values()) await place.close();
  }
}

/** What will be written below a folder, newer files beside older ones included. */
export interface Need {
  readonly folder: string;
  readonly bytes: number;
}

/**
 * Refuses where less room is left than will be written; what goes to one disk is added up.
 *
 * @param what what will take it, as the sentence's subject
 * @throws PapilioError 'quota' with both numbers
 */
export async function requireRoom(needs: readonly Need[], what: string): Promise<void> {
  const byDisk = new Map<number | string, Need[]>();
  for (const need of needs) {
    const facts = await stat(need.folder).catch(() => null);
    const key = facts?.dev ?? need.folder;
    byDisk.set(key, [...(byDisk.get(key) ?? []), need]);
  }
  for (const [first, ...others] of byDisk.values()) {
    const { folder } = first!;
    const bytes = others.reduce((sum, need) => sum + need.bytes, first!.bytes);
    const room = await disk.room(folder);
    if (room !== null && bytes > room)
      fail(
        'quota',
        `${what} will take ${inMegabytes(bytes)} in ${folder}, and ${inMegabytes(room)} are free there; free some room, or give a folder on another disk.`,
        { path: folder, bytes, room, way: 'free' },
      );
  }
}
