/** The flags of `papilio finetune`, and from them to settings, the adapter's configuration and how data is read. */
import { fail } from '../common.ts';
import { checkMapping } from '../data.ts';
import { DEFAULT_METHOD, fieldMeta, methodById } from '../methods.ts';
import {
  type DataOptions,
  OPTIMIZERS,
  SCHEDULES,
  type TrainingSettings,
  trainingSchema,
} from '../protocol.ts';
import { checkTask } from '../trainer.ts';
import { engineOptions } from './engine.ts';
import { type OptionTable, overwriteOption, type Values } from './options.ts';
import { readText } from './runtime.ts';

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
  const { description = field } = fieldMeta(trainingSchema.shape[field]) ?? {};
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

/** How data is read. */
export const dataTable = {
  columns: {
    type: 'string',
    value: 'JSON',
    about:
      'which column is what, by name or by number from 1, where it is not guessed: \'{"text": "review", "label": 3}\' (text, pair, label, value, prompt, context, answer, system, messages, tokens, tags, image)',
    group: 'Data',
  },
  header: {
    type: 'string',
    choices: ['yes', 'no'],
    about: 'whether the first row of a .csv or .tsv names its columns',
    otherwise: 'guessed from the rows, and said',
    group: 'Data',
  },
  delimiter: {
    type: 'string',
    choices: ['comma', 'semicolon', 'tab', 'bar'],
    about: 'what divides the cells of a .csv or .tsv',
    otherwise: 'guessed from the rows, and said',
    group: 'Data',
  },
  quotes: {
    type: 'string',
    choices: ['yes', 'no'],
    about: 'whether quotation marks wrap the cells of a .csv or .tsv, or are characters like others',
    otherwise: 'guessed from the rows, and said',
    group: 'Data',
  },
  decimal: {
    type: 'string',
    choices: ['point', 'comma'],
    about: 'what stands before the decimals of a number to be predicted',
    otherwise: 'guessed from the numbers, and said',
    group: 'Data',
  },
  task: {
    type: 'string',
    value: 'NAME',
    about:
      'text-classification, token-classification, regression, image-classification, masked-lm or causal-lm',
    otherwise: 'what the model is made for',
    group: 'Data',
  },
  'keep-classes': {
    type: 'boolean',
    about: 'labels that the model does not have are errors, instead of reason for a new classifier',
    group: 'Data',
  },
  padding: {
    type: 'string',
    choices: ['length', 'longest'],
    about: 'short rows are batched with short ones, or all are padded alike',
    otherwise: 'length',
    group: 'Data',
  },
} as const satisfies OptionTable;

const DELIMITERS = { comma: ',', semicolon: ';', tab: '\t', bar: '|' } as const;

/** @throws PapilioError 'bad-argument' */
export function dataOptions(values: Values<typeof dataTable>): { readonly options?: DataOptions } {
  const { columns, header, delimiter, quotes, decimal, task, padding } = values;
  const options: DataOptions = {
    ...(columns === undefined ? {} : { mapping: checkMapping(parse(columns)) }),
    ...(header === undefined ? {} : { header: header === 'yes' }),
    ...(delimiter === undefined ? {} : { delimiter: DELIMITERS[delimiter] }),
    ...(quotes === undefined ? {} : { quotes: quotes === 'yes' }),
    ...(decimal === undefined ? {} : { decimal }),
    ...(task === undefined ? {} : { task: checkTask(task) }),
    ...(values['keep-classes'] ? { keepClasses: true } : {}),
    ...(padding === undefined ? {} : { padding }),
  };
  return Object.keys(options).length > 0 ? { options } : {};
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail(
      'bad-argument',
      `--columns is no JSON (${(error as Error).message}); give an object such as {"text": "review", "label": "stars"}.`,
    );
  }
}

/** What stands below the options. */
export const DATA_NOTES: readonly string[] = [
  'Data files:',
  '  .txt .md                          running text',
  '  .csv .tsv .json .jsonl .parquet   tables',
  '  .txt                              also lines with their label, and folders of texts by class',
  '  .conll .conllu .bio .iob          words and tags, one per line',
  '  pictures                          one folder per class, or named by a table',
  '  idx files                         as MNIST has them',
  'Files and folders with train, validation or test in their names are split as they say, others by --seed.',
];

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
    about:
      "a folder for the merged model in the Hub's layout, as transformers.js opens it, with its model card",
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
  ...engineOptions,
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
