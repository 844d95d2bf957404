/**
 * Gradients of FourierFT's changes as products of folded rows, where the adapter is on a CPU: half of the multiply-adds, which are most of what a
 * step takes there. On a GPU the dispatches that fold rows would take longer than that saves.
 */
import { createBuilder } from '../../graph/builder.ts';
import { rewrite } from '../../graph/rewrite.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { Caps, Graph, Node, Value } from '../../graph/types.ts';
import { type MatmulAttrs, matmulOp } from '../matmul.ts';
import { isWorthMirroring, mirroredLayout, mirroredProductOp } from '../mirroredProduct.ts';
import { type PackAttrs, pack, packOp, view, viewOp } from '../moves.ts';
import { sparseDftOp } from '../sparseIdft.ts';
import type { ProductsAttrs } from '../spectralProducts.ts';
import { type Links, linksOf } from './links.ts';

/** The products whose results one after the other are a stack of gradients, and the nodes between. */
interface Stack {
  readonly products: readonly Node[];
  readonly between: readonly Node[];
}

/** From a value back through views of the whole of it, to a node that does something. */
function behindViews(value: Value, links: Links, by: Node, seen: Node[]): Node | null {
  const { producer } = value;
  if (!producer || !links.onlyFor(value, by)) return null;
  seen.push(producer);
  if (producer.op !== viewOp) return producer;
  const [whole] = producer.inputs as [Value];
  return sizeOf(whole.shape) === sizeOf(value.shape) ? behindViews(whole, links, producer, seen) : null;
}

function isProduct({ op, inputs, attrs }: Node, { out, in: width }: ProductsAttrs): boolean {
  if (op !== matmulOp) return false;
  const { transA, transB, alpha, variant } = attrs as MatmulAttrs;
  const [dY, x] = inputs.map(({ shape }) => shape) as [number[], number[]];
  const isSum = transA && !transB && alpha === 1 && !variant && inputs.every(({ dtype }) => dtype === 'f32');
  if (!isSum || dY.length !== 2 || x.length !== 2 || x[1] !== width || dY[1]! % out !== 0) return false;
  return isWorthMirroring({ out, in: width }, dY[1]! / out);
}

function stackOf(node: Node, links: Links): Stack | null {
  const attrs = node.attrs as ProductsAttrs;
  const between: Node[] = [];
  const packed = attrs.mirrored ? null : behindViews(node.inputs[0]!, links, node, between);
  if (packed?.op !== packOp) return null;
  const products: Node[] = [];
  let end = 0;
  for (const [i, value] of packed.inputs.entries()) {
    const product = behindViews(value, links, packed, between);
    if (!product || !isProduct(product, attrs) || (packed.attrs as PackAttrs).offsets[i] !== end) return null;
    products.push(product);
    end += product.inputs[0]!.shape[1]! * attrs.in;
  }
  return end === (packed.attrs as PackAttrs).size ? { products, between } : null;
}

export function joinMirrors(graph: Graph, { software }: Caps): Graph {
  const sums = software ? graph.nodes.filter(({ op }) => op === sparseDftOp) : [];
  if (sums.length === 0) return graph;
  const links = linksOf(graph);
  const stacks = new Map<Node, Stack>();
  for (const node of sums) {
    const stack = stackOf(node, links);
    if (stack) stacks.set(node, stack);
  }
  const attrsOf = new Map<Node, ProductsAttrs>();
  for (const [node, { products }] of stacks)
    for (const product of products) attrsOf.set(product, node.attrs as ProductsAttrs);
  const gone = new Set([...stacks.values()].flatMap(({ between }) => between));
  const folded = new Map<Node, Value>();

  const g = createBuilder();
  const value = rewrite(graph, g, {
    node(node, copying) {
      const own = attrsOf.get(node);
      if (own) {
        const inputs = node.inputs.map(copying.value);
        const attrs = { out: own.out, in: own.in };
        folded.set(node, g.emit(mirroredProductOp, inputs, attrs, node.module)[0]!);
      }
      if (gone.has(node)) return [];
      const stack = stacks.get(node);
      if (!stack) return null;
      const attrs = node.attrs as ProductsAttrs;
      const { matrix } = mirroredLayout(attrs);
      const parts = stack.products.map((product) => folded.get(product)!);
      const starts = parts.map((_, i) => parts.slice(0, i).reduce((n, part) => n + part.shape[0]!, 0));
      const size = node.inputs[0]!.shape[0]! * matrix;
      const whole = pack(g, parts, { offsets: starts.map((n) => n * matrix), size });
      const inputs = [view(g, whole, [size / matrix, matrix]), ...node.inputs.slice(1).map(copying.value)];
      return g.emit<ProductsAttrs>(sparseDftOp, inputs, { ...attrs, mirrored: true }, node.module);
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}
