/**
 * The suite that every op goes through, case by case, on an engine:
 * `compiles`            its kernels compile without a message;
 * `forward`             the engine against the op's float64 reference;
 * `gradient-reference`  the gradient rule (its nodes interpreted in float64) against central differences of the reference;
 * `gradient-engine`     the gradient's nodes on the engine against the same nodes interpreted.
 * Inputs are seeded; the upstream gradient is random, because a uniform one hides transposes and sums.
 */

import { createBuilder } from '../graph/builder.ts';
import { checkOf, type Interpretation, interpret, type OpCase } from '../graph/interpret.ts';
import type { AnyOp, Graph, Tensor, Value } from '../graph/types.ts';
import { PapilioError } from '../lib/errors.ts';
import { type Rng, rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import { type CheckEngine, Unanswered } from './checkEngine.ts';
import type { CheckResult } from './checkReport.ts';
import { type Difference, difference, inputTensor, toDevice } from './checkTensors.ts';

const forwardTolerance = 2e-5;
/** A gradient chains several kernels. */
const gradientFactor = 5;
const differenceTolerance = 2e-6;
const differenceStep = 1e-4;
/** Elements of one input that are perturbed at most. */
const sampled = 40;

/** A graph of one node whose inputs are fed by name; mutated inputs are states. */
function nodeGraph({ engine, op, test, tensors }: Check) {
  const g = createBuilder();
  const inputs = tensors.map((t, i): Value => {
    if (op.mutates?.includes(i)) return g.state(`in${i}`, t, () => toDevice(t));
    if (engine.keepsWeights && (t.dtype === 'f16' || t.dtype === 'u32'))
      return g.parameter(`in${i}`, t, () => toDevice(t));
    if (engine.keepsWeights && t.dtype === 'i32' && test.inputs[i]!.data)
      return g.constant(t, toDevice(t), `in${i}`);
    return g.input(`in${i}`, t);
  });
  const outputs = g.emit(op, inputs, test.attrs);
  return { g, inputs, outputs, node: g.nodes[0]! };
}

/** What one case is checked with. */
interface Check {
  readonly engine: CheckEngine;
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

async function checkForward(check: Check): Promise<void> {
  const { engine, op, test, tensors, report } = check;
  const expected = checkOf(op).reference(tensors, test.attrs) as readonly Tensor[];
  const { g, outputs } = nodeGraph(check);
  const graph = g.finish(Object.fromEntries(outputs.map((v, i) => [`out${i}`, v])));
  if (engine.messages) {
    const messages = await engine.messages(graph);
    report('compiles', messages.length, 0, messages.join('\n'));
  }
  const mutated = (op.mutates ?? []).map((i) => `in${i}`);
  const actual = await engine.run(graph, feedsOf(tensors), mutated);
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

interface InterpretedGradient extends GradientGraph {
  readonly interpreted: Interpretation;
}

/** The rule's nodes interpreted, and held against differences; null where there is nothing to differentiate. */
function checkRule(check: Check): InterpretedGradient | null {
  const { op, test, tensors } = check;
  const wanted = test.gradientInputs ?? tensors.flatMap((t, i) => (t.dtype === 'f32' ? [i] : []));
  if (!op.gradient || wanted.length === 0) return null;
  const gradient = gradientGraph(check, op.gradient, wanted);
  const interpreted = interpret(gradient.graph, gradient.feeds);
  checkAgainstDifferences(check, gradient, interpreted);
  return { ...gradient, interpreted };
}

function gradientGraph(
  check: Check,
  rule: NonNullable<AnyOp['gradient']>,
  wanted: readonly number[],
): GradientGraph {
  const { op, test, tensors, random, report } = check;
  const { g, inputs, outputs, node } = nodeGraph(check);
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
    if (!d) report('gradient-reference', Infinity, 0, say`the rule gives no gradient for input ${i}`);
    else if (d.shape.join() !== tensors[i]!.shape.join()) {
      const shapes = say`input ${i} is [${tensors[i]!.shape}] but its gradient [${d.shape}]`;
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
    differences.push({ ...difference(analytic, numeric, 1e-3), of: say`gradient of input ${i}, sampled` });
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

/** The gradient's nodes on the engine against the same interpreted. */
async function checkGradientOnEngine(
  { engine, test, report }: Check,
  { graph, feeds, interpreted }: InterpretedGradient,
): Promise<void> {
  const actual = await engine.run(graph, feeds, []);
  const { error, of, at } = worst(
    Object.entries(graph.outputs).map(([name, v]) => ({
      ...difference(actual[name]!, interpreted.get(v).data),
      of: say`gradient ${name}`,
    })),
  );
  report('gradient-engine', error, (test.tolerance ?? forwardTolerance) * gradientFactor, `${of}: ${at}`);
}

/** What came of an op: what was checked, and why something could not be on this engine. */
export interface OpChecks {
  readonly cases: number;
  readonly results: readonly CheckResult[];
  readonly left: readonly string[];
}

/** What a check of this kind gives; one that throws counts as failed, or as left where the engine has no such op. */
async function attempted<T>(
  check: Check,
  what: CheckResult['what'],
  left: string[],
  attempt: () => T | Promise<T>,
): Promise<T | null> {
  try {
    return await attempt();
  } catch (error) {
    const kind = error instanceof PapilioError ? error.kind : null;
    if (kind === 'device-lost' || kind === 'aborted') throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (kind === 'unsupported-onnx') left.push(message);
    else check.report(what, Infinity, 0, message);
    if (error instanceof Unanswered) throw error;
    return null;
  }
}

async function checkCase(check: Check, left: string[]): Promise<void> {
  try {
    await attempted(check, 'forward', left, () => checkForward(check));
    const gradient = await attempted(check, 'gradient-reference', left, () => checkRule(check));
    if (gradient !== null)
      await attempted(check, 'gradient-engine', left, () => checkGradientOnEngine(check, gradient));
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
  }
}

/**
 * Checks one op in all its cases. Never throws for a failing op; a lost device does.
 *
 * @param goesOn asked before each case; false ends it, with what was checked so far, as does a question that is broken off
 */
export async function checkOp(
  engine: CheckEngine,
  op: AnyOp,
  goesOn: (name: string) => Promise<boolean> = async () => true,
): Promise<OpChecks> {
  const results: CheckResult[] = [];
  const left: string[] = [];
  let cases = 0;
  for (const [index, test] of checkOf(op).cases.entries()) {
    if (!(await goesOn(test.name))) break;
    const report: Check['report'] = (what, error, tolerance, message) => {
      const ok = error <= tolerance;
      results.push({ op: op.name, case: test.name, what, error, tolerance, ok, ...(ok ? {} : { message }) });
    };
    const random = rng(0x5eed, index);
    const tensors = test.inputs.map((spec) => inputTensor(spec, random));
    cases++;
    try {
      await checkCase({ engine, op, test, tensors, random, report }, left);
    } catch (error) {
      if (error instanceof PapilioError && error.kind === 'aborted') break;
      throw error;
    }
  }
  return { cases, results, left: [...new Set(left)] };
}
