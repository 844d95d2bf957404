/**
 * Simplifies: removes what does nothing and brings equal things into one form (x·x, x^2 → Square; division by a number → Scale;
 * 1/√x → Rsqrt; equal nodes → one), so that the fusions after it have few spellings to know.
 */
import { sameShape, sizeOf } from '../../graph/shape.ts';
import { isFloat } from '../../onnx/types.ts';
import { spend } from './importBudget.ts';
import {
  type IrGraph,
  type IrNode,
  type IrValue,
  knownOf,
  knownValue,
  numbers,
  prune,
  scalarOf,
  toKnown,
} from './ir.ts';
import { coversAll } from './operators/movement.ts';
import { become, derive, evaluate, reshapeOf, sliceOf } from './operators/operator.ts';

/** What a node's only output may be replaced by, or null; may also rewrite the node in place. */
type Rule = (node: IrNode, final: boolean) => IrValue | null;

/** A value of the shape that the node gives. */
const keepsShape = (node: IrNode, v: IrValue): boolean => sameShape(v.shape, node.outputs[0]!.shape);

const isZero = (v: IrValue): boolean =>
  v.weight === null && v.known !== null && v.known().every((e) => e === 0);

const unstepped = (node: IrNode): boolean => numbers(node.attrs.steps).every((s) => s === 1);

/** Matrices turned with their leading axes flattened for it: one Transpose of the whole. */
function turnedMatrices(node: IrNode): void {
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

function transpose(node: IrNode, final: boolean): IrValue | null {
  const x = node.inputs[0]!;
  const perm = numbers(node.attrs.perm);
  if (perm.every((p, i) => p === i)) return x;
  if (x.producer?.op === 'Transpose') {
    const first = numbers(x.producer.attrs.perm);
    const composed = perm.map((p) => first[p]!);
    become(node, 'Transpose', [x.producer.inputs[0]!], { perm: composed });
  } else if (final) {
    const moved = perm.filter((p) => x.shape[p] !== 1);
    if (moved.every((p, i) => i === 0 || p > moved[i - 1]!))
      become(node, 'Reshape', [x], { shape: node.outputs[0]!.shape });
  }
  return null;
}

/** One known row of activations, or a run of rows: a slice. */
function gather(node: IrNode): IrValue | null {
  const [x, y] = node.inputs as [IrValue, IrValue | undefined];
  const ids = y?.known?.();
  const axis = node.attrs.axis as number;
  if (!ids || ids.length === 0 || x.weight) return null;
  const d = x.shape[axis]!;
  const first = ids[0]! < 0 ? ids[0]! + d : ids[0]!;
  if (first < 0 || first + ids.length > d) return null;
  if (!ids.every((id, i) => (id < 0 ? id + d : id) === first + i)) return null;
  return reshapeOf(sliceOf(x, axis, first, ids.length, node.origin), node.outputs[0]!.shape);
}

function where(node: IrNode): IrValue | null {
  const [c, a, b] = node.inputs as [IrValue, IrValue, IrValue];
  const known = c.known?.();
  const chosen = known?.every((v) => v !== 0) ? a : known?.every((v) => v === 0) ? b : null;
  if (!chosen) return null;
  const { shape } = node.outputs[0]!;
  return keepsShape(node, chosen) ? chosen : derive('Expand', [chosen], { shape }, shape);
}

const POWERS: ReadonlyMap<number | null, string> = new Map([
  [2, 'Square'],
  [0.5, 'Sqrt'],
  [-1, 'Reciprocal'],
  [-0.5, 'Rsqrt'],
]);

const isFloatNode = (node: IrNode): boolean => isFloat(node.outputs[0]!.dtype);

/** The rules of the operators, by name. */
const rules: Readonly<Record<string, Rule>> = {
  Reshape(node) {
    const x = node.inputs[0]!;
    if (keepsShape(node, x)) return x;
    if (x.producer?.op === 'Reshape') node.inputs = [x.producer.inputs[0]!];
    else turnedMatrices(node);
    return null;
  },
  Cast(node) {
    const x = node.inputs[0]!;
    const to = node.attrs.to as IrValue['dtype'];
    // The engine has one float and one integer type; only a number that becomes a truth value changes.
    return isFloat(x.dtype) === isFloat(to) && (to !== 'bool' || x.dtype === 'bool') ? x : null;
  },
  Transpose: transpose,
  Expand: (node) => (keepsShape(node, node.inputs[0]!) ? node.inputs[0]! : null),
  Slice: (node) => (keepsShape(node, node.inputs[0]!) && unstepped(node) ? node.inputs[0]! : null),
  Split: (node) => (node.outputs.length === 1 ? node.inputs[0]! : null),
  Concat(node) {
    const full = node.inputs.filter((v) => v !== null && sizeOf(v.shape) > 0);
    if (full.length === 1) return full[0]!;
    if (full.length < node.inputs.length && full.length > 0) node.inputs = full;
    return null;
  },
  Gather: gather,
  ScatterND(node) {
    const [x, ids, updates] = node.inputs as [IrValue, IrValue, IrValue];
    return ids.known && coversAll(toKnown(ids), x.shape) ? reshapeOf(updates, node.outputs[0]!.shape) : null;
  },
  Where: where,
  Pow(node) {
    const [x, y] = node.inputs as [IrValue, IrValue];
    const power = scalarOf(y);
    if (power === 1 && keepsShape(node, x)) return x;
    const op = POWERS.get(power);
    if (op) become(node, op, [x]);
    return null;
  },
  Reciprocal(node) {
    const { producer } = node.inputs[0]!;
    if (producer?.op === 'Sqrt') become(node, 'Rsqrt', [producer.inputs[0]!]);
    return null;
  },
  Div(node) {
    const [x, y] = node.inputs as [IrValue, IrValue];
    if (!isFloatNode(node)) return null;
    const by = scalarOf(y);
    if (scalarOf(x) === 1 && keepsShape(node, y)) become(node, 'Reciprocal', [y]);
    else if (by !== null && keepsShape(node, x)) become(node, 'Scale', [x], { by: 1 / by });
    return null;
  },
  Mul(node) {
    const [x, y] = node.inputs as [IrValue, IrValue];
    const isScaled = (v: IrValue, by: number | null) =>
      isFloatNode(node) && by !== null && keepsShape(node, v);
    const [sx, sy] = [scalarOf(x), scalarOf(y)];
    if (x === y) become(node, 'Square', [x]);
    else if (isScaled(x, sy)) become(node, 'Scale', [x], { by: sy! });
    else if (isScaled(y, sx)) become(node, 'Scale', [y], { by: sx! });
    else if (y.producer?.op === 'Reciprocal') become(node, 'Div', [x, y.producer.inputs[0]!]);
    return null;
  },
  Scale(node) {
    const x = node.inputs[0]!;
    const by = node.attrs.by as number;
    if (by === 1) return x;
    if (x.producer?.op === 'Scale')
      become(node, 'Scale', [x.producer.inputs[0]!], { by: by * (x.producer.attrs.by as number) });
    return null;
  },
  Neg(node) {
    if (isFloatNode(node)) become(node, 'Scale', [node.inputs[0]!], { by: -1 });
    return null;
  },
  Add(node) {
    const [x, y] = node.inputs as [IrValue, IrValue];
    if (isZero(y) && keepsShape(node, x)) return x;
    return isZero(x) && keepsShape(node, y) ? y : null;
  },
  Sub(node) {
    const [x, y] = node.inputs as [IrValue, IrValue];
    return isZero(y) && keepsShape(node, x) ? x : null;
  },
};

/** Merges nodes that compute the same from the same. */
function shareEqual(graph: IrGraph): boolean {
  const ids = new Map<IrValue, number>();
  const seen = new Map<string, IrNode>();
  const same = new Map<IrValue, IrValue>();
  const idOf = (v: IrValue | null): string => {
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

/** Computes a node of known operands, or applies its rule; @returns whether anything changed */
function simplifyNode(node: IrNode, replaced: Map<IrValue, IrValue>, final: boolean): boolean {
  const looks = (): string => `${node.op}|${JSON.stringify(node.attrs)}|${node.inputs.length}`;
  const before = looks();
  const isKnown = node.inputs.every((v) => v === null || (v.known !== null && !v.weight));
  const results = isKnown && evaluate(node.op, knownOf(node.inputs), node.attrs, node.outputs[0]!.shape);
  if (results) {
    node.outputs.forEach((v, i) => {
      replaced.set(v, knownValue(v.name, results[i]!));
    });
    return true;
  }
  const first = node.inputs[0];
  const to = Object.hasOwn(rules, node.op) ? rules[node.op]!(node, final) : null;
  if (to) replaced.set(node.outputs[0]!, to);
  return to !== null || first !== node.inputs[0] || before !== looks();
}

/**
 * Simplifies until nothing changes.
 * @param final also turns transposes that move only axes of size one into reshapes, which would hide patterns from the fusions
 */
export function simplify(graph: IrGraph, final = false): void {
  for (let changed = true; changed; ) {
    spend(graph.nodes.length * STEPS_OF_A_NODE);
    prune(graph);
    changed = shareEqual(graph);
    const replaced = new Map<IrValue, IrValue>();
    const follow = (v: IrValue): IrValue => {
      let at = v;
      for (let next = replaced.get(at); next; next = replaced.get(at)) at = next;
      return at;
    };
    for (const node of graph.nodes) {
      node.inputs = node.inputs.map((v) => (v ? follow(v) : v));
      if (simplifyNode(node, replaced, final)) changed = true;
    }
    for (const out of graph.outputs) out.value = follow(out.value);
  }
  prune(graph);
}
