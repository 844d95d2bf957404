/** Methods side by side on the page: what is asked, rows as they come, and the table to take away. */
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { MethodId } from '../adapters/registry.ts';
import { asPapilioError } from '../lib/errors.ts';
import { settingsText } from '../training/outcome.ts';
import type { ErrorReport, MethodComparisonReport, MethodRow } from '../training/protocol.ts';
import { derive } from './derive.ts';
import { runRequest } from './request.ts';
import { fullConfig } from './settings.ts';
import type { Stores } from './stores.ts';
import type { TrainerClient } from './trainerClient.ts';

export interface MethodComparisonView {
  readonly isRunning: boolean;
  readonly rows: readonly MethodRow[];
  readonly refused: readonly { readonly method: MethodId; readonly reason: string }[];
  readonly now: { readonly method: MethodId; readonly step: number; readonly total: number } | null;
  /** Once it has ended. */
  readonly report: MethodComparisonReport | null;
  readonly error: ErrorReport | null;
  /** What the rows were measured on. */
  readonly about: { readonly model: string; readonly data: string; readonly budget: number } | null;
}

export interface MethodComparisonAsk {
  readonly methods: readonly MethodId[];
  readonly budget: number;
  readonly steps: number;
}

export interface MethodComparisonDesk {
  readonly view: StoreApi<MethodComparisonView>;
  /** Numbers that the adapter keeps at the present settings; null while they are not known. */
  budget(): number | null;
  start(ask: MethodComparisonAsk): Promise<void>;
  stop(): Promise<void>;
}

const empty: MethodComparisonView = {
  isRunning: false,
  rows: [],
  refused: [],
  now: null,
  report: null,
  error: null,
  about: null,
};

const WHERE = [
  'target_modules',
  'exclude_modules',
  'layers_to_transform',
  'layers_pattern',
  'modules_to_save',
];

export function createMethodComparison(
  { choice }: Stores,
  trainer: Pick<TrainerClient, 'compareMethods' | 'stopMethodComparison' | 'endUnless'>,
): MethodComparisonDesk {
  let going: Promise<unknown> = Promise.resolve();
  const view = createStore<MethodComparisonView>(() => empty);
  return {
    view,
    budget() {
      const { settings, report } = choice.getState();
      return derive(settings, report).count?.adapter || null;
    },
    async start({ methods, budget, steps }) {
      if (view.getState().isRunning) return;
      const { settings, report: card } = choice.getState();
      const about = { model: settings.model, data: settings.data, budget };
      view.setState({ ...empty, isRunning: true, about });
      try {
        const { model, data, training } = runRequest(choice.getState());
        const config = { ...fullConfig(settings, card) } as Readonly<Record<string, unknown>>;
        const where = Object.fromEntries(
          WHERE.filter((key) => Object.hasOwn(config, key)).map((key) => [key, config[key]]),
        );
        const comparison = trainer.compareMethods(
          {
            model,
            data,
            training: { ...training, steps, epochs: 0 },
            methods,
            budget,
            where,
          },
          (event) => {
            if (!view.getState().isRunning) return;
            if (event.type === 'row') view.setState((s) => ({ rows: [...s.rows, event.row], now: null }));
            else if (event.type === 'refused')
              view.setState((s) => ({ refused: [...s.refused, event], now: null }));
            else
              view.setState({
                now: {
                  method: event.method,
                  step: event.type === 'step' ? event.step : 0,
                  total: event.type === 'step' ? event.total : steps,
                },
              });
          },
        );
        going = comparison;
        const report = await comparison;
        view.setState({ report, rows: report.rows });
      } catch (error) {
        const { kind, message, details } = asPapilioError(error);
        view.setState({ error: { kind, message, details } });
      } finally {
        view.setState({ isRunning: false, now: null });
      }
    },
    async stop() {
      void trainer.stopMethodComparison().catch(() => {});
      // Rows that came stay, also where the worker has to be ended.
      await trainer.endUnless(going);
    },
  };
}

const cell = (value: string | number): string =>
  typeof value === 'string' && /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value);

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
  held_out_examples: (row) => row.examples,
  steps: (row) => row.steps,
  seconds_per_step: (row) => row.secondsPerStep,
  peak_bytes: (row) => row.peakBytes,
  dispatches_per_step: (row) => row.dispatchesPerStep,
};

export function methodComparisonCsv(rows: readonly MethodRow[]): string {
  const lines = rows.map((row) =>
    Object.values(CSV)
      .map((value) => cell(value(row) ?? ''))
      .join(','),
  );
  return `${[Object.keys(CSV).join(','), ...lines].join('\n')}\n`;
}
