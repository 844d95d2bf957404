/**
 * What a browser keeps of the last run: written as one, the request once a run, and read against what a page writes. Seen to fail with: a request
 * that is written with every checkpoint, a checkpoint beside another run's files, a token that is kept, a full disk that says nothing.
 */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { runRequest } from '../../src/page/features/setup/choice.ts';
import {
  browserSessions,
  readSession,
  type SavedSession,
} from '../../src/page/features/training/sessions.ts';
import { createStores } from '../../src/page/stores.ts';

/** What lies in the database, what was written, and what makes writing fail. */
const disk = vi.hoisted(() => ({
  stores: new Map<string, Map<string, unknown>>(),
  puts: [] as string[],
  refusal: null as Error | null,
  isClosed: false,
}));

// Transactions of one key each are all that the page uses of IndexedDB; what a real one does is tested in a browser (test/e2e/survive.test.ts).
vi.mock('idb', () => ({
  openDB: async (_name: string, _version: number, { upgrade }: { upgrade: (database: unknown) => void }) => {
    if (disk.isClosed) throw new Error('no storage here');
    if (disk.stores.size === 0)
      upgrade({
        objectStoreNames: [],
        createObjectStore: (name: string) => disk.stores.set(name, new Map()),
      });
    const store = (name: string) => disk.stores.get(name)!;
    return {
      get: async (name: string, key: string) => store(name).get(key),
      delete: async (name: string, key: string) => void store(name).delete(key),
      transaction: () => {
        const changes: (() => void)[] = [];
        return {
          objectStore: (name: string) => ({
            put: async (value: unknown, key: string) => {
              disk.puts.push(name);
              changes.push(() => store(name).set(key, structuredClone(value)));
            },
          }),
          get done() {
            return (async () => {
              if (disk.refusal !== null) throw disk.refusal;
              for (const change of changes) change();
            })();
          },
        };
      },
    };
  },
}));

const { settings } = createStores().choice.getState();
const request = runRequest(createStores().choice.getState());
const saved = (step: number, of = request): SavedSession => ({
  name: 'calm-apollo',
  step,
  totalSteps: 300,
  savedAt: 1000,
  settings,
  request: of,
  checkpoint: Uint8Array.of(step),
});

beforeEach(() => {
  disk.stores.clear();
  disk.puts.length = 0;
  disk.refusal = null;
  disk.isClosed = false;
});

describe('the browser', () => {
  it('keeps the last session and gives it back', async () => {
    const sessions = browserSessions();
    expect(await sessions.load()).toBeNull();
    await sessions.save(saved(1));
    await sessions.save(saved(2));
    expect(await browserSessions().load()).toEqual(saved(2));
    await sessions.clear();
    expect(await sessions.load()).toBeNull();
  });

  it('writes the request once a run, and again after it was forgotten', async () => {
    const sessions = browserSessions();
    const requests = () => disk.puts.filter((name) => name === 'requests').length;
    await sessions.save(saved(1));
    await sessions.save(saved(2));
    expect(requests()).toBe(1);
    await sessions.save(saved(1, { ...request }));
    expect(requests()).toBe(2);
    await sessions.clear();
    await sessions.save(saved(2, { ...request }));
    expect(requests()).toBe(3);
  });

  it('writes both or none, and says what to do where it has no room', async () => {
    const sessions = browserSessions();
    await sessions.save(saved(1));
    disk.refusal = Object.assign(new Error('The disk is full.'), { name: 'QuotaExceededError' });
    const other = { ...request, method: 'lora' as const, config: {} };
    await expect(sessions.save(saved(9, other))).rejects.toMatchObject({
      kind: 'quota',
      message: expect.stringMatching(/step 9 .*QuotaExceededError: The disk is full\..*download it instead/),
    });
    expect(await sessions.load()).toEqual(saved(1));
    // The request of a session that was not written is written with the next one.
    disk.refusal = null;
    await sessions.save(saved(10, other));
    expect((await sessions.load())?.request).toEqual(other);
  });

  it('that keeps nothing has nothing to go on with', async () => {
    disk.isClosed = true;
    expect(await browserSessions().load()).toBeNull();
    await expect(browserSessions().save(saved(1))).rejects.toMatchObject({ kind: 'quota' });
  });

  it('keeps no token of an address', async () => {
    const url = 'https://data.example/rows.csv?token=secret&part=1';
    await browserSessions().save(saved(1, { ...request, data: { kind: 'url', url } }));
    expect(JSON.stringify(disk.stores.get('requests')?.get('last'))).not.toContain('secret');
  });
});

describe('what a browser kept', () => {
  const whole = () => saved(2);

  it('is read back as it was written', () => {
    expect(readSession(whole())).toEqual(whole());
    expect(readSession(structuredClone(whole()))).toEqual(whole());
  });

  it.each<[string, (session: SavedSession) => unknown]>([
    ['nothing of it', () => ({})],
    ['a list', () => []],
    ['text', () => 'session'],
    ['no name', (s) => ({ ...s, name: undefined })],
    ['a name without end', (s) => ({ ...s, name: 'x'.repeat(5000) })],
    ['a fractional step', (s) => ({ ...s, step: 1.5 })],
    ['a negative step', (s) => ({ ...s, step: -1 })],
    ['a step beyond the last', (s) => ({ ...s, step: 301 })],
    ['a step that is no number', (s) => ({ ...s, step: Number.NaN })],
    ['no bytes', (s) => ({ ...s, checkpoint: new Uint8Array(0) })],
    ['bytes that are a list', (s) => ({ ...s, checkpoint: [1, 2] })],
    ['no settings', (s) => ({ ...s, settings: null })],
    ['settings of another method', (s) => ({ ...s, settings: { ...s.settings, method: 'constructor' } })],
    ['no request', (s) => ({ ...s, request: 7 })],
    ['a model of another kind', (s) => ({ ...s, request: { ...s.request, model: { kind: 'toString' } } })],
    [
      'files that are none',
      (s) => ({
        ...s,
        request: { ...s.request, model: { kind: 'files', files: [{ name: 'a', bytes: 'b' }] } },
      }),
    ],
    ['data without text', (s) => ({ ...s, request: { ...s.request, data: { kind: 'text' } } })],
    ['a configuration that is a list', (s) => ({ ...s, request: { ...s.request, config: [] } })],
    [
      'a batch of none',
      (s) => ({ ...s, request: { ...s.request, training: { ...s.request.training, batchSize: 0 } } }),
    ],
  ])('of another form is a sentence: %s', (_, spoil) => {
    expect(() => readSession(spoil(whole()))).toThrow(PapilioError);
    expect(() => readSession(spoil(whole()))).toThrow(
      /^What this browser keeps of a run cannot be gone on with/,
    );
  });
});
