/** What differs between the settings of two runs, in few words: "m 2 → 4, b 8 → 4". */
import { say } from '../../../common.ts';
import { type FieldMeta, fieldMeta } from '../../../methods.ts';
import { letterOf, methodTitle } from '../../format.ts';
import {
  baseOf,
  configShape,
  differingFields,
  fullConfig,
  isOwnRate,
  type PageSettings,
  sameValue,
  trainingShape,
  whereOf,
} from '../setup/settings.ts';
import type { RunFigures } from './figures.ts';

/** More than these are counted only. */
const MOST_PARTS = 6;
const MOST_LETTERS = 40;

/** A run as far as it can be told apart by words; figures once they are known. */
export interface Told {
  readonly settings: PageSettings;
  readonly figures: Pick<RunFigures, 'model' | 'data' | 'engine' | 'rate'> | null;
}

function label(meta: FieldMeta | undefined, key: string): string {
  const symbol = meta?.symbol;
  if (symbol !== undefined) return letterOf(symbol);
  return meta?.title.toLowerCase() || key;
}

function brief(value: unknown): string {
  if (Array.isArray(value))
    return value.length > 2 ? say`${value.length} names` : value.join(', ') || say`none`;
  if (value === null || value === undefined) return say`none`;
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)} …` : text;
}

/** "b 8 → 4"; where both sides read the same in brief, only that it differs. */
function change(name: string, a: unknown, b: unknown): string {
  const [from, to] = [brief(a), brief(b)];
  return from === to ? say`other ${name}` : `${name} ${from} → ${to}`;
}

type Fields = Readonly<Record<string, unknown>>;

const configChanges = (a: PageSettings, b: PageSettings): string[] => {
  const [from, to] = [a, b].map((one) => fullConfig(one, null) as unknown as Fields) as [Fields, Fields];
  const shape = configShape(b.method);
  // Given at what it would be anyway is no difference.
  return differingFields(a.config, b.config)
    .filter((key) => !sameValue(from[key], to[key]))
    .map((key) => change(label(shape[key] && fieldMeta(shape[key]), key), from[key], to[key]));
};

/** The training settings, at the rate that the run took. */
const trainingOf = ({ settings, figures }: Told): Fields => ({
  ...settings.training,
  ...(figures === null ? {} : { learningRate: figures.rate }),
});

function trainingChanges(from: Fields, to: Fields): string[] {
  return differingFields(from, to).map((key) =>
    change(label(trainingShape[key] && fieldMeta(trainingShape[key]), key), from[key], to[key]),
  );
}

/** What a run is by itself: its method and data, and what differs from the base of its settings: "OFT, letters, b 8 → 4, seed 1 → 2". */
export function describeRun({ settings, figures }: Told): string {
  const base = baseOf(settings);
  const trained = trainingOf({ settings, figures });
  return inBrief([
    methodTitle(settings.method),
    figures?.data ?? settings.data,
    ...configChanges(base, settings),
    // A rate that is nobody's choice is no difference.
    ...trainingChanges(
      { ...base.training, ...(isOwnRate(settings) ? { learningRate: trained.learningRate } : {}) },
      trained,
    ),
  ]);
}

/** Where the method of `b` begins, on the modules of `a`. */
function asBefore(a: PageSettings, b: PageSettings): PageSettings {
  const base = baseOf(b);
  return { ...base, config: { ...base.config, ...whereOf(a.config, b.method) } };
}

/** What differs from another run; of another method, what it is given beside its defaults. */
export function describeChange(before: Told | null, now: Told): string {
  if (before === null) return describeRun(now);
  const [a, b] = [before.settings, now.settings];
  const named = (one: Told, what: 'model' | 'data'): string => one.figures?.[what] ?? one.settings[what];
  const parts: string[] = [];
  for (const what of ['model', 'data'] as const)
    if (named(before, what) !== named(now, what))
      parts.push(change(what === 'model' ? say`model` : say`data`, named(before, what), named(now, what)));
  const isOther = a.method !== b.method;
  if (isOther) parts.push(`${methodTitle(a.method)} → ${methodTitle(b.method)}`);
  parts.push(
    ...configChanges(isOther ? asBefore(a, b) : a, b),
    ...trainingChanges(trainingOf(before), trainingOf(now)),
  );
  const [engine, other] = [before.figures?.engine, now.figures?.engine];
  if (engine !== undefined && other !== undefined && engine !== other)
    parts.push(change(say`engine`, engine, other));
  return parts.length === 0 ? say`the same settings` : inBrief(parts);
}

function inBrief(parts: readonly string[]): string {
  const more = parts.length - MOST_PARTS;
  return [...parts.slice(0, MOST_PARTS), ...(more > 0 ? [say`${more} more`] : [])].join(', ');
}
