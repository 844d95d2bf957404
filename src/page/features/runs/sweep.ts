/**
 * A sweep: runs that differ in one to three settings, planned as a grid or drawn from it, and the queue that they wait in. Values and transitions
 * only; `sweeper.ts` trains them.
 */

import { rng, say } from '../../../common.ts';
import { fieldMeta, METHODS, type MethodId } from '../../../methods.ts';
import type { ModelReport } from '../../../protocol.ts';
import { z } from '../../../schema.ts';
import { letterOf } from '../../format.ts';
import type { ChoiceState } from '../setup/choice.ts';
import { derive } from '../setup/derive.ts';
import { besideOf, encodeHash, type Linkable } from '../setup/link.ts';
import {
  baseSettings,
  configShape,
  type PageSettings,
  refuseValue,
  runTraining,
  sameValue,
  trainingShape,
  whereOf,
} from '../setup/settings.ts';
import { changedSchema } from './changed.ts';
import { changedFrom, describeChange, type Told } from './changes.ts';

export const MOST_AXES = 3;
export const MOST_SWEPT = 64;
/** A grid is not written out beyond this, to draw from it. */
const MOST_COMBINATIONS = 4096;

/** A setting and the values that it takes: `method`, `training.…` or `config.…`. */
export interface Axis {
  readonly field: string;
  readonly values: readonly (string | number)[];
}

/** What can be swept, and what it is called. */
export interface AxisChoice {
  readonly field: string;
  readonly title: string;
  /** Values worth trying, as one would write them. */
  readonly example: string;
}

export function axisChoices(settings: PageSettings, report: ModelReport | null): AxisChoice[] {
  const { method, config } = settings;
  const shape = configShape(method);
  const sizes = (METHODS[method].size ?? []).map(({ field, values }) => {
    const meta = shape[field] && fieldMeta(shape[field]);
    const title = meta?.title ?? field;
    return {
      field: `config.${field}`,
      title: meta?.symbol === undefined ? title : `${title} ${letterOf(meta.symbol)}`,
      example: Array.isArray(values) ? values.slice(0, 3).join(', ') : around(Number(config[field] ?? 8), 2),
    };
  });
  const { learningRate, batchSize, seed } = runTraining(settings, report);
  return [
    { field: 'training.learningRate', title: say`Learning rate`, example: around(learningRate, 3) },
    ...sizes,
    { field: 'method', title: say`Method`, example: 'oft, boft, lora' },
    { field: 'training.seed', title: say`Seed`, example: [seed, seed + 1, seed + 2].join(', ') },
    { field: 'training.batchSize', title: say`Batch size`, example: around(batchSize, 2) },
  ];
}

/** A third, the value, and three times it; or half and double. */
const around = (value: number, by: number): string =>
  [value / by, value, value * by].map((x) => String(Number(x.toPrecision(2)))).join(', ');

/** Values as somebody writes them, with commas between; each once. */
export const valuesIn = (text: string): (string | number)[] => [
  ...new Set(
    text
      .split(/[,\s]+/)
      .filter((word) => word !== '')
      .map((word) => (Number.isFinite(Number(word)) ? Number(word) : word)),
  ),
];

/** The settings by another method: at its own rate, where it starts, on the same modules. */
function byMethod(settings: PageSettings, method: MethodId): PageSettings {
  if (method === settings.method) return settings;
  const { preset, model, data, training } = settings;
  const base = baseSettings(preset, { model, data, method });
  return {
    ...base,
    config: { ...base.config, ...whereOf(settings.config, method) },
    training: { ...training, learningRate: base.training.learningRate },
  };
}

/** The settings with one field set, or why that cannot be. A field that the method has not is left out. */
function withValue(settings: PageSettings, field: string, value: string | number): PageSettings | string {
  if (field === 'method') {
    if (!Object.hasOwn(METHODS, value)) return say`there is no method “${value}”`;
    return byMethod(settings, value as MethodId);
  }
  const [part, key] = [field.slice(0, field.indexOf('.')), field.slice(field.indexOf('.') + 1)];
  const shape = part === 'training' ? trainingShape : configShape(settings.method);
  if (part === 'config' && !Object.hasOwn(shape, key)) return settings;
  const reason = refuseValue(shape, key, value);
  if (reason !== null) return `${key} = ${value}: ${reason}`;
  return part === 'training'
    ? { ...settings, training: { ...settings.training, [key]: value } }
    : { ...settings, config: { ...settings.config, [key]: value } };
}

export interface SweepPlan {
  readonly runs: readonly PageSettings[];
  /** Combinations that are left out, and why: sentences. */
  readonly refused: readonly string[];
}

/** Every combination of the axes' values; the method is set first, since it decides which fields there are. */
function combinations(axes: readonly Axis[]): (readonly (readonly [string, string | number])[])[] {
  const ordered = [...axes].sort((a, b) => Number(b.field === 'method') - Number(a.field === 'method'));
  return ordered.reduce<(readonly (readonly [string, string | number])[])[]>(
    (all, { field, values }) =>
      all
        .flatMap((one) => values.map((value) => [...one, [field, value] as const]))
        .slice(0, MOST_COMBINATIONS),
    [[]],
  );
}

/**
 * The runs of a grid, or so many drawn from it.
 *
 * @param report the model, by which settings are judged; null while it is not known
 * @param drawn null for the whole grid
 */
export function planSweep(
  base: PageSettings,
  axes: readonly Axis[],
  report: ModelReport | null,
  drawn: { readonly count: number; readonly seed: number } | null = null,
): SweepPlan {
  const runs: PageSettings[] = [];
  const refused = new Set<string>();
  for (const values of combinations(axes.filter((axis) => axis.values.length > 0))) {
    const settings = values.reduce<PageSettings | string>(
      (now, [field, value]) => (typeof now === 'string' ? now : withValue(now, field, value)),
      base,
    );
    if (typeof settings === 'string') {
      refused.add(settings);
      continue;
    }
    const { problem } = derive(settings, report);
    if (problem !== null)
      refused.add(`${describeChange(told(base, report), told(settings, report))}: ${problem.trim()}`);
    else if (!runs.some((one) => sameValue(one, settings))) runs.push(settings);
  }
  return { runs: drawn === null ? runs : draw(runs, drawn), refused: [...refused] };
}

/** Settings in words, at the rate that a run of them takes. */
const told = (settings: PageSettings, report: ModelReport | null): Told => {
  const { model, data } = settings;
  return {
    settings,
    figures: { model, data, engine: 'webgpu', rate: runTraining(settings, report).learningRate },
  };
};

/** So many of them, in an order that follows from the seed. */
function draw<T>(all: readonly T[], { count, seed }: { readonly count: number; readonly seed: number }): T[] {
  const random = rng(seed);
  const left = [...all];
  const out: T[] = [];
  while (out.length < count && left.length > 0) out.push(...left.splice(random.int(left.length), 1));
  return out;
}

// ── The queue ──

const item = z.object({
  /** The run's settings, as a link holds them. */
  link: z.string().max(2 ** 17),
  /** What it changes, in words. */
  what: changedSchema,
  state: z.enum(['waiting', 'begun', 'done', 'failed']),
  /** The run's key, once it has begun. */
  key: z.string().max(64).nullable(),
  /** Why it failed, as far as it was said. */
  reason: z.string().max(2000).nullable(),
});

/** Why a sweep stopped by itself. */
const STOPS = ['left', 'failures', 'no-source', 'lesson'] as const;
export type Stop = (typeof STOPS)[number];

export const sweepSchema = z.object({
  name: z.string().min(1).max(80),
  isStopped: z.boolean(),
  /** Why it stopped by itself; another version may have kept it otherwise. */
  reason: z.enum(STOPS).nullable().catch(null),
  /** What was chosen before, as a link: it is chosen again at the end. */
  home: z.string().max(2 ** 17),
  items: z.array(item).min(1).max(MOST_SWEPT),
});

export type Sweep = z.infer<typeof sweepSchema>;
type Item = Sweep['items'][number];

export function newSweep(
  name: string,
  choice: Linkable & Pick<ChoiceState, 'report'>,
  runs: readonly PageSettings[],
): Sweep {
  const { settings: base, report } = choice;
  const beside = besideOf(choice);
  return {
    ...{ name, isStopped: false, reason: null },
    home: encodeHash(base, beside),
    items: runs.map((settings) => ({
      link: encodeHash(settings, beside),
      what: changedFrom(told(base, report), told(settings, report)),
      ...{ state: 'waiting', key: null, reason: null },
    })),
  };
}

const withItem = (sweep: Sweep, at: number, change: Partial<Item>): Sweep => ({
  ...sweep,
  items: sweep.items.map((one, i) => (i === at ? { ...one, ...change } : one)),
});

/** The place of the next to train: the one that was begun, else the first that waits; null when nothing is left, or it is stopped. */
export function nextIn({ items, isStopped }: Sweep): number | null {
  if (isStopped) return null;
  const begun = items.findIndex(({ state }) => state === 'begun');
  const at = begun < 0 ? items.findIndex(({ state }) => state === 'waiting') : begun;
  return at < 0 ? null : at;
}

export const begun = (sweep: Sweep, at: number, key: string): Sweep =>
  withItem(sweep, at, { state: 'begun', key, reason: null });
export const done = (sweep: Sweep, at: number): Sweep => withItem(sweep, at, { state: 'done' });
export const failed = (sweep: Sweep, at: number, reason: string | null): Sweep =>
  withItem(sweep, at, { state: 'failed', reason: reason?.slice(0, 2000) ?? null });
/** A run that was begun can be gone on with, as long as its checkpoint is kept. */
export const stopped = (sweep: Sweep, reason: Stop | null = null): Sweep => ({
  ...sweep,
  ...{ isStopped: true, reason },
});
export const continued = (sweep: Sweep): Sweep => ({ ...sweep, isStopped: false, reason: null });
/** The run that was begun was left: it waits again. */
export const left = (sweep: Sweep, at: number): Sweep => withItem(sweep, at, { state: 'waiting', key: null });

export const isOver = ({ items }: Sweep): boolean =>
  items.every(({ state }) => state === 'done' || state === 'failed');
export const countOf = ({ items }: Sweep, state: Item['state']): number =>
  items.filter((one) => one.state === state).length;
