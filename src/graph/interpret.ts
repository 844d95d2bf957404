/** Runs a graph on the CPU in float64 from the ops' registered references: the oracle for every kernel and for whole models. */
import { fail } from '../lib/errors.ts';
import { fromHalf } from '../lib/half.ts';
import type { AnyOp, DeviceData, Graph, Op, Tensor, TensorType, Value } from './types.ts';

/** Device data as a float64 tensor. */
function toTensor(type: TensorType, data: DeviceData): Tensor {
  const out = new Float64Array(data.length);
  if (type.dtype === 'f16') for (let i = 0; i < data.length; i++) out[i] = fromHalf(data[i]!);
  else out.set(data);
  return { dtype: type.dtype, shape: type.shape, data: out };
}

export interface Interpretation {
  /** The tensor of any value of the graph that was computed or given. */
  get(value: Value): Tensor;
  /** States after the run, by name. */
  readonly states: ReadonlyMap<string, Tensor>;
}

/**
 * @param feeds inputs by name, and optionally states and parameters by name (in place of their `source`)
 * @throws PapilioError('internal') when an input is missing
 */
export function interpret(graph: Graph, feeds: ReadonlyMap<string, Tensor>): Interpretation {
  const tensors = new Map<Value, Tensor>();
  const states = new Map<string, Tensor>();

  const load = (v: Value): Tensor => {
    if (v.role === 'state') {
      const known = states.get(v.name);
      if (known) return known;
    }
    let t = tensors.get(v);
    if (!t) {
      t = v.role === 'constant' ? undefined : feeds.get(v.name);
      if (!t && v.source) t = toTensor(v, v.source());
      if (!t) fail('internal', `interpret: no data for ${v.role} ${v.name}.`);
      tensors.set(v, t);
      if (v.role === 'state') states.set(v.name, t);
    }
    return t;
  };

  for (const node of graph.nodes) {
    const results = checkOf(node.op).reference(node.inputs.map(load), node.attrs);
    node.outputs.forEach((v, i) => {
      tensors.set(v, results[i]!);
    });
    (node.op.mutates ?? []).forEach((input, k) => {
      states.set(node.inputs[input]!.name, results[node.outputs.length + k]!);
    });
  }
  return { get: load, states };
}

// Float64 references and test cases of ops. They are no part of an op: its check file (`x.check.ts` beside `x.ts`) registers them
// here, and only what checks ops or interprets graphs loads check files.

/** A shape an op is tested at. Inputs are drawn at random (seeded) from `range` unless `data` gives them. */
export interface OpCase<A> {
  readonly name: string;
  readonly inputs: readonly (TensorType & {
    readonly data?: readonly number[];
    readonly range?: readonly [number, number];
  })[];
  readonly attrs: A;
  /** Relative tolerance of GPU against float64 reference (over max|reference|); default 2e-5. */
  readonly tolerance?: number;
  /** Inputs whose gradient is checked against finite differences; default: every f32 input, when the op has a gradient. */
  readonly gradientInputs?: readonly number[];
  /** Outputs whose upstream gradient is not null in that check; default: all of an alias, else the first. */
  readonly gradientOutputs?: readonly number[];
}

export interface OpCheck<A> {
  /** Plain loops in float64: the outputs, then the new contents of every mutated input in order. */
  readonly reference: (inputs: readonly Tensor[], attrs: A) => readonly Tensor[];
  readonly cases: readonly OpCase<A>[];
}

// biome-ignore lint/suspicious/noExplicitAny: a table of ops of many attribute types, as in AnyOp
const checks = new Map<AnyOp, OpCheck<any>>();

/** Registers what an op is checked by. */
export function defineCheck<A>(op: Op<A>, check: OpCheck<NoInfer<A>>): void {
  if (check.cases.length === 0) fail('internal', `Op ${op.name} has no test case.`);
  checks.set(op, check);
}

/** @throws PapilioError('internal') when the op's check file is not loaded */
export function checkOf<A>(op: Op<A>): OpCheck<A> {
  return (
    checks.get(op) ?? fail('internal', `No reference of the op ${op.name} is loaded: see src/ops/checks.ts.`)
  );
}

/** The ops whose checks are loaded. */
export const checkedOps = (): readonly AnyOp[] => [...checks.keys()];
