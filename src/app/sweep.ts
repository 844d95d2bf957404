/** Methods side by side on the page: what is asked, rows as they come, and the table to take away. */
import { createStore, type StoreApi } from 'zustand/vanilla';
import { METHODS, type MethodId } from '../adapters/registry.ts';
import type { ErrorReport, TrainerApi } from '../training/protocol.ts';
import type { MethodRow, SweepReport } from '../training/sweepTypes.ts';
import { derive } from './derive.ts';
import { runRequest } from './request.ts';
import { fullConfig } from './settings.ts';
import type { Stores } from './stores.ts';
import { asPapilioError } from './trainerClient.ts';

export interface SweepView {
  readonly isRunning: boolean;
  readonly rows: readonly MethodRow[];
  readonly refused: readonly { readonly method: MethodId; readonly reason: string }[];
  readonly now: { readonly method: MethodId; readonly step: number; readonly total: number } | null;
  /** Once it has ended. */
  readonly report: SweepReport | null;
  readonly error: ErrorReport | null;
  /** What the rows were measured on. */
  readonly about: { readonly model: string; readonly data: string; readonly budget: number } | null;
}

export interface SweepAsk {
  readonly methods: readonly MethodId[];
  readonly budget: number;
  readonly steps: number;
}

export interface SweepDesk {
  readonly view: StoreApi<SweepView>;
  /** Numbers that the adapter keeps at the present settings; null while they are not known. */
  budget(): number | null;
  start(ask: SweepAsk): Promise<void>;
  stop(): Promise<void>;
}

const empty: SweepView = {
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

export function createSweepDesk({ choice }: Stores, trainer: TrainerApi): SweepDesk {
  const view = createStore<SweepView>(() => empty);
  return {
    view,
    budget() {
      const { settings, report } = choice.getState();
      return derive(settings, report).count?.adapter || null;
    },
    async start({ methods, budget, steps }) {
      if (view.getState().isRunning) return;
      const { settings } = choice.getState();
      const about = { model: settings.model, data: settings.data, budget };
      view.setState({ ...empty, isRunning: true, about });
      try {
        const { model, data, training } = runRequest(choice.getState());
        const config = { ...fullConfig(settings) } as Readonly<Record<string, unknown>>;
        const where = Object.fromEntries(
          WHERE.filter((key) => key in config).map((key) => [key, config[key]]),
        );
        const report = await trainer.sweepMethods(
          {
            model,
            data,
            training: { ...training, steps, epochs: 0 },
            methods,
            budget,
            where: { ...where, target_modules: where.target_modules ?? 'all-linear' },
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
        view.setState({ report, rows: report.rows });
      } catch (error) {
        const { kind, message, details } = asPapilioError(error);
        view.setState({ error: { kind, message, details } });
      } finally {
        view.setState({ isRunning: false, now: null });
      }
    },
    stop: () => trainer.stopSweep(),
  };
}

export interface SweepColumn {
  readonly title: string;
  /** Which sentence of the report tells how it was got. */
  readonly source: string;
  readonly isNumber: boolean;
  /** As it is written in files; empty where nothing was measured. */
  value(row: MethodRow): string | number;
}

const orNothing = (value: number | null): string | number => value ?? '';

/** The table's columns, once for the page and for files. */
export const SWEEP_COLUMNS: readonly SweepColumn[] = [
  { title: 'method', source: 'settings', isNumber: false, value: (row) => METHODS[row.method].title },
  { title: 'size', source: 'settings', isNumber: false, value: settingsText },
  { title: 'learning rate', source: 'settings', isNumber: true, value: (row) => row.learningRate },
  { title: 'adapter', source: 'adapter', isNumber: true, value: (row) => row.adapter },
  { title: 'stored', source: 'stored', isNumber: true, value: (row) => row.trainable.stored },
  { title: 'free', source: 'free', isNumber: true, value: (row) => row.trainable.free },
  { title: 'before', source: 'before', isNumber: true, value: (row) => row.before },
  { title: 'after', source: 'after', isNumber: true, value: (row) => row.after },
  {
    title: 'seconds per step',
    source: 'secondsPerStep',
    isNumber: true,
    value: (row) => orNothing(row.secondsPerStep),
  },
  { title: 'peak bytes', source: 'peakBytes', isNumber: true, value: (row) => orNothing(row.peakBytes) },
  {
    title: 'dispatches per step',
    source: 'dispatchesPerStep',
    isNumber: true,
    value: (row) => orNothing(row.dispatchesPerStep),
  },
];

export function settingsText({ settings }: MethodRow): string {
  return Object.entries(settings)
    .map(([field, value]) => `${field} ${value}`)
    .join(', ');
}

const cell = (value: string | number): string =>
  typeof value === 'string' && /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value);

export function sweepCsv(rows: readonly MethodRow[]): string {
  const metric = rows[0]?.metric ?? '';
  const head = [...SWEEP_COLUMNS.map(({ title }) => title), 'metric', 'held-out examples', 'steps'];
  const lines = rows.map((row) =>
    [...SWEEP_COLUMNS.map(({ value }) => value(row)), metric, row.examples, row.steps].map(cell).join(','),
  );
  return `${[head.join(','), ...lines].join('\n')}\n`;
}

/** The table, and beneath it how each column was got. */
export function sweepMarkdown({ rows, provenance, isWhole }: SweepReport): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  const first = rows[0];
  return [
    ...(first
      ? [`Held-out ${first.metric} on ${first.examples} examples, ${first.steps} steps each.`, '']
      : []),
    line(SWEEP_COLUMNS.map(({ title }) => title)),
    line(SWEEP_COLUMNS.map(() => '---')),
    ...rows.map((row) => line(SWEEP_COLUMNS.map(({ value }) => value(row)))),
    '',
    ...Object.entries(provenance).map(([column, words]) => `- ${column}: ${words}`),
    ...(isWhole ? [] : ['', 'Stopped before the last method.']),
    '',
  ].join('\n');
}
