/**
 * What a run says to the question of its preset, in figures of that very run and of those that it is held against: everything here is read off
 * runs, counted in a method's own pattern, or derived from both.
 */
import { paragraph, say } from '../../../common.ts';
import { type Layer, METHODS } from '../../../methods.ts';
import { type EvalMetric, isMoreBetter, type ModelReport } from '../../../protocol.ts';
import { degrees, metricText, percent, power, real, scoreText, whole } from '../../format.ts';
import type { RunView } from '../../stores.ts';
import { reach, wiringOf } from '../butterfly/wiring.ts';
import type { RunFigures } from '../runs/figures.ts';
import { latestLike } from '../runs/rows.ts';
import { derive } from '../setup/derive.ts';
import { type Preset, presetById } from '../setup/presets.ts';
import { fullConfig, type PageSettings, sameValue } from '../setup/settings.ts';
import { isAsLong, type Part, partIn, partsOf, partTitle } from '../setup/sides.ts';
import type { RunRecord } from './runs.ts';

/** A run that a part of the question was answered by. */
export interface AnswerRun {
  readonly name: string;
  readonly settings: PageSettings;
  readonly figures: RunFigures;
}

export interface AnswerRow {
  readonly part: Part;
  readonly title: string;
  readonly isOnScreen: boolean;
  /** Null: not trained yet. */
  readonly run: AnswerRun | null;
}

export interface Answer {
  readonly rows: readonly AnswerRow[];
  readonly says: readonly string[];
}

/** Held-out examples that the scores are of, where they are shares. */
type Scored = Pick<EvalMetric, 'metric' | 'examples'>;

/** The latest finished run of a part that is as long as the one on screen. */
function latestOf(
  part: Part,
  parts: readonly Part[],
  to: AnswerRun,
  runs: readonly RunRecord[],
): AnswerRun | null {
  const last = latestLike(
    to.figures,
    runs,
    ({ settings }) =>
      partIn(parts, settings) === part &&
      sameValue(settings.config, part.settings.config) &&
      isAsLong(settings, to.settings),
  );
  return last && { name: last.run.name, settings: last.run.settings, figures: last.figures };
}

/**
 * Half the width of the interval in which 95 of 100 draws of so many examples would leave the difference of two shares; 0 for what is no share.
 */
export function chanceOf(a: number, b: number, { metric, examples }: Scored): number {
  if (metric !== 'accuracy') return 0;
  return 1.96 * Math.sqrt((a * (1 - a) + b * (1 - b)) / Math.max(1, examples));
}

/** How one run ended beside another. */
function verdict(a: AnswerRow, b: AnswerRow, scored: Scored): string {
  const { metric } = scored;
  const [x, y] = [a, b].map(({ run }) => run!.figures.last!.value) as [number, number];
  const [of, against] = [scoreText({ metric, value: x }), scoreText({ metric, value: y })];
  const name = metricText(metric);
  if (x === y) return say`${a.title} and ${b.title} end alike: held-out ${name} ${of}.`;
  if (Math.abs(x - y) <= chanceOf(x, y, scored))
    return say`${a.title} and ${b.title} end at a held-out ${name} of ${of} and ${against}: ${whole(scored.examples)} examples cannot tell that from chance.`;
  return isMoreBetter(metric) === x > y
    ? say`${a.title} ends better than ${b.title}: held-out ${name} ${of} against ${against}.`
    : say`${a.title} ends worse than ${b.title}: held-out ${name} ${of} against ${against}.`;
}

/** The first layer that a run adapts, and what the method is given for it. */
function firstLayer(settings: PageSettings, report: ModelReport): Layer | null {
  return derive(settings, report).rows.find(({ isTarget }) => isTarget)?.layer ?? null;
}

/** How many outputs of its first layer's rotation the first input reaches, of how many; null where nothing turns. */
export function reachOf(
  settings: PageSettings,
  report: ModelReport,
): { readonly reached: number; readonly of: number } | null {
  const layer = firstLayer(settings, report);
  const wiring = layer && wiringOf(METHODS[settings.method].pattern(layer, fullConfig(settings, report)));
  if (!wiring) return null;
  const from = new Uint8Array(wiring.size);
  from[0] = 1;
  return {
    reached: reach(wiring, 0, from)
      .at(-1)!
      .reduce((n, is) => n + is, 0),
    of: wiring.size,
  };
}

function reachText({ rows, report }: Told): string[] {
  return rows.flatMap(({ run, part, title }) => {
    const found = reachOf(run?.settings ?? part.settings, report);
    return found === null
      ? []
      : [say`${title}: one input of the first layer reaches ${found.reached} of ${found.of}.`];
  });
}

/** The evaluation by which so much of what a loss fell by had gone. */
function stepOf(evals: readonly EvalMetric[], share: number): number | null {
  const [first, last] = [evals[0], evals.at(-1)];
  if (first === undefined || last === undefined || !(last.loss < first.loss)) return null;
  const to = first.loss - share * (first.loss - last.loss);
  return evals.find(({ loss }) => loss <= to)?.step ?? null;
}

interface Told {
  readonly rows: readonly AnswerRow[];
  readonly view: RunView;
  readonly current: RunRecord;
  readonly report: ModelReport;
}

/** How sparse the factors of the first layer are. */
function sparsity({ current, report }: Told): string[] {
  const layer = firstLayer(current.settings, report);
  if (layer === null) return [];
  const config = fullConfig(current.settings, report);
  const { factors } = METHODS[current.settings.method].pattern(layer, config);
  const [one] = factors;
  if (one?.kind !== 'blocks') return [];
  return [
    say`In the first layer each factor can differ from zero in ${whole(one.size * one.block)} of ${whole(one.size ** 2)} entries, and there are ${factors.length} of them.`,
  ];
}

/** The frequencies of the layers beside the entries that a layer has. */
function shareOfWaves({ current, report }: Told): string[] {
  const { rows } = derive(current.settings, report);
  const config = fullConfig(current.settings, report);
  const shares = rows.flatMap(({ layer, isTarget }) => {
    const [factor] = isTarget ? METHODS[current.settings.method].pattern(layer, config).factors : [];
    return factor?.kind === 'points' ? [factor.row.length / (layer.in * layer.out)] : [];
  });
  if (shares.length === 0) return [];
  return [
    say`The frequencies that train are between ${percent(Math.min(...shares))} and ${percent(Math.max(...shares))} of those that a layer has.`,
  ];
}

/** How soon the held-out loss fell. */
function soon({ current: { series } }: Told): string[] {
  const [half, most] = [0.5, 0.9].map((share) => stepOf(series.evals, share)) as [
    number | null,
    number | null,
  ];
  if (half === null || most === null) return [];
  if (half === most)
    return [
      say`Of all that the held-out loss fell by, nine tenths were gone at step ${most}, and half of it at no earlier score.`,
    ];
  return [
    say`Of all that the held-out loss fell by, half was gone at step ${half} and nine tenths at step ${most}, as far as it was scored at these steps.`,
  ];
}

/** How much of the model trains. */
const smallness = ({ rows, report }: Told): string[] =>
  rows.flatMap(({ run, title }) =>
    run === null
      ? []
      : [
          say`${title} trains ${whole(run.figures.free)} numbers, ${percent(run.figures.free / report.parameters)} of as many as the model has.`,
        ],
  );

/** Whether the merged file is known to give what the trainer gave. */
function merged({ view }: Told): string[] {
  const parity = view.merged?.parity ?? null;
  if (parity === null)
    return [
      say`Whether the merged file gives the same answers elsewhere is measured under Merge, against onnxruntime.`,
    ];
  const { maxRel, bound, verdict: found } = parity;
  if (found === 'passed')
    return [
      say`The merged file gives the same answers in onnxruntime: at most ${power(maxRel)} apart, where ${power(bound)} is allowed.`,
    ];
  return found === 'failed'
    ? [
        say`The merged file gives other answers in onnxruntime: up to ${power(maxRel)} apart, where ${power(bound)} is allowed.`,
      ]
    : [say`The merged file could not be held against the trainer in onnxruntime; Merge says why.`];
}

/** What else a preset's question needs to know, by its id. */
const MORE: Readonly<Record<string, readonly ((told: Told) => readonly string[])[]>> = {
  'letters-boft': [sparsity],
  'oft-equal-budget': [reachText],
  'why-m': [reachText],
  'fourier-few': [shareOfWaves],
  'tales-recipes': [soon],
  'wild-digits': [smallness],
  'own-model': [merged],
};

/** What the run itself came to. */
function own({ figures }: AnswerRun, { examples }: Scored): string {
  const { metric, first, last, steps } = figures;
  const before = scoreText({ metric: metric!, value: first!.value });
  const after = scoreText({ metric: metric!, value: last!.value });
  return say`Held-out ${metricText(metric!)} was ${before} before and is ${after} after ${whole(steps)} steps, on ${whole(examples)} examples.`;
}

/** Beyond this a matrix is no rotation for any purpose of ours. */
const STILL_ROTATION = 1e-2;

/** How near to rotations the largest ‖RᵀR − I‖ leaves them, and, where a short series is what made them, that. */
function turnedText(orthogonality: number, { settings }: RunRecord): string {
  if (orthogonality < STILL_ROTATION)
    return say`The largest ‖RᵀR − I‖ of their rotations is ${power(orthogonality)}: as near as that, angles between neurons are kept.`;
  const lost = say`The largest ‖RᵀR − I‖ of their rotations is ${real(orthogonality)}: they are rotations no more, and angles between neurons are not kept.`;
  const config = fullConfig(settings, null) as { readonly use_cayley_neumann?: boolean };
  return config.use_cayley_neumann === true
    ? paragraph([lost, say`The Cayley–Neumann series, which is on, holds for small turns alone.`])
    : lost;
}

/** What the method kept and changed: of all modules as the last evaluation measured it, else of the one that was looked into. */
function kept({ view, current }: Told): string[] {
  const measured = current.series.evals.at(-1)?.others;
  if (measured?.relativeChange !== undefined) {
    const change = say`By the curve of ‖ΔW‖ / ‖W‖ the adapted weights have changed by ${percent(measured.relativeChange)} of their size.`;
    const { orthogonality } = measured;
    return [orthogonality === undefined ? change : paragraph([change, turnedText(orthogonality, current)])];
  }
  const { inspection } = view;
  if (inspection === null || inspection.step === 0) return [];
  const { module, delta, rotation } = inspection.value;
  const change = say`The weight of ${module} has changed by ${percent(delta.relative)} of its size.`;
  return [
    rotation === undefined
      ? change
      : paragraph([
          change,
          say`Its inputs are turned by at most ${degrees(rotation.maxAngle)}, and ‖RᵀR − I‖ is ${power(rotation.orthogonality)}: as near as that, angles between its neurons are kept.`,
        ]),
  ];
}

/** The run on screen with what the others came to; null where it has not ended, or is not of what its preset asks. */
export function answerOf(view: RunView, figures: RunFigures | null): Answer | null {
  const { current, open, state, runs } = view;
  if (current === null || open === null || figures === null) return null;
  if (state !== 'finished' || figures.first === null || figures.last === null) return null;
  if (figures.last.step === figures.first.step) return null;
  const preset: Preset = presetById(current.settings.preset);
  const parts = partsOf(preset, current.settings.training);
  const here = partIn(parts, current.settings);
  if (here === null) return null;
  const mine: AnswerRun = { name: current.name, settings: current.settings, figures };
  const others = runs.filter(({ key }) => key !== current.key);
  // The one that is on screen first, then what it is held against.
  const rows = [here, ...parts.filter((part) => part !== here)].map((part): AnswerRow => {
    const run = part === here ? mine : latestOf(part, parts, mine, others);
    return { part, title: partTitle(part, parts, run?.settings), isOnScreen: part === here, run };
  });
  const last = current.series.evals.at(-1);
  if (last === undefined) return null;
  const told: Told = { rows, view, current, report: open.model };
  const compared = rows.slice(1).filter(({ run }) => run?.figures.last != null);
  return {
    rows,
    says: [
      own(mine, last),
      ...compared.map((row) => verdict(rows[0]!, row, last)),
      ...(MORE[preset.id] ?? []).flatMap((more) => more(told)),
      ...kept(told),
    ],
  };
}

/** What a row's run takes and came to, as text: free numbers, and the score. */
export const rowTexts = ({ run }: AnswerRow): { readonly numbers: string; readonly score: string } => {
  if (run === null) return { numbers: '–', score: '–' };
  const { free, metric, last } = run.figures;
  return {
    numbers: whole(free),
    score: metric === null || last === null ? '–' : scoreText({ metric, value: last.value }),
  };
};
