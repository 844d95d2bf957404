/**
 * The suite that every op goes through, case by case:
 * `compiles`            every variant of its kernels that the device can have compiles without a message;
 * `forward`             the kernel against the op's float64 reference, under every variant;
 * `gradient-reference`  the gradient rule (its nodes interpreted in float64) against central differences of the reference;
 * `gradient-gpu`        the gradient's kernels against the same nodes interpreted.
 * Inputs are seeded; the upstream gradient is random, because a uniform one hides transposes and sums.
 */
import { createBuilder } from '../graph/builder.ts';
import { interpret } from '../graph/interpret.ts';
import { schedule } from '../graph/schedule.ts';
import type { AnyOp, Caps, DeviceData, Graph, OpCase, Tensor, Value } from '../graph/types.ts';
import { PapilioError } from '../lib/errors.ts';
import { halfToFloat32 } from '../lib/half.ts';
import { type Rng, rng } from '../lib/rng.ts';
import { type Difference, difference, inputTensor, toDevice } from './checkData.ts';
import { compile } from './compile.ts';
import type { Device } from './device.ts';
import { createStore } from './store.ts';

export interface CheckResult {
  readonly op: string;
  readonly case: string;
  readonly what: 'compiles' | 'forward' | 'gradient-reference' | 'gradient-gpu';
  /** Optional features in use: `base`, `f16`, `subgroups`, `f16+subgroups`. */
  readonly variant: string;
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

/** The capabilities of `caps` with its optional features on and off. */
export function variantsOf(caps: Caps): { readonly name: string; readonly caps: Caps }[] {
  const variants = [];
  for (const f16 of caps.f16 ? [false, true] : [false]) {
    for (const subgroups of caps.subgroups ? [false, true] : [false]) {
      const name = [...(f16 ? ['f16'] : []), ...(subgroups ? ['subgroups'] : [])].join('+') || 'base';
      variants.push({ name, caps: { ...caps, f16, subgroups } });
    }
  }
  return variants;
}

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

/** Runs a graph on the device and hands back outputs and states as numbers. */
async function runOnDevice(
  device: Device,
  graph: Graph,
  caps: Caps,
  feeds: ReadonlyMap<string, Tensor>,
  states: readonly string[],
) {
  const store = createStore(device);
  try {
    const program = await compile(device, store, schedule(graph, caps));
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

type Report = (
  what: CheckResult['what'],
  variant: string,
  error: number,
  tolerance: number,
  message: string,
) => void;

const worse = (a: Difference & { of: string }, b: Difference & { of: string }) => (b.error > a.error ? b : a);

async function checkForward(
  device: Device,
  op: AnyOp,
  test: OpCase<unknown>,
  tensors: readonly Tensor[],
  report: Report,
  caps: Caps,
) {
  const tolerance = test.tolerance ?? forwardTolerance;
  const expected = op.reference(tensors, test.attrs) as readonly Tensor[];
  const feeds = new Map(tensors.map((t, i) => [`in${i}`, t]));
  const seen = new Set<string>();
  for (const variant of variantsOf(caps)) {
    const { g, outputs } = nodeGraph(op, test, tensors);
    const graph = g.finish(Object.fromEntries(outputs.map((v, i) => [`out${i}`, v])));
    const plan = schedule(graph, variant.caps);
    const same = JSON.stringify(plan.steps);
    if (seen.has(same)) continue;
    seen.add(same);
    const messages: string[] = [];
    for (const step of plan.steps) {
      if (step.kind === 'dispatch') messages.push(...(await device.pipelines.messages(step.dispatch)));
    }
    report('compiles', variant.name, messages.length, 0, messages.join('\n'));
    const mutated = (op.mutates ?? []).map((i) => `in${i}`);
    const actual = await runOnDevice(device, graph, variant.caps, feeds, mutated);
    const names = [...outputs.map((_, i) => `out${i}`), ...mutated];
    let worst = { error: 0, at: '', of: '' };
    names.forEach((name, i) => {
      worst = worse(worst, { ...difference(actual[name]!, expected[i]!.data), of: name });
    });
    report('forward', variant.name, worst.error, tolerance, `${worst.of}: ${worst.at}`);
  }
}

/** Indices to perturb: all of a small input, a seeded sample of a large one. */
function sample(size: number, random: Rng): number[] {
  if (size <= sampled) return Array.from({ length: size }, (_, i) => i);
  return random.shuffle(Array.from({ length: size }, (_, i) => i)).slice(0, sampled);
}

async function checkGradient(
  device: Device,
  op: AnyOp,
  test: OpCase<unknown>,
  tensors: readonly Tensor[],
  random: Rng,
  report: Report,
  caps: Caps,
) {
  const wanted = test.gradientInputs ?? tensors.flatMap((t, i) => (t.dtype === 'f32' ? [i] : []));
  if (!op.gradient || wanted.length === 0) return;
  const { g, inputs, outputs, node } = nodeGraph(op, test, tensors);
  const feeds = new Map(tensors.map((t, i) => [`in${i}`, t]));
  // By default a view's outputs all count, and of a kernel's outputs the first (the others are by-products for the backward pass).
  const counted = test.gradientOutputs ?? (op.alias ? outputs.map((_, i) => i) : [0]);
  const upstream = outputs.map((v, i) => {
    if (!counted.includes(i)) return null;
    const seed = inputTensor({ dtype: 'f32', shape: v.shape }, random);
    feeds.set(`d${i}`, seed);
    return { seed, value: g.input(`d${i}`, { dtype: 'f32', shape: v.shape }) };
  });
  const gradients = op.gradient(
    g,
    node,
    upstream.map((u) => u?.value ?? null),
    inputs.map((_, i) => wanted.includes(i)),
  );
  const shown: Record<string, Value> = {};
  for (const i of wanted) {
    const d = gradients[i];
    if (!d) report('gradient-reference', 'base', Infinity, 0, `the rule gives no gradient for input ${i}`);
    else if (d.shape.join() !== tensors[i]!.shape.join()) {
      report(
        'gradient-reference',
        'base',
        Infinity,
        0,
        `input ${i} is [${tensors[i]!.shape}] but its gradient [${d.shape}]`,
      );
    } else shown[`g${i}`] = d;
  }
  const graph = g.finish(shown);
  const interpreted = interpret(graph, feeds);

  // The loss is Σ upstream · output; differences are summed term by term, which cancels less than two large sums.
  let worst = { error: 0, at: '', of: '' };
  for (const i of wanted) {
    const d = shown[`g${i}`];
    if (!d) continue;
    const at = sample(tensors[i]!.data.length, random);
    const numeric = at.map((k) => {
      const shifted = (by: number) => {
        const data = tensors[i]!.data.slice();
        data[k] = data[k]! + by;
        return op.reference(
          tensors.map((t, j) => (j === i ? { ...t, data } : t)),
          test.attrs,
        ) as readonly Tensor[];
      };
      const h = differenceStep;
      const [p1, m1, p2, m2] = [shifted(h), shifted(-h), shifted(2 * h), shifted(-2 * h)];
      let slope = 0;
      upstream.forEach((u, o) => {
        if (!u) return;
        for (let n = 0; n < u.seed.data.length; n++) {
          // Fourth-order central difference.
          const near = p1[o]!.data[n]! - m1[o]!.data[n]!;
          const far = p2[o]!.data[n]! - m2[o]!.data[n]!;
          if (near !== 0 || far !== 0) slope += (u.seed.data[n]! * (8 * near - far)) / (12 * h);
        }
      });
      return slope;
    });
    const analytic = at.map((k) => interpreted.get(d).data[k]!);
    worst = worse(worst, { ...difference(analytic, numeric, 1e-3), of: `gradient of input ${i}, sampled` });
  }
  report('gradient-reference', 'base', worst.error, differenceTolerance, `${worst.of}: ${worst.at}`);

  const tolerance = (test.tolerance ?? forwardTolerance) * gradientFactor;
  const seen = new Set<string>();
  for (const variant of variantsOf(caps)) {
    const plan = JSON.stringify(schedule(graph, variant.caps).steps);
    if (seen.has(plan)) continue;
    seen.add(plan);
    const actual = await runOnDevice(device, graph, variant.caps, feeds, []);
    let off = { error: 0, at: '', of: '' };
    for (const [name, v] of Object.entries(shown)) {
      off = worse(off, { ...difference(actual[name]!, interpreted.get(v).data), of: `gradient ${name}` });
    }
    report('gradient-gpu', variant.name, off.error, tolerance, `${off.of}: ${off.at}`);
  }
}

/** Checks one op in all its cases. `caps` narrows what the device offers. Never throws for a failing op; a lost device does. */
export async function checkOp(device: Device, op: AnyOp, caps: Caps = device.caps): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const [index, test] of op.cases.entries()) {
    // A case of f16 tensors needs a device that has them.
    if (!caps.f16 && test.inputs.some((t) => t.dtype === 'f16')) continue;
    const report: Report = (what, variant, error, tolerance, message) => {
      const ok = error <= tolerance;
      results.push({
        op: op.name,
        case: test.name,
        what,
        variant,
        error,
        tolerance,
        ok,
        ...(ok ? {} : { message }),
      });
    };
    const random = rng(0x5eed, index);
    const tensors = test.inputs.map((spec) => inputTensor(spec, random));
    const attempt = async (what: CheckResult['what'], check: () => Promise<void>) => {
      try {
        await check();
      } catch (error) {
        if (error instanceof PapilioError && error.kind === 'device-lost') throw error;
        report(what, 'base', Infinity, 0, error instanceof Error ? error.message : String(error));
      }
    };
    await attempt('forward', () => checkForward(device, op, test, tensors, report, caps));
    await attempt('gradient-reference', () => checkGradient(device, op, test, tensors, random, report, caps));
  }
  return results;
}

/** One line for a failed check. */
export const describe = (r: CheckResult): string =>
  `${r.op} / ${r.case} / ${r.what} (${r.variant}): error ${r.error.toExponential(2)} over ${r.tolerance.toExponential(1)}: ${r.message ?? ''}`;
