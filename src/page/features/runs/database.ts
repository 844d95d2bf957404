/** Where the browser keeps runs: what each was and came to, its curve apart from that, and what is under way. */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { PapilioError } from '../../../common.ts';
import { type KeptCurve, type KeptRun, keptCurveSchema, keptRunSchema } from './kept.ts';

export interface RunDatabase {
  /** The kept runs, oldest first, and how many are there that cannot be read. @throws PapilioError 'quota' where nothing is kept at all */
  runs(): Promise<{ readonly runs: readonly KeptRun[]; readonly unread: number }>;
  /** Null where there is none, or none that can be read. */
  curve(key: string): Promise<KeptCurve | null>;
  /** Both or none. @throws PapilioError 'quota' when the browser has no room */
  put(run: KeptRun, curve: KeptCurve | null): Promise<void>;
  remove(keys: readonly string[]): Promise<void>;
  /** Something small by its name, as it was kept; undefined where there is none. */
  note(name: string): Promise<unknown>;
  setNote(name: string, value: unknown): Promise<void>;
}

interface Schema extends DBSchema {
  runs: { key: string; value: unknown };
  curves: { key: string; value: unknown };
  notes: { key: string; value: unknown };
}

/** What the browser says of a place that it does not give, as one of ours. */
function noRoom(error: unknown): PapilioError {
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new PapilioError('quota', reason);
}

async function kept<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw noRoom(error);
  }
}

export function browserRuns(): RunDatabase {
  let opened: Promise<IDBPDatabase<Schema>> | undefined;
  const db = () => {
    opened ??= openDB<Schema>('papilio-runs', 1, {
      upgrade: (database) => {
        for (const name of ['runs', 'curves', 'notes'] as const) database.createObjectStore(name);
      },
    }).catch((error: unknown) => {
      // It is tried anew by whoever asks next.
      opened = undefined;
      throw error;
    });
    return opened;
  };
  return {
    runs: () =>
      kept(async () => {
        const read = (await (await db()).getAll('runs')).map((one) => keptRunSchema.safeParse(one));
        const runs = read.flatMap(({ data }) => (data === undefined ? [] : [data]));
        return {
          runs: runs.sort((a, b) => a.startedAt - b.startedAt),
          unread: read.length - runs.length,
        };
      }),
    async curve(key) {
      const { data } = keptCurveSchema.safeParse(await kept(async () => (await db()).get('curves', key)));
      return data ?? null;
    },
    put: (run, curve) =>
      kept(async () => {
        const change = (await db()).transaction(['runs', 'curves'], 'readwrite');
        await Promise.all([
          change.objectStore('runs').put(run, run.key),
          ...(curve === null ? [] : [change.objectStore('curves').put(curve, run.key)]),
          change.done,
        ]);
      }),
    remove: (keys) =>
      kept(async () => {
        const change = (await db()).transaction(['runs', 'curves'], 'readwrite');
        await Promise.all([
          ...keys.flatMap((key) => [
            change.objectStore('runs').delete(key),
            change.objectStore('curves').delete(key),
          ]),
          change.done,
        ]);
      }),
    note: (name) => kept(async () => (await db()).get('notes', name)),
    setNote: (name, value) =>
      kept(async () => {
        await (await db()).put('notes', value, name);
      }),
  };
}
