/** Worker that holds onnxruntime-web away from the page and from the trainer, so that it can be ended when it is stuck. */
import { expose, transfer } from 'comlink';
import { fail } from '../lib/errors.ts';
import { type PairWork, pairWork } from './pair.ts';
import { answer, type InferenceService } from './service.ts';
import { type OrtSession, openSession } from './session.ts';

const sessions = new Map<number, OrtSession>();
let nextId = 1;
let pair: PairWork | null = null;

const pairNow = (): PairWork =>
  pair ?? fail('internal', 'No two files are open side by side; open them again.');

function sessionOf(id: number): OrtSession {
  return (
    sessions.get(id) ?? fail('internal', 'This onnxruntime session has been released; open the model again.')
  );
}

const service: InferenceService = {
  open: (model, options) =>
    answer(async () => {
      const bytes = model instanceof Blob ? new Uint8Array(await model.arrayBuffer()) : model;
      const session = await openSession(bytes, options);
      const id = nextId++;
      sessions.set(id, session);
      const { provider, inputs, outputs, inputNames, outputNames } = session;
      return { id, provider, inputs, outputs, inputNames, outputNames };
    }),
  async run(id, feeds, outputs) {
    const result = await answer(() => sessionOf(id).run(feeds, outputs));
    const buffers = result.ok ? Object.values(result.value).map((tensor) => tensor.data.buffer) : [];
    return transfer(result, buffers);
  },
  release: (id) =>
    answer(async () => {
      await sessions.get(id)?.release();
      sessions.delete(id);
      return null;
    }),
  pair: (before, after, about) =>
    answer(async () => {
      pair = pairWork({ before: sessionOf(before), after: sessionOf(after) }, about);
      return null;
    }),
  pairAnswer: (question) => answer(() => pairNow().answer(question)),
  pairWrite: (options) =>
    answer(async () => {
      pairNow().write(options);
      return null;
    }),
  pairNext: () => answer(() => pairNow().next()),
};

expose(service);
