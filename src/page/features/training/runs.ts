/** Runs to compare: a name made of words, what differs from the base settings, and the curve. */
import { type FieldMeta, fieldMeta, METHODS } from '../../../methods.ts';
import { methodFacts, type OpenReport, outcomeOf, type RunState } from '../../../protocol.ts';
import { letterOf } from '../../format.ts';
import { derive } from '../setup/derive.ts';
import {
  baseOf,
  configShape,
  differingFields,
  fullConfig,
  layersOf,
  type PageSettings,
  runTraining,
  trainingShape,
} from '../setup/settings.ts';
import { createSeries, metricsOf, type Series } from './series.ts';

export interface RunRecord {
  readonly id: number;
  readonly name: string;
  readonly settings: PageSettings;
  readonly series: Series;
  readonly isPinned: boolean;
  readonly isShown: boolean;
  /** 0 … 5: which line colour and dash it is drawn with. */
  readonly look: number;
}

const ADJECTIVES = [
  'amber',
  'brave',
  'calm',
  'deft',
  'early',
  'fleet',
  'gilded',
  'hazel',
  'keen',
  'lucid',
  'mellow',
  'nimble',
  'quiet',
  'russet',
  'silver',
  'vivid',
];
const BUTTERFLIES = [
  'admiral',
  'apollo',
  'argus',
  'brimstone',
  'comma',
  'copper',
  'grayling',
  'hairstreak',
  'heath',
  'machaon',
  'monarch',
  'morpho',
  'peacock',
  'ringlet',
  'skipper',
  'sulphur',
];

/** Names in a fixed shuffled order: 256 runs without a repeat. */
function runName(id: number): string {
  const place = (id * 37 + 11) % 256;
  return `${ADJECTIVES[place % 16]}-${BUTTERFLIES[(place >> 4) % 16]}`;
}

const LOOKS = 6;
const KEPT = 5;

/** The first look that no other run has. */
export function freeLook(runs: readonly RunRecord[]): number {
  const used = new Set(runs.map(({ look }) => look));
  for (let look = 0; look < LOOKS; look++) if (!used.has(look)) return look;
  return runs.length % LOOKS;
}

export function newRun(id: number, settings: PageSettings, look: number, name = runName(id)): RunRecord {
  return {
    id,
    name,
    settings,
    series: createSeries(),
    isPinned: false,
    isShown: true,
    look,
  };
}

/** Adds a run; of the older ones the pinned stay and the last few others. */
export function addRun(runs: readonly RunRecord[], run: RunRecord): RunRecord[] {
  const all = [...runs, run];
  const loose = all.filter(({ isPinned }) => !isPinned).slice(-KEPT);
  return all.filter((one) => one.isPinned || loose.includes(one));
}

function label(meta: FieldMeta | undefined, key: string): string {
  const symbol = meta?.symbol;
  if (symbol !== undefined) return letterOf(symbol);
  return meta?.title.toLowerCase() || key;
}

function brief(value: unknown): string {
  if (Array.isArray(value)) return value.length > 2 ? `${value.length} names` : value.join(', ') || 'none';
  if (value === null) return 'none';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** What a run's settings change, e.g. "OFT, b 8→4, seed 1→2". */
export function describeRun(settings: PageSettings): string {
  const base = baseOf(settings);
  const a = fullConfig(base, null) as unknown as Record<string, unknown>;
  const b = fullConfig(settings, null) as unknown as Record<string, unknown>;
  const config = differingFields(base.config, settings.config).map(
    (key) => `${label(fieldMeta(configShape(settings.method)[key]!), key)} ${brief(a[key])}→${brief(b[key])}`,
  );
  const ta = { ...base.training } as Record<string, unknown>;
  const tb = { ...settings.training } as Record<string, unknown>;
  const training = differingFields(ta, tb).map(
    (key) => `${label(fieldMeta(trainingShape[key]!), key)} ${brief(ta[key])}→${brief(tb[key])}`,
  );
  return [METHODS[settings.method].title, settings.data, ...config, ...training].join(', ');
}

/** What is to be said of a run that has ended: that it ended worse than it began, why, and what scores mean that are no numbers. */
export function remarksOf({
  state,
  current,
  open,
}: {
  readonly state: RunState;
  readonly current: RunRecord | null;
  readonly open: OpenReport | null;
}): readonly string[] {
  if (state !== 'finished' || current === null || open === null) return [];
  const { settings, series } = current;
  const [before, after] = [series.evals[0], series.evals.at(-1)];
  if (before === undefined || after === undefined || before === after) return [];
  const targets = new Set(derive(settings, open.model).selection?.targets ?? []);
  const steps = metricsOf(series);
  const config = { ...fullConfig(settings, open.model) };
  const layers = layersOf(open.model);
  const adapted = layers.filter(({ name }) => targets.has(name));
  return outcomeOf({
    ...{ before, after, steps, config, training: runTraining(settings, open.model) },
    method: methodFacts(METHODS[settings.method], adapted, layers, config),
    trainExamples: open.data.trainExamples,
    classes: open.data.labels.length > 0 ? open.data.labels.length : null,
  }).remarks;
}
