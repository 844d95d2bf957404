/**
 * The merged file and the one before it, run in onnxruntime-web: text from both on the same prompt, or both answers to the same text or
 * drawing. One worker of its own, which also reads the tokenizer and the chat template, ended when it has to stop; the trainer has no part in it but to hand the file that training began from.
 */
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { Answer, BothWriting, Question, Side, WriteOptions } from '../inference/beforeAfter.ts';
import type { InferenceClient, Pair } from '../inference/client.ts';
import { asPapilioError } from '../lib/errors.ts';
import { PATIENCE_MS, settlesWithin } from '../lib/workers.ts';
import type { DataReport, ErrorReport, OpenReport, TrainerApi } from '../training/protocol.ts';
import { saveFile, zipOf } from './exports.ts';
import type { MergeResult, Stores } from './stores.ts';

export const SIDES: readonly Side[] = ['before', 'after'];

/** What a merged file of this data is asked: to write, or for an answer to a text or a picture. */
export const asksFor = (kind: DataReport['kind']): 'writing' | 'text' | 'picture' =>
  kind === 'text' || kind === 'instruction' ? 'writing' : kind === 'image' ? 'picture' : 'text';

export interface RunningView {
  /** What is being done. */
  readonly busy: string | null;
  readonly error: ErrorReport | null;
  /** onnxruntime's provider; null until both files are open. */
  readonly provider: string | null;
  /** The file before has a classifier that was made anew for the data and never trained. */
  readonly hasNewHead: boolean;
  readonly writing: BothWriting | null;
  readonly answer: Answer | null;
}

export interface RunningDesk {
  readonly view: StoreApi<RunningView>;
  write(options: WriteOptions): Promise<void>;
  ask(question: Question): Promise<void>;
  /** Ends what runs after the token it is at; a worker that does not come to its end in time is ended. */
  stop(): Promise<void>;
  /** Saves the folder that transformers.js opens, as a zip. */
  saveFolder(): Promise<void>;
}

interface Both {
  readonly of: MergeResult;
  readonly pair: Pair;
}

const nothing: RunningView = {
  busy: null,
  error: null,
  provider: null,
  hasNewHead: false,
  writing: null,
  answer: null,
};

export function createRunningDesk(
  { run }: Pick<Stores, 'run'>,
  trainer: Pick<TrainerApi, 'baseModel'>,
  inference: () => Promise<InferenceClient>,
): RunningDesk {
  const view = createStore<RunningView>(() => nothing);
  let client: InferenceClient | null = null;
  let both: Both | null = null;
  let stopping = new AbortController();

  async function opened(merged: MergeResult, { data, model }: OpenReport): Promise<Pair> {
    if (both?.of === merged) return both.pair;
    close();
    const { limit, exactly, feeds } = model;
    client = await inference();
    const { onnx, hasNewHead } = await trainer.baseModel();
    const about = { sidecars: merged.sidecars, data, model: { limit, exactly, feeds } };
    const pair = await client.openPair(onnx, merged.onnx, about);
    both = { of: merged, pair };
    view.setState({ hasNewHead, provider: pair.provider });
    return pair;
  }

  /** Ends the worker: its memory goes back at once. */
  function close(): void {
    client?.end();
    client = null;
    both = null;
  }

  run.subscribe((now, before) => {
    // Another merge or run: what both files said was said by others.
    if (now.merged?.onnx === before.merged?.onnx) return;
    stopping.abort();
    close();
    view.setState(nothing);
  });

  async function during(task: (pair: Pair, signal: AbortSignal) => Promise<void>): Promise<void> {
    const { merged, open, request } = run.getState();
    if (merged === null || open === null || request === null || view.getState().busy !== null) return;
    stopping = new AbortController();
    const { signal } = stopping;
    const tell = (change: Partial<RunningView>) => {
      if (run.getState().merged?.onnx === merged.onnx) view.setState(change);
    };
    tell({ busy: 'Opening both files in onnxruntime', error: null });
    try {
      const pair = await opened(merged, open);
      tell({ busy: 'Running both files' });
      if (!signal.aborted) await task(pair, signal);
    } catch (error) {
      const { kind, message, details } = asPapilioError(error);
      // Who stopped it knows.
      if (!signal.aborted) tell({ error: { kind, message, details } });
      // A worker that failed is not asked again.
      close();
    }
    tell({ busy: null });
  }

  const ends = (): Promise<void> =>
    new Promise((resolve) => {
      if (view.getState().busy === null) return resolve();
      const forget = view.subscribe(({ busy }) => {
        if (busy !== null) return;
        forget();
        resolve();
      });
    });

  return {
    view,
    write: (options) =>
      during(async (pair, signal) => {
        view.setState({ writing: null });
        for await (const writing of pair.write(options)) {
          if (signal.aborted) break;
          view.setState({ writing });
        }
      }),
    ask: (question) =>
      during(async (pair) => {
        view.setState({ answer: await pair.answer(question) });
      }),
    async stop() {
      stopping.abort();
      if (!(await settlesWithin(ends(), PATIENCE_MS))) close();
    },
    async saveFolder() {
      const { merged, current } = run.getState();
      if (merged === null) return;
      const { hubFolder } = await import('../training/sidecars.ts');
      const name = current?.name ?? 'model';
      const files = hubFolder(merged.onnx, merged.sidecars);
      saveFile(`${name}.zip`, await zipOf(files.map((file) => ({ ...file, name: `${name}/${file.name}` }))));
    },
  };
}
