/**
 * What an input of the file is for, where its name does not say so: found in the graph, by what reads it. Exports without input names
 * call their inputs `input.1`, `onnx::Gather_0` or `x`.
 */
import { fail } from '../../lib/errors.ts';
import { greatest } from '../../lib/numbers.ts';
import { isFloat } from '../../onnx/dtype.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor, ValueInfo } from '../../onnx/types.ts';

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
      `The picture input ${name} has its channels last ([${dims!.map((d) => d ?? '?').join(', ')}], as TensorFlow exports do), and Papilio feeds pictures as [batch, channels, height, width]; convert the model with tf2onnx --inputs-as-nchw ${name}.`,
    );
}

/** Operators that a picture may go through before its first convolution. */
const BEFORE_CONV = new Set([...SAME, 'Sub', 'Div', 'Mul', 'Add', 'Transpose', 'Pad']);

/**
 * The kind of every input: by its name, else by its role in the graph.
 * @throws PapilioError 'unsupported-onnx' for pictures with the channels last and for tokens with the batch last
 */
export function inputKinds(
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
        `The token input ${name} is [${first}, ${second}], and Papilio feeds [batch, sequence]; export the model with batch_first=True.`,
      );
  }
}

/** One sentence on each input that was recognised by its role. */
export function roleNotes(kinds: ReadonlyMap<string, InputKind>): string[] {
  const words: Partial<Record<InputKind, string>> = {
    input_ids: 'the token ids: it is looked up in the largest table',
    attention_mask: 'the attention mask: it is compared and multiplied, and looked up in no table',
    token_type_ids: 'the token types: it is looked up in a short table',
    position_ids: 'the positions: it is looked up in a second table',
    pixel_values: 'the picture: it is the one float input of four dimensions',
  };
  return [...kinds].flatMap(([name, kind]) =>
    kindByName(name) === 'other' && words[kind] ? [`The input ${name} is taken for ${words[kind]}.`] : [],
  );
}

/**
 * The name by which batches and feeds give an input: Hugging Face's, where only one input of the file is of that kind and it is not
 * one half of two models.
 */
export function feedNames(kinds: ReadonlyMap<string, InputKind>): ReadonlyMap<string, string> {
  const all = [...kinds];
  return new Map(
    all.map(([name, kind]) => {
      const isOnly = all.filter(([, other]) => other === kind).length === 1;
      const isKnown = (KNOWN_INPUTS as readonly string[]).includes(kind);
      return [name, isKnown && isOnly && !/(de|en)coder_/.test(name) ? kind : name];
    }),
  );
}
