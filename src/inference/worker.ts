/** Worker that holds onnxruntime-web away from the page and from the trainer, so that it can be ended when it is stuck. */
import { fail } from '../lib/errors.ts';
import { serve } from '../lib/workers.ts';
import { type About, pairWork, type Question, type WriteOptions } from './beforeAfter.ts';
import { type FeedTensor, type OpenOptions, type OrtSession, openSession } from './session.ts';

const sessions = new Map<number, OrtSession>();
let nextId = 1;
let pair: ReturnType<typeof pairWork> | null = null;

const pairNow = (): ReturnType<typeof pairWork> =>
  pair ?? fail('internal', 'No two files are open side by side; open them again.');

const sessionOf = (id: number): OrtSession =>
  sessions.get(id) ?? fail('internal', 'This onnxruntime session has been released; open the model again.');

const api = {
  async open(model: Uint8Array | Blob, options: OpenOptions) {
    const bytes = model instanceof Blob ? new Uint8Array(await model.arrayBuffer()) : model;
    const session = await openSession(bytes, options);
    const id = nextId++;
    sessions.set(id, session);
    const { provider, inputs, outputs, inputNames, outputNames } = session;
    return { id, provider, inputs, outputs, inputNames, outputNames };
  },
  run: async (id: number, feeds: Readonly<Record<string, FeedTensor>>, outputs?: readonly string[]) =>
    sessionOf(id).run(feeds, outputs),
  async release(id: number): Promise<void> {
    await sessions.get(id)?.release();
    sessions.delete(id);
  },
  /** Two opened files are asked side by side from now on. */
  async pair(before: number, after: number, about: About): Promise<void> {
    pair = pairWork({ before: sessionOf(before), after: sessionOf(after) }, about);
  },
  answer: async (question: Question) => pairNow().answer(question),
  write: async (options: WriteOptions) => pairNow().write(options),
  next: async () => pairNow().next(),
};

export type InferenceApi = typeof api;

serve(api, ['run']);
