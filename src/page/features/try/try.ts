/**
 * Runs the base and the merged file side by side in onnxruntime-web: text from both on the same prompt, or both answers to the same text or
 * drawing. A worker of its own does it, reads the tokenizer and the chat template too, and is ended to stop it; the trainer only supplies the base file.
 */
import { createStore } from 'zustand/vanilla';
import { PATIENCE_MS, say, settlesWithin } from '../../../common.ts';
import type { Answer, BothWriting, Question, Side, WriteOptions } from '../../../inference.ts';
import type { DataReport, OpenReport, TrainerApi } from '../../../protocol.ts';
import { saveFile, zipOf } from '../../exports.ts';
import type { InferenceClient, Pair } from '../../inferenceClient.ts';
import type { MergeResult, Stores } from '../../stores.ts';
import { createTask, type TaskView } from '../../task.ts';
import { cardOf, mergedRun } from '../merge/exported.ts';

export const SIDES: readonly Side[] = ['before', 'after'];

/** What a merged file of this data is asked: to write, or for an answer to a text or a picture. */
export const asksFor = (kind: DataReport['kind']): 'writing' | 'text' | 'picture' =>
  kind === 'text' || kind === 'instruction' ? 'writing' : kind === 'image' ? 'picture' : 'text';

export interface TryView extends TaskView {
  /** onnxruntime's provider; null until both files are open. */
  readonly provider: string | null;
  /** The base file has a classifier that was made anew for the data and never trained. */
  readonly hasNewHead: boolean;
  readonly writing: BothWriting | null;
  readonly answer: Answer | null;
}

const nothing: TryView = {
  busy: null,
  error: null,
  provider: null,
  hasNewHead: false,
  writing: null,
  answer: null,
};

/** Both files, opened in one worker for each merge. */
function createPair(trainer: Pick<TrainerApi, 'baseModel'>, inference: () => Promise<InferenceClient>) {
  let client: InferenceClient | null = null;
  let opened: { readonly of: MergeResult; readonly pair: Pair; readonly hasNewHead: boolean } | null = null;

  /** Ends the worker: its memory goes back at once. */
  function close(): void {
    client?.end();
    client = null;
    opened = null;
  }

  return {
    close,
    async open(of: MergeResult, { data, model }: OpenReport) {
      if (opened?.of === of) return opened;
      close();
      const { limit, exactly, feeds } = model;
      client = await inference();
      const { onnx, hasNewHead } = await trainer.baseModel();
      const about = { sidecars: of.sidecars, data, model: { limit, exactly, feeds } };
      opened = { of, pair: await client.openPair(onnx, of.onnx, about), hasNewHead };
      return opened;
    },
  };
}

export function createTry(
  { run }: Pick<Stores, 'run'>,
  trainer: Pick<TrainerApi, 'baseModel'>,
  inference: () => Promise<InferenceClient>,
) {
  const view = createStore<TryView>(() => nothing);
  const task = createTask(view);
  const files = createPair(trainer, inference);
  let stopping = new AbortController();
  let work: Promise<unknown> = Promise.resolve();

  run.subscribe((now, before) => {
    // Another merge or run: what both files said was said by others.
    if (now.merged?.onnx === before.merged?.onnx) return;
    stopping.abort();
    task.leave();
    files.close();
    view.setState(nothing);
  });

  type Show = (change: Partial<TryView>) => void;
  async function during(ask: (pair: Pair, show: Show, signal: AbortSignal) => Promise<void>): Promise<void> {
    const { merged, open } = run.getState();
    if (merged === null || open === null || view.getState().busy !== null) return;
    stopping = new AbortController();
    const { signal } = stopping;
    work = task.run({ busy: say`Opening both files in onnxruntime`, error: null }, async (left) => {
      const show: Show = (change) => {
        if (!left.aborted) view.setState(change);
      };
      try {
        const { pair, hasNewHead } = await files.open(merged, open);
        show({ busy: say`Running both files`, hasNewHead, provider: pair.provider });
        if (!signal.aborted) await ask(pair, show, signal);
      } catch (error) {
        // A worker that failed is not asked again.
        if (!left.aborted) files.close();
        // Who stopped it knows.
        if (!signal.aborted) throw error;
      }
      return {};
    });
    await work;
  }

  return {
    view,
    write: (options: WriteOptions) =>
      during(async (pair, show, signal) => {
        show({ writing: null });
        for await (const writing of pair.write(options)) {
          if (signal.aborted) break;
          show({ writing });
        }
      }),
    ask: (question: Question) => during(async (pair, show) => show({ answer: await pair.answer(question) })),
    /** Ends what runs after the token it is at; a worker that does not come to its end in time is ended. */
    async stop(): Promise<void> {
      stopping.abort();
      if (!(await settlesWithin(work, PATIENCE_MS))) files.close();
    },
    /** Saves the folder that transformers.js opens, with its model card, as a zip. */
    async saveFolder(): Promise<void> {
      const state = run.getState();
      const of = mergedRun(state);
      if (of === null) return;
      const { hubFolder, modelCard } = await import('../../../merged.ts');
      const { merged, current } = of;
      const { name } = current;
      const card = modelCard(cardOf(of, state));
      const folder = [
        { name: 'README.md', bytes: new TextEncoder().encode(card) },
        ...hubFolder(merged.onnx, merged.sidecars),
      ];
      saveFile(`${name}.zip`, await zipOf(folder.map((file) => ({ ...file, name: `${name}/${file.name}` }))));
    },
  };
}
