/** The page's side of the inference worker: the same sessions, in a worker that starts when needed and can be ended at any time. */
import { say, WorkerHost } from '../common.ts';
import type {
  About,
  Answer,
  BothWriting,
  InferenceApi,
  OpenOptions,
  OrtSession,
  Question,
  WriteOptions,
} from '../inference.ts';

/** Two files that answer and write side by side; their tokenizer and templates are read in the worker. */
export interface Pair {
  /** onnxruntime's, of the file after. */
  readonly provider: string;
  answer(question: Question): Promise<Answer>;
  /** Goes on only as long as it is asked for more. */
  write(options: WriteOptions): AsyncGenerator<BothWriting, void>;
}

export interface InferenceClient {
  /** Opens a model in the worker, as `openSession` does; the caller keeps what it gives: bytes are copied, a Blob is read there. */
  open(model: Uint8Array | Blob, options?: OpenOptions): Promise<OrtSession>;
  /** Opens two files to be asked side by side; a later pair takes the place of the one before. */
  openPair(before: Uint8Array | Blob, after: Uint8Array | Blob, about: About): Promise<Pair>;
  /**
   * Ends the worker and gives its memory back. Calls under way, and later calls on its sessions, reject with 'internal';
   * the next `open` starts a new worker.
   */
  end(): void;
}

const startWorker = (): Worker =>
  new Worker(new URL('../inference/worker.ts', import.meta.url), { type: 'module', name: 'inference' });

export function inferenceClient(): InferenceClient {
  const host = new WorkerHost<InferenceApi>(startWorker, {
    what: () => say`The inference worker`,
    wayOn: () => say`open the model again`,
  });
  return {
    async open(model, options = {}) {
      const { api } = host.running();
      const { id, ...facts } = await api.open(model, options);
      return {
        ...facts,
        run: (feeds, outputs) => api.run(id, feeds, outputs),
        release: () => api.release(id),
      };
    },
    async openPair(before, after, about) {
      const { api } = host.running();
      const first = await api.open(before, {});
      const second = await api.open(after, {});
      await api.pair(first.id, second.id, about);
      return {
        provider: second.provider,
        answer: (question) => api.answer(question),
        async *write(options) {
          await api.write(options);
          for (;;) {
            const now = await api.next();
            if (now === null) return;
            yield now;
          }
        },
      };
    },
    end: host.end,
  };
}
