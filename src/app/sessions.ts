/** The last session in IndexedDB, so that a reload or a crash loses at most the work since the last checkpoint. */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { keptSource } from '../hub/names.ts';
import { PapilioError } from '../lib/errors.ts';
import type { RunRequest } from '../training/protocol.ts';
import { readSession } from './savedSession.ts';
import type { PageSettings } from './settings.ts';

/** A request as it may lie on a disk. */
const withoutSecrets = (request: RunRequest): RunRequest => ({
  ...request,
  model: keptSource(request.model),
  data: keptSource(request.data),
});

export interface SavedSession {
  readonly name: string;
  readonly step: number;
  readonly totalSteps: number;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
  readonly settings: PageSettings;
  /** With dropped files, so that the run needs nothing else to continue. */
  readonly request: RunRequest;
  readonly checkpoint: Uint8Array;
}

export interface Sessions {
  /** @throws PapilioError('quota') when the browser has no room. */
  save(session: SavedSession): Promise<void>;
  /** @throws PapilioError('checkpoint') when what is kept is not what a page writes */
  load(): Promise<SavedSession | null>;
  clear(): Promise<void>;
}

/** The request may hold files of any size: it stands by itself and is written once a run, not with every checkpoint. */
interface Schema extends DBSchema {
  sessions: { key: 'last'; value: Omit<SavedSession, 'request'> };
  requests: { key: 'last'; value: RunRequest };
}

export function browserSessions(): Sessions {
  let opened: Promise<IDBPDatabase<Schema>> | undefined;
  let written: RunRequest | null = null;
  const db = () => {
    opened ??= openDB<Schema>('papilio', 2, {
      upgrade: (database) => {
        // A session of before held everything in one; it cannot be resumed.
        for (const name of database.objectStoreNames) database.deleteObjectStore(name);
        database.createObjectStore('sessions');
        database.createObjectStore('requests');
      },
    });
    return opened;
  };
  return {
    async save({ request, ...session }) {
      try {
        const change = (await db()).transaction(['sessions', 'requests'], 'readwrite');
        // Both or none: a checkpoint never stands beside another run's files.
        await Promise.all([
          change.objectStore('sessions').put(session, 'last'),
          ...(request === written
            ? []
            : [change.objectStore('requests').put(withoutSecrets(request), 'last')]),
          change.done,
        ]);
        written = request;
      } catch (error) {
        const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
        throw new PapilioError(
          'quota',
          `The checkpoint of step ${session.step} could not be kept in this browser (${reason}); download it instead.`,
        );
      }
    },
    async load() {
      let kept: SavedSession | null = null;
      try {
        const stored = await db();
        const session = await stored.get('sessions', 'last');
        const request = await stored.get('requests', 'last');
        if (session && request) kept = { ...session, request };
      } catch {
        // A browser that keeps nothing (private windows) has nothing to resume; saving will say so.
      }
      return kept && readSession(kept);
    },
    async clear() {
      const stored = await db();
      await stored.delete('sessions', 'last');
      await stored.delete('requests', 'last');
      written = null;
    },
  };
}
