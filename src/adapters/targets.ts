/**
 * Which modules of a model a configuration adapts, saves whole, or leaves; how much each entry matched; and a helpful sentence when
 * nothing did.
 */
import { fail } from '../lib/errors.ts';
import { closest } from '../lib/names.ts';
import { say } from '../lib/say.ts';
import type { CommonConfig } from './fields.ts';
import { countByEntry, moduleMatcher, savedEntries, savedTest } from './matching.ts';
import type { AdapterMethod, Layer } from './types.ts';

/** What matching needs to know of a model. */
export interface TargetModel {
  readonly layers: readonly Layer[];
  /** Module name of the language-model head, which "all-linear" leaves out; null if there is none. */
  readonly outputEmbedding?: string | null;
  /** False for a plain module, where "all-linear" really means all. */
  readonly pretrained?: boolean;
  /** Modules with parameters that are no layers: norms, and those that hold a parameter of their own. */
  readonly others?: readonly { readonly name: string; readonly isNorm: boolean }[];
  /** Names of parameters that are one, what owns it first. */
  readonly ties?: readonly (readonly string[])[];
  /** `model_type` of config.json, which decides the targets if none are given. */
  readonly modelType?: string | null;
}

export interface Selection {
  /** Modules that are adapted, in the model's order. */
  readonly targets: readonly string[];
  /** Modules that are trained and saved whole. */
  readonly saved: readonly string[];
  /** Modules excluded by exclude_modules or modules_to_save. */
  readonly excluded: readonly string[];
  /** Every list entry (or the one expression) and how many modules it matches. */
  readonly entries: readonly { readonly entry: string; readonly count: number }[];
  /** Entries that match nothing. */
  readonly unmatched: readonly string[];
  /** Targets that the method cannot adapt, with its reason. */
  readonly illegal: readonly { readonly name: string; readonly reason: string }[];
  /** What else should be said: silent corrections, entries without effect. */
  readonly warnings: readonly string[];
}

/** What PEFT says of a module that its method does not wrap. */
const normRefused = (): string =>
  say`Target module LayerNorm() is not supported. Currently, only layers with a weight matrix are supported.`;

/** The configuration with what PEFT fills in from the model's type. */
export function completeConfig(
  method: AdapterMethod,
  config: CommonConfig,
  model: TargetModel,
): CommonConfig {
  return method.complete?.(config, model.modelType ?? null) ?? config;
}

/** The list or expression that really applies: "all-linear" and null are replaced. */
export function resolveTargets(
  method: AdapterMethod,
  config: CommonConfig,
  model: TargetModel,
): string[] | string {
  const given = config.target_modules ?? null;
  if (method.targets === 'none') return [];
  if (typeof given === 'string')
    return given.toLowerCase() === 'all-linear' ? allLinear(config, model) : given;
  if (given !== null) return given;
  if (method.targets === 'optional') return model.layers.map(({ name }) => name);
  return [...(targetsOf(method.defaultTargets ?? LORA_TARGETS, model.modelType) ?? [])];
}

function allLinear(config: CommonConfig, model: TargetModel): string[] {
  const linear = model.layers
    .filter(({ kind }) => kind === 'linear' || kind === 'conv1d')
    .map(({ name }) => name);
  if (model.pretrained === false) return linear;
  const classifier =
    config.task_type === 'SEQ_CLS'
      ? ['score', 'classifier'].find((name) => hasModule(model, name))
      : undefined;
  const left = model.outputEmbedding ?? classifier;
  return linear.filter((name) => name !== left);
}

function hasModule(model: TargetModel, name: string): boolean {
  return model.layers.some((layer) => layer.name === name || layer.name.startsWith(`${name}.`));
}

/**
 * Applies a configuration to a model without judging the result.
 *
 * @throws PapilioError 'illegal-config' for an expression that cannot be read.
 */
export function selectTargets(method: AdapterMethod, given: CommonConfig, model: TargetModel): Selection {
  const config = completeConfig(method, given, model);
  const resolved = resolveTargets(method, config, model);
  const effective: CommonConfig = { ...config, target_modules: resolved };
  const match = moduleMatcher(effective);
  const isSaved = savedTest(savedEntries(config));
  const others = model.others ?? [];
  const layerNames = model.layers.map(({ name }) => name);
  const all = [...layerNames, ...others.map(({ name }) => name)];
  // A method that trains whole weights takes any module.
  const names = method.fileNames === 'any' ? all : layerNames;
  const saved = all.filter(isSaved);
  const isTarget = (name: string): boolean => match(name) === 'target' && !isSaved(name);
  const targets = names.filter(isTarget);
  const entries = countEntries(config, resolved, effective, names, targets);
  const unmatched = entries.filter(({ count }) => count === 0).map(({ entry }) => entry);
  const chosen = new Set(targets);
  const adapted = model.layers.filter(({ name }) => chosen.has(name));
  const illegal = adapted.flatMap((layer) => {
    const reason = method.check(layer, config);
    return reason === null ? [] : [{ name: layer.name, reason }];
  });
  const norms =
    method.fileNames === 'any' ? [] : others.filter(({ name, isNorm }) => isNorm && isTarget(name));
  illegal.push(...norms.map(({ name }) => ({ name, reason: normRefused() })));
  const excluded = names.filter((name) => match(name) === 'excluded');
  return {
    targets,
    saved,
    excluded,
    entries,
    unmatched,
    illegal,
    warnings: [...unmatchedWarnings(config, all, unmatched, targets), ...notices(method, config, adapted)],
  };
}

/**
 * As {@link selectTargets}, but refuses what PEFT refuses.
 *
 * @throws PapilioError 'no-target' if nothing is matched, with suggestions; 'illegal-config' if the method cannot adapt a target.
 */
export function requireTargets(method: AdapterMethod, config: CommonConfig, model: TargetModel): Selection {
  const selection = selectTargets(method, config, model);
  const bad = selection.illegal[0];
  if (bad)
    fail('illegal-config', say`${method.title} cannot adapt ${bad.name}: ${bad.reason}`, {
      illegal: selection.illegal,
    });
  const trained = method.targets === 'none' ? selection.saved : selection.targets;
  if (trained.length === 0)
    fail('no-target', noTargetSentence(method, config, model, selection), { entries: selection.entries });
  return selection;
}

/** Modules whose bias trains under the `bias` setting; `biased` are all modules that have one, norms included. */
export function trainableBiases(
  config: CommonConfig,
  targets: readonly string[],
  biased: readonly string[],
): string[] {
  if (config.bias === 'all') return [...biased];
  if (config.bias === undefined || config.bias === 'none') return [];
  const adapted = new Set(targets);
  return biased.filter((name) => adapted.has(name));
}

function countEntries(
  config: CommonConfig,
  resolved: string[] | string,
  effective: CommonConfig,
  names: readonly string[],
  targets: readonly string[],
): { entry: string; count: number }[] {
  if (typeof config.target_modules === 'string')
    return [{ entry: config.target_modules, count: targets.length }];
  if (typeof resolved === 'string' || (config.target_modules ?? null) === null) return [];
  const counts = countByEntry(resolved, effective, names);
  return resolved.map((entry) => ({ entry, count: counts.get(entry)! }));
}

function unmatchedWarnings(
  config: CommonConfig,
  names: readonly string[],
  unmatched: readonly string[],
  targets: readonly string[],
): string[] {
  const warnings =
    targets.length === 0
      ? []
      : unmatched.map(
          (entry) => `${say`target_modules: ${quote(entry)} matches no module.`}${didYouMean(entry, names)}`,
        );
  // What the task adds is PEFT's list for all models; each has some of it.
  const ofTask = savedEntries({ modules_to_save: null, task_type: config.task_type });
  for (const entry of config.modules_to_save ?? []) {
    if (!ofTask.includes(entry) && !names.some(savedTest([entry])))
      warnings.push(
        `${say`modules_to_save: no module's name ends with ${quote(entry)}.`}${didYouMean(entry, names)}`,
      );
  }
  const exclude = config.exclude_modules ?? [];
  const byExclude = moduleMatcher({ ...config, target_modules: [], modules_to_save: null, task_type: null });
  if (exclude.length > 0 && !names.some((name) => byExclude(name) === 'excluded')) {
    warnings.push(say`exclude_modules is given, but it excludes nothing.`);
  }
  return warnings;
}

/** PEFT's silent corrections, and what it does not take at all, each once with how many modules it concerns. */
function notices(method: AdapterMethod, config: CommonConfig, adapted: readonly Layer[]): string[] {
  const modules = new Map<string, string[]>();
  for (const layer of adapted) {
    if (method.check(layer, config) !== null) continue;
    const beyond = method.peftRefuses?.(layer, config) ?? null;
    const unloadable =
      beyond && say`PEFT cannot load this adapter (the merged model is not affected): ${beyond}`;
    for (const notice of [unloadable, method.notice(layer, config)])
      if (notice !== null) modules.set(notice, [...(modules.get(notice) ?? []), layer.name]);
  }
  return [...modules].map(
    ([notice, names]) => `${notice} (${names.length === 1 ? names[0] : `${names.length} modules`})`,
  );
}

function noTargetSentence(
  method: AdapterMethod,
  config: CommonConfig,
  model: TargetModel,
  selection: Selection,
): string {
  const names = model.layers.map(({ name }) => name);
  if (names.length === 0)
    return say`The model has no module with a weight matrix, so there is nothing to adapt.`;
  if (method.targets === 'none') {
    const entries = config.modules_to_save ?? [];
    return `${say`No module's name ends with an entry of modules_to_save (${entries.map(quote).join(', ')}).`}${suggestions(entries, names)}`;
  }
  if (selection.excluded.length === names.length) {
    return say`All modules were excluded. This is likely unintended. Check your \`target_modules\`, \`exclude_modules\` and \`modules_to_save\` configuration.`;
  }
  const given = config.target_modules ?? null;
  if (given === null) {
    return `${say`target_modules is not given and there is no default for model type ${quote(model.modelType ?? 'unknown')}; name the modules to adapt.`}${suggestions([], names)}`;
  }
  if (given.length === 0)
    return `${say`target_modules is empty; name the modules to adapt.`}${suggestions([], names)}`;
  const isFiltered = (config.layers_to_transform ?? null) !== null;
  if (typeof given === 'string') {
    const plain = /^[\w.]+$/.test(given);
    const missing = isFiltered
      ? say`Target modules ${quote(given)} not found in the base model in the layers of layers_to_transform.`
      : say`Target modules ${quote(given)} not found in the base model.`;
    const hint = plain
      ? say`A text is an expression for the whole module name; write [${quote(given)}] as a list to match name endings.`
      : say`The expression must match the whole module name.`;
    return `${missing} ${hint}${suggestions(plain ? [given] : [], names)}`;
  }
  const missing = isFiltered
    ? say`Target modules ${pythonSet(given)} not found in the base model in the layers of layers_to_transform: a module matches if its name is an entry or ends with "." and an entry.`
    : say`Target modules ${pythonSet(given)} not found in the base model: a module matches if its name is an entry or ends with "." and an entry.`;
  return `${missing}${suggestions(given, names)}`;
}

function suggestions(entries: readonly string[], names: readonly string[]): string {
  const near = entries.map((entry) => didYouMean(entry, names)).find((text) => text !== '');
  if (near !== undefined) return near;
  const endings = [...new Set(names.map((name) => name.slice(name.lastIndexOf('.') + 1)))];
  const shown = endings.slice(0, 8).map(quote).join(', ');
  return endings.length > 8
    ? ` ${say`Modules of this model end in ${shown} and others.`}`
    : ` ${say`Modules of this model end in ${shown}.`}`;
}

function didYouMean(entry: string, names: readonly string[]): string {
  const near = closest(entry, /\.\d+\./.test(entry) ? names : names.flatMap(endings));
  return near.length === 0 ? '' : ` ${say`Did you mean ${near.map(quote).join(say` or `)}?`}`;
}

/** Dotted endings of a name up to its last number: `layer.0.output.dense` gives `dense` and `output.dense`. */
function endings(name: string): string[] {
  const segments = name.split('.');
  const result: string[] = [];
  for (let start = segments.length - 1; start >= 0 && !/^\d+$/.test(segments[start]!); start--)
    result.push(segments.slice(start).join('.'));
  return result;
}

/** Names as PEFT prints its set of targets. */
const pythonSet = (entries: readonly string[]): string =>
  `{${entries.map((entry) => `'${entry}'`).join(', ')}}`;

function quote(text: string): string {
  return JSON.stringify(text);
}

// The modules that PEFT adapts in a family of transformers where a configuration names none, by `model_type` of config.json.
// Source: TRANSFORMERS_MODELS_TO_…_TARGET_MODULES_MAPPING in peft/utils/constants.py (0.18). OFT, BOFT, LoHa and LoKr use LoRA's table.

type TargetTable = Readonly<Record<string, readonly string[]>>;

const QUERY_VALUE = ['q_proj', 'v_proj'];
const BERT_QUERY_VALUE = ['query', 'value'];
const PACKED = ['query_key_value'];

const LORA_TARGETS: TargetTable = {
  t5: ['q', 'v'],
  mt5: ['q', 'v'],
  bart: QUERY_VALUE,
  gpt2: ['c_attn'],
  bloom: PACKED,
  'blip-2': ['q', 'v', ...QUERY_VALUE],
  opt: QUERY_VALUE,
  gptj: QUERY_VALUE,
  gpt_neox: PACKED,
  gpt_neo: QUERY_VALUE,
  bert: BERT_QUERY_VALUE,
  roberta: BERT_QUERY_VALUE,
  'xlm-roberta': BERT_QUERY_VALUE,
  electra: BERT_QUERY_VALUE,
  'deberta-v2': ['query_proj', 'value_proj'],
  deberta: ['in_proj'],
  layoutlm: BERT_QUERY_VALUE,
  llama: QUERY_VALUE,
  llama4: QUERY_VALUE,
  chatglm: PACKED,
  gpt_bigcode: ['c_attn'],
  mpt: ['Wqkv'],
  RefinedWebModel: PACKED,
  RefinedWeb: PACKED,
  falcon: PACKED,
  btlm: ['c_proj', 'c_attn'],
  codegen: ['qkv_proj'],
  mistral: QUERY_VALUE,
  mixtral: QUERY_VALUE,
  stablelm: QUERY_VALUE,
  phi: [...QUERY_VALUE, 'fc1', 'fc2'],
  gemma: QUERY_VALUE,
  gemma2: QUERY_VALUE,
  gemma3_text: QUERY_VALUE,
  qwen2: QUERY_VALUE,
  qwen3: QUERY_VALUE,
};

export const VERA_TARGETS: TargetTable = { ...LORA_TARGETS, phi: QUERY_VALUE };

export const FOURIERFT_TARGETS: TargetTable = {
  ...LORA_TARGETS,
  gpt2: ['mlp.c_proj'],
  gpt_bigcode: ['mlp.c_proj'],
};

export const ADALORA_TARGETS: TargetTable = {
  t5: ['q', 'k', 'v', 'o', 'wi', 'wo'],
  mt5: ['q', 'k', 'v', 'o', 'wi_0', 'wi_1', 'wo'],
  bart: ['q_proj', 'k_proj', 'v_proj', 'out_proj', 'fc1', 'fc2'],
  gpt2: ['c_attn'],
  bloom: PACKED,
  opt: ['q_proj', 'k_proj', 'v_proj', 'out_proj', 'fc1', 'fc2'],
  gptj: QUERY_VALUE,
  gpt_neox: PACKED,
  gpt_neo: QUERY_VALUE,
  llama: QUERY_VALUE,
  llama4: QUERY_VALUE,
  bert: BERT_QUERY_VALUE,
  roberta: ['query', 'key', 'value', 'dense'],
  'deberta-v2': ['query_proj', 'key_proj', 'value_proj', 'dense'],
  gpt_bigcode: ['c_attn'],
  deberta: ['in_proj'],
  gemma: QUERY_VALUE,
  gemma2: QUERY_VALUE,
  gemma3_text: QUERY_VALUE,
  qwen2: QUERY_VALUE,
  qwen3: QUERY_VALUE,
};

/** The targets of a family, or null where the table has none. */
function targetsOf(table: TargetTable, modelType: string | null | undefined): readonly string[] | null {
  return Object.hasOwn(table, modelType ?? '') ? table[modelType!]! : null;
}
