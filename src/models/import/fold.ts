/**
 * Stage 1 of the import: walks the ONNX graph at fixed input shapes, evaluates on the CPU whatever depends on no input, follows the
 * branch of an If whose condition is known, and leaves the rest as canonical nodes. Everything that cannot be imported is collected.
 */

import { sizeOf } from '../../graph/shape.ts';
import { PapilioError } from '../../lib/errors.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../onnx/types.ts';
import { tensorToNumbers } from '../../onnx/values.ts';
import { binaryFns, comparisons, map1, map2, matmul, rounding, unaryFns, where } from './evaluate.ts';
import * as moves from './evaluateMoves.ts';
import type { Attr, FoldedGraph, FoldedNode, FoldedValue, Known } from './folded.ts';
import { isFloat, knownValue, makeNode, makeValue, numbers } from './folded.ts';
import { lower } from './lower.ts';
import type { Lowered } from './lowering.ts';

/** A node that cannot be imported, and why. */
export interface Missing {
  readonly op: string;
  readonly node: string;
  readonly reason: string;
}

export interface Folding {
  readonly graph: FoldedGraph;
  readonly missing: readonly Missing[];
}

type Attrs = Readonly<Record<string, Attr>>;

const integerDivision = (a: number, b: number): number => Math.trunc(a / b);

const evaluators: Readonly<Record<string, (x: readonly Known[], a: Attrs) => Known[]>> = {
  Reshape: ([x], a) => [moves.reshaped(x!, numbers(a.shape))],
  Expand: ([x], a) => [moves.expand(x!, numbers(a.shape))],
  Cast: ([x], a) => [map1(a.to as Known['dtype'], x!, (v) => v)],
  Transpose: ([x], a) => [moves.transpose(x!, numbers(a.perm))],
  Slice: ([x], a) => [moves.slice(x!, numbers(a.starts), numbers(a.steps), numbers(a.shape))],
  Split: ([x], a) => {
    let at = 0;
    return numbers(a.sizes).map((n) => {
      const axis = a.axis as number;
      const starts = x!.shape.map((_, i) => (i === axis ? at : 0));
      at += n;
      return moves.slice(
        x!,
        starts,
        x!.shape.map(() => 1),
        x!.shape.map((d, i) => (i === axis ? n : d)),
      );
    });
  },
  Concat: (xs, a) => [moves.concat(xs, a.axis as number)],
  Gather: ([x, ids], a) => [moves.gather(x!, ids!, a.axis as number)],
  GatherND: ([x, ids]) => [moves.gatherNd(x!, ids!)],
  ScatterND: ([x, ids, u]) => [moves.scatterNd(x!, ids!, u!)],
  Where: ([c, x, y]) => [where(c!, x!, y!)],
  Trilu: ([x], a) => [moves.trilu(x!, a.k as number, a.upper as boolean)],
  Tile: ([x], a) => [moves.tile(x!, numbers(a.repeats))],
  CumSum: ([x], a) => [moves.cumSum(x!, a.axis as number, a.exclusive as boolean, a.reverse as boolean)],
  ArgMax: ([x], a) => [moves.argMax(x!, a.axis as number, a.keepdims as boolean)],
  NonZero: ([x]) => [moves.nonZero(x!)],
  Clip: ([x], a) => [map1(x!.dtype, x!, (v) => Math.min(Math.max(v, a.min as number), a.max as number))],
  MatMul: ([x, y]) => [matmul(x!, y!)],
  Reduce: ([x], a) => [moves.reduce(x!, a.fn as string, numbers(a.axes), a.keepdims as boolean)],
};

/** The results of a canonical node on known operands, or null where this op is not evaluated here. */
export function evaluate(op: string, xs: readonly Known[], attrs: Attrs): Known[] | null {
  const unary = unaryFns[op];
  if (unary) return [map1(op === 'Not' || op === 'IsNaN' ? 'bool' : xs[0]!.dtype, xs[0]!, unary)];
  const binary = binaryFns[op];
  if (binary) {
    const { dtype } = xs[0]!;
    const f = op === 'Div' && !isFloat(dtype) ? integerDivision : binary;
    return [map2(comparisons.has(op) ? 'bool' : dtype, op, xs[0]!, xs[1]!, f)];
  }
  return evaluators[op]?.(xs, attrs) ?? null;
}

export const toKnown = (v: FoldedValue): Known => ({ dtype: v.dtype, shape: v.shape, data: v.known!() });

/**
 * Whether a tensor of the file looks like a module's own parameter. Exporters give folded constants made-up names (`onnx::Expand_210`,
 * `val_12`, `1432`), and buffers such as the rotary frequencies are no parameters although they are named.
 */
function isParameter(name: string, t: OnnxTensor): boolean {
  if (!isFloat(t.dtype) || t.size <= 1) return false;
  if (/^(onnx::|val_\d|\d+$|ints_|scalar_|_tensor_constant|_v_)|_output_\d+$/.test(name)) return false;
  return !/inv_freq|rotary|cos_cached|sin_cached|masked_bias|position_ids/.test(name);
}

function weightValue(name: string, t: OnnxTensor): FoldedValue {
  let data: Float64Array | null = null;
  const known = (): Float64Array => {
    data ??= Float64Array.from(tensorToNumbers(t, 'saturate'));
    return data;
  };
  // One number is a constant of the formula, unless a module owns it by name (the bias of a single output).
  const trainable = isFloat(t.dtype) && (t.size > 1 || /\.(weight|bias)$/.test(name));
  return makeValue(name, t.dtype, t.dims, { known, weight: trainable ? { name, tensor: t } : null });
}

type Scope = Map<string, FoldedValue | null>;

/**
 * @param bindings every graph input by name: an input value, or a known one
 * @param outputs names of the wanted graph outputs
 */
export function fold(
  graph: OnnxGraph,
  opset: number,
  bindings: ReadonlyMap<string, FoldedValue>,
  outputs: readonly string[],
): Folding {
  const nodes: FoldedNode[] = [];
  const missing: Missing[] = [];
  const parameters = new Set<FoldedValue>();

  const declare = (scope: Scope, g: OnnxGraph): void => {
    for (const [name, t] of [...g.initializers, ...g.constants]) {
      if (t.dtype === 'string') continue;
      const v = weightValue(name, t);
      if (isParameter(name, t)) parameters.add(v);
      scope.set(name, v);
    }
  };

  const visit = (node: OnnxNode, scope: Scope): void => {
    // A value that could not be imported is null; what hangs on it is not reported again, unless its own op is unknown too.
    const inputs = node.inputs.map((name) => (name === '' ? null : (scope.get(name) ?? null)));
    const broken = node.inputs.some((name, i) => name !== '' && inputs[i] === null);
    const lose = (reason: string): void => {
      missing.push({
        op: node.domain ? `${node.domain}.${node.opType}` : node.opType,
        node: node.name || node.outputs[0] || '',
        reason,
      });
      for (const name of node.outputs) scope.set(name, null);
    };
    if (node.opType === 'If' && node.domain === '') {
      const cond = inputs[0]?.known?.()[0];
      if (cond === undefined) {
        if (!broken) lose('its condition depends on the data');
        for (const name of node.outputs) scope.set(name, null);
        return;
      }
      const branch = node.attributes.get(cond !== 0 ? 'then_branch' : 'else_branch');
      if (branch?.kind !== 'graph') {
        lose('its branch is missing');
        return;
      }
      const inner: Scope = new Map(scope);
      walk(branch.value, inner);
      node.outputs.forEach((name, i) => {
        scope.set(name, inner.get(branch.value.outputs[i]!.name) ?? null);
      });
      return;
    }
    if (broken) {
      const probe = lower({ node, inputs: [], opset });
      if ('refusal' in probe && probe.refusal === 'the operator is not supported') lose(probe.refusal);
      for (const name of node.outputs) scope.set(name, null);
      return;
    }
    let lowered: Lowered;
    try {
      const result = lower({ node, inputs, opset });
      if ('refusal' in result) {
        lose(result.refusal);
        return;
      }
      lowered = result;
    } catch (error) {
      if (!(error instanceof PapilioError) || error.kind !== 'shape') throw error;
      lose(error.message);
      return;
    }
    const values = lowered.inputs.filter((v) => v !== null);
    const whole = values[0];
    // A weight stays itself through a change of float type or none at all, and keeps its Transpose for the linear layer to see.
    if (whole?.weight && whole.shape.join() === lowered.outputs[0]!.shape.join()) {
      const kept = lowered.op === 'Reshape' || (lowered.op === 'Cast' && isFloat(lowered.outputs[0]!.dtype));
      if (kept) {
        scope.set(node.outputs[0]!, whole);
        return;
      }
    }
    const matrix = whole?.weight && whole.shape.length === 2 && Math.min(...whole.shape) > 1;
    const embedding =
      lowered.op === 'Gather' &&
      values[0]?.weight &&
      values[0].shape.length === 2 &&
      lowered.attrs.axis === 0;
    const foldable =
      values.every((v) => v.known && !parameters.has(v)) &&
      !embedding &&
      !(matrix && lowered.op === 'Transpose');
    const results = foldable ? evaluate(lowered.op, values.map(toKnown), lowered.attrs) : null;
    if (results) {
      node.outputs.forEach((name, i) => {
        if (name !== '' && results[i]) scope.set(name, knownValue(name, results[i]));
      });
      return;
    }
    const outs = lowered.outputs.map((type, i) =>
      makeValue(node.outputs[i] || `${node.name}:${i}`, type.dtype, type.shape),
    );
    nodes.push(makeNode(lowered.op, [...lowered.inputs], lowered.attrs, outs, node));
    outs.forEach((v, i) => {
      if (node.outputs[i]) scope.set(node.outputs[i], v);
    });
  };

  const walk = (g: OnnxGraph, scope: Scope): void => {
    declare(scope, g);
    for (const node of g.nodes) if (node.opType !== 'Constant' || node.domain !== '') visit(node, scope);
  };

  const scope: Scope = new Map(bindings);
  walk(graph, scope);
  const results: FoldedGraph['outputs'] = [];
  for (const name of outputs) {
    const value = scope.get(name);
    if (value) results.push({ name, value });
  }
  return {
    graph: { nodes, inputs: [...bindings.values()].filter((v) => v.input), outputs: results },
    missing,
  };
}

/** A known tensor of one repeated number. */
export const filled = (dtype: Known['dtype'], shape: readonly number[], value: number): Known => ({
  dtype,
  shape,
  data: new Float64Array(sizeOf(shape)).fill(rounding(dtype)(value)),
});
