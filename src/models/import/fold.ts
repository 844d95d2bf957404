/**
 * Stage 1 of the import: walks the ONNX graph at fixed input shapes, evaluates on the CPU whatever depends on no input, follows the
 * branch of an If whose condition is known, and leaves the rest as canonical nodes. Everything that cannot be imported is collected.
 */
import { fail, PapilioError } from '../../lib/errors.ts';
import { isFloat } from '../../onnx/dtype.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../onnx/types.ts';
import { safeInteger, tensorElements, tensorToNumbers } from '../../onnx/values.ts';
import { evaluateOnce } from './computedOnce.ts';
import { evaluate, toKnown } from './evaluateOps.ts';
import { canExpand, expand } from './expand.ts';
import type { FoldedGraph, FoldedNode, FoldedValue } from './folded.ts';
import { isCode, knownValue, MOVES, makeNode, makeValue } from './folded.ts';
import { canLower, lower, NO_RULE } from './lower.ts';
import type { Lowered } from './lowering.ts';
import { namesScalar, ownerOf, parameterName } from './names.ts';
import { allot, at, type Numbers, nodeCalled, work } from './room.ts';

/** Whether the importer knows an operator, which then is no function of the file. */
export const isOperator = (domain: string, opType: string): boolean =>
  (domain === '' && (opType === 'Constant' || opType === 'If')) ||
  canLower(domain, opType) ||
  canExpand({ node: { domain, opType, inputs: [] } });

/** A node that cannot be imported, and why. */
export interface Missing {
  readonly op: string;
  readonly node: string;
  readonly reason: string;
}

export interface Folding {
  readonly graph: FoldedGraph;
  readonly missing: readonly Missing[];
  /** Nodes of the file that were looked at, constants aside. */
  readonly visited: number;
  /** Nodes among them that could not be judged, because they need what is missing. */
  readonly waiting: number;
  /** Everything that could be computed, wanted or not. */
  readonly values: readonly FoldedValue[];
  /** Nodes whose results are constants here: no training reaches what they read. */
  readonly fixed: ReadonlySet<OnnxNode>;
}

/**
 * Whether a tensor of the file looks like a module's own parameter. Exporters give folded constants made-up names (`onnx::Expand_210`,
 * `val_12`, `1432`), and buffers such as the rotary frequencies are no parameters although they are named.
 */
function isParameter(name: string, t: OnnxTensor, isScalar: boolean): boolean {
  if (!isFloat(t.dtype) || (t.size <= 1 && !isScalar)) return false;
  if (/^(onnx::|val_\d|\d+$|ints_|scalar_|_tensor_constant|_v_)|_output_\d+$/.test(name)) return false;
  return !isBuffer(name);
}

/** Buffers of modules: tables that follow from the sizes and never train. */
const isBuffer = (name: string): boolean =>
  /inv_freq|rotary|(cos|sin)_cache|masked_bias|position_ids|embed_scale|num_batches_tracked/.test(name);

/** Operators that read the steps of codes beside the codes. */
const READS_STEPS = /Quantize|^QLinear|Integer|NBits|^QAttention|^QGemm/;

/** The tensors of one number that are parameters of the model, by what the file says: initialisers with a parameter's name. */
function scalarParameters(graph: OnnxGraph): ReadonlySet<string> {
  const { initializers, nodes } = graph;
  const isNamed = (name: string, t: OnnxTensor): boolean =>
    isFloat(t.dtype) && t.size === 1 && !isBuffer(name) && namesScalar(name, tensorToNumbers(t)[0]!);
  const found = [...initializers].filter(([name, t]) => isNamed(name, t)).map(([name]) => name);
  if (found.length === 0) return new Set();
  const steps = new Set(nodes.filter(({ opType }) => READS_STEPS.test(opType)).flatMap((n) => n.inputs));
  // A quantiser's own names: the scale of an integer product stands behind it, in a plain Mul.
  const isStep = (name: string): boolean => {
    const base = /^(.+)_scale$/.exec(name)?.[1];
    return (
      base !== undefined && (initializers.has(`${base}_zero_point`) || initializers.has(`${base}_quantized`))
    );
  };
  return new Set(found.filter((name) => !steps.has(name) && !isStep(name)));
}

/** Of a tensor of the file: where they are, if they lie there as they are kept here. */
function numbersIn(t: OnnxTensor): Numbers {
  const stored = tensorElements(t);
  if (
    stored instanceof Float32Array ||
    stored instanceof Float64Array ||
    stored instanceof Uint8Array ||
    stored instanceof Int8Array
  )
    return stored;
  const data = allot(t.dtype, t.dims);
  if (stored instanceof BigInt64Array || stored instanceof BigUint64Array)
    for (let i = 0; i < data.length; i++) data[i] = safeInteger(stored[i]!);
  else data.set(stored);
  return data;
}

function weightValue(name: string, t: OnnxTensor, isScalar: boolean): FoldedValue {
  let data: Numbers | null = null;
  const known = (): Numbers => (data ??= numbersIn(t));
  // One number is a constant of the formula, unless the file gives it a parameter's name (`logit_scale`, the bias of a single output).
  const trainable = isFloat(t.dtype) && (t.size > 1 || isScalar || /\.(weight|bias)$/.test(name));
  return makeValue(name, t.dtype, t.dims, {
    known,
    tensor: t,
    weight: trainable ? { name, tensor: t, reading: null, ...(isScalar ? { isScalar } : {}) } : null,
  });
}

/** Whether a node moves a tensor of codes, which a DequantizeLinear behind it must still find. */
function movesCodes({ op, inputs }: Lowered): boolean {
  const codes = inputs[0];
  return MOVES.has(op) && codes != null && (codes.tensor ?? codes.moved) !== null && isCode(codes.dtype);
}

/** Codes at other places; computed only if somebody reads them as numbers. */
function movedCodes(
  name: string,
  dtype: FoldedValue['dtype'],
  shape: readonly number[],
  moved: FoldedNode,
): FoldedValue {
  let data: Numbers | null = null;
  const known = (): Numbers =>
    (data ??= evaluate(moved.op, moved.inputs.filter((v) => v !== null).map(toKnown), moved.attrs)![0]!.data);
  return makeValue(name, dtype, shape, { known, moved });
}

/** The values of a graph by name; null for one that could not be imported. A branch sees those around it and sets its own. */
class Scope {
  private readonly own: Map<string, FoldedValue | null>;
  private readonly around: Scope | null;
  constructor(around: Scope | null, values: Iterable<readonly [string, FoldedValue | null]> = []) {
    this.around = around;
    this.own = new Map(values);
  }
  get(name: string): FoldedValue | null {
    for (let scope: Scope | null = this; scope; scope = scope.around) {
      const value = scope.own.get(name);
      if (value !== undefined) return value;
    }
    return null;
  }
  set(name: string, value: FoldedValue | null): void {
    this.own.set(name, value);
  }
  /** Whether anything so far has the name, imported or not. */
  has(name: string): boolean {
    return this.own.has(name) || (this.around?.has(name) ?? false);
  }
  values(): Iterable<FoldedValue | null> {
    return this.own.values();
  }
}

/** Nodes must stand in the order in which they compute, as ONNX asks. */
const refuseOrder = (who: string, name: string): never =>
  fail(
    'malformed-onnx',
    `${who} reads "${name}", which is no input, no initialiser and no result of a node before; the file's nodes are out of order or go in a circle: export it again.`,
  );

/** What looking at a node costs beside what it computes. */
const STEPS_OF_A_NODE = 1024;

/** Hears of every node in its canonical spelling, before it is computed or kept. */
export type FoldObserver = (node: OnnxNode, lowered: Lowered) => void;

/**
 * @param bindings every graph input by name: an input value, or a known one
 * @param outputs names of the wanted graph outputs
 * @param observe hears of every node in its canonical spelling
 */
export function fold(
  graph: OnnxGraph,
  opset: number,
  bindings: ReadonlyMap<string, FoldedValue>,
  outputs: readonly string[],
  observe: FoldObserver = () => {},
): Folding {
  const nodes: FoldedNode[] = [];
  const missing: Missing[] = [];
  const parameters = new Set<FoldedValue>();
  const fixed = new Set<OnnxNode>();
  let visited = 0;
  let waiting = 0;

  /** What one input of a node reads: a weight, turned or not, is that reader's own. */
  const readBy = (v: FoldedValue | null, node: OnnxNode, input: number): FoldedValue | null => {
    if (v?.producer?.op === 'Transpose' && v.producer.inputs[0]?.weight) {
      const turned = makeValue(v.name, v.dtype, v.shape);
      const own = readBy(v.producer.inputs[0], node, input);
      makeNode('Transpose', [own], v.producer.attrs, [turned], v.producer.origin);
      return turned;
    }
    if (!v?.weight || isBuffer(v.weight.name)) return v;
    const own: FoldedValue = { ...v, weight: { ...v.weight, reading: { node, input } } };
    if (parameters.has(v)) parameters.add(own);
    return own;
  };

  const declare = (scope: Scope, g: OnnxGraph): void => {
    const scalars = scalarParameters(g);
    for (const [name, t] of [...g.initializers, ...g.constants]) {
      if (t.dtype === 'string') {
        scope.set(name, null);
        continue;
      }
      const v = weightValue(name, t, scalars.has(name));
      if (isParameter(name, t, scalars.has(name))) parameters.add(v);
      scope.set(name, v);
    }
  };

  const visit = (node: OnnxNode, scope: Scope): void => {
    // A value that could not be imported is null; what hangs on it is not reported again, unless its own op is unknown too.
    const inputs = node.inputs.map((name, i) => (name === '' ? null : readBy(scope.get(name), node, i)));
    const broken = node.inputs.some((name, i) => name !== '' && inputs[i] === null);
    if (broken) waiting++;
    const lose = (reason: string): void => {
      if (broken) waiting--;
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
      const given = branch.value.outputs;
      if (given.length < node.outputs.length) {
        lose(`its branch gives ${given.length} of its ${node.outputs.length} results`);
        return;
      }
      const inner = new Scope(scope);
      walk(branch.value, inner);
      node.outputs.forEach((name, i) => {
        scope.set(name, inner.get(given[i]!.name));
      });
      return;
    }
    const expands = canExpand({ node });
    if (broken) {
      if (expands) {
        for (const name of node.outputs) scope.set(name, null);
        return;
      }
      const probe = lower({ node, inputs: [], opset });
      if ('refusal' in probe && probe.refusal === NO_RULE) lose(probe.refusal);
      for (const name of node.outputs) scope.set(name, null);
      return;
    }
    let lowered: Lowered;
    try {
      if (expands) {
        const made = expand({ node, inputs, opset });
        if ('refusal' in made) {
          lose(made.refusal);
          return;
        }
        node.outputs.forEach((name, i) => {
          if (name !== '') scope.set(name, made[i] ?? null);
        });
        return;
      }
      const result = lower({ node, inputs, opset });
      if ('refusal' in result) {
        lose(result.refusal);
        return;
      }
      lowered = result;
      observe(node, lowered);
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
        const name = node.outputs[0]!;
        const called =
          node.opType === 'Identity' && (whole.weight.isScalar ? parameterName(name) : ownerOf(name))
            ? { ...whole, weight: { ...whole.weight, called: name } }
            : whole;
        if (parameters.has(whole)) parameters.add(called);
        scope.set(name, called);
        return;
      }
    }
    if (
      whole?.tensor &&
      lowered.op === 'Reshape' &&
      whole.shape.join() === lowered.outputs[0]!.shape.join()
    ) {
      scope.set(node.outputs[0]!, whole);
      return;
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
    if (foldable && movesCodes(lowered)) {
      const [{ dtype, shape }] = lowered.outputs as [Lowered['outputs'][number]];
      const name = node.outputs[0]!;
      const moved = makeNode(lowered.op, [...lowered.inputs], lowered.attrs, [], node);
      scope.set(name, movedCodes(name, dtype, shape, moved));
      return;
    }
    const results = foldable ? evaluateOnce(node, lowered, values.map(toKnown)) : null;
    if (results) {
      fixed.add(node);
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
    for (const node of g.nodes) {
      if (node.opType === 'Constant' && node.domain === '') continue;
      visited++;
      work(STEPS_OF_A_NODE + 8 * node.inputs.length);
      const unmade = node.inputs.find((name) => name !== '' && !scope.has(name));
      if (unmade !== undefined) refuseOrder(nodeCalled(node), unmade);
      at(
        () => nodeCalled(node),
        () => visit(node, scope),
      );
      for (const name of node.outputs) if (name !== '' && !scope.has(name)) scope.set(name, null);
    }
  };

  const scope = new Scope(null, bindings);
  walk(graph, scope);
  const results: FoldedGraph['outputs'] = [];
  for (const name of outputs) {
    if (!scope.has(name)) refuseOrder('The model', name);
    const value = scope.get(name);
    if (value) results.push({ name, value });
  }
  return {
    graph: { nodes, inputs: [...bindings.values()].filter((v) => v.input), outputs: results },
    missing,
    visited,
    waiting,
    values: [...scope.values()].filter((v) => v?.producer != null) as FoldedValue[],
    fixed,
  };
}
