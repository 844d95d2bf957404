/** From the flags of `papilio finetune` to settings and the adapter's configuration. */
import { methodById } from '../adapters/registry.ts';
import { fail } from '../lib/errors.ts';
import type { Precision } from '../models/import/quantStore.ts';
import type { QuantisedMerge, WrittenWeight } from '../models/merge.ts';
import { type TrainingSettings, trainingSchema } from '../training/settings.ts';
import { readText } from './runtime.ts';

/** The flags of `finetune`. */
export const options = {
  model: { type: 'string' },
  data: { type: 'string' },
  /** How data is read: see dataOptions.ts. */
  columns: { type: 'string' },
  task: { type: 'string' },
  'keep-classes': { type: 'boolean', default: false },
  padding: { type: 'string' },
  help: { type: 'boolean', default: false },
  method: { type: 'string' },
  config: { type: 'string' },
  /** A folder with an adapter to go on from, instead of a method and its configuration. */
  adapter: { type: 'string' },
  steps: { type: 'string' },
  epochs: { type: 'string' },
  'batch-size': { type: 'string' },
  lr: { type: 'string' },
  seed: { type: 'string' },
  out: { type: 'string' },
  resume: { type: 'string' },
  /** A folder for the Python project that goes on with the run. */
  python: { type: 'string' },
  /** A folder for the merged model in the Hub's layout, as transformers.js opens it. */
  folder: { type: 'string' },
  schedule: { type: 'string' },
  warmup: { type: 'string' },
  optimizer: { type: 'string' },
  'weight-decay': { type: 'string' },
  momentum: { type: 'string' },
  'max-grad-norm': { type: 'string' },
  accumulate: { type: 'string' },
  'sequence-length': { type: 'string' },
  'eval-every': { type: 'string' },
  'eval-examples': { type: 'string' },
  /** `webgpu`, or `onnxruntime`: the same graphs on its native CPU build, for machines without a GPU. */
  executor: { type: 'string', default: 'webgpu' },
  'executor-path': { type: 'string' },
  threads: { type: 'string' },
  /** `file`, `f16` or `q4`: what the weights are rounded to while loading. */
  precision: { type: 'string', default: 'file' },
  /** Computes activations again instead of keeping them. */
  recompute: { type: 'boolean', default: false },
  /** Says what the run would take and does not start it. */
  forecast: { type: 'boolean', default: false },
  /** The GPU memory that the run may take, in MiB. */
  budget: { type: 'string' },
  /** `requantise` or `float`: what becomes of changed weights that the file keeps in codes. */
  quantised: { type: 'string', default: 'requantise' },
  json: { type: 'boolean', default: false },
} as const;

export type Values = Readonly<Record<string, string | boolean | undefined>>;

export function required(values: Values, name: string): string {
  const value = values[name];
  return typeof value === 'string'
    ? value
    : fail('bad-argument', `finetune needs --${name}; see the README for an example.`);
}

/** Settings from flags over the method's defaults. */
export function trainingSettings(values: Values, method: string): TrainingSettings {
  const flags: readonly (readonly [keyof TrainingSettings, string])[] = [
    ['steps', 'steps'],
    ['epochs', 'epochs'],
    ['batchSize', 'batch-size'],
    ['learningRate', 'lr'],
    ['seed', 'seed'],
    ['warmupSteps', 'warmup'],
    ['weightDecay', 'weight-decay'],
    ['momentum', 'momentum'],
    ['maxGradNorm', 'max-grad-norm'],
    ['gradientAccumulation', 'accumulate'],
    ['sequenceLength', 'sequence-length'],
    ['evalEvery', 'eval-every'],
    ['evalExamples', 'eval-examples'],
  ];
  const given: Record<string, unknown> = {};
  for (const [field, flag] of flags) {
    const word = values[flag];
    if (typeof word !== 'string') continue;
    const number = Number(word);
    if (word.trim() === '' || !Number.isFinite(number))
      fail('bad-argument', `--${flag} takes a number, not "${word}".`);
    given[field] = number;
  }
  if (typeof values.schedule === 'string') given.schedule = values.schedule;
  if (typeof values.optimizer === 'string') given.optimizer = values.optimizer;
  const parsed = trainingSchema.safeParse({ learningRate: methodById(method).start.learningRate, ...given });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = String(issue.path[0]);
  const flag = flags.find(([f]) => f === field)?.[1] ?? field;
  return fail('bad-argument', `--${flag}: ${issue.message}.`);
}

export function precisionOf(word: unknown): Precision {
  if (word === 'file' || word === 'f16' || word === 'q4') return word;
  return fail('bad-argument', `--precision must be file, f16 or q4, not "${String(word)}".`);
}

/** MiB, or nothing. */
export function budgetOf(word: unknown): number | undefined {
  if (typeof word !== 'string') return undefined;
  const budget = Number(word);
  return budget > 0 ? budget : fail('bad-argument', `--budget takes a number of MiB, not "${word}".`);
}

export function quantisedOf(word: unknown): QuantisedMerge {
  if (word === 'requantise' || word === 'float') return word;
  return fail('bad-argument', `--quantised must be requantise or float, not "${String(word)}".`);
}

/** What rounding did to the merged weights; nothing where they were written exactly. */
export function describeWritten(written: readonly WrittenWeight[]): string[] {
  const rounded = written.filter((w) => w.relativeError > 0);
  const worst = rounded.toSorted((a, b) => b.relativeError - a.relativeError)[0];
  if (!worst) return [];
  const how = worst.how === 'requantised' ? 'rounded to codes again' : 'rounded to f16';
  return [
    `${rounded.length} merged weights were ${how}; the worst is ${worst.name}: max ${worst.maxError.toExponential(1)}, relative ${worst.relativeError.toExponential(1)}`,
  ];
}

export async function adapterConfig(word: string | undefined): Promise<Record<string, unknown>> {
  if (word === undefined) return {};
  const text = word.trimStart().startsWith('{') ? word : await readText(word);
  try {
    // Whether it is an object, and with what in it, the method says.
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    return fail(
      'bad-argument',
      `--config is no JSON (${(error as Error).message}); give an object such as {"target_modules": ["query"]}, or a file with one.`,
    );
  }
}
