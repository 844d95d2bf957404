/**
 * What a file's own precision does to its numbers: whether it keeps or computes anything in fewer than 32 bits, and the same file with the
 * last bits of some weights moved, which is as much as rounding those weights does.
 */
import { rng } from '../lib/rng.ts';
import { replaceRaw } from '../onnx/edit.ts';
import type { OnnxDType, OnnxGraph, OnnxModel, OnnxTensor } from '../onnx/types.ts';
import type { ModuleInfo } from './import/modules.ts';
import type { WrittenWeight } from './merge.ts';

const isNarrowFloat = (dtype: OnnxDType): boolean => /^(b?float16|float8)/.test(dtype);
/** ONNX's numbers of the element types float16, bfloat16 and the float8 kinds, as Cast names them. */
const NARROW_CASTS: ReadonlySet<number> = new Set([10, 16, 17, 18, 19, 20]);
const ROUNDING_OPS =
  /^(QuantizeLinear|DequantizeLinear|DynamicQuantize\w*|QLinear\w*|\w*Integer(ToFloat)?|MatMulNBits|GatherBlockQuantized|Q(Attention|Gemm|OrderedMatMul|EmbedLayerNormalization|MoE))$/;

/** Whether onnxruntime keeps weights or computes in fewer than 32 bits anywhere in the file. */
export function roundsSomewhere({ graph }: Pick<OnnxModel, 'graph'>): boolean {
  return roundsIn(graph);
}

function roundsIn({ nodes, initializers, constants }: OnnxGraph): boolean {
  const tensors = [...initializers.values(), ...constants.values()];
  return (
    tensors.some(({ dtype }) => isNarrowFloat(dtype)) ||
    nodes.some((node) => {
      const to = node.attributes.get('to');
      if (ROUNDING_OPS.test(node.opType)) return true;
      if (node.opType === 'Cast' && to?.kind === 'int' && NARROW_CASTS.has(to.value)) return true;
      return [...node.attributes.values()].some((a) => a.kind === 'graph' && roundsIn(a.value));
    })
  );
}

/** A rounding leaves up to half a step in every weight; one whole step in one of twelve weights is the same in the mean square. */
const ONE_OF = 12;

/**
 * The model with one of twelve numbers of the changed weights moved by one step of its type: an independent measure of what rounding
 * them does to the answers, since nothing of it passes through the code that writes merged weights.
 * @param written the changed weights; those that became floats in place of codes are not rounded
 * @returns null where none of them lies in an initialiser of fewer than 32 bits
 */
export function lastBitsMoved(
  onnx: OnnxModel,
  modules: readonly ModuleInfo[],
  written: readonly WrittenWeight[],
  seed = 1,
): OnnxModel | null {
  const wanted = new Set(written.filter(({ how }) => how !== 'float').map(({ name }) => name));
  const contents = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const module of modules) {
    for (const [parameter, origin] of Object.entries(module.parameters)) {
      if (!wanted.has(`${module.name}.${parameter}`) && !wanted.has(origin.value)) continue;
      const tensor = origin.quant?.codes ?? origin.tensor;
      if (!onnx.graph.initializers.has(tensor.name) || contents.has(tensor.name)) continue;
      const bits = origin.quant?.bits ?? bitsOf(tensor.dtype);
      if (bits !== null) contents.set(tensor.name, moved(tensor, bits, seed));
    }
  }
  return contents.size > 0 ? replaceRaw(onnx, contents) : null;
}

const bitsOf = (dtype: OnnxDType): number | null =>
  dtype === 'float16' || dtype === 'bfloat16' ? 16 : /^u?int8$/.test(dtype) ? 8 : null;

/** Little-endian: the last bit of a number lies in its first byte, that of the second of two 4-bit codes in the middle. */
function moved(tensor: OnnxTensor, bits: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = tensor.bytes().slice();
  const count = Math.floor((bytes.length * 8) / bits);
  const random = rng(seed, 0xb175).fork(count);
  for (let from = 0; from < count; from += ONE_OF) {
    const at = from + random.int(Math.min(ONE_OF, count - from));
    const bit = at * bits;
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  return bytes;
}
