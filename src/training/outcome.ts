/**
 * What came of a run: whether it ends worse than it began, on the same held-out examples, and what in its own figures is the likely cause; and
 * what a score that is no number means. Plain data in, sentences out; page and command line ask the same.
 */

import { startRate } from '../adapters/start.ts';
import type { AdapterMethod, Layer } from '../adapters/types.ts';
import { greatest } from '../lib/numbers.ts';
import { listOf, local, paragraph, say } from '../lib/say.ts';
import type { EvalMetric, StepMetric } from './protocol.ts';
import type { TrainingSettings } from './settings.ts';
import { isMoreBetter, metricText, scoredOn } from './words.ts';

/** What is known of a run once it has ended. */
export interface RunFacts {
  /** The model as the run began, and as it ended. */
  readonly before: EvalMetric;
  readonly after: EvalMetric;
  readonly steps: readonly StepMetric[];
  readonly method: {
    readonly startLearningRate: number;
    /** The scaling that suits the layers where the method has one whose effect depends on their size (FourierFT); else null. */
    readonly suitedScaling: number | null;
  };
  readonly config: Readonly<Record<string, unknown>>;
  readonly training: TrainingSettings;
  readonly trainExamples: number;
  /** Of a classifier. */
  readonly classes: number | null;
}

/**
 * @param adapted the layers that are adapted
 * @param all of the model, which decide the rate of methods that train whole weights
 */
export function methodFacts(
  method: AdapterMethod,
  adapted: readonly Layer[],
  all: readonly Layer[],
  config: Readonly<Record<string, unknown>>,
): RunFacts['method'] {
  const suited = method.start.config(adapted, { n_frequency: config.n_frequency }).scaling;
  return {
    startLearningRate: startRate(method, adapted, all),
    suitedScaling: typeof suited === 'number' ? suited : null,
  };
}

export interface Outcome {
  /** The held-out score is worse at the end than it was at the beginning. */
  readonly isWorse: boolean;
  /** Sentences: that it is worse, the likely cause, what to try; and what scores mean that are no numbers. */
  readonly remarks: readonly string[];
}

/** A score moves by so much, of its own size, without meaning anything. */
const NOISE = 1e-3;
/** Losses of so many steps are put together at either end of the curve. */
const SOME_STEPS = 5;

const isBetter = (metric: EvalMetric['metric'], a: number, b: number): boolean =>
  isMoreBetter(metric) ? a > b : a < b;

function isWorse({ before, after }: RunFacts): boolean {
  if (!Number.isFinite(after.value)) return Number.isFinite(before.value);
  if (before.metric !== after.metric) return false;
  if (before.value === after.value) return after.loss > before.loss * (1 + 10 * NOISE);
  const noise = before.metric === 'accuracy' ? 0 : NOISE * Math.abs(before.value);
  return isBetter(before.metric, before.value, after.value) && Math.abs(after.value - before.value) > noise;
}

/** So many significant figures, as the language writes them. */
const figures = (value: number, digits: number): string => local(value.toPrecision(digits));

export function outcomeOf(facts: RunFacts): Outcome {
  const { before, after } = facts;
  const scores = [scoreRemark(say`before training`, before), scoreRemark(say`after training`, after)].filter(
    (remark) => remark !== null,
  );
  if (!isWorse(facts)) return { isWorse: false, remarks: scores };
  const shown = (m: EvalMetric): string => figures(before.value === after.value ? m.loss : m.value, 4);
  const what = before.value === after.value ? say`loss` : metricText(before.metric);
  return {
    isWorse: true,
    remarks: [
      paragraph([
        say`The run ended worse than it began: held-out ${what} ${shown(before)} before, ${shown(after)} after, on the same ${scoredOn(after)}.`,
        ...likelyCause(facts),
      ]),
      ...scores,
    ],
  };
}

/** What a score means that is infinite or not a number; null for one that is a number. */
function scoreRemark(when: string, { metric, value, loss, examples }: EvalMetric): string | null {
  if (Number.isFinite(value)) return null;
  if (Number.isNaN(value))
    return say`Held-out ${metricText(metric)} ${when} is not a number: the model's answers to some of the ${examples} examples are not numbers, so its weights or activations overflow.`;
  return Number.isFinite(loss)
    ? say`Held-out ${metricText(metric)} ${when} is infinite: it is e to the mean loss, which is ${figures(loss, 4)}, and no number is large enough. The model is certain of wrong answers; compare by the loss.`
    : say`Held-out ${metricText(metric)} ${when} is infinite: to some right answer among the ${examples} examples the model gives a probability of 0.`;
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** The first cause that the run's own figures speak for, with what to try. */
function likelyCause(facts: RunFacts): readonly string[] {
  const { steps } = facts;
  if (steps.length === 0) return [say`No step was made, so the adapter as it starts is the cause.`];
  const ends = Math.max(1, Math.min(SOME_STEPS, steps.length >> 1));
  const losses = steps.map((s) => s.loss);
  const [first, last] = [mean(losses.slice(0, ends)), mean(losses.slice(-ends))];
  return (
    startCause(facts) ??
    (isClimb(facts, first, last) ? rateCause(facts, first) : null) ??
    guessingCause(facts, last) ??
    spreadCause(facts, first, last)
  );
}

/** The training loss ended higher than it began, or climbed on the way at a rate that is far from the usual one. */
function isClimb({ steps, training, method }: RunFacts, first: number, last: number): boolean {
  const start = steps[0]!.loss;
  const peak = greatest(steps.map((s) => s.loss));
  return (
    last > Math.max(first, start) * (1 + NOISE) ||
    (peak > start * 1.1 && (last > start || training.learningRate >= 10 * method.startLearningRate))
  );
}

/** The paper's scaling at random coefficients is a tenth of what suits coefficients that start at zero and learn at a tenth of its rate. */
const RANDOM_SHARE = 0.1;

/** FourierFT's update grows as its layers get smaller: the adapter itself moves the model, before anything is learnt or at every step. */
function startCause({ method, config, before, steps, training }: RunFacts): readonly string[] | null {
  const scaling = Number(config.scaling);
  const suited = method.suitedScaling;
  if (suited === null || !(scaling > 0)) return null;
  const random = config.init_weights !== true;
  const fitting = random
    ? suited * RANDOM_SHARE
    : (suited * method.startLearningRate) / training.learningRate;
  const times = scaling / fitting;
  if (times < 2) return null;
  const first = steps[0]!.loss;
  // What is to be written into a configuration keeps its point.
  const [share, next] = [figures(times, 2), fitting.toPrecision(2)];
  const cause = say`Likely cause: the scaling.`;
  if (!random)
    return [
      cause,
      say`A scaling of ${scaling} weighs ${share} times as much on layers of this size as the paper's does on its own, at a learning rate of ${training.learningRate}.`,
      say`Try "scaling": ${next}, or a lower learning rate.`,
    ];
  return [
    cause,
    ...(first > before.loss * 1.2
      ? [
          say`FourierFT starts at random coefficients, and the first step's loss was ${figures(first, 4)} already, against ${figures(before.loss, 4)} without the adapter.`,
        ]
      : []),
    say`A scaling of ${scaling} weighs ${share} times as much on layers of this size as the paper's does on its own.`,
    say`Try "scaling": ${next}, or "init_weights": true, which starts without effect.`,
  ];
}

function rateCause({ training, method, steps }: RunFacts, first: number): readonly string[] {
  const { learningRate } = training;
  const peak = steps.reduce((most, s) => (s.loss > most.loss ? s : most));
  const norms = steps.map((s) => s.gradNorm);
  const grew = greatest(norms) / Math.max(norms[0]!, 1e-12);
  const usual = method.startLearningRate;
  const next = learningRate > 2 * usual ? usual : learningRate / 5;
  const tries = [
    next.toPrecision(2),
    ...(training.maxGradNorm === 0 ? [say`a gradient that is clipped at a norm of 1`] : []),
    ...(training.warmupSteps === 0 ? [say`some steps of warm-up`] : []),
  ];
  return [
    say`Likely cause: the learning rate.`,
    say`The training loss rose, from ${figures(Math.min(first, steps[0]!.loss), 4)} to ${figures(peak.loss, 4)} at step ${peak.step}.`,
    ...(grew > 10 ? [say`The gradient's norm grew to ${figures(grew, 2)} times its first.`] : []),
    say`${learningRate} is too high here; try ${listOf(tries)}.`,
  ];
}

/** A classifier that answers as if it had drawn lots. */
function guessingCause({ classes, after, training }: RunFacts, last: number): readonly string[] | null {
  if (classes === null || after.metric !== 'accuracy') return null;
  const guess = Math.log(classes);
  if (last < 0.95 * guess || after.value > 1.3 / classes) return null;
  return [
    say`Likely cause: nothing is learnt.`,
    say`The training loss, ${figures(last, 3)}, is that of guessing among ${classes} classes.`,
    say`Check that the labels belong to the examples, that the head trains, and try another learning rate than ${training.learningRate}.`,
  ];
}

/** The training loss fell, the held-out score got worse. */
function spreadCause(
  { steps, trainExamples, training }: RunFacts,
  first: number,
  last: number,
): readonly string[] {
  const passes = steps.at(-1)!.examples / Math.max(1, trainExamples);
  const [from, to] = [figures(first, 4), figures(last, 4)];
  if (last >= first * (1 - 10 * NOISE))
    return [
      say`Likely cause: too little training.`,
      say`The training loss went from ${from} to ${to} in ${steps.length} steps, ${Math.min(training.warmupSteps, steps.length)} of which warm up; try more steps, or a higher learning rate than ${training.learningRate}.`,
    ];
  if (passes >= 2)
    return [
      say`Likely cause: few examples.`,
      say`The training loss went from ${from} to ${to} while each of the ${trainExamples} training examples was seen ${figures(passes, 2)} times: they are learnt by heart.`,
      say`Try fewer steps, more data, or fewer trainable numbers.`,
    ];
  return [
    say`Likely cause: held-out examples unlike those trained on.`,
    say`The training loss went from ${from} to ${to}, and the held-out score did not follow.`,
    say`Check how the data are split, or hold examples out of the same kind.`,
  ];
}
