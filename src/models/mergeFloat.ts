/**
 * Replaces a quantised layer of an ONNX file by its float form, for merged weights that shall not be rounded to codes again: MatMulNBits
 * and the integer products become MatMul, dequantised tensors become initialisers, block-quantised look-ups become Gather.
 */
import { fail } from '../lib/errors.ts';
import { addInitializer, freeName, type NewNodes, replaceNodes } from '../onnx/edit.ts';
import { makeTensor } from '../onnx/tensor.ts';
import type { OnnxDType, OnnxGraph, OnnxModel, OnnxNode } from '../onnx/types.ts';
import type { QuantSource } from './import/quant.ts';

/** The nodes that turn MatMulInteger's sums into numbers: Cast, and a product with both scales. */
export interface IntegerChain {
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
export function integerChain(graph: OnnxGraph, node: OnnxNode): IntegerChain | null {
  const [cast, ...more] = readersOf(graph, node.outputs[0]!);
  if (cast?.opType !== 'Cast' || more.length > 0) return null;
  const [end] = readersOf(graph, cast.outputs[0]!);
  if (end?.opType !== 'Mul') return null;
  const scales = producerOf(graph, end.inputs.find((n) => n !== cast.outputs[0])!);
  const scale = scales?.inputs.find((n) => graph.initializers.has(n));
  return scales && scale ? { cast, end, scales, scale } : null;
}

/** The node that reads the codes, in the main graph. */
export function codesReader(graph: OnnxGraph, source: QuantSource): OnnxNode {
  const { name } = source.codes;
  return (
    readersOf(graph, name)[0] ??
    fail(
      'unsupported-onnx',
      `The weight ${name} is read inside a subgraph and cannot be changed there; export the adapter instead.`,
      { name },
    )
  );
}

/**
 * @param data row-major as the graph sees the matrix
 * @returns the model and the name of the new float initialiser
 */
export function toFloat(
  model: OnnxModel,
  source: QuantSource,
  data: Float32Array,
  name: string,
): { readonly onnx: OnnxModel; readonly added: string } {
  const { graph } = model;
  const node = codesReader(graph, source);
  const dtype: OnnxDType = source.scales?.dtype === 'float16' ? 'float16' : 'float32';
  const [d0, d1] = [source.shape[0] ?? 1, source.shape[1] ?? 1];
  const nbits = source.form === 'nbits';
  const added = freeName(model, name);
  const tensor = nbits
    ? makeTensor(added, dtype, [d1, d0], transposed(data, d0, d1))
    : makeTensor(added, dtype, source.shape, data);
  const withWeight = addInitializer(model, tensor);
  return { onnx: replaceNodes(withWeight, surgery(graph, node, source, added)), added };
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!;
  return out;
}

function surgery(
  graph: OnnxGraph,
  node: OnnxNode,
  source: QuantSource,
  weight: string,
): Map<number, NewNodes> {
  const out = node.outputs[0]!;
  const product = (x: string, to: string, bias: string | undefined): NewNodes => {
    const named = node.name ? { name: `${node.name}_float` } : {};
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
  switch (node.opType) {
    case 'MatMulNBits':
      return new Map([[node.index, product(node.inputs[0]!, out, node.inputs[5])]]);
    case 'MatMulIntegerToFloat':
      return new Map([[node.index, product(floatInput(), out, node.inputs[6])]]);
    case 'DynamicQuantizeMatMul':
      return new Map([[node.index, product(node.inputs[0]!, out, node.inputs[4])]]);
    case 'MatMulInteger': {
      const chain = integerChain(graph, node);
      if (!chain) break;
      return new Map<number, NewNodes>([
        [node.index, product(floatInput(), chain.end.outputs[0]!, undefined)],
        [chain.cast.index, []],
        [chain.end.index, []],
        [chain.scales.index, []],
      ]);
    }
    case 'GatherBlockQuantized':
      return new Map([
        [node.index, [{ opType: 'Gather', inputs: [weight, node.inputs[1]!], outputs: [out] }]],
      ]);
    case 'DequantizeLinear':
      return new Map([[node.index, [{ opType: 'Identity', inputs: [weight], outputs: [out] }]]]);
    case 'Gather': {
      const [dequantize] = readersOf(graph, out);
      if (dequantize?.opType !== 'DequantizeLinear') break;
      return new Map<number, NewNodes>([
        [
          node.index,
          [{ opType: 'Gather', inputs: [weight, node.inputs[1]!], outputs: [dequantize.outputs[0]!] }],
        ],
        [dequantize.index, []],
      ]);
    }
  }
  return fail(
    'unsupported-onnx',
    `The node ${node.name || node.opType} that reads ${source.codes.name} is not known well enough to replace it; write its weight requantised instead.`,
    { node: node.name },
  );
}
