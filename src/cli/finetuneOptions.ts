/** The flags of `papilio finetune`, and from them to settings and the adapter's configuration. */
import { methodById } from '../adapters/registry.ts';
import { DEFAULT_METHOD } from '../adapters/start.ts';
import { fail } from '../lib/errors.ts';
import { OPTIMIZERS, SCHEDULES, type TrainingSettings, trainingSchema } from '../training/settings.ts';
import { dataTable } from './dataOptions.ts';
import { type OptionTable, overwriteOption, type Values } from './options.ts';
import { readText } from './runtime.ts';

/** Where `finetune`, `compare` and others execute. */
export const executorOptions = {
  executor: {
    type: 'string',
    choices: ['webgpu', 'onnxruntime'],
    default: 'webgpu',
    about:
      'where it computes; onnxruntime: the same graphs on its native CPU build, for machines without a GPU',
    group: 'Execution',
  },
  'executor-path': {
    type: 'string',
    value: 'DIR',
    about: 'the folder whose node_modules holds onnxruntime-node',
    otherwise: 'the current folder',
    group: 'Execution',
  },
  threads: {
    type: 'number',
    about: 'threads of onnxruntime',
    otherwise: 'as many as there are',
    group: 'Execution',
  },
} as const satisfies OptionTable;

/** Flags of training settings that the schema describes, by field. */
const TRAINING_FLAGS = {
  steps: 'steps',
  epochs: 'epochs',
  batchSize: 'batch-size',
  gradientAccumulation: 'accumulate',
  learningRate: 'lr',
  schedule: 'schedule',
  warmupSteps: 'warmup',
  optimizer: 'optimizer',
  weightDecay: 'weight-decay',
  momentum: 'momentum',
  maxGradNorm: 'max-grad-norm',
  sequenceLength: 'sequence-length',
  evalEvery: 'eval-every',
  evalExamples: 'eval-examples',
  seed: 'seed',
} as const satisfies Partial<Record<keyof TrainingSettings, string>>;

type TrainingField = keyof typeof TRAINING_FLAGS;

/** The settings as flags of the command line, `--batch-size 4`. */
export const trainingFlags = (settings: Partial<TrainingSettings>): string[] =>
  Object.entries(settings).flatMap(([field, value]) => {
    const flag = TRAINING_FLAGS[field as TrainingField] ?? fail('internal', `No flag for ${field}.`);
    return [`--${flag}`, String(value)];
  });

const defaults = trainingSchema.parse({});

/** What the schema says of a setting. */
function setting<const Type extends 'number' | 'string'>(
  field: TrainingField,
  type: Type,
  otherwise?: string,
) {
  const { description = field } = trainingSchema.shape[field].meta() ?? {};
  return {
    type,
    about: description
      .replace(/^[A-Z](?![A-Z]|\w*[A-Z])/, (letter) => letter.toLowerCase())
      .replace(/\.$/, ''),
    otherwise: otherwise ?? String(defaults[field]),
    group: 'Training',
  };
}

export const trainingOptions = {
  steps: setting('steps', 'number'),
  epochs: setting('epochs', 'number'),
  'batch-size': setting('batchSize', 'number'),
  accumulate: setting('gradientAccumulation', 'number'),
  lr: setting('learningRate', 'number', "the method's own"),
  schedule: { ...setting('schedule', 'string'), choices: SCHEDULES },
  warmup: setting('warmupSteps', 'number'),
  optimizer: { ...setting('optimizer', 'string'), choices: OPTIMIZERS },
  'weight-decay': setting('weightDecay', 'number'),
  momentum: setting('momentum', 'number'),
  'max-grad-norm': setting('maxGradNorm', 'number'),
  'sequence-length': setting('sequenceLength', 'number'),
  'eval-every': setting('evalEvery', 'number'),
  'eval-examples': setting('evalExamples', 'number'),
  seed: setting('seed', 'number'),
} as const satisfies OptionTable;

/** Model, data and how it is read: what `finetune` and `compare` share with training and execution. */
export const taskOptions = {
  model: {
    type: 'string',
    required: true,
    value: 'MODEL',
    about:
      'an .onnx file, a folder with one, embedded:NAME, hub:OWNER/NAME[@REVISION][/FILE] or an https address',
    group: 'Model',
  },
  config: {
    type: 'string',
    value: 'JSON',
    about:
      "the method's settings as PEFT's adapter_config.json has them, or a file with them; what is left out suits the model",
    group: 'Model',
  },
  data: {
    type: 'string',
    required: true,
    value: 'DATA',
    about:
      'a file, a folder, a .zip, embedded:NAME, hub:OWNER/NAME or an https address; kinds of files below',
    group: 'Data',
  },
} as const satisfies OptionTable;

/** The flags of `finetune`. */
export const options = {
  ...taskOptions,
  method: {
    type: 'string',
    value: 'NAME',
    about: `oft, boft, fourierft, lora, …; an unknown name lists them all; ${DEFAULT_METHOD} if neither it nor --adapter is given`,
    group: 'Model',
  },
  adapter: {
    type: 'string',
    value: 'DIR',
    about:
      'instead of --method and --config: a folder with an adapter to go on from (adapter_config.json, adapter_model.safetensors)',
    group: 'Model',
  },
  ...dataTable,
  ...trainingOptions,
  resume: {
    type: 'string',
    value: 'FILE',
    alone: '',
    about: 'goes on from the checkpoint that the same command left in --out, or from one given',
    group: 'Training',
  },
  'checkpoint-every': {
    type: 'number',
    about: 'steps between checkpoints in --out',
    otherwise: '100, or what 20 seconds hold',
    group: 'Training',
  },
  out: {
    type: 'string',
    required: true,
    value: 'DIR',
    about: 'where adapter, model.onnx, metrics.csv and run.json go',
    group: 'Output',
  },
  overwrite: { ...overwriteOption, group: 'Output' },
  folder: {
    type: 'string',
    value: 'DIR',
    about: "a folder for the merged model in the Hub's layout, as transformers.js opens it",
    group: 'Output',
  },
  python: {
    type: 'string',
    value: 'DIR',
    about: 'a folder for the Python project that goes on with the run',
    group: 'Output',
  },
  json: { type: 'boolean', about: 'one line of figures at the end instead of words', group: 'Output' },
  precision: {
    type: 'string',
    choices: ['file', 'f16', 'q4'],
    default: 'file',
    about: 'what the base is rounded to while loading; quantised files stay as they are',
    group: 'Memory',
  },
  quantised: {
    type: 'string',
    choices: ['requantise', 'float'],
    default: 'requantise',
    about: 'how changed layers of a quantised file are written',
    group: 'Memory',
  },
  budget: {
    type: 'number',
    value: 'MIB',
    about: 'GPU memory that the run may take: activations are computed again where it fits only so',
    group: 'Memory',
  },
  forecast: {
    type: 'boolean',
    about: 'says what the run would take, and how it would fit into the budget, without starting it',
    group: 'Memory',
  },
  recompute: {
    type: 'boolean',
    about:
      'computes activations again instead of keeping them: the same numbers in less memory and more time',
    group: 'Memory',
  },
  ...executorOptions,
} as const satisfies OptionTable;

export type FinetuneValues = Values<typeof options>;

/** Settings from flags over the method's defaults. */
export function trainingSettings(
  values: Partial<Values<typeof trainingOptions>>,
  method: string,
): TrainingSettings {
  const given = Object.entries(TRAINING_FLAGS).flatMap(([field, flag]) =>
    values[flag] === undefined ? [] : [[field, values[flag]] as const],
  );
  const parsed = trainingSchema.safeParse({
    learningRate: methodById(method).start.learningRate,
    ...Object.fromEntries(given),
  });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = String(issue.path[0]);
  return fail('bad-argument', `--${TRAINING_FLAGS[field as TrainingField] ?? field}: ${issue.message}.`);
}

/** Bytes, of MiB. */
export function budgetBytes(budget: number | undefined): number | undefined {
  if (budget === undefined || budget > 0) return budget && budget * 2 ** 20;
  return fail('bad-argument', `--budget takes a number of MiB above 0, not "${budget}".`);
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
