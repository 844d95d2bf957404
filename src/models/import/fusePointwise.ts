/**
 * Stage 2c: activations that an export spelled out. A spelling is not matched node by node: a region of pointwise nodes with one input
 * is evaluated at sample points and compared with the functions the engine has, so every algebraic form of GELU is found.
 */
import { sameShape } from '../../graph/shape.ts';
import { scalarFunctions } from '../../ops/scalar.ts';
import { become } from './derive.ts';
import { binaryFns, unaryFns } from './evaluate.ts';
import type { FoldedGraph, FoldedNode, FoldedValue } from './folded.ts';
import { countUses, scalarOf } from './folded.ts';

const functions = {
  Gelu: scalarFunctions.gelu.value,
  GeluTanh: scalarFunctions.geluTanh.value,
  Silu: scalarFunctions.silu.value,
  QuickGelu: scalarFunctions.quickGelu.value,
} as const;

const samples = [-3.7, -2.1, -1.3, -0.6, -0.1, 0.2, 0.7, 1.4, 2.6, 4.1];

/** Constants of an export are float32, so the functions agree to about 1e-7; GELU and its tanh form differ by 1e-4. */
const TOLERANCE = 3e-6;

/** The value of `v` where `x` is `at`, or NaN when it is not a pointwise function of `x` alone. */
function evaluateAt(v: FoldedValue, x: FoldedValue, at: number, depth = 0): number {
  if (v === x) return at;
  const s = scalarOf(v);
  if (s !== null) return s;
  const node = v.producer;
  if (!node || depth > 12) return Number.NaN;
  const [a, b] = node.inputs;
  const of = (u: FoldedValue | null | undefined): number =>
    u ? evaluateAt(u, x, at, depth + 1) : Number.NaN;
  if (node.op === 'Scale') return of(a) * (node.attrs.by as number);
  if (node.op === 'Square') return of(a) ** 2;
  if (node.op === 'Rsqrt') return 1 / Math.sqrt(of(a));
  const unary = unaryFns[node.op];
  if (unary) return unary(of(a));
  const binary = binaryFns[node.op];
  return binary ? binary(of(a), of(b)) : Number.NaN;
}

function nameOf(y: FoldedValue, x: FoldedValue): string | null {
  const values = samples.map((t) => evaluateAt(y, x, t));
  if (values.some(Number.isNaN)) return null;
  const found = Object.entries(functions).find(([, f]) =>
    values.every((v, i) => Math.abs(v - f(samples[i]!)) < TOLERANCE),
  );
  return found?.[0] ?? null;
}

/** Values of the same shape above `v` through pointwise nodes. */
function ancestors(v: FoldedValue, depth: number, into: Set<FoldedValue>): void {
  const node = v.producer;
  if (
    depth === 0 ||
    !node ||
    !(node.op in unaryFns || node.op in binaryFns || node.op === 'Scale' || node.op === 'Square')
  )
    return;
  for (const u of node.inputs) {
    if (!u || u.known || !sameShape(u.shape, v.shape)) continue;
    into.add(u);
    ancestors(u, depth - 1, into);
  }
}

export function fuseActivations(graph: FoldedGraph): void {
  const uses = countUses(graph);
  const nodes: readonly FoldedNode[] = graph.nodes;
  for (const anchor of nodes) {
    if (anchor.op !== 'Erf' && anchor.op !== 'Tanh' && anchor.op !== 'Sigmoid') continue;
    const inputs = new Set<FoldedValue>();
    ancestors(anchor.outputs[0]!, 7, inputs);
    // From the anchor down, the first value that is one of the functions.
    let level: FoldedNode[] = [anchor];
    search: for (let depth = 0; depth < 5 && level.length > 0; depth++) {
      for (const node of level) {
        for (const x of inputs) {
          const name = node === anchor ? null : nameOf(node.outputs[0]!, x);
          if (name) {
            become(node, name, [x]);
            break search;
          }
        }
      }
      level = level.flatMap((node) => uses.get(node.outputs[0]!) ?? []);
    }
  }
}
