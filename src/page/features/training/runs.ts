/** Runs to compare: a name made of words, the curve, and which of them are drawn beside the current one. */
import { METHODS } from '../../../methods.ts';
import { methodFacts, type OpenReport, outcomeOf, type RunState } from '../../../protocol.ts';
import type { Changed } from '../runs/changed.ts';
import type { RunOutcome } from '../runs/figures.ts';
import { derive } from '../setup/derive.ts';
import { fullConfig, layersOf, type PageSettings, runTraining } from '../setup/settings.ts';
import { createSeries, metricsOf, type Series } from './series.ts';

export interface RunRecord {
  /** Of this opening of the run: what comes of an earlier one is dropped. */
  readonly id: number;
  /** Of the run for good, through resuming, reload and files. */
  readonly key: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly settings: PageSettings;
  /** Of a run of before: empty until it is drawn. */
  readonly series: Series;
  /** Whether somebody wants it drawn; null: as long as it is among the last few. */
  readonly isShown: boolean | null;
  /** 0 … 29: which line colour and dash it is drawn with. */
  readonly look: number;
  /** What differs from the run before it; null until that is known. */
  readonly changed: Changed | null;
  readonly note: string;
  /** Of the sweep that it belongs to. */
  readonly sweep: string | null;
  /** How it went; null until it has come to something that is kept. */
  readonly outcome: RunOutcome | null;
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

/** The number of a run that another tab has. */
export const ELSEWHERE = -1;

/** Colours times dashes. */
const COLOURS = 6;
const DASHES = ['solid', 'dash', 'dot', 'dashdot', 'longdash'] as const;
const LOOKS = COLOURS * DASHES.length;
/** Runs that are drawn unasked. */
const DRAWN = 5;

/** A line's colour, as a CSS variable, and its dash: thirty that differ, and neighbours in both. */
export const lineOf = (
  look: number,
): { readonly color: `--line-${number}`; readonly dash: (typeof DASHES)[number] } => ({
  color: `--line-${look % COLOURS}`,
  dash: DASHES[look % DASHES.length]!,
});

/** The runs that are drawn: the current one, those that somebody has ticked, and of the others the last few. */
export function drawnRuns(runs: readonly RunRecord[], currentId: number | null = null): RunRecord[] {
  const last = new Set(runs.slice(-DRAWN));
  return runs.filter((run) => run.id === currentId || (run.isShown ?? last.has(run)));
}

/** The first look that none of these runs has. */
export function freeLook(runs: readonly RunRecord[]): number {
  const used = new Set(runs.map(({ look }) => look));
  for (let look = 0; look < LOOKS; look++) if (!used.has(look)) return look;
  return runs.length % LOOKS;
}

/** Told apart from every other run's: milliseconds and 40 random bits. */
const newKey = (): string =>
  `${Date.now().toString(36)}-${[...crypto.getRandomValues(new Uint8Array(5))].map((b) => b.toString(36).padStart(2, '0')).join('')}`;

export function newRun(
  id: number,
  settings: PageSettings,
  look: number,
  name = runName(id),
  key = newKey(),
): RunRecord {
  return {
    ...{ id, key, name, settings, look },
    startedAt: Date.now(),
    series: createSeries(),
    isShown: null,
    changed: null,
    note: '',
    sweep: null,
    outcome: null,
  };
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
