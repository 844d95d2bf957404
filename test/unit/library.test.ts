/**
 * What the library asks of what it runs in: the fetch of a page and of other runtimes, a store that it is given; and how it reads data.
 *
 * Seen to fail with: redirects that a page is told to follow by hand, a given store that is asked for any name, data that is read at 128 tokens
 * whatever the run will take, a hash of data that is not the command line's, a model that is rounded for each question.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openData, openModel } from '../../src/index.ts';
import { memoryStore } from '../../src/library/memoryStore.ts';
import { hashOf } from '../../src/training/checkpoint.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { prepareTask } from '../../src/training/task.ts';
import { around, json, labelled, textModel, tokenizer } from '../tools/contractModels.ts';

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

it('a model that was rounded is not rounded again for what is asked of it', async () => {
  const model = await openModel([textModel({ ends: 'classes' }), tokenizer()], { precision: 'f16' });
  expect(model.opened.model.precision).toBe('f16');
  const again = vi.spyOn(model.opened.model, 'at');
  await openData(model, labelled([3, 4, 5, 6]));
  expect(again).not.toHaveBeenCalled();
});

describe('data', () => {
  const decoder = () => openModel([textModel({ ends: 'words', causal: 512 }), tokenizer()]);
  /** Two prompts of some 200 tokens, with answers. */
  const long = json('rows.json', [
    { prompt: 'a b '.repeat(100), answer: 'c d' },
    { prompt: 'e f '.repeat(100), answer: 'g h' },
  ]);

  it('is read at the length of texts that the run will take', async () => {
    const model = await decoder();
    await expect(openData(model, long)).rejects.toMatchObject({
      kind: 'bad-data',
      message: expect.stringMatching(/prompt of 128 tokens or more/),
    });
    const { report } = await openData(model, long, { training: { sequenceLength: 256 } });
    expect(report.trainExamples + report.heldExamples).toBe(2);
  });

  it.each([
    [{ sequenceLength: 1 }, /^training\.sequenceLength: it must be at least 2\.$/],
    [{ sequenceLenght: 256 }, /^training: there is no setting "sequenceLenght"\.$/],
  ])('is not read with settings that there are not: %o', async (training, message) => {
    await expect(openData(await decoder(), long, { training: training as object })).rejects.toMatchObject({
      kind: 'bad-argument',
      message: expect.stringMatching(message),
    });
  });

  it('has the hash that the same files have on the command line', async () => {
    const model = await openModel([textModel({ ends: 'classes' }), tokenizer()]);
    const file = labelled([3, 4, 5, 6]);
    const { source } = await openData(model, file);
    const hash = async (data: typeof source) =>
      hashOf((await prepareTask(model.source, data, trainingSchema.parse({}), around)).data.bytes);
    expect(await hash(source)).toBe(await hash({ kind: 'files', files: [file] }));
  });
});
