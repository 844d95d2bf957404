/** The settings of a training run besides model, data and adapter: one zod schema for form, URL, command line and checkpoint. */

import { told } from '../adapters/fields.ts';
import { say } from '../lib/say.ts';
import { z } from '../lib/schema.ts';

export const OPTIMIZERS = ['adamw', 'sgd'] as const;
export const SCHEDULES = ['constant', 'linear', 'cosine'] as const;

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** A field with its default, words, and bounds. */
const field = (
  schema: z.ZodNumber,
  initial: number,
  title: () => string,
  description: () => string,
  range: Range,
) => {
  const { min, max } = range;
  const atLeast = min === undefined ? schema : schema.min(min);
  const bounded = max === undefined ? atLeast : atLeast.max(max);
  return told(bounded.default(initial), { title, description, group: 'main', ...range });
};
const number = (initial: number, title: () => string, description: () => string, range: Range) =>
  field(z.number(), initial, title, description, range);
const whole = (initial: number, title: () => string, description: () => string, range: Range) =>
  field(z.int(), initial, title, description, range);

export const trainingSchema = z.strictObject({
  optimizer: told(z.enum(OPTIMIZERS).default('adamw'), {
    title: () => say`Optimiser`,
    description: () => say`AdamW as in PyTorch (decoupled weight decay), or SGD with momentum.`,
    group: 'main',
  }),
  learningRate: number(
    2e-3,
    () => say`Learning rate`,
    () => say`Peak step size; the schedule multiplies it.`,
    {
      min: 0,
      max: 10,
    },
  ),
  schedule: told(z.enum(SCHEDULES).default('cosine'), {
    title: () => say`Schedule`,
    description: () =>
      say`How the learning rate falls after the warm-up: not at all, on a line, or on half a cosine, to zero.`,
    group: 'main',
  }),
  warmupSteps: whole(
    20,
    () => say`Warm-up steps`,
    () => say`Steps over which the learning rate rises from zero; at most a fifth of the run.`,
    {
      min: 0,
      max: 100000,
    },
  ),
  weightDecay: number(
    0,
    () => say`Weight decay`,
    () => say`Share of each trained weight removed per unit of learning rate.`,
    { min: 0, max: 1 },
  ),
  beta1: number(
    0.9,
    () => 'β₁',
    () => say`AdamW's memory of the gradient.`,
    { min: 0, max: 0.9999 },
  ),
  beta2: number(
    0.999,
    () => 'β₂',
    () => say`AdamW's memory of the squared gradient.`,
    { min: 0, max: 0.99999 },
  ),
  epsilon: number(
    1e-8,
    () => 'ε',
    () => say`Keeps AdamW's division finite.`,
    { min: 1e-12, max: 1 },
  ),
  momentum: number(
    0.9,
    () => say`Momentum`,
    () => say`SGD's memory of the gradient.`,
    { min: 0, max: 0.9999 },
  ),
  maxGradNorm: number(
    1,
    () => say`Clip norm`,
    () => say`The gradient is scaled down to this norm; 0 turns clipping off.`,
    {
      min: 0,
      max: 1e6,
    },
  ),
  batchSize: whole(
    16,
    () => say`Batch size`,
    () => say`Examples per forward pass.`,
    { min: 1, max: 1024 },
  ),
  gradientAccumulation: whole(
    1,
    () => say`Accumulation`,
    () => say`Forward passes whose gradients are added before one update.`,
    {
      min: 1,
      max: 1024,
    },
  ),
  sequenceLength: whole(
    128,
    () => say`Sequence length`,
    () => say`Tokens per example of a language model.`,
    {
      min: 2,
      max: 8192,
    },
  ),
  steps: whole(
    300,
    () => say`Steps`,
    () => say`Updates in this run; ignored when epochs is above 0.`,
    {
      min: 1,
      max: 10_000_000,
    },
  ),
  epochs: number(
    0,
    () => say`Epochs`,
    () => say`Passes over the training examples; 0 counts in steps.`,
    {
      min: 0,
      max: 10000,
    },
  ),
  evalEvery: whole(
    50,
    () => say`Evaluate every`,
    () => say`Steps between evaluations on held-out examples; 0 evaluates only before and after.`,
    {
      min: 0,
      max: 1_000_000,
    },
  ),
  evalExamples: whole(
    512,
    () => say`Evaluation examples`,
    () => say`Held-out examples per evaluation; 0 takes all.`,
    {
      min: 0,
      max: 10_000_000,
    },
  ),
  seed: whole(
    1,
    () => say`Seed`,
    () => say`Starts every random choice: initial adapter, order of examples, dropout.`,
    {
      min: 0,
      max: 4294967295,
    },
  ),
} satisfies Record<keyof TrainingSettings, z.ZodType>);

/** The settings in full; {@link trainingSchema} says what each means, what it may be and what it is unless given. */
export type TrainingSettings = Readonly<{
  optimizer: (typeof OPTIMIZERS)[number];
  learningRate: number;
  schedule: (typeof SCHEDULES)[number];
  warmupSteps: number;
  weightDecay: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  momentum: number;
  maxGradNorm: number;
  batchSize: number;
  gradientAccumulation: number;
  sequenceLength: number;
  steps: number;
  epochs: number;
  evalEvery: number;
  evalExamples: number;
  seed: number;
}>;

/** Settings that decide which examples come next and what the states mean; others, such as the learning rate, may change on the way. */
export const FIXED_SETTINGS = [
  'optimizer',
  'batchSize',
  'gradientAccumulation',
  'sequenceLength',
  'seed',
] as const satisfies readonly (keyof TrainingSettings)[];

/** The warm-up of a run of `total` steps: a short run, too, spends most of its steps at its rate. */
const warmupOf = ({ warmupSteps }: TrainingSettings, total: number): number =>
  Math.min(warmupSteps, Math.floor(total / 5));

/** Learning rate of update `step` (0-based) out of `total`: linear warm-up from 0, then the schedule down to 0. */
export function learningRateAt(settings: TrainingSettings, step: number, total: number): number {
  const { learningRate, schedule } = settings;
  const warmupSteps = warmupOf(settings, total);
  if (step < warmupSteps) return (learningRate * (step + 1)) / (warmupSteps + 1);
  if (schedule === 'constant') return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, total - warmupSteps));
  return schedule === 'linear'
    ? learningRate * (1 - progress)
    : (learningRate * (1 + Math.cos(Math.PI * progress))) / 2;
}
