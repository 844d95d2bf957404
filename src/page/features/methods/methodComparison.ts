/** Methods side by side on the page: what is asked, rows as they come, and the table to take away. */
import { createStore } from 'zustand/vanilla';
import { say } from '../../../common.ts';
import type { MethodId } from '../../../methods.ts';
import {
  type MethodComparisonEvent,
  type MethodComparisonReport,
  type MethodComparisonRequest,
  type MethodRow,
  settingsText,
} from '../../../protocol.ts';
import { csvCell } from '../../parts/numberFiles.ts';
import type { Stores } from '../../stores.ts';
import { createTask, type TaskView } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import { type ChoiceState, runRequest } from '../setup/choice.ts';
import { derive } from '../setup/derive.ts';
import { fullConfig, whereOf } from '../setup/settings.ts';

export interface MethodComparisonView extends TaskView {
  readonly rows: readonly MethodRow[];
  readonly refused: readonly { readonly method: MethodId; readonly reason: string }[];
  readonly now: { readonly method: MethodId; readonly step: number; readonly total: number } | null;
  /** Once it has ended. */
  readonly report: MethodComparisonReport | null;
  /** What the rows were measured on. */
  readonly about: { readonly model: string; readonly data: string; readonly budget: number } | null;
  /** When they were kept, by a page of before; milliseconds since 1970. Null for those of this one. */
  readonly keptAt: number | null;
}

interface Wanted {
  readonly methods: readonly MethodId[];
  readonly budget: number;
  readonly steps: number;
}

const empty: MethodComparisonView = {
  busy: null,
  rows: [],
  refused: [],
  now: null,
  report: null,
  error: null,
  about: null,
  keptAt: null,
};

/** @throws PapilioError when model or data are still missing */
function requestOf(choice: ChoiceState, { methods, budget, steps }: Wanted): MethodComparisonRequest {
  const { model, data, training, engine, tune } = runRequest(choice);
  const config = { ...fullConfig(choice.settings, choice.report) } as Readonly<Record<string, unknown>>;
  return {
    model,
    data,
    training: { ...training, steps, epochs: 0 },
    ...(engine === undefined ? {} : { engine }),
    ...(tune === undefined ? {} : { tune }),
    methods,
    budget,
    where: whereOf(config),
  };
}

/** The view after an event. */
function heard(
  { rows, refused }: MethodComparisonView,
  event: MethodComparisonEvent,
  steps: number,
): Partial<MethodComparisonView> {
  switch (event.type) {
    case 'row':
      return { rows: [...rows, event.row], now: null };
    case 'refused':
      return { refused: [...refused, event], now: null };
    case 'start':
      return { now: { method: event.method, step: 0, total: steps } };
    case 'step':
      return { now: { method: event.method, step: event.step, total: event.total } };
  }
}

export function createMethodComparison(
  { choice }: Stores,
  trainer: Pick<TrainerClient, 'compareMethods' | 'stopMethodComparison' | 'endUnless'>,
) {
  const view = createStore<MethodComparisonView>(() => empty);
  const task = createTask(view);
  let comparison: Promise<unknown> = Promise.resolve();
  return {
    view,
    /** Numbers that the adapter keeps at the present settings; null while they are not known. */
    budget(): number | null {
      const { settings, report } = choice.getState();
      return derive(settings, report).count?.adapter || null;
    },
    async start(wanted: Wanted): Promise<void> {
      if (view.getState().busy !== null) return;
      const state = choice.getState();
      const { model, data } = state.settings;
      const about = { model, data, budget: wanted.budget };
      const ended = { now: null };
      await task.run(
        { ...empty, busy: say`Comparing`, about },
        async () => {
          const running = trainer.compareMethods(requestOf(state, wanted), (event) => {
            if (view.getState().busy !== null) view.setState((s) => heard(s, event, wanted.steps));
          });
          comparison = running;
          const report = await running;
          return { ...ended, report, rows: report.rows };
        },
        ended,
      );
    },
    async stop(): Promise<void> {
      void trainer.stopMethodComparison().catch(() => {});
      // Rows that came stay, also where the worker has to be ended.
      await trainer.endUnless(comparison);
    },
  };
}

/** Columns by name; what was not measured is empty. */
const CSV: Readonly<Record<string, (row: MethodRow) => string | number | null>> = {
  method: (row) => row.method,
  size: settingsText,
  learning_rate: (row) => row.learningRate,
  adapter: (row) => row.adapter,
  stored: (row) => row.trainable.stored,
  free: (row) => row.trainable.free,
  metric: (row) => row.metric,
  before: (row) => row.before,
  after: (row) => row.after,
  own_task: (row) => row.own?.data ?? null,
  own_before: (row) => row.own?.before.value ?? null,
  own_after: (row) => row.own?.after.value ?? null,
  held_out_examples: (row) => row.examples,
  steps: (row) => row.steps,
  seconds_per_step: (row) => row.secondsPerStep,
  peak_bytes: (row) => row.peakBytes,
  dispatches_per_step: (row) => row.dispatchesPerStep,
};

export function methodComparisonCsv(rows: readonly MethodRow[]): string {
  const lines = rows.map((row) =>
    Object.values(CSV)
      .map((value) => csvCell(String(value(row) ?? '')))
      .join(','),
  );
  return `${[Object.keys(CSV).join(','), ...lines].join('\n')}\n`;
}
