/**
 * What the library asks of its surroundings: the fetch of a page and of other runtimes, a store that it is given.
 *
 * Seen to fail with: redirects that a page is told to follow by hand, a given store that is asked for any name.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openData, openModel } from '../../src/index.ts';
import { memoryStore } from '../../src/library/memoryStore.ts';
import { labelled, textModel, tokenizer } from '../tools/contractModels.ts';

afterEach(() => void vi.unstubAllGlobals());

describe('what the Hub is asked by', () => {
  /** How each request was made that opening a model leads to; all are refused. */
  async function requests(): Promise<RequestInit[]> {
    const asked: RequestInit[] = [];
    vi.stubGlobal('fetch', async (_address: unknown, init: RequestInit = {}) => {
      asked.push(init);
      return new Response('', { status: 404 });
    });
    await expect(openModel('hub:makers/tiny')).rejects.toMatchObject({ name: 'PapilioError' });
    expect(asked.length).toBeGreaterThan(0);
    return asked;
  }

  it('follows redirects by hand outside pages', async () => {
    for (const { redirect } of await requests()) expect(redirect).toBe('manual');
  });

  it.each(['document', 'importScripts'])('leaves redirects to a page, which has %s', async (name) => {
    vi.stubGlobal(name, () => {});
    for (const { redirect } of await requests()) expect(redirect).toBeUndefined();
  });
});

it.each([
  ['given', memoryStore()],
  ['made', undefined],
])('a store that is %s is asked for names of its own alone', async (_which, given) => {
  const read = given && vi.spyOn(given, 'read');
  const model = await openModel([textModel({ ends: 'classes' }), tokenizer()]);
  const { host } = await openData(model, labelled([3, 4, 5, 6]), given ? { store: given } : {});
  const { store } = await host.hub!();
  await expect(store.read('..', 'secret')).rejects.toMatchObject({ kind: 'bad-argument' });
  if (read) expect(read).not.toHaveBeenCalled();
});
