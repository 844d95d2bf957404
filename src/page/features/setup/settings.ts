/**
 * What the page is set to, as values: preset and choices give a base, the rest is what differs from it. The one validator here serves the
 * form and the link (link.ts), so neither can let in what the other refuses.
 */
import type { z } from 'zod';
import { PapilioError, say } from '../../../common.ts';
import {
  type CommonConfig,
  type Layer,
  METHODS,
  type MethodId,
  type Pattern,
  refuseCommon,
  selectTargets,
  startConfig,
  startRate,
  type TargetModel,
} from '../../../methods.ts';
import { type ModelReport, type TrainingSettings, trainingSchema } from '../../../protocol.ts';
import { PRESETS, presetById } from './presets.ts';

export interface PageSettings {
  readonly preset: string;
  readonly model: string;
  readonly data: string;
  readonly method: MethodId;
  /** PEFT's fields as given; those left out are where a run starts on the model. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly training: TrainingSettings;
}

export type Choices = Partial<Pick<PageSettings, 'model' | 'data' | 'method'>>;

/** Embedded models and the data that suits each; "own" and "hub" take anything. */
export const MODELS: Readonly<Record<string, { title(): string; readonly data: readonly string[] }>> = {
  'glyphs-vit': {
    title: () => 'glyphs-vit',
    data: ['letters', 'wild-digits', 'drawings', 'files', 'hub'],
  },
  'tales-gpt': { title: () => 'tales-gpt', data: ['recipes', 'text', 'files', 'hub'] },
  hub: { title: () => say`From the Hub or an address`, data: ['files', 'hub', 'text', 'drawings'] },
  own: { title: () => say`Your own ONNX`, data: ['files', 'text', 'drawings', 'hub'] },
};

/** Settings before anything is changed: the preset, or the start of another model, dataset or method. */
export function baseSettings(presetId: string, choices: Choices = {}): PageSettings {
  const preset = presetById(presetId);
  const model = choices.model ?? preset.model;
  const method = choices.method ?? preset.method;
  const offered = MODELS[model]!.data;
  const wanted = choices.data ?? preset.data;
  const data = offered.includes(wanted) ? wanted : offered[0]!;
  const isPreset = model === preset.model && method === preset.method;
  return {
    preset: preset.id,
    model,
    data,
    method,
    config: isPreset ? preset.config : {},
    training: trainingSchema.parse({
      learningRate: METHODS[method].start.learningRate,
      ...preset.training,
      ...(isPreset ? {} : { learningRate: METHODS[method].start.learningRate }),
    }),
  };
}

/** What choosing a preset makes of settings: it has everything but the seed, which is one's own. */
export function presetOver({ training: { seed } }: Pick<PageSettings, 'training'>, id: string): PageSettings {
  const base = baseSettings(id);
  return { ...base, training: { ...base.training, seed } };
}

/**
 * What follows from objects that never change is found once for each combination of them: drawing the page asks for the same again and again.
 *
 * @returns what was found for these very objects, in this order
 */
export function remembered<T>(): (keys: readonly object[], find: () => T) => T {
  interface Place {
    readonly next: WeakMap<object, Place>;
    found?: { readonly value: T };
  }
  const root: Place = { next: new WeakMap() };
  return (keys, find) => {
    let place = root;
    for (const key of keys) {
      const next: Place = place.next.get(key) ?? { next: new WeakMap() };
      place.next.set(key, next);
      place = next;
    }
    place.found ??= { value: find() };
    return place.found.value;
  };
}

/** Stands for a model that is not known. */
export const NO_MODEL = {};

const bases = remembered<PageSettings>();

/** The base that `settings` differ from. */
export const baseOf = (settings: PageSettings): PageSettings =>
  bases([settings], () => baseSettings(settings.preset, settings));

type Shape = Readonly<Record<string, z.ZodType>>;

/** Why a value may not stand in a field, or null. */
export function refuseValue(shape: Shape, key: string, value: unknown): string | null {
  const schema = Object.hasOwn(shape, key) ? shape[key] : undefined;
  if (schema === undefined) return say`there is no such setting`;
  const result = schema.safeParse(value);
  if (result.success) return null;
  return result.error.issues[0]!.message;
}

export function configShape(method: MethodId): Shape {
  return METHODS[method].schema.shape;
}

export const trainingShape: Shape = trainingSchema.shape;

/**
 * The whole configuration: what is given, what a run starts with on this model, and PEFT's defaults. Every field of `settings.config` has
 * passed {@link refuseValue}.
 *
 * @param report the model, once it is known
 */
export function fullConfig(settings: PageSettings, report: ModelReport | null): CommonConfig {
  return startedConfig(settings, report).config;
}

interface Started {
  readonly config: CommonConfig;
  readonly notes: readonly string[];
}

const starts = remembered<Started>();

/** As {@link fullConfig}, with a sentence for what was filled in. */
export const startedConfig = (settings: PageSettings, report: ModelReport | null): Started =>
  starts([settings.config, METHODS[settings.method], report ?? NO_MODEL], () => start(settings, report));

function start(settings: PageSettings, report: ModelReport | null): Started {
  const { config } = settings;
  const method = METHODS[settings.method];
  if (report === null)
    return { config: method.schema.parse({ ...method.start.config([], config), ...config }), notes: [] };
  const task = report.trains ?? 'masked-lm';
  try {
    const started = startConfig(method, config, { ...targetModel(report), head: report.head }, task);
    return { config: method.schema.parse(started.config), notes: started.notes };
  } catch (error) {
    // An expression that cannot be read yet; whoever matches targets says so.
    if (error instanceof PapilioError) return startedConfig(settings, null);
    throw error;
  }
}

/** The method's factors on a layer; null where there are none to draw: an expression that cannot be read, a layer beyond the method's limits. */
export function drawnPattern(method: MethodId, layer: Layer, config: CommonConfig): Pattern | null {
  try {
    return METHODS[method].pattern(layer, config);
  } catch (error) {
    if (error instanceof PapilioError) return null;
    throw error;
  }
}

/** Fields of every method that say where it adapts, and not how. */
const WHERE_FIELDS = [
  'target_modules',
  'exclude_modules',
  'layers_to_transform',
  'layers_pattern',
  'modules_to_save',
];

/** Where a configuration adapts, as far as it says so, and another method takes it. */
export const whereOf = (
  config: Readonly<Record<string, unknown>>,
  method?: MethodId,
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    WHERE_FIELDS.filter(
      (key) =>
        Object.hasOwn(config, key) &&
        (method === undefined || refuseValue(configShape(method), key, config[key]) === null),
    ).map((key) => [key, config[key]]),
  );

export const LAYER_KINDS = ['linear', 'conv1d', 'embedding', 'conv2d'];

export function layersOf(report: ModelReport): Layer[] {
  return report.modules
    .filter(({ kind }) => LAYER_KINDS.includes(kind))
    .map((row) => ({
      name: row.name,
      kind: row.kind as Layer['kind'],
      in: row.in,
      out: row.out,
      hasBias: row.hasBias,
      ...(row.kernel && { kernel: row.kernel }),
    }));
}

/** What target matching reads of a model. */
export function targetModel(report: ModelReport): TargetModel {
  const language = report.task === 'causal-lm' || report.task === 'masked-lm';
  return {
    layers: layersOf(report),
    others: report.modules
      .filter(({ kind }) => !LAYER_KINDS.includes(kind))
      .map(({ name, kind }) => ({ name, isNorm: kind === 'norm' })),
    ties: report.ties ?? [],
    outputEmbedding: language ? report.head : null,
    pretrained: true,
    modelType: report.modelType,
  };
}

/** The settings with one field of the configuration set; a field set to where the run starts is no longer given. */
export function withField(
  settings: PageSettings,
  report: ModelReport | null,
  key: string,
  value: unknown,
): PageSettings {
  const base = baseOf(settings);
  const { [key]: _, ...others } = settings.config;
  const rest = { ...settings, config: others };
  const atStart = (fullConfig(rest, report) as unknown as Record<string, unknown>)[key];
  const isOpen = !Object.hasOwn(base.config, key) && sameValue(atStart, value);
  return isOpen ? rest : { ...settings, config: { ...settings.config, [key]: value } };
}

/** The rate is left at the method's own. */
export const isOwnRate = ({ method, training }: PageSettings): boolean =>
  training.learningRate === METHODS[method].start.learningRate;

/** The training of a run on this model, as the run itself decides it: the method's own rate follows the layers' width. */
export function runTraining(settings: PageSettings, report: ModelReport | null): TrainingSettings {
  const { training } = settings;
  const method = METHODS[settings.method];
  if (report === null || !isOwnRate(settings)) return training;
  const model = targetModel(report);
  try {
    const names = new Set(selectTargets(method, fullConfig(settings, report), model).targets);
    const adapted = model.layers.filter(({ name }) => names.has(name));
    return { ...training, learningRate: startRate(method, adapted, model.layers) };
  } catch (error) {
    if (error instanceof PapilioError) return training;
    throw error;
  }
}

/** Why the fields together are illegal, in PEFT's words, or null. Before there is a model, what it would fill in is no reason. */
export function refuseConfig(settings: PageSettings, report: ModelReport | null = null): string | null {
  const method = METHODS[settings.method];
  const given = fullConfig(settings, report);
  const isOpen =
    report === null && method.targets === 'none' && settings.config.modules_to_save === undefined;
  // A run counted in epochs knows its steps only once its data is open; then it decides again.
  const decided = method.forRun?.({ ...given }, settings.training.steps);
  const config = { ...given, ...decided };
  const refused = isOpen ? null : method.refuse(config);
  return method.refuseStart?.(config) ?? refused ?? refuseCommon(config);
}

export const shortly = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)} …` : text;
};

interface Untrusted {
  readonly preset?: string | undefined;
  readonly model?: string | undefined;
  readonly data?: string | undefined;
  readonly method?: string | undefined;
  readonly config: Readonly<Record<string, unknown>>;
  readonly training: Readonly<Record<string, unknown>>;
}

/**
 * Settings from untrusted text, each value for itself: unknown or illegal ones fall back to the base, each with a sentence. Whether the fields of the
 * method fit together, {@link refuseConfig} says.
 */
export function acceptSettings(input: Untrusted): {
  readonly settings: PageSettings;
  readonly base: PageSettings;
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  const known = (
    value: string | undefined,
    names: readonly string[],
    missing: (value: string) => string,
  ): string | undefined => {
    if (value === undefined || names.includes(value)) return value;
    problems.push(missing(value));
    return undefined;
  };
  const preset =
    known(
      input.preset,
      PRESETS.map(({ id }) => id),
      (id) => say`There is no preset “${id}”; the default is used.`,
    ) ?? PRESETS[0]!.id;
  const model = known(
    input.model,
    Object.keys(MODELS),
    (name) => say`There is no model “${name}”; the default is used.`,
  );
  const method = known(
    input.method,
    Object.keys(METHODS),
    (id) => say`There is no method “${id}”; the default is used.`,
  ) as MethodId | undefined;
  const choices: Choices = {
    ...(model === undefined ? {} : { model }),
    ...(method === undefined ? {} : { method }),
  };
  const offered = MODELS[baseSettings(preset, choices).model]!.data;
  const data = known(
    input.data,
    offered,
    (name) => say`There is no data of this model “${name}”; the default is used.`,
  );
  const base = baseSettings(preset, data === undefined ? choices : { ...choices, data });

  const accept = (shape: Shape, values: Readonly<Record<string, unknown>>): Record<string, unknown> => {
    const kept: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(values)) {
      const reason = refuseValue(shape, key, value);
      if (reason === null) kept[key] = value;
      else problems.push(say`${key} = ${shortly(value)} is not used: ${reason}.`);
    }
    return kept;
  };
  const training = { ...base.training, ...accept(trainingShape, input.training) } as TrainingSettings;
  const config = { ...base.config, ...accept(configShape(base.method), input.config) };
  return { settings: { ...base, training, config }, base, problems };
}

/** The same as a whole: where the fields of the method do not fit together, they are the base's. */
export function validateSettings(input: Untrusted): {
  readonly settings: PageSettings;
  readonly problems: readonly string[];
} {
  const { settings, base, problems } = acceptSettings(input);
  const reason = refuseConfig(settings);
  if (reason === null) return { settings, problems };
  return {
    settings: { ...settings, config: base.config },
    problems: [...problems, say`The method’s settings go back to their defaults: ${reason.trim()}`],
  };
}

export const sameValue = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Fields of `b` that differ from `a`, defaults filled in on both sides. */
export function differingFields(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
): string[] {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].filter((key) => !sameValue(a[key], b[key]));
}
