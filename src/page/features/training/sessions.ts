/** The last session in IndexedDB, so that a reload or a crash loses at most the work since the last checkpoint. */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { PapilioError, say } from '../../../common.ts';
import { keptSource } from '../../../hub.ts';
import { givenFields, METHODS, type MethodId } from '../../../methods.ts';
import { type RunRequest, trainingSchema } from '../../../protocol.ts';
import { z } from '../../../schema.ts';
import { type PageSettings, validateSettings } from '../setup/settings.ts';

/** A request as it may lie on a disk. */
const withoutSecrets = (request: RunRequest): RunRequest => ({
  ...request,
  model: keptSource(request.model),
  data: keptSource(request.data),
});

export interface SavedSession {
  readonly name: string;
  /** The run's own, by which the list of runs knows it. */
  readonly key?: string | undefined;
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
          say`The checkpoint of step ${session.step} could not be kept in this browser (${reason}); download it instead.`,
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

// What the browser kept of a run, held against what a page writes: storage is read as any file is, and what does not fit is a sentence.

const bytes = z.instanceof(Uint8Array);
const file = z.object({ name: z.string(), bytes: z.union([bytes, z.instanceof(Blob)]) });
const fetched = [
  z.looseObject({ kind: z.literal('hub'), repo: z.string() }),
  z.looseObject({ kind: z.literal('url'), url: z.string() }),
] as const;
const given = [
  z.looseObject({ kind: z.literal('embedded'), name: z.string() }),
  z.looseObject({ kind: z.literal('files'), files: z.array(file).min(1) }),
] as const;
const drawn = z.object({ label: z.string(), images: z.array(z.instanceof(Float32Array)) });

const method = z.enum(Object.keys(METHODS) as [MethodId, ...MethodId[]]);
const request = z.looseObject({
  model: z.discriminatedUnion('kind', [...given, ...fetched]),
  data: z.discriminatedUnion('kind', [
    ...given,
    ...fetched,
    z.looseObject({ kind: z.literal('text'), text: z.string() }),
    z.looseObject({ kind: z.literal('drawings'), size: z.int().min(1).max(4096), classes: z.array(drawn) }),
  ]),
  method,
  config: givenFields,
  training: trainingSchema,
  adapter: z.array(z.object({ name: z.string(), bytes })).optional(),
});

const session = z
  .object({
    name: z.string().min(1).max(200),
    key: z.string().max(64).optional(),
    step: z.int().min(0),
    totalSteps: z.int().min(1),
    savedAt: z.number(),
    settings: z.object({
      preset: z.string(),
      model: z.string(),
      data: z.string(),
      method,
      config: givenFields,
      training: givenFields,
    }),
    checkpoint: bytes.refine(({ length }) => length > 0, { error: () => say`holds no bytes` }),
    request,
  })
  .refine(({ step, totalSteps }) => step <= totalSteps, {
    path: ['step'],
    error: () => say`is beyond the last step`,
  });

/** @throws PapilioError 'checkpoint' that says what does not fit */
export function readSession(kept: unknown): SavedSession {
  const { data, error } = session.safeParse(kept);
  if (error !== undefined) {
    const { path, message } = error.issues[0]!;
    throw new PapilioError(
      'checkpoint',
      say`What this browser keeps of a run cannot be gone on with: ${path.join('.') || say`its beginning`}: ${message}. It may be another version's; forget it to make room.`,
    );
  }
  const { settings } = validateSettings(data.settings);
  // A preset may have other fields by now than when the run began.
  const own = Object.entries(settings.config).filter(([name]) => Object.hasOwn(data.settings.config, name));
  return {
    ...data,
    settings: {
      ...settings,
      config: Object.fromEntries(own),
      training: data.request.training,
    } satisfies PageSettings,
    request: data.request as unknown as RunRequest,
  };
}
