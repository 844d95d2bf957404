/**
 * Stage 2a: removes what does nothing and brings equal things into one form (x·x, x^2 → Square; division by a number → Scale;
 * 1/√x → Rsqrt; equal nodes → one), so that the fusions after it have few spellings to know.
 */
import { sameShape, sizeOf } from '../../graph/shape.ts';
import { isFloat } from '../../onnx/dtype.ts';
import { become, derive, reshapeOf } from './derive.ts';
import { coversAll } from './evaluateMoves.ts';
import { evaluate, toKnown } from './evaluateOps.ts';
import type { FoldedGraph, FoldedNode, FoldedValue } from './folded.ts';
import { knownValue, numbers, prune, scalarOf } from './folded.ts';
import { work } from './room.ts';

/** Matrices turned with their leading axes flattened for it: one Transpose of the whole. */
function turnedMatrices(node: FoldedNode): void {
  const transpose = node.inputs[0]!.producer;
  const flat = transpose?.op === 'Transpose' ? transpose.inputs[0]!.producer : null;
  if (flat?.op !== 'Reshape' || numbers(transpose!.attrs.perm).join() !== '0,2,1') return;
  const [rows, columns] = flat.outputs[0]!.shape.slice(-2) as [number, number];
  const out = node.outputs[0]!.shape;
  if (out.at(-2) !== columns || out.at(-1) !== rows) return;
  const lead = out.slice(0, -2);
  const perm = [...lead.keys(), lead.length + 1, lead.length];
  become(node, 'Transpose', [reshapeOf(flat.inputs[0]!, [...lead, rows, columns])], { perm });
}

/** What `node`'s only output may be replaced by, or null; may also rewrite the node in place. */
function rule(node: FoldedNode, final: boolean): FoldedValue | null {
  const [x, y] = node.inputs as [FoldedValue, FoldedValue | undefined];
  const out = node.outputs[0]!;
  const sx = scalarOf(x);
  const sy = scalarOf(y);
  const keepsShape = (v: FoldedValue): boolean => sameShape(v.shape, out.shape);
  const float = isFloat(out.dtype);
  switch (node.op) {
    case 'Reshape':
      if (keepsShape(x)) return x;
      if (x.producer?.op === 'Reshape') node.inputs = [x.producer.inputs[0]!];
      else turnedMatrices(node);
      return null;
    case 'Cast': {
      const to = node.attrs.to as FoldedValue['dtype'];
      // The engine has one float and one integer type; only a number that becomes a truth value changes.
      if (isFloat(x.dtype) === isFloat(to) && (to !== 'bool' || x.dtype === 'bool')) return x;
      return null;
    }
    case 'Transpose': {
      const perm = numbers(node.attrs.perm);
      if (perm.every((p, i) => p === i)) return x;
      if (x.producer?.op === 'Transpose') {
        const first = numbers(x.producer.attrs.perm);
        const composed = perm.map((p) => first[p]!);
        become(node, 'Transpose', [x.producer.inputs[0]!], { perm: composed });
      } else if (final) {
        const moved = perm.filter((p) => x.shape[p] !== 1);
        if (moved.every((p, i) => i === 0 || p > moved[i - 1]!))
          become(node, 'Reshape', [x], { shape: out.shape });
      }
      return null;
    }
    case 'Expand':
      return keepsShape(x) ? x : null;
    case 'Slice':
      return keepsShape(x) && numbers(node.attrs.steps).every((s) => s === 1) ? x : null;
    case 'Split':
      return node.outputs.length === 1 ? x : null;
    case 'Concat': {
      const full = node.inputs.filter((v) => v !== null && sizeOf(v.shape) > 0);
      if (full.length === 1) return full[0]!;
      if (full.length < node.inputs.length && full.length > 0) node.inputs = full;
      return null;
    }
    case 'Gather': {
      // One known row of activations, or a run of rows: a slice.
      const ids = y?.known?.();
      const axis = node.attrs.axis as number;
      if (!ids || ids.length === 0 || x.weight) return null;
      const d = x.shape[axis]!;
      const first = ids[0]! < 0 ? ids[0]! + d : ids[0]!;
      if (!ids.every((id, i) => (id < 0 ? id + d : id) === first + i)) return null;
      const shape = x.shape.map((s, i) => (i === axis ? ids.length : s));
      const starts = x.shape.map((_, i) => (i === axis ? first : 0));
      const part = derive('Slice', [x], { starts, steps: x.shape.map(() => 1), shape }, shape, node.origin);
      return reshapeOf(part, out.shape);
    }
    case 'ScatterND':
      return y?.known && coversAll(toKnown(y), x.shape) ? reshapeOf(node.inputs[2]!, out.shape) : null;
    case 'Where': {
      const [c, a, b] = node.inputs as [FoldedValue, FoldedValue, FoldedValue];
      const known = c.known?.();
      const chosen = known?.every((v) => v !== 0) ? a : known?.every((v) => v === 0) ? b : null;
      if (!chosen) return null;
      return keepsShape(chosen) ? chosen : derive('Expand', [chosen], { shape: out.shape }, out.shape);
    }
    case 'Pow':
      if (sy === 1 && keepsShape(x)) return x;
      if (sy === 2) become(node, 'Square', [x]);
      else if (sy === 0.5) become(node, 'Sqrt', [x]);
      else if (sy === -1) become(node, 'Reciprocal', [x]);
      else if (sy === -0.5) become(node, 'Rsqrt', [x]);
      return null;
    case 'Reciprocal':
      if (x.producer?.op === 'Sqrt') become(node, 'Rsqrt', [x.producer.inputs[0]!]);
      return null;
    case 'Div':
      if (!float) return null;
      if (sx === 1 && keepsShape(y!)) become(node, 'Reciprocal', [y!]);
      else if (sy !== null && keepsShape(x)) become(node, 'Scale', [x], { by: 1 / sy });
      return null;
    case 'Mul':
      if (x === y) become(node, 'Square', [x]);
      else if (float && sy !== null && keepsShape(x)) become(node, 'Scale', [x], { by: sy });
      else if (float && sx !== null && keepsShape(y!)) become(node, 'Scale', [y!], { by: sx });
      else if (y?.producer?.op === 'Reciprocal') become(node, 'Div', [x, y.producer.inputs[0]!]);
      return null;
    case 'Scale': {
      const by = node.attrs.by as number;
      if (by === 1) return x;
      if (x.producer?.op === 'Scale')
        become(node, 'Scale', [x.producer.inputs[0]!], { by: by * (x.producer.attrs.by as number) });
      return null;
    }
    case 'Neg':
      if (float) become(node, 'Scale', [x], { by: -1 });
      return null;
    case 'Add':
      if (isZero(y!) && keepsShape(x)) return x;
      return isZero(x) && keepsShape(y!) ? y! : null;
    case 'Sub':
      return isZero(y!) && keepsShape(x) ? x : null;
    default:
      return null;
  }
}

const isZero = (v: FoldedValue): boolean =>
  v.weight === null && v.known !== null && v.known().every((e) => e === 0);

/** Merges nodes that compute the same from the same. */
function shareEqual(graph: FoldedGraph): boolean {
  const ids = new Map<FoldedValue, number>();
  const seen = new Map<string, FoldedNode>();
  const same = new Map<FoldedValue, FoldedValue>();
  const idOf = (v: FoldedValue | null): string => {
    if (!v) return '-';
    const s = scalarOf(v);
    if (s !== null) return `=${s}:${v.shape.length}`;
    let id = ids.get(v);
    if (id === undefined) ids.set(v, (id = ids.size));
    return String(id);
  };
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map((v) => (v ? (same.get(v) ?? v) : v));
    const key = `${node.op}|${node.inputs.map(idOf).join()}|${JSON.stringify(node.attrs)}`;
    const twin = seen.get(key);
    if (twin) {
      node.outputs.forEach((v, i) => {
        same.set(v, twin.outputs[i]!);
      });
    } else seen.set(key, node);
  }
  for (const out of graph.outputs) out.value = same.get(out.value) ?? out.value;
  return same.size > 0;
}

/** What looking at a node costs. */
const STEPS_OF_A_NODE = 128;

/**
 * Simplifies until nothing changes.
 * @param final also turns transposes that move only axes of size one into reshapes, which would hide patterns from the fusions
 */
export function simplify(graph: FoldedGraph, final = false): void {
  for (let changed = true; changed; ) {
    work(graph.nodes.length * STEPS_OF_A_NODE);
    prune(graph);
    changed = shareEqual(graph);
    const replaced = new Map<FoldedValue, FoldedValue>();
    const follow = (v: FoldedValue): FoldedValue => {
      let at = v;
      for (let next = replaced.get(at); next; next = replaced.get(at)) at = next;
      return at;
    };
    for (const node of graph.nodes) {
      node.inputs = node.inputs.map((v) => (v ? follow(v) : v));
      const before = `${node.op}|${JSON.stringify(node.attrs)}|${node.inputs.length}`;
      const known = node.inputs.every((v) => v === null || (v.known !== null && !v.weight));
      const results =
        known && evaluate(node.op, node.inputs.filter((v) => v !== null).map(toKnown), node.attrs);
      if (results) {
        node.outputs.forEach((v, i) => {
          replaced.set(v, knownValue(v.name, results[i]!));
        });
        changed = true;
        continue;
      }
      const first = node.inputs[0];
      const to = rule(node, final);
      if (to) replaced.set(node.outputs[0]!, to);
      changed ||=
        to !== null ||
        first !== node.inputs[0] ||
        before !== `${node.op}|${JSON.stringify(node.attrs)}|${node.inputs.length}`;
    }
    for (const out of graph.outputs) out.value = follow(out.value);
  }
  prune(graph);
}
