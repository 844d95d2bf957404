/**
 * Gives a model that ends in hidden states a new, random head: further nodes in the ONNX model itself, named and pooled as transformers
 * does in the family's *ForSequenceClassification, *ForTokenClassification or *ForImageClassification.
 */

import { GraphProtoSchema, ModelProtoSchema } from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import { type Rng, rng } from '../lib/rng.ts';
import { listOf, say } from '../lib/say.ts';
import { type AttributeInput, nodeProto } from '../onnx/build.ts';
import { extendGraph, freeName, freeNames } from '../onnx/edit.ts';
import { valueInfoProto, withFields } from '../onnx/proto.ts';
import { type Route, readersOf, reroute } from '../onnx/readers.ts';
import { int64Tensor, makeTensor } from '../onnx/tensor.ts';
import { DTYPES, type OnnxDType, type OnnxModel, type OnnxTensor } from '../onnx/types.ts';
import { viewModel } from '../onnx/view.ts';
import type { ModuleInfo, ParamOrigin } from './import/modules.ts';
import { toFloat } from './mergeFloat.ts';

/** Standard deviation of Hugging Face's new heads (`initializer_range`). */
const INIT_STD = 0.02;

/** How a whole input becomes one vector. */
export type Pooling =
  | 'output'
  /** The first token's hidden state. */
  | 'first'
  /** The last token that is not the padding id: of decoders, where it alone has seen the whole text. */
  | 'last'
  /** The mean over the tokens that the mask counts. */
  | 'mean'
  /** The mean over all patches but the first token. */
  | 'patches'
  /** The first token beside the mean of the patches. */
  | 'first and patches'
  /** None: each token keeps its own. */
  | 'tokens';

interface Dense {
  readonly name: string;
  readonly activation: 'Tanh' | 'Relu' | 'Gelu';
}

/** A head, from hidden states to scores. */
export interface HeadRecipe {
  readonly pooling: Pooling;
  /** A layer as wide as the model before the last one. */
  readonly dense: Dense | null;
  /** The module that gives the scores. */
  readonly last: string;
  readonly hasBias: boolean;
  /** Module names of the bare model get this before them in the model with a head. */
  readonly prefix: string;
  /** transformers' class with this head, or null where there is none. */
  readonly architecture: string | null;
}

interface Family {
  /** Of transformers' classes, before For…. */
  readonly className: string;
  readonly prefix: string;
  readonly text?: Pick<HeadRecipe, 'dense' | 'last'> & { readonly pools?: 'output first' };
  /** Of decoders: the module in …ForTokenClassification; null where transformers has no such class. */
  readonly tags?: string | null;
  readonly picture?: Pooling;
}

/** A decoder whose …ForSequenceClassification has the module `score`. */
const scored = (className: string, prefix: string, tags: string | null): Family => ({
  className,
  prefix,
  tags,
});

const outProjected = (activation: Dense['activation']) => ({
  dense: { name: 'classifier.dense', activation },
  last: 'classifier.out_proj',
});

/** transformers' modeling files, by model_type. */
const FAMILIES: Readonly<Record<string, Family>> = {
  bert: {
    className: 'Bert',
    prefix: 'bert',
    text: {
      dense: { name: 'bert.pooler.dense', activation: 'Tanh' },
      last: 'classifier',
      pools: 'output first',
    },
  },
  albert: {
    className: 'Albert',
    prefix: 'albert',
    text: {
      dense: { name: 'albert.pooler', activation: 'Tanh' },
      last: 'classifier',
      pools: 'output first',
    },
  },
  distilbert: {
    className: 'DistilBert',
    prefix: 'distilbert',
    text: { dense: { name: 'pre_classifier', activation: 'Relu' }, last: 'classifier' },
  },
  roberta: { className: 'Roberta', prefix: 'roberta', text: outProjected('Tanh') },
  'xlm-roberta': { className: 'XLMRoberta', prefix: 'roberta', text: outProjected('Tanh') },
  camembert: { className: 'Camembert', prefix: 'roberta', text: outProjected('Tanh') },
  mpnet: { className: 'MPNet', prefix: 'mpnet', text: outProjected('Tanh') },
  electra: { className: 'Electra', prefix: 'electra', text: outProjected('Gelu') },
  deberta: {
    className: 'Deberta',
    prefix: 'deberta',
    text: { dense: { name: 'pooler.dense', activation: 'Gelu' }, last: 'classifier' },
  },
  'deberta-v2': {
    className: 'DebertaV2',
    prefix: 'deberta',
    text: { dense: { name: 'pooler.dense', activation: 'Gelu' }, last: 'classifier' },
  },
  gpt2: scored('GPT2', 'transformer', 'classifier'),
  gpt_neo: scored('GPTNeo', 'transformer', 'classifier'),
  gptj: scored('GPTJ', 'transformer', null),
  gpt_neox: scored('GPTNeoX', 'gpt_neox', 'classifier'),
  bloom: scored('Bloom', 'transformer', 'classifier'),
  falcon: scored('Falcon', 'transformer', 'classifier'),
  opt: scored('OPT', 'model', null),
  llama: scored('Llama', 'model', 'score'),
  mistral: scored('Mistral', 'model', 'score'),
  qwen2: scored('Qwen2', 'model', 'score'),
  qwen3: scored('Qwen3', 'model', 'score'),
  gemma: scored('Gemma', 'model', 'score'),
  gemma2: scored('Gemma2', 'model', 'score'),
  phi: scored('Phi', 'model', 'score'),
  phi3: scored('Phi3', 'model', 'score'),
  vit: { className: 'ViT', prefix: 'vit', picture: 'first' },
  deit: { className: 'DeiT', prefix: 'deit', picture: 'first' },
  dinov2: { className: 'Dinov2', prefix: 'dinov2', picture: 'first and patches' },
  clip: { className: 'CLIP', prefix: '', picture: 'patches' },
  clip_vision_model: { className: 'CLIP', prefix: '', picture: 'patches' },
};

/** What the names of a decoder's modules begin with in its classes with a head; empty where the family is not known. */
export const decoderPrefix = (family: string): string => FAMILIES[family]?.prefix ?? '';

export interface BareModel {
  readonly family: string;
  readonly reads: 'text' | 'picture';
  /** Names of outputs of hidden states [batch, tokens, width] and of one vector [batch, width], with their widths. */
  readonly hidden: { readonly name: string; readonly width: number } | null;
  readonly pooled: { readonly name: string; readonly width: number } | null;
  /** The file's names for the token ids and the attention mask. */
  readonly ids: string | null;
  readonly mask: string | null;
  /** Each token sees earlier ones only, so that no single one but the last stands for all. */
  readonly decoder: boolean;
  /** What sentence-transformers' 1_Pooling/config.json says. */
  readonly sentencePooling: 'mean' | 'first' | 'last' | null;
}

/**
 * The head that a task asks for.
 * @throws PapilioError 'unsupported-onnx' where the file gives nothing that such a head could read
 */
export function headRecipe(bare: BareModel, task: 'whole' | 'tokens'): HeadRecipe {
  const family: Family | undefined = FAMILIES[bare.family];
  const prefix = family?.prefix ?? '';
  const plain = { dense: null, last: 'classifier', hasBias: true, prefix };
  const named = (what: string): string | null => (family ? `${family.className}For${what}` : null);
  if (task === 'tokens') {
    if (bare.hidden && bare.reads === 'text')
      return {
        ...{ ...plain, last: family?.tags ?? 'classifier', pooling: 'tokens' },
        architecture: family?.tags === null ? null : named('TokenClassification'),
      };
    return fail(
      'unsupported-onnx',
      say`The file gives one vector for a whole text, so its words cannot be told apart; export it with last_hidden_state.`,
    );
  }
  if (bare.reads === 'picture') {
    if (bare.hidden && family?.picture)
      return { ...plain, pooling: family.picture, architecture: named('ImageClassification') };
    const pooling = bare.pooled ? 'output' : 'mean';
    return { ...plain, pooling, architecture: null };
  }
  const pools = bare.sentencePooling;
  if (pools && pools !== 'last' && bare.hidden) return { ...plain, pooling: pools, architecture: null };
  if (bare.decoder && bare.pooled) return { ...plain, pooling: 'output', architecture: null };
  if ((bare.decoder || pools === 'last') && bare.hidden && bare.ids)
    return {
      ...{ ...plain, pooling: 'last', last: 'score', hasBias: false },
      architecture: bare.decoder && family?.tags !== undefined ? named('SequenceClassification') : null,
    };
  const own = family?.text;
  if (own && bare.pooled && (own.pools || !bare.hidden))
    return { ...plain, pooling: 'output', architecture: own.pools ? named('SequenceClassification') : null };
  if (own && bare.hidden)
    return {
      ...{ ...plain, pooling: 'first', dense: own.dense, last: own.last },
      architecture: named('SequenceClassification'),
    };
  if (bare.pooled) return { ...plain, pooling: 'output', architecture: null };
  return { ...plain, pooling: 'mean', architecture: null };
}

/** The modules of a head, all of them new. */
export const headModules = ({ dense, last }: HeadRecipe): string[] => [...(dense ? [dense.name] : []), last];

/** The recipe in words, for the one line that reports it. */
export function describeHead(recipe: HeadRecipe, { pooled }: BareModel): string {
  const from: Readonly<Record<Pooling, string>> = {
    output: pooled ? say`the file's ${pooled.name}` : say`the file's pooled output`,
    first: say`the first token`,
    last: say`the last token that is no padding`,
    mean: say`the mean over the tokens`,
    patches: say`the mean over the patches`,
    'first and patches': say`the first token and the mean over the patches`,
    tokens: say`each token`,
  };
  return say`${listOf(headModules(recipe))} on ${from[recipe.pooling]}`;
}

/** Collects nodes and tensors behind a model. */
function extension(model: OnnxModel, dtype: OnnxDType) {
  const nodes: ReturnType<typeof nodeProto>[] = [];
  const tensors: OnnxTensor[] = [];
  let count = 0;
  const fresh = (what: string): string => freeName(model, `papilio_head_${what}_${count++}`);
  const tensor = (t: OnnxTensor): string => {
    tensors.push(t);
    return t.name;
  };
  const op = (
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeInput>> = {},
    output = fresh(opType),
    module = '',
  ): string => {
    const metadata = module === '' ? {} : { 'pkg.torch.onnx.name_scopes': `['', '${module}', 'linear']` };
    nodes.push(
      nodeProto({ opType, inputs, outputs: [output], attributes, name: fresh(`${opType}_node`), metadata }),
    );
    return output;
  };
  const ints = (values: readonly number[], dims?: readonly number[]) =>
    tensor(int64Tensor(fresh('shape'), values, dims));
  const scalar = (value: number) => tensor(makeTensor(fresh('number'), dtype, [], [value]));
  return { nodes, tensors, op, ints, scalar, tensor };
}

type Extension = ReturnType<typeof extension>;

/** Axes are an attribute before opset 18 (ReduceMean) and an input from it on. */
function meanOver({ op, ints }: Extension, x: string, opset: number): string {
  return opset >= 18
    ? op('ReduceMean', [x, ints([1])], { keepdims: 0 })
    : op('ReduceMean', [x], { axes: [1], keepdims: 0 });
}

/** [batch, tokens, width] → [batch, width], over the tokens whose mask is 1: a product with the mask, divided by the mask's own. */
function maskedMean({ op, ints }: Extension, hidden: string, mask: string, dtype: OnnxDType): string {
  const row = op('Reshape', [op('Cast', [mask], { to: DTYPES[dtype].code }), ints([0, 1, -1])]);
  const sum = op('Reshape', [op('MatMul', [row, hidden]), ints([0, -1])]);
  const counted = op('MatMul', [row, op('Reshape', [row, ints([0, -1, 1])])]);
  return op('Div', [sum, op('Reshape', [counted, ints([0, 1])])]);
}

/**
 * [batch, tokens, width] → [batch, width], each row's last token whose id is not the padding's, as transformers looks for it: a product
 * with a row of noughts and a one.
 */
function lastOf({ op, ints }: Extension, hidden: string, ids: string, at: HeadPlace): string {
  const float = DTYPES.float32.code;
  const id = op('Cast', [ids], { to: DTYPES.int64.code });
  const counts = op('Cast', [op('Not', [op('Equal', [id, ints([at.padId], [])])])], { to: float });
  const length = op('Gather', [op('Shape', [ids]), ints([1], [])], { axis: 0 });
  const places = op('Cast', [op('Range', [ints([0], []), length, ints([1], [])])], { to: float });
  const placed = op('Mul', [counts, places]);
  const last =
    at.opset >= 18
      ? op('ReduceMax', [placed, ints([1])], { keepdims: 1 })
      : op('ReduceMax', [placed], { axes: [1], keepdims: 1 });
  const row = op('Cast', [op('Equal', [places, last])], { to: DTYPES[at.dtype].code });
  return op('Reshape', [op('MatMul', [op('Reshape', [row, ints([0, 1, -1])]), hidden]), ints([0, -1])]);
}

/** Everything but the first token. */
const withoutFirst = ({ op, ints }: Extension, x: string): string =>
  op('Slice', [x, ints([1]), ints([2 ** 31 - 1]), ints([1])]);

const firstOf = ({ op, ints }: Extension, x: string): string => op('Gather', [x, ints([0], [])], { axis: 1 });

interface HeadPlace {
  readonly opset: number;
  readonly dtype: OnnxDType;
  readonly padId: number;
}

function pool(e: Extension, recipe: HeadRecipe, bare: BareModel, at: HeadPlace): string {
  const hidden = bare.hidden?.name ?? '';
  switch (recipe.pooling) {
    case 'output':
      return bare.pooled!.name;
    case 'tokens':
      return hidden;
    case 'first':
      return firstOf(e, hidden);
    case 'last':
      return lastOf(e, hidden, bare.ids!, at);
    case 'mean':
      return bare.mask && bare.reads === 'text'
        ? maskedMean(e, hidden, bare.mask, at.dtype)
        : meanOver(e, hidden, at.opset);
    case 'patches':
      return meanOver(e, withoutFirst(e, hidden), at.opset);
    default:
      return e.op('Concat', [firstOf(e, hidden), meanOver(e, withoutFirst(e, hidden), at.opset)], {
        axis: 1,
      });
  }
}

interface NewLinear {
  readonly name: string;
  readonly in: number;
  readonly out: number;
  readonly hasBias: boolean;
}

/** A layer of random weights [out, in] on rows [batch, in], or on every token [batch, tokens, in]. */
function linear(
  e: Extension,
  x: string,
  layer: NewLinear,
  how: { readonly random: Rng; readonly dtype: OnnxDType; readonly byToken: boolean },
  output?: string,
): string {
  const { random, dtype } = how;
  const values = Float32Array.from({ length: layer.in * layer.out }, () => INIT_STD * random.normal());
  const weight = e.tensor(makeTensor(`${layer.name}.weight`, dtype, [layer.out, layer.in], values));
  const bias = layer.hasBias
    ? [e.tensor(makeTensor(`${layer.name}.bias`, dtype, [layer.out], new Float32Array(layer.out)))]
    : [];
  if (!how.byToken) return e.op('Gemm', [x, weight, ...bias], { transB: 1 }, output);
  const product = e.op('MatMul', [x, e.op('Transpose', [weight], { perm: [1, 0] })]);
  return e.op('Add', [product, ...bias], {}, output);
}

/** x · ½ (1 + erf(x / √2)). */
function gelu({ op, scalar }: Extension, x: string): string {
  const half = op('Mul', [x, scalar(0.5)]);
  return op('Mul', [half, op('Add', [op('Erf', [op('Div', [x, scalar(Math.SQRT2)])]), scalar(1)])]);
}

/**
 * The model with a head behind its hidden states; its one output is `logits`, [batch, classes] or [batch, sequence, classes].
 * @param start.padId what fills up short texts
 * @throws PapilioError 'unsupported-onnx' for a model whose names or types leave no place for one
 */
export function addHead(
  model: OnnxModel,
  bare: BareModel,
  recipe: HeadRecipe,
  classes: number,
  start: { readonly seed: number; readonly padId: number },
): OnnxModel {
  const { seed, padId } = start;
  const from = recipe.pooling === 'output' ? bare.pooled! : bare.hidden!;
  const declared = model.graph.outputs.find(({ name }) => name === from.name);
  const dtype = declared?.dtype ?? 'float32';
  const e = extension(model, dtype);
  const width = recipe.pooling === 'first and patches' ? 2 * from.width : from.width;
  const how = { random: rng(seed, 0x4ead), dtype, byToken: recipe.pooling === 'tokens' };
  let x = pool(e, recipe, bare, { opset: model.opset, dtype, padId });
  if (recipe.dense) {
    const { name, activation } = recipe.dense;
    const y = linear(e, x, { name, in: width, out: width, hasBias: true }, how);
    x = activation === 'Gelu' ? gelu(e, y) : e.op(activation, [y]);
  }
  const { last, hasBias } = recipe;
  linear(e, x, { name: last, in: width, out: classes, hasBias }, how, 'logits');
  const [batch = null, tokens = null] = declared?.dims ?? [];
  const dims = how.byToken ? [batch, tokens, classes] : [batch, classes];
  return finished(model, e, valueInfoProto('logits', DTYPES[dtype].code, dims));
}

function finished(model: OnnxModel, e: Extension, logits: ReturnType<typeof valueInfoProto>): OnnxModel {
  const { proto, initializers } = model.graph;
  const taken = e.tensors.find(({ name }) => initializers.has(name));
  if (taken || proto.node.some(({ output }) => output.includes('logits')))
    fail(
      'unsupported-onnx',
      say`The file already has a value called ${taken?.name ?? 'logits'}, so it cannot be given a new head; export it under other names.`,
    );
  return extendGraph(model, e.nodes, e.tensors, [logits]);
}

/**
 * A decoder that ends in hidden states, with the head that config.json ties to its token table: scores [batch, sequence, rows].
 * @param table name of the file's tensor of token embeddings, [rows, width]
 * @throws PapilioError 'unsupported-onnx' where the table is no float tensor of the file
 */
export function addTiedHead(model: OnnxModel, hidden: string, table: string): OnnxModel {
  const tensor = model.graph.initializers.get(table);
  const declared = model.graph.outputs.find(({ name }) => name === hidden);
  if (!tensor || (tensor.dtype !== 'float32' && tensor.dtype !== 'float16') || tensor.dims.length !== 2)
    return fail(
      'unsupported-onnx',
      say`The file ends in hidden states, and its token table is kept in codes, so the tied head cannot be made of it; export the model with its language-model head.`,
    );
  const e = extension(model, tensor.dtype);
  const turned = e.op('Transpose', [table], { perm: [1, 0] });
  e.op('MatMul', [hidden, turned], {}, 'logits', 'lm_head');
  const [batch = null, tokens = null] = declared?.dims ?? [];
  return finished(
    model,
    e,
    valueInfoProto('logits', DTYPES[tensor.dtype].code, [batch, tokens, tensor.dims[0]!]),
  );
}

// Gives a classifier another number of classes: a new last layer in the ONNX model itself, so that all else stays as it is.

/**
 * @param head the layer that gives the logits
 * @param output name of the logits among the model's outputs
 */
export function resizeHead(
  file: OnnxModel,
  head: ModuleInfo,
  output: string,
  classes: number,
  seed: number,
): OnnxModel {
  const { weight, bias } = head.parameters;
  if (!weight || (head.kind !== 'linear' && head.kind !== 'conv1d')) {
    return fail(
      'unsupported-onnx',
      say`The classifier ${head.name} is no linear layer, so it cannot be given ${classes} classes.`,
    );
  }
  const random = rng(seed, 0x4ead);
  const dims = weight.transposed ? [head.in, classes] : [classes, head.in];
  const values = Float32Array.from({ length: classes * head.in }, () => INIT_STD * random.normal());
  const replaced = new Map<string, OnnxTensor>();
  const routes: Route[] = [];
  const readers = readersOf(file.graph);
  const freeName = freeNames(file);
  let onnx = file;
  const replace = (name: string, origin: ParamOrigin, shape: readonly number[], data: Float32Array): void => {
    // What was kept in codes is new and small, so it becomes float.
    if (origin.quant) onnx = toFloat(onnx, { ...origin.quant, shape }, data, `${head.name}.${name}`).onnx;
    // What other modules read as well stays theirs.
    else if ((readers.of.get(origin.initializer) ?? []).length > origin.readings.length) {
      const tensor = makeTensor(freeName(`${head.name}.${name}`), origin.tensor.dtype, shape, data);
      routes.push({ places: origin.readings, tensor });
    } else replaced.set(origin.initializer, makeTensor(origin.initializer, origin.tensor.dtype, shape, data));
  };
  replace('weight', weight, dims, values);
  if (bias) replace('bias', bias, [classes], new Float32Array(classes));
  onnx = reroute(onnx, routes);
  const { proto } = onnx.graph;
  const missing = [...replaced.keys()].find((name) => !onnx.graph.initializers.has(name));
  if (missing)
    fail(
      'unsupported-onnx',
      say`The classifier's weight ${missing} is no initialiser, so it cannot be given ${classes} classes.`,
    );
  // Shapes noted along the way end in the old number of classes; they are hints, and onnxruntime infers them anew.
  const old = head.out;
  const stale = new Set(
    [...onnx.graph.valueInfo.values()].filter((v) => v.dims?.at(-1) === old).map((v) => v.name),
  );
  const graph = withFields(GraphProtoSchema, proto, {
    initializer: proto.initializer.map((t) => replaced.get(t.name)?.proto ?? t),
    valueInfo: proto.valueInfo.filter((v) => !stale.has(v.name)),
    output: proto.output.map((o) => {
      const type = o.name === output ? onnx.graph.outputs.find((v) => v.name === output) : undefined;
      const elemType = o.type?.value.case === 'tensorType' ? o.type.value.value.elemType : undefined;
      if (!type?.dims || elemType === undefined) return o;
      return valueInfoProto(o.name, elemType, [...type.dims.slice(0, -1), classes]);
    }),
  });
  return viewModel(withFields(ModelProtoSchema, onnx.proto, { graph }), onnx.external);
}
