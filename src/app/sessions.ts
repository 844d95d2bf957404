/** The last session in IndexedDB, so that a reload or a crash loses at most the work since the last checkpoint. */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { PapilioError } from '../lib/errors.ts';
import type { RunRequest } from '../training/protocol.ts';
import type { PageSettings } from './settings.ts';

export interface SavedSession {
  readonly name: string;
  readonly step: number;
  readonly totalSteps: number;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
  readonly settings: PageSettings;
  /** With the bytes of dropped files, so that the run needs nothing else to continue. */
  readonly request: RunRequest;
  readonly checkpoint: Uint8Array;
}

export interface Sessions {
  /** @throws PapilioError('quota') when the browser has no room. */
  save(session: SavedSession): Promise<void>;
  load(): Promise<SavedSession | null>;
  clear(): Promise<void>;
}

interface Schema extends DBSchema {
  sessions: { key: string; value: SavedSession };
}

export function browserSessions(): Sessions {
  let opened: Promise<IDBPDatabase<Schema>> | undefined;
  const db = () => {
    opened ??= openDB<Schema>('papilio', 1, {
      upgrade: (database) => {
        database.createObjectStore('sessions');
      },
    });
    return opened;
  };
  return {
    async save(session) {
      try {
        await (await db()).put('sessions', session, 'last');
      } catch (error) {
        const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
        throw new PapilioError(
          'quota',
          `The checkpoint of step ${session.step} could not be kept in this browser (${reason}); download it instead.`,
        );
      }
    },
    async load() {
      try {
        return (await (await db()).get('sessions', 'last')) ?? null;
      } catch {
        // A browser that keeps nothing (private windows) has nothing to resume; saving will say so.
        return null;
      }
    },
    async clear() {
      await (await db()).delete('sessions', 'last');
    },
  };
}
