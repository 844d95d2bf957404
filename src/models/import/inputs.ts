/** What the graph inputs of a model are, which sizes they take, and what they hold when nobody feeds them. */
import type { DType } from '../../graph/types.ts';
import { fail } from '../../lib/errors.ts';
import { greatest } from '../../lib/numbers.ts';
import { say } from '../../lib/say.ts';
import {
  type Dim,
  isFloat,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  type ValueInfo,
} from '../../onnx/types.ts';
import { allocate, atPlace } from './importBudget.ts';
import { type IrValue, type Known, knownValue, makeValue } from './ir.ts';

export interface InputSpec {
  readonly name: string;
  /** The name that batches give it, and the built graph's input has. */
  readonly feed: string;
  readonly kind: InputKind;
  readonly dtype: DType;
  /** As the file declares them: sizes, symbols, or null. */
  readonly dims: readonly Dim[];
}

/** Sizes of one build. Symbols of the file may be given by name too. */
export interface BuildDims {
  readonly batch: number;
  /** Tokens per example. */
  readonly sequence?: number;
  /** Tokens already in the cache; 0 unless given. */
  readonly past?: number;
  readonly height?: number;
  readonly width?: number;
  readonly [symbol: string]: number | undefined;
}

/** @throws PapilioError 'unsupported-onnx' for inputs that no batch can be fed into */
export function inputSpecs(graph: OnnxGraph, config: Readonly<Record<string, unknown>> = {}): InputSpec[] {
  const states = graph.inputs.filter(({ name }) => /^past_(conv|ssm|recurrent)/.test(name));
  if (states.length > 0) {
    fail(
      'unsupported-onnx',
      say`The model keeps states of convolutions or recurrences (${states[0]!.name}), and Papilio trains only transformers whose cache is keys and values; pick a model without such layers.`,
    );
  }
  const kinds = inputKinds(graph, config);
  const feeds = feedNames(kinds);
  return graph.inputs.map((v) => {
    if (v.dtype === null || v.dims === null) {
      fail(
        'unsupported-onnx',
        say`Input ${v.name} is not a tensor of known rank; export the model with its input shapes.`,
      );
    }
    return {
      name: v.name,
      feed: feeds.get(v.name)!,
      kind: kinds.get(v.name)!,
      dtype: isFloat(v.dtype) ? 'f32' : 'i32',
      dims: v.dims,
    };
  });
}

/**
 * Inputs that stay inputs unless the caller says otherwise: what differs between examples. A decoder's tokens have no padding before
 * them, so that its mask is full; what an encoder before it reads may have.
 */
export function defaultData(specs: readonly InputSpec[], decoder: boolean): string[] {
  const both = specs.some(({ name }) => /^decoder_input_ids$|^encoder_hidden_states$/.test(name));
  const full = ({ name }: InputSpec): boolean => decoder && !(both && !name.startsWith('decoder_'));
  return specs
    .filter(
      (spec) =>
        spec.kind === 'input_ids' ||
        spec.kind === 'pixel_values' ||
        spec.kind === 'other' ||
        (spec.kind === 'attention_mask' && !full(spec)),
    )
    .map(({ name }) => name);
}

/** Numbers of config.json that inputs may be sized by. */
export interface SizeHints {
  readonly channels?: number;
  readonly imageSize?: number;
  readonly kvHeads?: number;
  readonly headDim?: number;
}

/** `past_sequence_length + 1` and the like. */
function isPastAndMore(size: string): boolean {
  const past = size.search(/past/i);
  return past >= 0 && size.includes('+', past);
}

function sizeOfDim(
  spec: InputSpec,
  axis: number,
  dims: BuildDims,
  hints: SizeHints,
  cached: boolean,
): number {
  const declared = spec.dims[axis]!;
  if (typeof declared === 'number') return declared;
  const named = declared !== null && Object.hasOwn(dims, declared) ? dims[declared] : undefined;
  if (named !== undefined) return named;
  const past = dims.past ?? 0;
  const sequence = (): number =>
    dims.sequence ?? fail('bad-argument', say`Input ${spec.name} needs a sequence length; give sequence.`);
  const byKind = (): number | undefined => {
    // onnxruntime's GPT-2 keeps keys and values in one tensor [2, B, heads, past, D].
    const pair = spec.kind === 'past' && spec.dims.length === 5;
    if (pair) return [2, dims.batch, hints.kvHeads, past, hints.headDim][axis];
    if (axis === 0 && spec.kind !== 'flag') return dims.batch;
    switch (spec.kind) {
      case 'input_ids':
      case 'token_type_ids':
      case 'position_ids':
        return axis === 1 ? sequence() : undefined;
      case 'attention_mask':
        return axis === 1 ? sequence() + (cached ? past : 0) : undefined;
      case 'pixel_values':
        return [dims.batch, hints.channels, dims.height ?? hints.imageSize, dims.width ?? hints.imageSize][
          axis
        ];
      case 'past':
        return [dims.batch, hints.kvHeads, past, hints.headDim][axis];
      default:
        return undefined;
    }
  };
  const byName = (): number | undefined => {
    if (declared === null) return undefined;
    if (/batch/i.test(declared)) return dims.batch;
    if (/total/i.test(declared) || isPastAndMore(declared)) return past + sequence();
    if (/past/i.test(declared)) return past;
    if (/seq|len/i.test(declared)) return sequence();
    return undefined;
  };
  return (
    byKind() ??
    byName() ??
    fail(
      'bad-argument',
      say`Input ${spec.name} has the free dimension ${declared ?? axis}; its size is not known. Give it by name.`,
    )
  );
}

/** What an input holds when it is no data: a full mask, positions in order, segment 0, an empty cache. */
function usual(spec: InputSpec, info: ValueInfo, shape: readonly number[], past: number): Known {
  const dtype = info.dtype!;
  const data = allocate(dtype, shape);
  if (spec.kind === 'attention_mask') data.fill(1);
  if (spec.kind === 'position_ids') {
    const row = shape.at(-1) ?? 1;
    for (let i = 0; i < data.length; i++) data[i] = past + (i % row);
  }
  return { dtype, shape, data };
}

/**
 * A folded value for every graph input.
 * @param data names of the inputs that stay inputs
 * @param fixed contents for others, in place of the usual ones
 */
export function bindInputs(
  graph: OnnxGraph,
  specs: readonly InputSpec[],
  dims: BuildDims,
  hints: SizeHints,
  data: ReadonlySet<string>,
  fixed: ReadonlyMap<string, ArrayLike<number>> = new Map(),
): Map<string, IrValue> {
  const cached = specs.some(({ kind }) => kind === 'past');
  const bindings = new Map<string, IrValue>();
  const bind = (spec: InputSpec, i: number): void => {
    const info = graph.inputs[i]!;
    const shape = spec.dims.map((_, axis) => sizeOfDim(spec, axis, dims, hints, cached));
    if (
      typeof spec.dims[0] === 'number' &&
      spec.kind !== 'flag' &&
      spec.kind !== 'past' &&
      shape[0] !== dims.batch
    ) {
      fail(
        'shape',
        say`The file fixes the first dimension of ${spec.name} at ${shape[0]!}, so a batch of ${dims.batch} cannot run; use that batch size.`,
      );
    }
    const dtype = info.dtype!;
    const contents = fixed.get(spec.name);
    if (data.has(spec.name)) bindings.set(spec.name, makeValue(spec.feed, dtype, shape, { input: true }));
    else if (contents) {
      const data = allocate(dtype, shape);
      data.set(contents);
      bindings.set(spec.name, knownValue(spec.name, { dtype, shape, data }));
    } else bindings.set(spec.name, knownValue(spec.name, usual(spec, info, shape, dims.past ?? 0)));
  };
  specs.forEach((spec, i) => {
    atPlace(`Input ${spec.name}`, () => bind(spec, i));
  });
  return bindings;
}

// What an input of the file is for, where its name does not say so: found in the graph, by what reads it. Exports without input names
// call their inputs `input.1`, `onnx::Gather_0` or `x`.

export type InputKind =
  | 'input_ids'
  | 'attention_mask'
  | 'token_type_ids'
  | 'position_ids'
  | 'pixel_values'
  | 'past'
  | 'flag'
  | 'other';

/** The names that Hugging Face's exports give their inputs; batches and feeds use the same ones. */
export const KNOWN_INPUTS = [
  'input_ids',
  'attention_mask',
  'token_type_ids',
  'position_ids',
  'pixel_values',
] as const;

/** What a name says. */
function kindByName(name: string): InputKind {
  if (/(^|\.|_)input_ids$/.test(name)) return 'input_ids';
  if (/attention_mask$/.test(name)) return 'attention_mask';
  if (/(token_type|segment)_ids$/.test(name)) return 'token_type_ids';
  if (/position_ids$/.test(name)) return 'position_ids';
  if (/pixel_values$/.test(name)) return 'pixel_values';
  if (/^past/.test(name)) return 'past';
  if (/^(use_cache_branch|(num_)?logits_to_keep)$/.test(name)) return 'flag';
  return 'other';
}

/** Operators behind which an input is still itself, in another shape or type. */
const SAME = new Set([
  'Cast',
  'Identity',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Flatten',
  'Clip',
  'Expand',
  'Slice',
]);
/** Operators that ask only for an input's shape. */
const SHAPES = new Set(['Shape', 'Size', 'ConstantOfShape']);

interface Reading {
  readonly node: OnnxNode;
  readonly input: number;
}

type Readers = ReadonlyMap<string, readonly Reading[]>;

/** Every node of the graph by the values it reads. */
function readersOf(graph: OnnxGraph): Readers {
  const readers = new Map<string, Reading[]>();
  for (const node of graph.nodes)
    node.inputs.forEach((name, input) => {
      const list = readers.get(name);
      if (list) list.push({ node, input });
      else readers.set(name, [{ node, input }]);
    });
  return readers;
}

/** What reads an input, straight or in another shape or type; what asks only for its shape is left out. */
function readingsOf(readers: Readers, name: string, through = SAME): Reading[] {
  const found: Reading[] = [];
  const seen = new Set<string>([name]);
  const queue = [name];
  for (let value = queue.pop(); value !== undefined; value = queue.pop()) {
    for (const reading of readers.get(value) ?? []) {
      const { node, input } = reading;
      if (SHAPES.has(node.opType)) continue;
      if (through.has(node.opType) && input === 0) {
        for (const output of node.outputs) {
          if (seen.has(output)) continue;
          seen.add(output);
          queue.push(output);
        }
      } else found.push(reading);
    }
  }
  return found;
}

/** The tensor of the file that a value is, in another type, transposed, or widened from codes. */
function tensorBehind(graph: OnnxGraph, producers: ReadonlyMap<string, OnnxNode>, name: string) {
  let value = name;
  for (let depth = 0; depth < 4; depth++) {
    const tensor: OnnxTensor | undefined = graph.initializers.get(value) ?? graph.constants.get(value);
    if (tensor) return tensor;
    const node = producers.get(value);
    if (!node || !/^(Cast|Identity|Transpose|DequantizeLinear)$/.test(node.opType)) return null;
    value = node.inputs[0]!;
  }
  return null;
}

/** Where a node keeps the table that its input `i` looks things up in: the index of the table among its inputs. */
function tableInput({ opType }: OnnxNode, i: number): number | null {
  if (opType === 'Gather' || opType === 'GatherBlockQuantized') return i === 1 ? 0 : null;
  if (opType === 'EmbedLayerNormalization') return i === 0 ? 2 : i === 1 ? 4 : null;
  return null;
}

/** Rows of the largest table that an input is looked up in; null where it is looked up in none. */
function rowsBehind(
  graph: OnnxGraph,
  producers: ReadonlyMap<string, OnnxNode>,
  readings: readonly Reading[],
): number | null {
  const rows = readings.flatMap(({ node, input }) => {
    const at = tableInput(node, input);
    const table = at === null ? null : tensorBehind(graph, producers, node.inputs[at] ?? '');
    return table && table.dims.length === 2 ? [table.dims[0]!] : [];
  });
  return rows.length === 0 ? null : greatest(rows);
}

/** Operators by which a graph makes an attention bias, a pooling or positions of a mask. */
const MASKS =
  /^(Equal|Greater|Less|GreaterOrEqual|LessOrEqual|Not|And|Or|Where|Sub|Mul|Add|CumSum|ReduceSum|MatMul|Neg|Max|Min|Attention|MultiHeadAttention|EmbedLayerNormalization)$/;

/** Tables of segments are this short. */
const MOST_SEGMENTS = 4;

function mostLikelyTokens(
  found: readonly { readonly name: string; readonly rows: number }[],
  vocabulary: unknown,
): string | undefined {
  const said = found.find(({ rows }) => rows === vocabulary);
  return (said ?? found.toSorted((a, b) => b.rows - a.rows)[0])?.name;
}

/** A picture input whose channels come last, as TensorFlow has them. */
function refuseChannelsLast({ name, dims }: ValueInfo): void {
  const [, second, , last] = dims!;
  if ((last === 3 || last === 1) && second !== 3 && second !== 1)
    fail(
      'unsupported-onnx',
      say`The picture input ${name} has its channels last ([${dims!.map((d) => d ?? '?').join(', ')}], as TensorFlow exports do), and Papilio feeds pictures as [batch, channels, height, width]; convert the model with tf2onnx --inputs-as-nchw ${name}.`,
    );
}

/** Operators that a picture may go through before its first convolution. */
const BEFORE_CONV = new Set([...SAME, 'Sub', 'Div', 'Mul', 'Add', 'Transpose', 'Pad']);

/**
 * The kind of every input: by its name, else by its role in the graph.
 * @throws PapilioError 'unsupported-onnx' for pictures with the channels last and for tokens with the batch last
 */
function inputKinds(
  graph: OnnxGraph,
  config: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, InputKind> {
  const kinds = new Map(graph.inputs.map(({ name }) => [name, kindByName(name)]));
  for (const input of graph.inputs)
    if (input.dims?.length === 4 && input.dtype !== null && isFloat(input.dtype)) {
      const kind = kinds.get(input.name);
      if (kind === 'pixel_values' || kind === 'other') refuseChannelsLast(input);
    }
  const unknown = graph.inputs.filter(({ name }) => kinds.get(name) === 'other');
  if (unknown.length === 0) return kinds;
  const has = (kind: InputKind): boolean => [...kinds.values()].includes(kind);
  const readers = readersOf(graph);
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((o) => [o, node] as const)));
  const tokenLike = unknown.filter(
    ({ dtype, dims }) => (dtype === 'int64' || dtype === 'int32' || dtype === 'bool') && dims?.length === 2,
  );
  const lookedUp = tokenLike.flatMap(({ name }) => {
    const rows = rowsBehind(graph, producers, readingsOf(readers, name));
    return rows === null ? [] : [{ name, rows }];
  });
  if (!has('input_ids')) {
    const tokens = mostLikelyTokens(lookedUp, config.vocab_size);
    if (tokens !== undefined) kinds.set(tokens, 'input_ids');
  }
  for (const { name, rows } of lookedUp.filter(({ name }) => kinds.get(name) === 'other')) {
    const isSegment = rows === config.type_vocab_size || rows <= MOST_SEGMENTS;
    const kind = isSegment ? 'token_type_ids' : 'position_ids';
    if (!has(kind)) kinds.set(name, kind);
  }
  for (const { name } of tokenLike.filter(({ name }) => kinds.get(name) === 'other')) {
    const readings = readingsOf(readers, name);
    const isMask = readings.length > 0 && readings.every(({ node }) => MASKS.test(node.opType));
    if (isMask && has('input_ids') && !has('attention_mask')) kinds.set(name, 'attention_mask');
  }
  const pictures = unknown.filter(
    ({ name, dtype, dims }) =>
      dtype !== null &&
      isFloat(dtype) &&
      dims?.length === 4 &&
      readingsOf(readers, name, BEFORE_CONV).some(({ node }) => /Conv|MatMul|Gemm/.test(node.opType)),
  );
  if (!has('pixel_values') && pictures.length === 1) kinds.set(pictures[0]!.name, 'pixel_values');
  refuseBatchLast(graph, kinds);
  return kinds;
}

/** Tokens as [sequence, batch], as torch.nn.Transformer reads them by default. */
function refuseBatchLast(graph: OnnxGraph, kinds: ReadonlyMap<string, InputKind>): void {
  for (const { name, dims } of graph.inputs) {
    const [first, second] = dims ?? [];
    if (kinds.get(name) !== 'input_ids' || typeof first !== 'string' || typeof second !== 'string') continue;
    if (/seq|len|time/i.test(first) && /batch/i.test(second))
      fail(
        'unsupported-onnx',
        say`The token input ${name} is [${first}, ${second}], and Papilio feeds [batch, sequence]; export the model with batch_first=True.`,
      );
  }
}

/** One sentence on each input that was recognised by its role. */
export function roleNotes(kinds: ReadonlyMap<string, InputKind>): string[] {
  const words: Partial<Record<InputKind, string>> = {
    input_ids: say`the token ids: it is looked up in the largest table`,
    attention_mask: say`the attention mask: it is compared and multiplied, and looked up in no table`,
    token_type_ids: say`the token types: it is looked up in a short table`,
    position_ids: say`the positions: it is looked up in a second table`,
    pixel_values: say`the picture: it is the one float input of four dimensions`,
  };
  return [...kinds].flatMap(([name, kind]) =>
    kindByName(name) === 'other' && words[kind] ? [say`The input ${name} is taken for ${words[kind]}.`] : [],
  );
}

/**
 * The name by which batches and feeds give an input: Hugging Face's, where only one input of the file is of that kind and it is not
 * one half of two models.
 */
function feedNames(kinds: ReadonlyMap<string, InputKind>): ReadonlyMap<string, string> {
  const all = [...kinds];
  return new Map(
    all.map(([name, kind]) => {
      const isOnly = all.filter(([, other]) => other === kind).length === 1;
      const isKnown = (KNOWN_INPUTS as readonly string[]).includes(kind);
      return [name, isKnown && isOnly && !/(de|en)coder_/.test(name) ? kind : name];
    }),
  );
}
