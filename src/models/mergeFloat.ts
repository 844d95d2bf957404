/**
 * Replaces a quantised layer of an ONNX file by its float form, for merged weights that shall not be rounded to codes again: MatMulNBits
 * and the integer products become MatMul, ConvInteger Conv, QAttention Attention, dequantised tensors become initialisers,
 * block-quantised look-ups become Gather.
 */
import { fail } from '../lib/errors.ts';
import { transposed } from '../lib/numbers.ts';
import { say } from '../lib/say.ts';
import {
  addInitializer,
  freeName,
  type NewNodes,
  replaceNodes,
  replaceRaw,
  rewireReaders,
} from '../onnx/edit.ts';
import { makeTensor, rawTensor, tensorToF32, tensorToNumbers } from '../onnx/tensor.ts';
import type { OnnxDType, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from '../onnx/types.ts';
import type { QuantSource } from './import/quantMatrix.ts';

/** The nodes that turn an integer product's sums into numbers: Cast, and a product with both scales. */
interface IntegerChain {
  readonly cast: OnnxNode;
  readonly end: OnnxNode;
  /** The node that multiplies the scales of both sides. */
  readonly scales: OnnxNode;
  /** Name of the weight's scale. */
  readonly scale: string;
}

const producerOf = (graph: OnnxGraph, name: string): OnnxNode | undefined =>
  graph.nodes.find((n) => n.outputs.includes(name));
const readersOf = (graph: OnnxGraph, name: string): OnnxNode[] =>
  graph.nodes.filter((n) => n.inputs.includes(name));

/** @returns null where the file spells it otherwise */
function integerChain(graph: OnnxGraph, node: OnnxNode): IntegerChain | null {
  const [cast, ...more] = readersOf(graph, node.outputs[0]!);
  if (cast?.opType !== 'Cast' || more.length > 0) return null;
  const [end] = readersOf(graph, cast.outputs[0]!);
  if (end?.opType !== 'Mul') return null;
  const scales = producerOf(graph, end.inputs.find((n) => n !== cast.outputs[0])!);
  const scale = scales?.inputs.find((n) => graph.initializers.has(n) || graph.constants.has(n));
  return scales && scale ? { cast, end, scales, scale } : null;
}

/** What stands between the codes of a weight and the node that makes numbers of them. */
interface CodesPath {
  /** Nodes that move the codes, first one first. */
  readonly moves: readonly OnnxNode[];
  readonly end: OnnxNode;
}

const MOVE = new Set([
  'Gather',
  'Transpose',
  'Reshape',
  'Slice',
  'Squeeze',
  'Unsqueeze',
  'Expand',
  'Identity',
]);

export const refuseSubgraph = (name: string): never =>
  fail(
    'unsupported-onnx',
    say`The weight ${name} is kept in codes and read inside a subgraph, as in decoders merged with their cached form, and cannot be changed there; take the file without a cache, or one that keeps its weights as floats.`,
    { name },
  );

/** Every way from the codes to a node that makes numbers of them, in the main graph. */
function codesPaths(graph: OnnxGraph, { codes: { name } }: QuantSource): readonly CodesPath[] {
  const from = (value: string, moves: readonly OnnxNode[]): CodesPath[] =>
    readersOf(graph, value).flatMap((node) =>
      MOVE.has(node.opType) && node.domain === '' && node.inputs[0] === value
        ? from(node.outputs[0]!, [...moves, node])
        : [{ moves, end: node }],
    );
  const paths = from(name, []);
  return paths.length > 0 ? paths : refuseSubgraph(name);
}

/** The source with the tensors as the model has them now: writing one weight can change another's scale. */
export function asInFile({ graph }: OnnxModel, source: QuantSource): QuantSource {
  const now = (t: OnnxTensor): OnnxTensor => tensorIn(graph, t.name) ?? t;
  const { codes, scales, zeros } = source;
  return { ...source, codes: now(codes), scales: scales && now(scales), zeros: zeros && now(zeros) };
}

/**
 * The source with the scale that the file holds: that of an integer product stands behind it, and the import only knows its value.
 * @throws PapilioError 'unsupported-onnx' where the file spells it otherwise
 */
export function withFileScales({ graph }: OnnxModel, source: QuantSource): QuantSource {
  if (source.form !== 'integer') return source;
  const { end } = codesPaths(graph, source)[0]!;
  if (end.opType !== 'MatMulInteger' && end.opType !== 'ConvInteger') return source;
  const chain = integerChain(graph, end);
  const scales = chain && tensorIn(graph, chain.scale);
  return (
    (scales && { ...source, scales }) ||
    fail(
      'unsupported-onnx',
      say`The scale of ${source.codes.name} was not found in the file; write its layer as a float product instead.`,
      { name: source.codes.name },
    )
  );
}

/**
 * Scales and zero points that weights of other layers have too become this weight's own, since new codes choose them anew.
 * @param source as {@link withFileScales} gives it
 */
export function ownScales(
  model: OnnxModel,
  source: QuantSource,
): { readonly onnx: OnnxModel; readonly source: QuantSource } {
  const paths = codesPaths(model.graph, source);
  const own = new Set(
    paths.flatMap(({ end }) => [end.index, integerChain(model.graph, end)?.scales.index ?? end.index]),
  );
  let onnx = model;
  let owned = source;
  for (const key of ['scales', 'zeros'] as const) {
    const tensor = source[key];
    if (!tensor || !readersOf(onnx.graph, tensor.name).some(({ index }) => !own.has(index))) continue;
    const name = freeName(onnx, `${source.codes.name}_${key}`);
    const copy = rawTensor(name, tensor.dtype, tensor.dims, tensor.bytes().slice());
    onnx = rewireReaders(onnx, own, tensor.name, copy);
    owned = { ...owned, [key]: copy };
  }
  return { onnx, source: owned };
}

/** The DequantizeLinear that gives a value, where it reads tensors of the file. */
function dequantizer(graph: OnnxGraph, name: string | undefined): OnnxNode | undefined {
  const node = name === undefined ? undefined : producerOf(graph, name);
  return node?.opType === 'DequantizeLinear' ? node : undefined;
}

/** A stored tensor, of an initialiser or a Constant node. */
export const tensorIn = (graph: OnnxGraph, name: string | undefined): OnnxTensor | undefined =>
  name === undefined ? undefined : (graph.initializers.get(name) ?? graph.constants.get(name));

/**
 * onnxruntime's integer kernels take a bias of 32-bit codes to have the scale of the input times that of the weight, whatever the file
 * says. So where a weight was given new scales, the bias beside it is written anew by their product.
 * @param weight the codes, whose scales have changed
 */
export function withBiasScale(model: OnnxModel, weight: QuantSource): OnnxModel {
  let onnx = model;
  for (const { end } of codesPaths(model.graph, weight)) {
    if (end.opType !== 'DequantizeLinear') continue;
    for (const layer of readersOf(model.graph, end.outputs[0]!)) {
      if (layer.inputs[1] !== end.outputs[0]) continue;
      const bias = dequantizer(model.graph, layer.inputs[2]);
      const codes = tensorIn(model.graph, bias?.inputs[0]);
      const old = tensorIn(model.graph, bias?.inputs[1]);
      const input = tensorIn(model.graph, dequantizer(model.graph, layer.inputs[0])?.inputs[1]);
      const scales = tensorIn(model.graph, end.inputs[1]);
      if (!bias || codes?.dtype !== 'int32' || !old || input?.size !== 1 || !scales) continue;
      const [x] = tensorToF32(input);
      const steps = tensorToF32(scales).map((w) => w * x!);
      const before = tensorToF32(old);
      const at = (list: Float32Array, i: number): number => list[list.length === 1 ? 0 : i]!;
      const values = tensorToNumbers(codes).map((c, i) => Math.round((c * at(before, i)) / at(steps, i)));
      const put = (tensor: OnnxTensor, dims: readonly number[], data: ArrayLike<number>): void => {
        const readers = readersOf(onnx.graph, tensor.name);
        const made = makeTensor(tensor.name, tensor.dtype, dims, data);
        if (readers.length === 1 && made.byteLength === tensor.byteLength) {
          onnx = replaceRaw(onnx, new Map([[tensor.name, made.bytes()]]));
          return;
        }
        const own = makeTensor(freeName(onnx, `${tensor.name}_own`), tensor.dtype, dims, data);
        onnx = rewireReaders(onnx, new Set([bias.index]), tensor.name, own);
      };
      put(codes, codes.dims, values);
      put(old, steps.length === old.size ? old.dims : [steps.length], steps);
    }
  }
  return onnx;
}

/**
 * @param data row-major as the graph sees the matrix
 * @param by first outputs of the nodes of the main graph that read the codes; unless given, all of them
 * @returns the model and the name of the new float initialiser
 */
export function toFloat(
  model: OnnxModel,
  source: QuantSource,
  data: Float32Array,
  name: string,
  by: ReadonlySet<string> | null = null,
): { readonly onnx: OnnxModel; readonly added: string } {
  const { graph } = model;
  const added = freeName(model, name);
  const edits = new Map<number, NewNodes>();
  for (const path of codesPaths(graph, source)) {
    if (by && !by.has((path.moves[0] ?? path.end).outputs[0]!)) continue;
    for (const [index, nodes] of surgery(graph, path, source, added)) edits.set(index, nodes);
  }
  const withWeight = addInitializer(model, floatTensor(source, data, added));
  return { onnx: withoutIdleRounding(replaceNodes(withWeight, edits)), added };
}

/** The matrix as the float products of a file read it. */
export function floatTensor(source: QuantSource, data: Float32Array, name: string): OnnxTensor {
  const of = source.scales?.dtype;
  const dtype: OnnxDType = of === 'float16' || of === 'bfloat16' ? of : 'float32';
  const [d0, d1] = [source.shape[0] ?? 1, source.shape[1] ?? 1];
  return source.form === 'nbits'
    ? makeTensor(name, dtype, [d1, d0], transposed(data, [d0, d1], new Float32Array(data.length)))
    : makeTensor(name, dtype, source.shape, data);
}

/** Without DynamicQuantizeLinear nodes that nothing reads any more. */
function withoutIdleRounding(model: OnnxModel): OnnxModel {
  const read = new Set(model.graph.nodes.flatMap((n) => n.inputs));
  const idle = model.graph.nodes.filter(
    (n) => n.opType === 'DynamicQuantizeLinear' && !n.outputs.some((name) => read.has(name)),
  );
  return idle.length === 0 ? model : replaceNodes(model, new Map(idle.map((n) => [n.index, []])));
}

/** Where com.microsoft.QEmbedLayerNormalization has its codes; their scales follow from 8 on, their zero points from 13 on. */
const EMBED_CODES = [2, 3, 4, 5, 6] as const;

/** EmbedLayerNormalization with one table in float and the others dequantised before it. */
function floatEmbedding(node: OnnxNode, codes: string, weight: string): NewNodes {
  const inputs = [...node.inputs.slice(0, 8)];
  const before: NewNodes[number][] = [];
  EMBED_CODES.forEach((at, i) => {
    const from = inputs[at];
    if (!from) return;
    inputs[at] = from === codes ? weight : `${from}_dequantized`;
    if (from === codes || before.some(({ outputs }) => outputs[0] === inputs[at])) return;
    const step = [node.inputs[8 + i]!, node.inputs[13 + i] ?? ''].filter(Boolean);
    before.push({ opType: 'DequantizeLinear', inputs: [from, ...step], outputs: [inputs[at]] });
  });
  const fused = { opType: 'EmbedLayerNormalization', domain: 'com.microsoft', like: node.proto };
  return [...before, { ...fused, name: node.name, inputs, outputs: node.outputs }];
}

function surgery(
  graph: OnnxGraph,
  { moves, end: node }: CodesPath,
  source: QuantSource,
  added: string,
): Map<number, NewNodes> {
  // The moves stay, and move numbers now.
  const edits = new Map<number, NewNodes>(
    moves.map(({ index, name, opType, inputs, outputs, proto }, i) => [
      index,
      [
        {
          ...{ opType, outputs, like: proto },
          inputs: i === 0 ? [added, ...inputs.slice(1)] : inputs,
          ...(name ? { name } : {}),
        },
      ],
    ]),
  );
  const weight = moves.at(-1)?.outputs[0] ?? added;
  const out = node.outputs[0]!;
  const named = node.name ? { name: `${node.name}_float` } : {};
  const product = (x: string, to: string, bias: string | undefined): NewNodes => {
    if (!bias) return [{ opType: 'MatMul', inputs: [x, weight], outputs: [to], ...named }];
    return [
      { opType: 'MatMul', inputs: [x, weight], outputs: [`${to}_product`], ...named },
      { opType: 'Add', inputs: [`${to}_product`, bias], outputs: [to] },
    ];
  };
  const floatInput = (): string => {
    const rounding = producerOf(graph, node.inputs[0]!);
    return rounding?.opType === 'DynamicQuantizeLinear' ? rounding.inputs[0]! : node.inputs[0]!;
  };
  const become = (nodes: NewNodes): Map<number, NewNodes> => edits.set(node.index, nodes);
  switch (node.opType) {
    case 'MatMulNBits':
      return become(product(node.inputs[0]!, out, node.inputs[5]));
    case 'MatMulIntegerToFloat':
      return become(product(floatInput(), out, node.inputs[6]));
    case 'DynamicQuantizeMatMul':
      return become(product(node.inputs[0]!, out, node.inputs[4]));
    case 'MatMulInteger':
    case 'ConvInteger': {
      const chain = integerChain(graph, node);
      if (!chain) break;
      const [to] = chain.end.outputs as [string];
      const conv = { opType: 'Conv', inputs: [floatInput(), weight], outputs: [to], like: node.proto };
      become(node.opType === 'ConvInteger' ? [{ ...conv, ...named }] : product(floatInput(), to, undefined));
      for (const { index } of [chain.cast, chain.end]) edits.set(index, []);
      // Two layers of one scale may share the product of the scales.
      if (readersOf(graph, chain.scales.outputs[0]!).length === 1) edits.set(chain.scales.index, []);
      return edits;
    }
    case 'QAttention': {
      const [, , bias, , , mask, , , past] = node.inputs;
      const inputs = [floatInput(), weight, bias ?? '', mask ?? '', past ?? ''];
      const fused = { opType: 'Attention', domain: 'com.microsoft', like: node.proto, ...named };
      return become([{ ...fused, inputs: withoutTail(inputs), outputs: node.outputs }]);
    }
    case 'QEmbedLayerNormalization':
      return become(floatEmbedding(node, source.codes.name, weight));
    case 'GatherBlockQuantized':
      return become([{ opType: 'Gather', inputs: [weight, node.inputs[1]!], outputs: [out] }]);
    case 'DequantizeLinear':
      return become([{ opType: 'Identity', inputs: [weight], outputs: [out] }]);
  }
  return fail(
    'unsupported-onnx',
    say`The node ${node.name || node.opType} that reads ${source.codes.name} is not known well enough to replace it; write its weight requantised instead.`,
    { node: node.name },
  );
}

/** Optional inputs that are left out at the end are not written. */
const withoutTail = (inputs: readonly string[]): string[] => {
  const last = inputs.findLastIndex((name) => name !== '');
  return inputs.slice(0, last + 1);
};
