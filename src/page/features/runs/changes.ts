/** What differs between the settings of two runs, in few words: "m 2 → 4, b 8 → 4". */
import { say } from '../../../common.ts';
import { type FieldMeta, fieldMeta, METHODS, type MethodId } from '../../../methods.ts';
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
import type { Brief, Change, Changed } from './changed.ts';
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

function brief(value: unknown): Brief {
  if (Array.isArray(value)) return value.length > 2 ? value.length : value.join(', ') || null;
  if (value === null || value === undefined) return null;
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)} …` : text;
}

const change = (what: string, from: unknown, to: unknown): Change => ({
  what,
  from: brief(from),
  to: brief(to),
});
const is = (what: string, to: unknown): Change => ({ what, to: brief(to) });

type Fields = Readonly<Record<string, unknown>>;

const configChanges = (a: PageSettings, b: PageSettings): Change[] => {
  const [from, to] = [a, b].map((one) => fullConfig(one, null) as unknown as Fields) as [Fields, Fields];
  // Given at what it would be anyway is no difference.
  return differingFields(a.config, b.config)
    .filter((key) => !sameValue(from[key], to[key]))
    .map((key) => change(`config.${key}`, from[key], to[key]));
};

/** The training settings, at the rate that the run took. */
const trainingOf = ({ settings, figures }: Told): Fields => ({
  ...settings.training,
  ...(figures === null ? {} : { learningRate: figures.rate }),
});

const trainingChanges = (from: Fields, to: Fields): Change[] =>
  differingFields(from, to).map((key) => change(`training.${key}`, from[key], to[key]));

/** What a run is by itself: its method and data, and what differs from the base of its settings. */
function runAlone({ settings, figures }: Told): Changed {
  const base = baseOf(settings);
  const trained = trainingOf({ settings, figures });
  return {
    method: settings.method,
    changes: [
      is('method', settings.method),
      is('data', figures?.data ?? settings.data),
      ...configChanges(base, settings),
      // A rate that is nobody's choice is no difference.
      ...trainingChanges(
        { ...base.training, ...(isOwnRate(settings) ? { learningRate: trained.learningRate } : {}) },
        trained,
      ),
    ],
  };
}

/** Where the method of `b` begins, on the modules of `a`. */
function asBefore(a: PageSettings, b: PageSettings): PageSettings {
  const base = baseOf(b);
  return { ...base, config: { ...base.config, ...whereOf(a.config, b.method) } };
}

/** What differs from another run; of another method, what it is given beside its defaults. */
export function changedFrom(before: Told | null, now: Told): Changed {
  if (before === null) return runAlone(now);
  const [a, b] = [before.settings, now.settings];
  const named = (one: Told, what: 'model' | 'data'): string => one.figures?.[what] ?? one.settings[what];
  const changes: Change[] = [];
  for (const what of ['model', 'data'] as const)
    if (named(before, what) !== named(now, what))
      changes.push(change(what, named(before, what), named(now, what)));
  const isOther = a.method !== b.method;
  if (isOther) changes.push(change('method', a.method, b.method));
  changes.push(
    ...configChanges(isOther ? asBefore(a, b) : a, b),
    ...trainingChanges(trainingOf(before), trainingOf(now)),
  );
  const [engine, other] = [before.figures?.engine, now.figures?.engine];
  if (engine !== undefined && other !== undefined && engine !== other)
    changes.push(change('engine', engine, other));
  return { method: b.method, changes };
}

// In words, when they are drawn.

const isMethod = (id: string): id is MethodId => Object.hasOwn(METHODS, id);

function nameOf(method: string, what: string): string {
  if (what === 'model') return say`model`;
  if (what === 'data') return say`data`;
  if (what === 'engine') return say`engine`;
  const [part, key = part!] = what.split('.');
  const shape = part === 'training' ? trainingShape : isMethod(method) ? configShape(method) : {};
  const schema = Object.hasOwn(shape, key) ? shape[key] : undefined;
  return label(schema && fieldMeta(schema), key);
}

function briefText(what: string, value: Brief): string {
  if (value === null) return say`none`;
  if (typeof value === 'number') return say`${value} names`;
  return what === 'method' && isMethod(value) ? methodTitle(value) : value;
}

/** "b 8 → 4"; where both sides read the same in brief, only that it differs. */
function changeText(method: string, { what, from, to }: Change): string {
  if (from === undefined) return briefText(what, to);
  const [before, now] = [briefText(what, from), briefText(what, to)];
  if (what === 'method') return `${before} → ${now}`;
  const name = nameOf(method, what);
  return before === now ? say`other ${name}` : `${name} ${before} → ${now}`;
}

export function changedText(changed: Changed): string {
  if (typeof changed === 'string') return changed;
  const { method, changes } = changed;
  if (changes.length === 0) return say`the same settings`;
  const parts = changes.slice(0, MOST_PARTS).map((one) => changeText(method, one));
  const more = changes.length - MOST_PARTS;
  return [...parts, ...(more > 0 ? [say`${more} more`] : [])].join(say`, `);
}

/** "OFT, letters, b 8 → 4, seed 1 → 2" */
export const describeRun = (run: Told): string => changedText(runAlone(run));

export const describeChange = (before: Told | null, now: Told): string =>
  changedText(changedFrom(before, now));
