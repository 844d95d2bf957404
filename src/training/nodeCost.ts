/** What a node costs: numbers that it multiplies and adds, or reads and writes. */
import { liveNodes } from '../graph/placements.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Graph, Node, Value } from '../graph/types.ts';
import type { AttentionAttrs } from '../ops/attention.ts';
import type { SpectralAttrs } from '../ops/spectrum.ts';

const PRODUCTS: readonly string[] = ['linear', 'matmul', 'product'];
/** A product with a side of so many numbers or fewer, as LoRA has them, reads more than it computes. */
const SKINNY = 32;

/** A number that a kernel touches takes about as long as so many multiplications of a product. */
const PER_NUMBER = 8;

const size = (v: Value | undefined): number => (v ? sizeOf(v.shape) : 1);

/** Every number of a query meets every key. */
function attentionWork(inputs: readonly Value[], { heads, headDim, parts }: AttentionAttrs): number {
  const [batch, queries] = inputs[0]!.shape as [number, number];
  const keys = inputs[parts?.[1]?.input ?? 1]!.shape[1]!;
  return batch * queries * heads * headDim * keys;
}

/** Multiply-adds of a node's sums of products: exact for matrices and butterflies, an estimate for transforms; 0 for what goes number by number. */
function multiplyAdds({ op: { name }, inputs, outputs, attrs }: Node): number {
  const [a, b, c] = [size(inputs[0]), size(inputs[1]), size(outputs[0])];
  const last = inputs[1]?.shape.at(-1) ?? 1;
  if (PRODUCTS.includes(name)) return Math.sqrt(a * b * c);
  switch (name) {
    case 'linearCrossEntropy':
      // Scores of every class for every row.
      return a * (b / last);
    case 'attention':
    case 'attentionGrad':
      return attentionWork(inputs, attrs as AttentionAttrs);
    case 'butterfly':
    case 'butterflyGrad':
      // Every number passes m factors of blocks of b × b.
      return a * last * (inputs[1]!.shape.at(-4) ?? 1);
    case 'cayley':
    case 'cayleyGrad':
      return c * (outputs[0]!.shape.at(-1) ?? 1);
    case 'spectral':
    case 'spectralGrad':
      // Transforms along both axes.
      return numbersOf(inputs, outputs) * Math.log2(Math.max(2, last));
    case 'sparseIdft':
    case 'sparseDft': {
      // Of ΔW's numbers a quarter meet two waves of each of half the shorter side's frequencies.
      const { out, in: width } = attrs as SpectralAttrs;
      return (Math.max(a, c) * Math.min(out, width)) / 4;
    }
    default:
      return 0;
  }
}

const numbersOf = (inputs: readonly Value[], outputs: readonly Value[]): number =>
  [...inputs, ...outputs].reduce((n, v) => n + size(v), 0);

/** Of all nodes of a graph that compute something. */
export const multiplyAddsOf = (graph: Graph): number =>
  liveNodes(graph).reduce((sum, node) => sum + (node.op.alias ? 0 : multiplyAdds(node)), 0);

export interface NodeCost {
  /** Nodes whose seconds are about proportional to their work; between groups the work only says what is worth timing. */
  readonly group: string;
  readonly work: number;
  /** Read and written. */
  readonly numbers: number;
}

export function costOf(node: Node): NodeCost {
  const { op, inputs, outputs } = node;
  const numbers = numbersOf(inputs, outputs);
  const products = multiplyAdds(node);
  const work = products + PER_NUMBER * numbers;
  if (!PRODUCTS.includes(op.name)) return { group: op.name, work, numbers };
  // Each side of a product is its multiplications over the matrix that does not have it.
  const isSkinny = products / Math.max(size(inputs[0]), size(inputs[1]), size(outputs[0])) <= SKINNY;
  return { group: isSkinny ? `${op.name}, skinny` : op.name, work, numbers };
}
