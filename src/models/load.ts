/**
 * A model as the trainer takes it: the ONNX file with Hugging Face's sidecar files, what it is for, its layers and parameters by PyTorch
 * name, and a function that builds its graph at any batch size.
 */
import { type Preprocessing, preprocessingOf } from '../data/preprocessing.ts';
import { type Builder, createBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import type { InputFile } from '../lib/bytes.ts';
import { fail, readable } from '../lib/errors.ts';
import { numberFrom, plainWords, settingsIn } from '../lib/json.ts';
import { say } from '../lib/say.ts';
import type { OnnxModel } from '../onnx/types.ts';
import { emitStored, storedNumbers, storedParameter } from '../ops/fuse/stored.ts';
import { type Contract, contractOf, leastLimit } from './contract.ts';
import { endOf, type Gives, type ModelTask, whatItGives } from './gives.ts';
import type { Precision } from './import/emit.ts';
import { type ImportedModel, importModel, type Sidecar } from './import/importModel.ts';
import { type InputSpec, KNOWN_INPUTS } from './import/inputs.ts';
import type { ModuleInfo, Tie } from './import/modules.ts';
import type { Tables } from './import/tables.ts';
import { mergeWeights } from './merge.ts';
import {
  addHead,
  addTiedHead,
  type BareModel,
  decoderPrefix,
  describeHead,
  headModules,
  headRecipe,
  resizeHead,
} from './newHead.ts';
import { type ReadModel, readOnnx, sortFiles } from './readOnnx.ts';

export type { ModelTask };

/** Where sentence-transformers keeps how it pools. */
const SENTENCE_POOLING = '1_Pooling/config.json';

export interface ModelLayer {
  readonly name: string;
  readonly kind: 'linear' | 'conv1d' | 'embedding' | 'conv2d';
  readonly in: number;
  readonly out: number;
  readonly hasBias: boolean;
  /** Of a convolution: height and width. */
  readonly kernel?: readonly [number, number];
}

export interface ModelParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** In numbers, as the engine computes with them: rounded, where the weight is kept in fewer bits. */
  readonly load: () => Float32Array;
  /** Emits the parameter as f32, widened from the form it is stored in. */
  readonly emit: (g: Builder) => Value;
  /** The engine keeps it in fewer bits than the file. */
  readonly rounded: boolean;
}

export interface LoadedModel {
  readonly onnx: OnnxModel;
  /** Where `onnx` was joined of an encoder's and a decoder's file: the two again, with the weights of a changed model. */
  readonly separate: ReadModel['separate'];
  /** What the weights were loaded as. */
  readonly precision: Precision;
  readonly family: string;
  readonly task: ModelTask;
  /** Tasks that it may just as well be for; empty where the file is clear. */
  readonly orElse: readonly ModelTask[];
  /** For the task "other": what the file gives or wants instead, as a sentence without its subject. */
  readonly instead: string;
  /** What its inputs are looked up in and how many tokens it reads. */
  readonly contract: Contract;
  readonly inputs: readonly InputSpec[];
  /** Inputs of the file that batches and feeds know by another name: by the file's name. */
  readonly feeds: Readonly<Record<string, string>>;
  readonly modules: readonly ModuleInfo[];
  /** Names of parameters that are one in PyTorch, what owns it first: the table of the embedding, then the head that is tied to it. */
  readonly ties: readonly Tie[];
  readonly parameters: readonly ModelParameter[];
  /** What target matching reads. */
  readonly targets: {
    readonly layers: readonly ModelLayer[];
    /** Norms, and modules that hold a parameter of their own. */
    readonly others: readonly { readonly name: string; readonly isNorm: boolean }[];
    readonly ties: readonly Tie[];
    readonly outputEmbedding: string | null;
    readonly modelType: string | null;
  };
  /** Class names of config.json, where the model is a classifier. */
  readonly labels: readonly string[] | null;
  /** Size and channels of the pictures that the model takes, and what makes such of any other. */
  readonly image: Preprocessing | null;
  /** Name of the scored output and of the module that computes it. */
  readonly output: string;
  readonly head: string | null;
  /** Scores of the scored output: words, classes, or 1. */
  readonly scores: number;
  /** Modules of a new head, which start at random. */
  readonly fresh: readonly string[];
  /** What the new head is, in words, where transformers has no class with such a one. */
  readonly ownHead: string | null;
  /** It ends in hidden states that a new head can read, as it is or without the head that its token table makes. */
  readonly takesHead: boolean;
  readonly config: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
  /** When onnxruntime rounds the activations of this file to 8 bits, which stay float here: what a comparison of the two must allow for. */
  readonly activationsQuantised: ImportedModel['activationsQuantised'];
  /** The frozen graph; `also` names inputs that are fed besides the usual ones. */
  build(
    batch: number,
    sequence: number,
    also?: readonly string[],
  ): { readonly graph: Graph; readonly logits: Value };
  /** The same model rounded to another precision; nothing is read again. */
  at(precision: Precision): LoadedModel;
  /**
   * The same model with other numbers in some parameters; float, where the file keeps codes.
   * @param weights by PyTorch name, in the engine's layout; the model takes the arrays over. Parameters that are tied all get them.
   */
  withWeights(weights: ReadonlyMap<string, Float32Array>): LoadedModel;
  /**
   * The same model for these classes: itself if it has as many, else with a new, random last layer; a model that gives hidden states
   * gets a whole head, for each text or picture or, with `byToken`, for each token.
   */
  withClasses(labels: readonly string[], seed: number, wanted?: NewHead): LoadedModel;
}

export interface NewHead {
  readonly byToken?: boolean;
  /** A head behind the hidden states, where the file may also be read as giving scores. */
  readonly anew?: boolean;
  /** What fills up short texts; config.json's where it is not given. */
  readonly padId?: number;
}

function parseJson(files: readonly InputFile[], name: string): Record<string, unknown> {
  const file = files.find((f) => f.name === name);
  return file ? settingsIn(new TextDecoder().decode(file.bytes), name) : {};
}

/** A convolution's kernel, as the file's weight [out, channels, kh, kw] tells it. */
export function kernelOf({ kind, parameters }: ModuleInfo): { readonly kernel?: readonly [number, number] } {
  const [, , height, width] = parameters.weight?.tensor.dims ?? [];
  return kind === 'conv2d' && height !== undefined && width !== undefined ? { kernel: [height, width] } : {};
}

const isLayer = (kind: string): kind is ModelLayer['kind'] =>
  kind === 'linear' || kind === 'conv1d' || kind === 'embedding' || kind === 'conv2d';

/** @throws PapilioError 'malformed-onnx' or 'unsupported-onnx' */
export function loadModel(files: readonly InputFile[]): LoadedModel {
  return readable(
    'malformed-onnx',
    () => say`The model`,
    () => loaded(files),
  );
}

function loaded(files: readonly InputFile[]): LoadedModel {
  const sorted = sortFiles(files);
  const { onnx, separate, notes } = readOnnx(sorted);
  const source = {
    onnx,
    separate,
    config: parseJson(sorted.others, 'config.json'),
    preprocessor: parseJson(sorted.others, 'preprocessor_config.json'),
    sentencePooling: sentencePooling(sorted.others),
    precision: 'file' as const,
    warnings: notes,
    fresh: [],
  };
  const model = describeModel(source);
  return model.task === 'bare-decoder' ? withTiedHead(source, model) : model;
}

/** All that a model is described from. */
interface Source {
  readonly onnx: OnnxModel;
  readonly separate: ReadModel['separate'];
  readonly config: Readonly<Record<string, unknown>>;
  readonly preprocessor: Readonly<Record<string, unknown>>;
  readonly sentencePooling: BareModel['sentencePooling'];
  readonly precision: Precision;
  readonly warnings: readonly string[];
  readonly fresh: readonly string[];
  readonly ownHead?: string | null;
  /** The file as it is, where its scores were made with its token table. */
  readonly bare?: Source;
  /** What was found in the file's graph, where it was looked at before. */
  readonly tables?: Tables;
  readonly prefix?: Sidecar['prefix'];
}

/** Pooling of sentence-transformers, by the file 1_Pooling/config.json. */
function sentencePooling(files: readonly InputFile[]): BareModel['sentencePooling'] {
  const pooling = parseJson(files, SENTENCE_POOLING);
  if (pooling.pooling_mode_cls_token === true) return 'first';
  if (pooling.pooling_mode_lasttoken === true) return 'last';
  return pooling.pooling_mode_mean_tokens === true ? 'mean' : null;
}

/** Families whose configurations tie the head unless they say otherwise. */
const TIED = /^(gpt2|gpt_neo|gptj|opt|bloom|gemma\w*|openai-gpt)$/;

/** A language model that was exported without its head, with the head that its configuration ties to the token table. */
function withTiedHead(source: Source, model: LoadedModel): LoadedModel {
  const { config } = source;
  const said = config.tie_word_embeddings;
  const table = model.contract.tokens;
  if (table === null || !(said === true || (said === undefined && TIED.test(model.family)))) return model;
  const onnx = addTiedHead(source.onnx, model.output, table.tensor);
  const note =
    said === true
      ? say`The file ends in hidden states (${model.output}); its scores are made with the token table, since config.json ties it to that.`
      : say`The file ends in hidden states (${model.output}); its scores are made with the token table, since the head of ${model.family} is tied to that.`;
  return describeModel({
    ...source,
    onnx,
    warnings: [...source.warnings, note],
    bare: source,
    ...withPrefix(source, model, decoderPrefix(model.family), ['lm_head']),
  });
}

/** A prefix for modules that are named as in the bare model, none for others. */
function withPrefix(
  source: Source,
  { modules }: Pick<LoadedModel, 'modules'>,
  prefix: string,
  except: readonly string[],
): Pick<Source, 'prefix'> {
  const isBare = modules.some(({ name }) =>
    /^(embeddings|encoder|transformer|wte|h\.\d|embed_tokens|layers\.\d|word_embeddings|embed_in|decoder\.)/.test(
      name,
    ),
  );
  const has =
    prefix === '' ||
    modules.some(({ name }) => name.startsWith(`${prefix}.`) && !/^transformer\.layer/.test(name));
  return isBare && !has ? { prefix: { prefix, except } } : source.prefix ? { prefix: source.prefix } : {};
}

/** Sizes at which a model is looked at. */
function probeSizes(
  { inputs }: ImportedModel,
  contract: Contract,
): readonly [batch: number, sequence: number] {
  const fixed = inputs.find(({ kind }) => kind === 'input_ids' || kind === 'pixel_values')?.dims[0];
  const most = leastLimit(contract.limits)?.tokens ?? PROBE_LENGTH;
  return [typeof fixed === 'number' ? fixed : 1, contract.exactly ?? Math.min(PROBE_LENGTH, most)];
}

const PROBE_LENGTH = 8;

/** Why a model's inputs cannot be fed, or null. */
function strangeInputs({ inputs }: ImportedModel): string | null {
  if (inputs.some(({ name }) => name === 'decoder_input_ids'))
    return say`reads one text and writes another (an encoder with a decoder)`;
  const unknown = inputs.filter(({ kind }) => kind === 'other').map(({ name }) => name);
  const towers =
    inputs.some(({ kind }) => kind === 'pixel_values') && inputs.some(({ kind }) => kind === 'input_ids');
  if (towers) return say`reads pictures and texts together`;
  if (unknown.length === 0) return null;
  const [names, known] = [unknown.join(', '), KNOWN_INPUTS.join(', ')];
  return unknown.length === 1
    ? say`has the input ${names}, of which neither name nor use in the graph says what to feed (known are ${known})`
    : say`has the inputs ${names}, of which neither name nor use in the graph says what to feed (known are ${known})`;
}

function imageOf({ inputs }: ImportedModel, { preprocessor, config }: Source): Preprocessing | null {
  const pixels = inputs.find((i) => i.kind === 'pixel_values');
  if (!pixels) return null;
  const [channels, height, width] = pixels.dims.slice(1).map((d) => (typeof d === 'number' ? d : null));
  return preprocessingOf(preprocessor, config, {
    channels: channels ?? (config.num_channels === 1 ? 1 : 3),
    height: height ?? null,
    width: width ?? null,
  });
}

function layersOf(modules: readonly ModuleInfo[]): ModelLayer[] {
  return modules.flatMap((m): ModelLayer[] =>
    isLayer(m.kind) && m.parameters.weight
      ? [
          {
            ...{ name: m.name, kind: m.kind, in: m.in, out: m.out },
            hasBias: m.parameters.bias !== undefined,
            ...kernelOf(m),
          },
        ]
      : [],
  );
}

/** Outputs that a new head could read. */
function bareOf(
  imported: ImportedModel,
  outputs: Readonly<Record<string, Value>>,
  gives: Gives,
  source: Source,
): BareModel {
  const byRank = (rank: number, wanted: RegExp) => {
    const found = Object.entries(outputs)
      .filter(([name, { shape }]) => shape.length === rank && (name === gives.output || wanted.test(name)))
      .map(([name, { shape }]) => ({ name, width: shape.at(-1)! }));
    return found.find(({ name }) => name === gives.output) ?? found[0] ?? null;
  };
  return {
    family: imported.family,
    reads: imported.inputs.some(({ kind }) => kind === 'pixel_values') ? 'picture' : 'text',
    hidden: byRank(3, /^last_hidden_state$|^token_embeddings$/),
    pooled: byRank(2, /pooler_output|sentence_embedding|image_embeds|text_embeds/),
    ids: imported.inputs.find(({ kind }) => kind === 'input_ids')?.name ?? null,
    mask: imported.inputs.find(({ kind }) => kind === 'attention_mask')?.name ?? null,
    decoder: imported.decoder,
    sentencePooling: source.sentencePooling,
  };
}

/** What a file turns out to be when its graph is built once. */
interface Inspection {
  readonly imported: ImportedModel;
  readonly tables: Tables;
  readonly contract: Contract;
  readonly image: Preprocessing | null;
  readonly gives: Gives;
  /** Why its inputs cannot be fed, or null. */
  readonly strange: string | null;
  /** The scored output among `outputs`, of `graph`. */
  readonly output: string;
  readonly outputs: Readonly<Record<string, Value>>;
  readonly graph: Graph;
  readonly build: LoadedModel['build'];
}

function inspectModel(source: Source): Inspection {
  const { onnx, config, precision } = source;
  const imported = importModel(onnx, { config, ...(source.prefix ? { prefix: source.prefix } : {}) });
  const tables = source.tables ?? imported.tables();
  const contract = contractOf(tables, imported.inputs, config);
  const image = imageOf(imported, source);
  const built = (batch: number, sequence: number, also: readonly string[] = []) => {
    const g = createBuilder();
    const dims = { batch, sequence, ...(image ? { height: image.height, width: image.width } : {}) };
    return { g, outputs: imported.build(g, dims, { precision, also }).outputs };
  };
  const { g, outputs } = built(...probeSizes(imported, contract));
  const strange = strangeInputs(imported);
  const gives: Gives = strange
    ? { task: 'other', orElse: [], output: imported.outputs[0]!, instead: strange }
    : whatItGives({
        outputs: Object.entries(outputs).map(([name, value]) => ({ name, value })),
        config,
        tokens: tables.tokens,
        decoder: imported.decoder,
        reads: image ? 'picture' : 'text',
      });
  const output = outputs[gives.output] ? gives.output : imported.outputs[0]!;
  const graph = g.finish({ logits: outputs[output]! });
  const build: LoadedModel['build'] = (batch, sequence, also) => {
    const made = built(batch, sequence, also);
    const logits =
      made.outputs[output] ?? fail('unsupported-onnx', say`The model has no output ${output} to train on.`);
    return { graph: made.g.finish({ logits }), logits };
  };
  return { imported, tables, contract, image, gives, strange, output, outputs, graph, build };
}

/** The classes that config.json names, where a whole input is scored by as many. */
function labelsOf({ id2label }: Source['config'], { shape }: Value): string[] | null {
  const names = id2label as Record<string, unknown> | undefined;
  const classes = shape.at(-1)!;
  if (shape.length !== 2 || !names || Object.keys(names).length !== classes) return null;
  return Array.from({ length: classes }, (_, i) => plainWords(names[i] ?? i));
}

function describeModel(source: Source): LoadedModel {
  const { onnx, config, precision, warnings } = source;
  const found = inspectModel(source);
  const { imported, gives, output, build } = found;
  const { modules, ties, inputs } = imported;
  const { task } = gives;
  const logits = found.outputs[output]!;
  const isBare = task.startsWith('bare-');
  const head = isBare ? null : endOf(logits).module;
  const parameters = parametersOf(found.graph, modules);
  const again = { ...source, tables: found.tables };
  const model: LoadedModel = {
    onnx,
    family: imported.family,
    task,
    orElse: gives.orElse,
    instead: found.strange ?? (gives.instead === '' ? '' : say`gives ${gives.instead}`),
    contract: found.contract,
    inputs,
    feeds: Object.fromEntries(
      inputs.filter(({ name, feed }) => feed !== name).map(({ name, feed }) => [name, feed]),
    ),
    modules,
    ties,
    parameters,
    targets: {
      layers: layersOf(modules),
      others: modules
        .filter((m) => !isLayer(m.kind) || !m.parameters.weight)
        .map(({ name, kind }) => ({ name, isNorm: kind === 'layernorm' })),
      ties,
      outputEmbedding: task === 'causal-lm' || task === 'masked-lm' ? head : null,
      modelType: typeof config.model_type === 'string' ? config.model_type : null,
    },
    labels: isBare ? null : labelsOf(config, logits),
    image: found.image,
    output,
    head,
    scores: logits.shape.at(-1)!,
    fresh: source.fresh,
    takesHead: isBare || source.bare !== undefined,
    ownHead: source.ownHead ?? null,
    config,
    precision,
    separate: source.separate,
    activationsQuantised: imported.activationsQuantised,
    warnings: [...warnings, ...imported.notes, ...roundingNotes(precision, parameters)],
    build,
    at: (other) => describeModel({ ...again, precision: other }),
    withWeights: (weights) => withWeights(again, model, weights),
    withClasses(wanted, seed, { byToken = false, anew = false, padId } = {}) {
      if (anew && source.bare)
        return describeModel({ ...source.bare, precision }).withClasses(wanted, seed, {
          byToken,
          ...(padId === undefined ? {} : { padId }),
        });
      if (!isBare && !anew) return withScores(again, model, wanted, seed);
      return withNewHead(again, model, bareOf(imported, found.outputs, gives, source), wanted, {
        seed,
        byToken,
        padId: padId ?? (numberFrom(config.pad_token_id) || 0),
      });
    },
  };
  return model;
}

/** The model with other numbers in some parameters and in those that are tied to them. */
function withWeights(
  source: Source,
  { onnx, modules, ties }: LoadedModel,
  weights: ReadonlyMap<string, Float32Array>,
): LoadedModel {
  const all = new Map(
    [...weights].flatMap(([name, data]) =>
      (ties.find((tie) => tie.includes(name)) ?? [name]).map((one) => [one, data] as const),
    ),
  );
  const changed = mergeWeights(onnx, modules, all, { quantised: 'float' }).onnx;
  return describeModel({ ...source, onnx: changed });
}

/** A classifier for these classes: itself, or with a new last layer. */
function withScores(
  source: Source,
  model: LoadedModel,
  wanted: readonly string[],
  seed: number,
): LoadedModel {
  const { labels, scores: classes, head } = model;
  if (wanted.length === classes && hasClasses(labels, wanted)) return model;
  const last = model.modules.find(({ name }) => name === head);
  if (!last)
    return fail(
      'unsupported-onnx',
      say`The model gives ${classes} classes but the data has ${wanted.length}, and its last layer was not recognised; export it with a linear classifier.`,
    );
  const note =
    wanted.length === classes
      ? say`${last.name} is new: the classes ${few(wanted)} instead of ${few(labels!)}, starting at random.`
      : say`${last.name} is new: ${wanted.length} classes instead of ${classes}, starting at random.`;
  return describeModel({
    ...source,
    onnx: resizeHead(source.onnx, last, model.output, wanted.length, seed),
    config: { ...source.config, id2label: named(wanted) },
    warnings: [...source.warnings, note],
    fresh: [head!],
  });
}

/** What Hugging Face calls classes that nobody named. */
const UNNAMED = /^LABEL_\d+$/;

/** Whether a head for as many classes is for these: they are the model's own, it names none, or numbers only count them. */
const hasClasses = (own: readonly string[] | null, wanted: readonly string[]): boolean =>
  own === null ||
  own.every((label) => UNNAMED.test(label)) ||
  wanted.every((label, i) => label === own[i]) ||
  wanted.every((label, i) => label === String(i));

const few = (names: readonly string[]): string =>
  `${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`;

const named = (labels: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(labels.map((label, i) => [i, label]));

/** The model with a head of its family's kind behind its hidden states. */
function withNewHead(
  source: Source,
  model: LoadedModel,
  bare: BareModel,
  labels: readonly string[],
  { byToken, ...start }: { readonly seed: number; readonly byToken: boolean; readonly padId: number },
): LoadedModel {
  const recipe = headRecipe(bare, byToken ? 'tokens' : 'whole');
  const fresh = headModules(recipe);
  const onnx = addHead(source.onnx, bare, recipe, labels.length, start);
  const scores = labels.length === 1 ? say`one number` : say`${labels.length} classes`;
  const note = say`The file gives hidden states (${model.output}) and no scores, so it gets a new head for ${scores}: ${describeHead(recipe, bare)}. It starts at random.`;
  return describeModel({
    ...source,
    onnx,
    config: {
      ...source.config,
      id2label: named(labels),
      ...(recipe.architecture ? { architectures: [recipe.architecture] } : {}),
      // transformers finds the last token by it.
      ...(recipe.pooling === 'last' ? { pad_token_id: start.padId } : {}),
    },
    warnings: [...source.warnings, note],
    fresh,
    ownHead: recipe.architecture === null ? describeHead(recipe, bare) : null,
    ...withPrefix(source, model, recipe.prefix, fresh),
  });
}

/** Every weight that the graph reads, as the float matrix or vector that it stands for. */
function parametersOf(graph: Graph, modules: readonly ModuleInfo[]): ModelParameter[] {
  const kept = new Map(
    modules.flatMap((m) =>
      Object.values(m.parameters).map((p) => [p.value, p.quant ?? p.tensor.dtype] as const),
    ),
  );
  const known = new Map<string, Value>();
  for (const v of graph.nodes.flatMap((node) => node.inputs)) {
    const stored = v.dtype === 'f32' ? storedParameter(v) : null;
    if (stored) known.set(stored.name, v);
  }
  return [...known].map(([name, v]) => ({
    name,
    shape: v.shape,
    load: () => storedNumbers(v),
    emit: (g) => emitStored(g, v),
    rounded:
      storedParameter(v) !== v &&
      (kept.get(name) === 'float32' ||
        kept.get(name) === 'double' ||
        (kept.get(name) === 'float16' && storedParameter(v)!.dtype === 'u32')),
  }));
}

/** What rounding while loading means for the merged file. */
function roundingNotes(precision: Precision, parameters: readonly ModelParameter[]): string[] {
  const count = parameters.filter((p) => p.rounded).length;
  if (count === 0) return [];
  return [
    precision === 'q4'
      ? say`${count} weights were rounded to 4 bits (look-up tables to f16) while loading; a merged file holds them rounded, in its own type, as the adapter was trained on them.`
      : say`${count} weights were rounded to f16 while loading; a merged file holds them rounded, in its own type, as the adapter was trained on them.`,
  ];
}
