/**
 * Infers and folds: walks the ONNX graph at fixed input shapes, computes on the CPU whatever depends on no input, follows the branch of an
 * If whose condition is known, and leaves the rest as canonical nodes. Everything that cannot be imported is collected.
 */
import { fail, PapilioError } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { safeInteger, tensorElements, tensorToNumbers } from '../../onnx/tensor.ts';
import { isFloat, type OnnxGraph, type OnnxNode, type OnnxTensor } from '../../onnx/types.ts';
import {
  allocate,
  atPlace,
  checkedSize,
  countAgain,
  type Numbers,
  nodeCalled,
  spend,
} from './importBudget.ts';
import {
  type IrGraph,
  type IrNode,
  type IrValue,
  isCode,
  type Known,
  knownValue,
  MOVES,
  makeNode,
  makeValue,
  toKnown,
} from './ir.ts';
import { namesScalar, ownerOf, parameterName } from './names.ts';
import { operatorOfNode } from './operators/index.ts';
import { type Context, evaluate, type Inferred, Refused, type Results } from './operators/operator.ts';

/** Whether the importer knows an operator, which then is no function of the file. */
export const isOperator = (domain: string, opType: string): boolean =>
  (domain === '' && (opType === 'Constant' || opType === 'If')) ||
  operatorOfNode(domain, opType) !== undefined;

/** Why a node cannot be imported whose operator is not known. */
export const noRule = (): string => say`the operator is not supported`;

/** A node that cannot be imported, and why. */
export interface Missing {
  readonly op: string;
  readonly node: string;
  readonly reason: string;
  /** Those that do not go together, where that is the reason. */
  readonly shapes?: readonly (readonly number[])[];
}

type Obstacle = Pick<Missing, 'reason' | 'shapes'>;

export interface Folding {
  readonly graph: IrGraph;
  readonly missing: readonly Missing[];
  /** Nodes of the file that were looked at, constants aside. */
  readonly visited: number;
  /** Nodes among them that could not be judged, because they need what is missing. */
  readonly waiting: number;
  /** Everything that could be computed, wanted or not. */
  readonly values: readonly IrValue[];
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
  const data = allocate(t.dtype, t.dims);
  if (stored instanceof BigInt64Array || stored instanceof BigUint64Array)
    for (let i = 0; i < data.length; i++) data[i] = safeInteger(stored[i]!);
  else data.set(stored);
  return data;
}

/** Contents that are made when they are first asked for. */
function lazily(make: () => Numbers): () => Numbers {
  let data: Numbers | null = null;
  return () => (data ??= make());
}

function weightValue(name: string, t: OnnxTensor, isScalar: boolean): IrValue {
  // One number is a constant of the formula, unless the file gives it a parameter's name (`logit_scale`, the bias of a single output).
  const trainable = isFloat(t.dtype) && (t.size > 1 || isScalar || /\.(weight|bias)$/.test(name));
  return makeValue(name, t.dtype, t.dims, {
    known: lazily(() => numbersIn(t)),
    tensor: t,
    weight: trainable ? { name, tensor: t, reading: null, ...(isScalar ? { isScalar } : {}) } : null,
  });
}

/** Whether a node moves a tensor of codes, which a DequantizeLinear behind it must still find. */
function movesCodes({ op, inputs }: Inferred): boolean {
  const codes = inputs[0];
  return MOVES.has(op) && codes != null && (codes.tensor ?? codes.moved) !== null && isCode(codes.dtype);
}

/** The values of a graph by name; null for one that could not be imported. A branch sees those of the graph that it is in and sets its own. */
class Scope {
  private readonly own: Map<string, IrValue | null>;
  private readonly outer: Scope | null;
  constructor(outer: Scope | null, values: Iterable<readonly [string, IrValue | null]> = []) {
    this.outer = outer;
    this.own = new Map(values);
  }
  get(name: string): IrValue | null {
    for (let scope: Scope | null = this; scope; scope = scope.outer) {
      const value = scope.own.get(name);
      if (value !== undefined) return value;
    }
    return null;
  }
  set(name: string, value: IrValue | null): void {
    this.own.set(name, value);
  }
  /** Sets what a node gives; outputs that nobody wants have no name. */
  setAll(names: readonly string[], values: Results): void {
    names.forEach((name, i) => {
      if (name !== '' && values[i] !== undefined) this.set(name, values[i]);
    });
  }
  /** Whether anything so far has the name, imported or not. */
  has(name: string): boolean {
    return this.own.has(name) || (this.outer?.has(name) ?? false);
  }
  values(): Iterable<IrValue | null> {
    return this.own.values();
  }
}

/** Nodes must stand in the order in which they compute, as ONNX asks. */
const refuseOrder = (who: string, name: string): never =>
  fail(
    'malformed-onnx',
    say`${who} reads "${name}", which is no input, no initialiser and no result of a node before; the file's nodes are out of order or go in a circle: export it again.`,
  );

// A model is folded several times, at several sizes: large constants that hang on none of them are computed and kept once. What another
// folding computes otherwise is not kept, nor what is an operand's own array.

interface Computed {
  readonly key: string;
  readonly inputs: readonly Known[];
  readonly results: readonly Known[];
}

/** The results of a node at the first folding, as long as its model is there; null where another folding gave others. */
const computed = new WeakMap<OnnxNode, Computed | null>();

/** Numbers; results of fewer are computed again. */
const WORTH_KEEPING = 2 ** 14;
/** Numbers of an input that are compared where they do not lie at the same place of the file: shapes, axes, fillings, integers. */
const FEW = 2 ** 10;

/** JSON has no infinities, no NaN and no sign of zero. */
const keyOf = ({ op, attrs }: Inferred): string =>
  JSON.stringify([op, attrs], (_, value: unknown) =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
      ? `number ${Object.is(value, -0) ? '-0' : value}`
      : value,
  );

const sameNumbers = (a: Numbers, b: Numbers): boolean =>
  a.length === b.length &&
  ((a.buffer === b.buffer && a.byteOffset === b.byteOffset) ||
    (a.length <= FEW && a.every((x, i) => Object.is(x, b[i]))));

const sameInput = (a: Known, b: Known | undefined): boolean =>
  b !== undefined && a.dtype === b.dtype && a.shape.join() === b.shape.join() && sameNumbers(a.data, b.data);

/** The results of {@link evaluate} for a node of the file: those of the folding before, where everything they hang on is the same. */
export function evaluateOnce(
  node: OnnxNode,
  inferred: Inferred,
  inputs: readonly Known[],
): readonly Known[] | null {
  const before = computed.get(node);
  const key = keyOf(inferred);
  const isSame =
    before != null &&
    before.key === key &&
    before.inputs.length === inputs.length &&
    inputs.every((input, i) => sameInput(input, before.inputs[i]));
  if (isSame) {
    for (const { data } of before.results) countAgain(data);
    return before.results;
  }
  const { op, attrs, outputs } = inferred;
  const results = evaluate(op, inputs, attrs, outputs[0]?.shape ?? []);
  const isMade = ({ data }: Known): boolean => inputs.every((x) => x.data.buffer !== data.buffer);
  if (before) computed.set(node, null);
  else if (
    before === undefined &&
    results?.every(isMade) &&
    results.some(({ data }) => data.length >= WORTH_KEEPING)
  )
    computed.set(node, { key, inputs, results });
  return results;
}

/** What looking at a node costs beside what it computes. */
const STEPS_OF_A_NODE = 1024;

/** Hears of every node in its canonical spelling, before it is computed or kept. */
export type FoldObserver = (node: OnnxNode, inferred: Inferred) => void;

class Folder {
  readonly nodes: IrNode[] = [];
  readonly missing: Missing[] = [];
  readonly fixed = new Set<OnnxNode>();
  visited = 0;
  waiting = 0;
  private readonly parameters = new Set<IrValue>();
  private readonly opset: number;
  private readonly observe: FoldObserver;

  constructor(opset: number, observe: FoldObserver) {
    this.opset = opset;
    this.observe = observe;
  }

  walk(g: OnnxGraph, scope: Scope): void {
    this.declare(g, scope);
    for (const node of g.nodes) {
      if (node.opType === 'Constant' && node.domain === '') continue;
      this.visited++;
      spend(STEPS_OF_A_NODE + 8 * node.inputs.length);
      const unmade = node.inputs.find((name) => name !== '' && !scope.has(name));
      if (unmade !== undefined) refuseOrder(nodeCalled(node), unmade);
      atPlace(
        () => nodeCalled(node),
        () => this.visit(node, scope),
      );
      for (const name of node.outputs) if (name !== '' && !scope.has(name)) scope.set(name, null);
    }
  }

  /** Puts the tensors of a graph into its scope. */
  private declare(g: OnnxGraph, scope: Scope): void {
    const scalars = scalarParameters(g);
    for (const [name, t] of [...g.initializers, ...g.constants]) {
      if (t.dtype === 'string') {
        scope.set(name, null);
        continue;
      }
      const v = weightValue(name, t, scalars.has(name));
      if (isParameter(name, t, scalars.has(name))) this.parameters.add(v);
      scope.set(name, v);
    }
  }

  /** What one input of a node reads: a weight, turned or not, is that reader's own. */
  private readBy(v: IrValue | null, node: OnnxNode, input: number): IrValue | null {
    if (v?.producer?.op === 'Transpose' && v.producer.inputs[0]?.weight) {
      const turned = makeValue(v.name, v.dtype, v.shape);
      const own = this.readBy(v.producer.inputs[0], node, input);
      makeNode('Transpose', [own], v.producer.attrs, [turned], v.producer.origin);
      return turned;
    }
    if (!v?.weight || isBuffer(v.weight.name)) return v;
    return this.alsoParameter(v, { ...v, weight: { ...v.weight, reading: { node, input } } });
  }

  /** `made` of `v`: a parameter if that is one. */
  private alsoParameter(v: IrValue, made: IrValue): IrValue {
    if (this.parameters.has(v)) this.parameters.add(made);
    return made;
  }

  /** A value that could not be imported is null; what hangs on it is not reported again, unless its own operator is unknown too. */
  private visit(node: OnnxNode, scope: Scope): void {
    const inputs = node.inputs.map((name, i) => (name === '' ? null : this.readBy(scope.get(name), node, i)));
    const waits = node.inputs.some((name, i) => name !== '' && inputs[i] === null);
    if (waits) this.waiting++;
    const obstacle =
      node.opType === 'If' && node.domain === ''
        ? this.branch(node, inputs[0], waits, scope)
        : this.calculate({ node, inputs, opset: this.opset }, waits, scope);
    if (obstacle === null) return;
    for (const name of node.outputs) scope.set(name, null);
    if (obstacle === WAITS) return;
    if (waits) this.waiting--;
    this.missing.push({
      op: node.domain ? `${node.domain}.${node.opType}` : node.opType,
      node: node.name || node.outputs[0] || '',
      ...obstacle,
    });
  }

  /** The branch that an If takes; @returns why it cannot be imported, or null. */
  private branch(
    node: OnnxNode,
    condition: IrValue | null | undefined,
    waits: boolean,
    scope: Scope,
  ): Obstacle | null {
    const cond = condition?.known?.()[0];
    if (cond === undefined) return waits ? WAITS : { reason: say`its condition depends on the data` };
    const branch = node.attributes.get(cond !== 0 ? 'then_branch' : 'else_branch');
    if (branch?.kind !== 'graph') return { reason: say`its branch is missing` };
    const { outputs } = branch.value;
    if (outputs.length < node.outputs.length)
      return {
        reason: say`its branch gives ${outputs.length} of its ${node.outputs.length} results`,
      };
    const inner = new Scope(scope);
    this.walk(branch.value, inner);
    node.outputs.forEach((name, i) => {
      scope.set(name, inner.get(outputs[i]!.name));
    });
    return null;
  }

  /** Infers a node, and computes it or keeps it; @returns why it cannot be imported, or null. */
  private calculate(c: Context, waits: boolean, scope: Scope): Obstacle | null {
    const { domain, opType, outputs } = c.node;
    const operator = operatorOfNode(domain, opType);
    if (!operator) return { reason: noRule() };
    if (waits) return WAITS;
    let inferred: Inferred | Results;
    try {
      inferred = operator.infer!(c);
      if ('op' in inferred) for (const { shape } of inferred.outputs) checkedSize(shape);
    } catch (error) {
      if (error instanceof Refused) return { reason: error.message };
      if (!(error instanceof PapilioError) || error.kind !== 'shape') throw error;
      return { reason: error.message, ...apartIn(error) };
    }
    if (!('op' in inferred)) {
      const results = inferred;
      scope.setAll(
        outputs,
        outputs.map((_, i) => results[i] ?? null),
      );
      return null;
    }
    this.observe(c.node, inferred);
    const same = this.unchanged(c.node, inferred);
    if (same) scope.set(outputs[0]!, same);
    else scope.setAll(outputs, this.folded(c.node, inferred) ?? this.kept(c.node, inferred));
    return null;
  }

  /** A weight or tensor that a node leaves as it is; null where it does not. */
  private unchanged({ opType, outputs }: OnnxNode, inferred: Inferred): IrValue | null {
    const whole = inferred.inputs.find((v) => v !== null);
    const type = inferred.outputs[0];
    if (!whole || !type || whole.shape.join() !== type.shape.join()) return null;
    // A weight stays itself through a change of float type or none at all, and keeps its Transpose for the linear layer to see.
    if (whole.weight && (inferred.op === 'Reshape' || (inferred.op === 'Cast' && isFloat(type.dtype)))) {
      const name = outputs[0]!;
      const isNamed = whole.weight.isScalar ? parameterName(name) : ownerOf(name);
      if (opType !== 'Identity' || !isNamed) return whole;
      return this.alsoParameter(whole, { ...whole, weight: { ...whole.weight, called: name } });
    }
    return whole.tensor && inferred.op === 'Reshape' ? whole : null;
  }

  /** The results of a node whose operands are known and no parameters; null where it must be kept. */
  private folded(node: OnnxNode, inferred: Inferred): readonly IrValue[] | null {
    const { op, inputs, attrs, outputs } = inferred;
    const values = inputs.filter((v) => v !== null);
    const [whole] = values;
    const { dtype, shape } = outputs[0] ?? { dtype: 'float32', shape: [] };
    const isTable = whole?.weight && whole.shape.length === 2;
    if (!values.every((v) => v.known && !this.parameters.has(v))) return null;
    if (isTable && op === 'Gather' && attrs.axis === 0) return null;
    if (isTable && op === 'Transpose' && Math.min(...whole.shape) > 1) return null;
    if (movesCodes(inferred)) {
      const moved = makeNode(op, [...inputs], attrs, [], node);
      // Codes at other places are computed only if somebody reads them as numbers.
      const known = lazily(() => evaluate(op, values.map(toKnown), attrs, shape)![0]!.data);
      return [makeValue(node.outputs[0]!, dtype, shape, { known, moved })];
    }
    const results = evaluateOnce(node, inferred, values.map(toKnown));
    if (results) this.fixed.add(node);
    return results?.map((known, i) => knownValue(node.outputs[i] ?? '', known)) ?? null;
  }

  private kept(node: OnnxNode, { op, inputs, attrs, outputs }: Inferred): readonly IrValue[] {
    const made = outputs.map(({ dtype, shape }, i) =>
      makeValue(node.outputs[i] || `${node.name}:${i}`, dtype, shape),
    );
    this.nodes.push(makeNode(op, [...inputs], attrs, made, node));
    return made;
  }
}

/** The shapes that an error says do not go together. */
export function apartIn({ details }: PapilioError): Pick<Missing, 'shapes'> {
  const { shapes } = details as Pick<Missing, 'shapes'>;
  return shapes ? { shapes } : {};
}

/** In place of a reason: the node needs what is missing already. */
const WAITS: Obstacle = { reason: '' };

/**
 * @param bindings every graph input by name: an input value, or a known one
 * @param outputs names of the wanted graph outputs
 * @param observe hears of every node in its canonical spelling
 */
export function fold(
  graph: OnnxGraph,
  opset: number,
  bindings: ReadonlyMap<string, IrValue>,
  outputs: readonly string[],
  observe: FoldObserver = () => {},
): Folding {
  const folder = new Folder(opset, observe);
  const scope = new Scope(null, bindings);
  folder.walk(graph, scope);
  const { nodes, missing, visited, waiting, fixed } = folder;
  const results: IrGraph['outputs'] = [];
  for (const name of outputs) {
    if (!scope.has(name)) refuseOrder(say`The model`, name);
    const value = scope.get(name);
    if (value) results.push({ name, value });
  }
  return {
    graph: { nodes, inputs: [...bindings.values()].filter((v) => v.input), outputs: results },
    missing,
    visited,
    waiting,
    values: [...scope.values()].filter((v) => v?.producer != null) as IrValue[],
    fixed,
  };
}
