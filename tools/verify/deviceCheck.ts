/**
 * The suite that every op goes through, case by case:
 * `compiles`            its kernels compile without a message;
 * `forward`             the kernel against the op's float64 reference;
 * `gradient-reference`  the gradient rule (its nodes interpreted in float64) against central differences of the reference;
 * `gradient-gpu`        the gradient's kernels against the same nodes interpreted.
 * Inputs are seeded; the upstream gradient is random, because a uniform one hides transposes and sums.
 */
import { compile } from '../../src/gpu/compile.ts';
import type { Device } from '../../src/gpu/device.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { checkOf, type Interpretation, interpret, type OpCase } from '../../src/graph/interpret.ts';
import type { Plan } from '../../src/graph/plan.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { AnyOp, Caps, DeviceData, Graph, Tensor, TensorType, Value } from '../../src/graph/types.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { float32ToHalf, fromHalf, halfToFloat32, toHalf } from '../../src/lib/half.ts';
import { type Rng, rng } from '../../src/lib/rng.ts';

/** A number as the dtype can hold it, so that device and reference start from equal values. */
function rounded(dtype: TensorType['dtype'], x: number): number {
  if (dtype === 'f32') return Math.fround(x);
  if (dtype === 'f16') return fromHalf(toHalf(x));
  return Math.floor(x);
}

/** Random or given contents: floats default to [-1, 1), whole numbers to {0, 1, 2}. */
export function inputTensor(spec: OpCase<unknown>['inputs'][number], random: Rng): Tensor {
  const whole = spec.dtype === 'i32' || spec.dtype === 'u32';
  const [low, high] = spec.range ?? (whole ? [0, 3] : [-1, 1]);
  const data = new Float64Array(sizeOf(spec.shape));
  for (let i = 0; i < data.length; i++) {
    data[i] = rounded(spec.dtype, spec.data ? spec.data[i % spec.data.length]! : random.between(low, high));
  }
  return { dtype: spec.dtype, shape: spec.shape, data };
}

function toDevice(tensor: Tensor): DeviceData {
  switch (tensor.dtype) {
    case 'f32':
      return Float32Array.from(tensor.data);
    case 'f16':
      return float32ToHalf(tensor.data);
    case 'i32':
      return Int32Array.from(tensor.data);
    case 'u32':
      return Uint32Array.from(tensor.data);
  }
}

export interface Difference {
  /** max|a−b| / max|b|; Infinity where one is not a number and the other is. */
  readonly error: number;
  /** The worst element, for the message. */
  readonly at: string;
}

/**
 * @param floor smallest denominator, for tensors that are all zero
 */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>, floor = 1e-6): Difference {
  let largest = floor;
  let worst = 0;
  let at = '';
  for (let i = 0; i < expected.length; i++) {
    const b = expected[i]!;
    if (Number.isFinite(b)) largest = Math.max(largest, Math.abs(b));
  }
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i]!;
    const b = expected[i]!;
    const d =
      Object.is(a, b) || a === b ? 0 : Number.isFinite(a) && Number.isFinite(b) ? Math.abs(a - b) : Infinity;
    if (d > worst) {
      worst = d;
      at = `element ${i} is ${a}, expected ${b}`;
    }
  }
  if (actual.length !== expected.length)
    return { error: Infinity, at: `${actual.length} elements, expected ${expected.length}` };
  return { error: worst / largest, at };
}

export interface CheckResult {
  readonly op: string;
  readonly case: string;
  readonly what: 'compiles' | 'forward' | 'gradient-reference' | 'gradient-gpu';
  readonly error: number;
  readonly tolerance: number;
  readonly ok: boolean;
  /** What failed, where. */
  readonly message?: string;
}

const forwardTolerance = 2e-5;
/** A gradient chains several kernels. */
const gradientFactor = 5;
const differenceTolerance = 2e-6;
const differenceStep = 1e-4;
/** Elements of one input that are perturbed at most. */
const sampled = 40;

/** A graph of one node whose inputs are fed by name; mutated inputs are states. */
function nodeGraph(op: AnyOp, test: OpCase<unknown>, tensors: readonly Tensor[]) {
  const g = createBuilder();
  const inputs = tensors.map((t, i): Value => {
    if (op.mutates?.includes(i)) return g.state(`in${i}`, t, () => toDevice(t));
    return g.input(`in${i}`, t);
  });
  const outputs = g.emit(op, inputs, test.attrs);
  return { g, inputs, outputs, node: g.nodes[0]! };
}

/** Runs a scheduled graph on the device and hands back outputs and states as numbers. */
async function runOnDevice(
  device: Device,
  graph: Graph,
  plan: Plan,
  feeds: ReadonlyMap<string, Tensor>,
  states: readonly string[],
) {
  const store = createStore(device);
  try {
    const program = await compile(device, store, plan);
    for (const { name } of graph.inputs) program.write(name, toDevice(feeds.get(name)!));
    program.run();
    const read: Record<string, ArrayLike<number>> = {};
    for (const [name, v] of Object.entries(graph.outputs))
      read[name] = asNumbers(v.dtype, await program.read(name));
    for (const name of states) read[name] = await store.read(name, 'state');
    program.destroy();
    return read;
  } finally {
    store.destroy();
  }
}

const asNumbers = (dtype: Tensor['dtype'], data: DeviceData): ArrayLike<number> =>
  dtype === 'f16' ? halfToFloat32(data as Uint16Array) : data;

/** What one case is checked with. */
interface Check {
  readonly device: Device;
  readonly caps: Caps;
  readonly op: AnyOp;
  readonly test: OpCase<unknown>;
  readonly tensors: readonly Tensor[];
  readonly random: Rng;
  readonly report: (what: CheckResult['what'], error: number, tolerance: number, message: string) => void;
}

interface Worst extends Difference {
  readonly of: string;
}

/** The largest of some differences. */
const worst = (differences: readonly Worst[]): Worst =>
  differences.reduce((a, b) => (b.error > a.error ? b : a), { error: 0, at: '', of: '' });

const feedsOf = (tensors: readonly Tensor[]): Map<string, Tensor> =>
  new Map(tensors.map((t, i) => [`in${i}`, t]));

async function checkForward({ device, caps, op, test, tensors, report }: Check): Promise<void> {
  const expected = checkOf(op).reference(tensors, test.attrs) as readonly Tensor[];
  const { g, outputs } = nodeGraph(op, test, tensors);
  const graph = g.finish(Object.fromEntries(outputs.map((v, i) => [`out${i}`, v])));
  const plan = schedule(graph, caps);
  const messages: string[] = [];
  for (const step of plan.steps) {
    if (step.kind === 'dispatch') messages.push(...(await device.pipelines.messages(step.dispatch)));
  }
  report('compiles', messages.length, 0, messages.join('\n'));
  const mutated = (op.mutates ?? []).map((i) => `in${i}`);
  const actual = await runOnDevice(device, graph, plan, feedsOf(tensors), mutated);
  const names = [...outputs.map((_, i) => `out${i}`), ...mutated];
  const { error, of, at } = worst(
    names.map((name, i) => ({ ...difference(actual[name]!, expected[i]!.data), of: name })),
  );
  report('forward', error, test.tolerance ?? forwardTolerance, `${of}: ${at}`);
}

/** Indices to perturb: all of a small input, a seeded sample of a large one. */
function sample(size: number, random: Rng): number[] {
  if (size <= sampled) return Array.from({ length: size }, (_, i) => i);
  return random.shuffle(Array.from({ length: size }, (_, i) => i)).slice(0, sampled);
}

/** The gradient rule's nodes for one case: the upstream gradients of its outputs, and `g0`, `g1` ... of its inputs. */
interface GradientGraph {
  readonly graph: Graph;
  readonly feeds: ReadonlyMap<string, Tensor>;
  /** By output; null where none counts. */
  readonly seeds: readonly (Tensor | null)[];
  readonly wanted: readonly number[];
}

async function checkGradient(check: Check): Promise<void> {
  const { op, test, tensors } = check;
  const wanted = test.gradientInputs ?? tensors.flatMap((t, i) => (t.dtype === 'f32' ? [i] : []));
  if (!op.gradient || wanted.length === 0) return;
  const gradient = gradientGraph(check, op.gradient, wanted);
  const interpreted = interpret(gradient.graph, gradient.feeds);
  checkAgainstDifferences(check, gradient, interpreted);
  await checkGradientKernels(check, gradient, interpreted);
}

function gradientGraph(
  { op, test, tensors, random, report }: Check,
  rule: NonNullable<AnyOp['gradient']>,
  wanted: readonly number[],
): GradientGraph {
  const { g, inputs, outputs, node } = nodeGraph(op, test, tensors);
  const feeds = feedsOf(tensors);
  // By default a view's outputs all count, and of a kernel's outputs the first (the others are by-products for the backward pass).
  const counted = test.gradientOutputs ?? (op.alias ? outputs.map((_, i) => i) : [0]);
  const seeds = outputs.map(({ shape }, i) => {
    if (!counted.includes(i)) return null;
    const seed = inputTensor({ dtype: 'f32', shape }, random);
    feeds.set(`d${i}`, seed);
    return seed;
  });
  const gradients = rule(
    g,
    node,
    seeds.map((seed, i) => seed && g.input(`d${i}`, { dtype: 'f32', shape: seed.shape })),
    inputs.map((_, i) => wanted.includes(i)),
  );
  const shown: Record<string, Value> = {};
  for (const i of wanted) {
    const d = gradients[i];
    if (!d) report('gradient-reference', Infinity, 0, `the rule gives no gradient for input ${i}`);
    else if (d.shape.join() !== tensors[i]!.shape.join()) {
      const shapes = `input ${i} is [${tensors[i]!.shape}] but its gradient [${d.shape}]`;
      report('gradient-reference', Infinity, 0, shapes);
    } else shown[`g${i}`] = d;
  }
  return { graph: g.finish(shown), feeds, seeds, wanted };
}

/** The interpreted gradients against central differences of the reference. */
function checkAgainstDifferences(
  { op, test, tensors, random, report }: Check,
  { graph, seeds, wanted }: GradientGraph,
  interpreted: Interpretation,
): void {
  const differences: Worst[] = [];
  for (const i of wanted) {
    const d = graph.outputs[`g${i}`];
    if (!d) continue;
    const at = sample(tensors[i]!.data.length, random);
    const numeric = at.map((k) => slopeAt(op, test, tensors, seeds, i, k));
    const analytic = at.map((k) => interpreted.get(d).data[k]!);
    differences.push({ ...difference(analytic, numeric, 1e-3), of: `gradient of input ${i}, sampled` });
  }
  const { error, of, at } = worst(differences);
  report('gradient-reference', error, differenceTolerance, `${of}: ${at}`);
}

/**
 * The slope of the loss Σ seed · output in element `k` of input `i`, by a fourth-order central difference. Differences are summed
 * term by term, which cancels less than two large sums.
 */
function slopeAt(
  op: AnyOp,
  test: OpCase<unknown>,
  tensors: readonly Tensor[],
  seeds: readonly (Tensor | null)[],
  i: number,
  k: number,
): number {
  const shifted = (by: number) => {
    const data = tensors[i]!.data.slice();
    data[k] = data[k]! + by;
    return checkOf(op).reference(
      tensors.map((t, j) => (j === i ? { ...t, data } : t)),
      test.attrs,
    ) as readonly Tensor[];
  };
  const h = differenceStep;
  const [p1, m1, p2, m2] = [shifted(h), shifted(-h), shifted(2 * h), shifted(-2 * h)];
  let slope = 0;
  seeds.forEach((seed, o) => {
    if (!seed) return;
    for (let n = 0; n < seed.data.length; n++) {
      const near = p1[o]!.data[n]! - m1[o]!.data[n]!;
      const far = p2[o]!.data[n]! - m2[o]!.data[n]!;
      if (near !== 0 || far !== 0) slope += (seed.data[n]! * (8 * near - far)) / (12 * h);
    }
  });
  return slope;
}

/** The gradient's kernels against its interpreted nodes. */
async function checkGradientKernels(
  { device, caps, test, report }: Check,
  { graph, feeds }: GradientGraph,
  interpreted: Interpretation,
): Promise<void> {
  const actual = await runOnDevice(device, graph, schedule(graph, caps), feeds, []);
  const { error, of, at } = worst(
    Object.entries(graph.outputs).map(([name, v]) => ({
      ...difference(actual[name]!, interpreted.get(v).data),
      of: `gradient ${name}`,
    })),
  );
  report('gradient-gpu', error, (test.tolerance ?? forwardTolerance) * gradientFactor, `${of}: ${at}`);
}

/** Checks one op in all its cases. `caps` narrows what the device offers. Never throws for a failing op; a lost device does. */
export async function checkOp(device: Device, op: AnyOp, caps: Caps = device.caps): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const [index, test] of checkOf(op).cases.entries()) {
    const report: Check['report'] = (what, error, tolerance, message) => {
      const ok = error <= tolerance;
      results.push({ op: op.name, case: test.name, what, error, tolerance, ok, ...(ok ? {} : { message }) });
    };
    const random = rng(0x5eed, index);
    const tensors = test.inputs.map((spec) => inputTensor(spec, random));
    const check: Check = { device, caps, op, test, tensors, random, report };
    for (const [what, attempt] of [
      ['forward', checkForward],
      ['gradient-reference', checkGradient],
    ] as const) {
      try {
        await attempt(check);
      } catch (error) {
        if (error instanceof PapilioError && error.kind === 'device-lost') throw error;
        report(what, Infinity, 0, error instanceof Error ? error.message : String(error));
      }
    }
  }
  return results;
}

/** One line for a failed check. */
export const describe = (r: CheckResult): string =>
  `${r.op} / ${r.case} / ${r.what}: error ${r.error.toExponential(2)} over ${r.tolerance.toExponential(1)}: ${r.message ?? ''}`;
