/** The page's side of the inference worker: the same sessions, in a worker that starts when needed and can be ended at any time. */
import { type Remote, wrap } from 'comlink';
import { PapilioError } from '../lib/errors.ts';
import type { About, Question, Answer as Said } from './answers.ts';
import type { BothWriting } from './pair.ts';
import { type Answer, type InferenceService, unwrap } from './service.ts';
import type { OpenOptions, OrtSession } from './session.ts';
import type { WriteOptions } from './writing.ts';

/** Two files that answer and write side by side; their tokenizer and templates are read in the worker. */
export interface Pair {
  /** onnxruntime's, of the file after. */
  readonly provider: string;
  answer(question: Question): Promise<Said>;
  /** Goes on only as long as it is asked for more. */
  write(options: WriteOptions): AsyncGenerator<BothWriting, void>;
}

export interface InferenceClient {
  /** Opens a model in the worker, as {@link openSession} does; the caller keeps what it gives: bytes are copied, a Blob is read there. */
  open(model: Uint8Array | Blob, options?: OpenOptions): Promise<OrtSession>;
  /** Opens two files to be asked side by side; a later pair takes the place of the one before. */
  openPair(before: Uint8Array | Blob, after: Uint8Array | Blob, about: About): Promise<Pair>;
  /**
   * Ends the worker and gives its memory back. Calls under way, and later calls on its sessions, reject with 'internal';
   * the next `open` starts a new worker.
   */
  end(): void;
}

interface Running {
  readonly worker: Worker;
  readonly service: Remote<InferenceService>;
  /** Rejects when the worker is ended or breaks; a terminated worker never answers by itself. */
  readonly over: Promise<never>;
  readonly finish: (reason: string) => void;
}

export function inferenceClient(): InferenceClient {
  let running: Running | undefined;

  function start(): Running {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'inference' });
    let reject: (error: PapilioError) => void = () => {};
    const over = new Promise<never>((_, no) => {
      reject = no;
    });
    over.catch(() => {});
    const started: Running = {
      worker,
      service: wrap<InferenceService>(worker),
      over,
      finish(reason) {
        worker.terminate();
        reject(new PapilioError('internal', reason));
        if (running === started) running = undefined;
      },
    };
    worker.addEventListener('error', (event) => {
      started.finish(
        `The inference worker stopped: ${event.message || 'it could not be loaded'}; open the model again.`,
      );
    });
    return started;
  }

  async function ask<T>(owner: Running, call: Promise<Answer<T>>): Promise<T> {
    return unwrap(await Promise.race([call, owner.over]));
  }

  return {
    async open(model, options = {}) {
      running ??= start();
      const owner = running;
      const { id, ...facts } = await ask(owner, owner.service.open(model, options));
      return {
        ...facts,
        run: (feeds, outputs) => ask(owner, owner.service.run(id, feeds, outputs)),
        release: async () => {
          await ask(owner, owner.service.release(id));
        },
      };
    },
    async openPair(before, after, about) {
      running ??= start();
      const owner = running;
      const { service } = owner;
      const first = await ask(owner, service.open(before, {}));
      const second = await ask(owner, service.open(after, {}));
      await ask(owner, service.pair(first.id, second.id, about));
      return {
        provider: second.provider,
        answer: (question) => ask(owner, service.pairAnswer(question)),
        async *write(options) {
          await ask(owner, service.pairWrite(options));
          for (;;) {
            const now = await ask(owner, service.pairNext());
            if (now === null) return;
            yield now;
          }
        },
      };
    },
    end() {
      running?.finish('The inference worker was ended; open the model again.');
    },
  };
}
