/**
 * Where a run begins that a person starts: what a configuration leaves open is filled in so that the first try works on this model -
 * targets, the head that trains beside the adapter, the task, and the few fields whose PEFT default does not suit every size. Page and
 * command line both begin here. A configuration that is read (an adapter_config.json) is not changed: there PEFT's defaults stand.
 *
 * The learning rates (`start` of each method). Adam moves every number by about the rate η in a step, whatever its gradient's size. With
 * weights of about 1 / √d_in, that changes a weight by this share of itself: LoRA √(r/3) α/r η (A is uniform up to 1 / √d_in), OFT
 * 2 √(b-1) η (R is I + 2Q), BOFT 4 √(b-1) η (Q is a block minus its transpose, so that it moves by 2η), FourierFT α √(n/2) / (d_out √d_in) η.
 * None but the last depends on the width, and its α is chosen so that it does not either. The rates make the share 0.6 to 3 percent: a
 * few steps are felt, and a few hundred do not destroy the model. They stay below 1e-2, since a new head trains at the same rate. For
 * other widths than 64 `startRate` takes them times √(64 / d).
 */
import { plainWords } from '../lib/json.ts';
import { say } from '../lib/say.ts';
import { requireSmall } from './config.ts';
import type { CommonConfig } from './fields.ts';
import { savedEntries, savedTest } from './matching.ts';
import type { MethodId } from './registry.ts';
import { resolveTargets, selectTargets, type TargetModel } from './targets.ts';
import type { AdapterMethod, Layer } from './types.ts';

/** What a run trains a model for. */
export const TASKS = [
  'image-classification',
  'text-classification',
  'token-classification',
  'regression',
  'masked-lm',
  'causal-lm',
] as const;

export type StartTask = (typeof TASKS)[number];

export interface StartModel extends TargetModel {
  /** The module that gives the scores, where it is known. */
  readonly head: string | null;
  /** Modules that start at random and so must train. */
  readonly fresh?: readonly string[];
}

/** A configuration as it was given: PEFT's fields, those left out open. */
export type Given = Readonly<Record<string, unknown>>;

export interface Started {
  /** The given fields and those that were filled in. */
  readonly config: Given;
  /** What was filled in, one sentence each. */
  readonly notes: readonly string[];
}

/** The method of a run that names none. */
export const DEFAULT_METHOD: MethodId = 'oft';

/** What PEFT calls the tasks that it knows. */
const PEFT_TASKS: Readonly<Record<StartTask, string | null>> = {
  'text-classification': 'SEQ_CLS',
  regression: 'SEQ_CLS',
  'token-classification': 'TOKEN_CLS',
  'causal-lm': 'CAUSAL_LM',
  'masked-lm': null,
  'image-classification': null,
};

const CLASSIFIES: readonly StartTask[] = [
  'text-classification',
  'regression',
  'token-classification',
  'image-classification',
];

const isOpen = (given: Given, key: string): boolean => !Object.hasOwn(given, key);
const isUnset = (given: Given, key: string): boolean => (given[key] ?? null) === null;

/** Whether entries of modules_to_save, with what the task adds to them, cover a module. */
const saves = (entries: unknown, task: string | null, module: string): boolean =>
  savedTest(
    savedEntries({
      modules_to_save: Array.isArray(entries) ? entries.map(plainWords) : null,
      task_type: task,
    }),
  )(module);

/**
 * The head of a classifier trains whole and is saved beside the adapter, as PEFT has it for SEQ_CLS and TOKEN_CLS; of a picture model,
 * for which PEFT knows no task, the same. Not where modules_to_save or task_type is given (an empty list leaves the head as it is), nor
 * where target_modules names the head, so that the adapter itself adapts it. The task is written as PEFT names it, where it says no
 * more than the configuration does.
 *
 * @param targetsHead whether target_modules was given and matches the head
 */
function withTaskHead(
  method: Pick<AdapterMethod, 'targets'>,
  given: Given,
  task: StartTask,
  { head, fresh = [] }: Pick<StartModel, 'head' | 'fresh'>,
  targetsHead = false,
): Started {
  const peft = PEFT_TASKS[task];
  const classifies = CLASSIFIES.includes(task);
  const wantsHead = head !== null && (classifies || method.targets === 'none');
  if (!isOpen(given, 'task_type') && !wantsHead) return { config: given, notes: [] };
  const asTask = isOpen(given, 'task_type') && peft !== null ? { task_type: peft } : {};
  if (!wantsHead || targetsHead) return { config: classifies ? given : { ...given, ...asTask }, notes: [] };

  if (!isOpen(given, 'modules_to_save')) {
    const whole = saves(given.modules_to_save, null, head);
    return { config: whole || !classifies ? { ...given, ...asTask } : given, notes: [] };
  }
  // A task that was given says what trains; the method "head" has nothing else to train.
  if (!isOpen(given, 'task_type') && method.targets !== 'none') return { config: given, notes: [] };
  const config = { ...given, ...asTask };
  const covered = saves(null, plainWords(config.task_type ?? ''), head);
  // What starts at random trains with the head that it is part of.
  const named = [...fresh, head].filter(
    (module, i, all) => all.indexOf(module) === i && !saves(null, plainWords(config.task_type ?? ''), module),
  );
  return {
    config: named.length === 0 ? config : { ...config, modules_to_save: named },
    notes:
      method.targets === 'none'
        ? []
        : [
            peft !== null && covered
              ? say`The head ${head} trains whole beside the adapter and is saved with it, as PEFT does for ${peft}; "modules_to_save": [] leaves it as it is.`
              : say`The head ${head} trains whole beside the adapter and is saved with it; "modules_to_save": [] leaves it as it is.`,
          ],
  };
}

/** Targets for a configuration that names none: PEFT's for the model's family, else all linear layers but the head. */
function withTargets(method: AdapterMethod, given: Given, model: StartModel): Started {
  if (method.targets !== 'required' || !isUnset(given, 'target_modules')) return { config: given, notes: [] };
  const family = model.modelType ?? null;
  const table = resolveTargets(method, open(method, given), model);
  if (table.length > 0)
    return {
      config: { ...given, target_modules: table },
      notes: [
        say`Target modules: ${typeof table === 'string' ? table : table.join(', ')}, PEFT's for model type ${JSON.stringify(family)}.`,
      ],
    };
  const { head } = model;
  const left = head === null || model.outputEmbedding === head || isSaved(given, head) ? null : head;
  const exclude = left === null || !isUnset(given, 'exclude_modules') ? {} : { exclude_modules: [left] };
  return {
    config: { ...given, target_modules: 'all-linear', ...exclude },
    notes: [
      head === null
        ? say`Target modules: all linear layers; PEFT has no default for model type ${JSON.stringify(family ?? 'unknown')}.`
        : say`Target modules: all linear layers but the head; PEFT has no default for model type ${JSON.stringify(family ?? 'unknown')}.`,
    ],
  };
}

const isSaved = (given: Given, module: string): boolean =>
  saves(given.modules_to_save, typeof given.task_type === 'string' ? given.task_type : null, module);

/** The configuration as far as target matching reads it; nothing is judged yet. */
function open(method: AdapterMethod, given: Given): CommonConfig {
  const known = Object.entries(given).filter(
    ([key, value]) =>
      Object.hasOwn(method.schema.shape, key) && method.schema.shape[key]!.safeParse(value).success,
  );
  return method.schema.parse(Object.fromEntries(known));
}

function targetLayers(method: AdapterMethod, given: Given, model: StartModel): readonly Layer[] {
  if (method.targets === 'none') return [];
  const names = new Set(selectTargets(method, open(method, given), model).targets);
  return model.layers.filter(({ name }) => names.has(name));
}

const isObject = (given: unknown): boolean =>
  typeof given === 'object' && given !== null && !Array.isArray(given);

/** Where the method acts: targets and head, the fields of the method itself left open. */
export function startPlaces(
  method: AdapterMethod,
  given: Given,
  model: StartModel,
  task: StartTask,
): Started {
  const named = isUnset(given, 'target_modules') ? [] : targetLayers(method, given, model);
  const isWide = plainWords(given.target_modules).toLowerCase() === 'all-linear';
  const namesHead = !isWide && named.some(({ name }) => name === model.head);
  const headed = withTaskHead(method, given, task, model, namesHead);
  const placed = withTargets(method, headed.config, model);
  return { config: placed.config, notes: [...placed.notes, ...headed.notes] };
}

/**
 * Fills in what a run's configuration leaves open. A configuration with a `peft_type` is an adapter_config.json: of it only targets are
 * filled in.
 *
 * @param given PEFT's fields as a person gave them; not judged here
 * @throws PapilioError 'illegal-config' for an expression of targets that cannot be read or lists in each other without end; 'too-large'
 */
export function startConfig(
  method: AdapterMethod,
  given: Given,
  model: StartModel,
  task: StartTask,
): Started {
  // What is no object is refused where configurations are checked.
  if (!isObject(given)) return { config: given, notes: [] };
  requireSmall(method, given);
  if (!isOpen(given, 'peft_type')) return withTargets(method, given, model);
  const { config, notes } = startPlaces(method, given, model, task);
  const fields = method.start.config(targetLayers(method, config, model), config);
  const filled = Object.entries(fields).filter(([key]) => isOpen(given, key));
  return { config: { ...Object.fromEntries(filled), ...config }, notes };
}

// The learning rate that a method begins with on layers of given sizes.

/** The width that `start.learningRate` of every method is for. */
const WIDTH = 64;
/** A new head trains at the same rate. */
const HIGHEST = 1e-2;

/** What a layer sums over. */
const fanIn = (layer: Layer): number => (layer.kind === 'embedding' ? layer.out : layer.in);

/**
 * The method's rate times √(64 / d), d the geometric mean of the inputs of the adapted layers. A step of Adam moves all numbers in step,
 * so that the update of a weight adds up along one direction as d does, where the weight itself, whose numbers point anywhere, adds up as
 * √d: the same share per number (`start.ts`) turns the outputs of a wider layer by √d more.
 *
 * @param adapted the layers that the method adapts; for methods that train whole weights, all linear ones of the model
 * @returns two significant digits, at most 1e-2
 */
export function startRate(
  { start, fileNames, targets }: AdapterMethod,
  adapted: readonly Layer[],
  all: readonly Layer[],
): number {
  const isWhole = fileNames === 'any' || targets === 'none' || adapted.length === 0;
  const layers = isWhole ? all.filter(({ kind }) => kind === 'linear' || kind === 'conv1d') : adapted;
  if (layers.length === 0) return start.learningRate;
  const mean = Math.exp(layers.reduce((sum, layer) => sum + Math.log(fanIn(layer)), 0) / layers.length);
  return Number(Math.min(HIGHEST, start.learningRate * Math.sqrt(WIDTH / mean)).toPrecision(2));
}
