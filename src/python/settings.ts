/** settings.py: everything that decided the run, as constants that its scripts read. */
import { exampleCount } from '../data/batches.ts';
import type { Dataset } from '../data/types.ts';
import type { Base, PythonRun } from './base.ts';

/** Values that Python spells as JSON does, but for three words. */
export type Constant =
  | string
  | number
  | boolean
  | null
  | readonly Constant[]
  | { readonly [key: string]: Constant };

/** A Python literal. */
export function literal(value: Constant): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : `float("${value}")`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  const entries = Object.entries(value as Readonly<Record<string, Constant>>);
  return `{${entries.map(([key, v]) => `${JSON.stringify(key)}: ${literal(v)}`).join(', ')}}`;
}

/** learningRate → LEARNING_RATE. */
const constantName = (field: string) => field.replace(/([A-Z])/g, '_$1').toUpperCase();

const TASKS: Readonly<Record<Dataset['kind'], string>> = {
  image: 'image-classification',
  text: 'causal-lm',
  instruction: 'causal-lm',
  'masked-text': 'masked-lm',
  'text-class': 'text-classification',
  'text-value': 'regression',
  'token-class': 'token-classification',
};

/** The task as model.py names it. */
export const pythonTask = ({ dataset }: Pick<PythonRun, 'dataset'>) => TASKS[dataset.kind];

/** What fills rows up; running texts are whole windows but for the last. */
function padId(dataset: Dataset): number {
  if (dataset.kind === 'masked-text') return dataset.masking.padId;
  return 'padId' in dataset ? dataset.padId : 0;
}

/** Whether PEFT knows the method; head and full train whole weights. */
export const isPeft = ({ method }: Pick<PythonRun, 'method'>) => !method.peftType.startsWith('PAPILIO');

/** The constants by name, with the sentence that stands above each group. */
function constants(
  run: PythonRun,
  base: Base,
  saved: readonly string[],
): [string, Record<string, Constant>][] {
  const { dataset, batchOptions, settings, recorded } = run;
  const pictures: Record<string, Constant> =
    dataset.kind === 'image'
      ? {
          IMAGE_CHANNELS: dataset.channels,
          IMAGE_WIDTH: dataset.width,
          IMAGE_HEIGHT: dataset.height,
          IMAGE_MEAN: batchOptions.mean ?? Array.from({ length: dataset.channels }, () => 0),
          IMAGE_STD: batchOptions.std ?? Array.from({ length: dataset.channels }, () => 1),
        }
      : {
          PAD_ID: padId(dataset),
          PAD_LENGTHS: [...(batchOptions.lengths ?? [settings.sequenceLength])],
        };
  const labels = 'labels' in dataset && dataset.labels.length > 0 ? dataset.labels : null;
  return [
    [
      'What was trained. BASE is a folder beside this file or a name on the Hub; None: to be given with --base.',
      {
        MODEL: run.modelName,
        BASE: base.kind === 'folder' ? 'base' : base.kind === 'named' ? base.name : null,
        TASK: pythonTask(run),
        METHOD: run.method.id,
        IS_PEFT: isPeft(run),
        TRAINABLE: run.trainable,
        SAVED_MODULES: saved,
      },
    ],
    [
      'The data: rows of data/*.jsonl, class names in the order of their numbers (None where there are no classes).',
      {
        DATA: dataset.name,
        TRAIN_EXAMPLES: exampleCount(dataset, 'train', batchOptions),
        HELD_EXAMPLES: exampleCount(dataset, 'held', batchOptions),
        LABELS: labels,
        ...pictures,
      },
    ],
    [
      'How it was trained. STEPS counts only where EPOCHS is 0; EVAL_EXAMPLES 0 takes all; MAX_GRAD_NORM 0 does not clip.',
      Object.fromEntries(Object.entries(settings).map(([field, value]) => [constantName(field), value])),
    ],
    [
      'What held-out examples said in the run about the weights that this project starts from (None: not asked).',
      { METRIC: run.metric, RECORDED: recorded === null ? null : { ...recorded } },
    ],
  ];
}

/** The file. */
export function settingsFile(run: PythonRun, base: Base, saved: readonly string[]): string {
  const groups = constants(run, base, saved).map(
    ([sentence, group]) =>
      `# ${sentence}\n${Object.entries(group)
        .map(([name, value]) => `${name} = ${literal(value)}`)
        .join('\n')}\n`,
  );
  return `"""What this run was, as it was set in Papilio."""\n\n${groups.join('\n')}`;
}
