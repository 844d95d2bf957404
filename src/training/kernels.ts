/**
 * The kernels of a training step one by one: each dispatch of its plan that differs from the others, at its own sizes, between two timestamps; in
 * turns with large products and sums. The roofline is the best rate that any of them reached, so no kernel is above it.
 */
import { compile } from '../gpu/compile.ts';
import type { Device } from '../gpu/device.ts';
import { createStore, type Store } from '../gpu/store.ts';
import { createBuilder } from '../graph/builder.ts';
import type { DispatchStep, Plan } from '../graph/plan.ts';
import { schedule } from '../graph/schedule.ts';
import { gemmWork } from '../ops/dispatchedProduct.ts';
import { binary } from '../ops/elementwise.ts';
import { matmul } from '../ops/matmul.ts';

/** What the device did at its best here. */
export interface Peaks {
  /** Multiply-adds a second, in a product. */
  readonly workPerSecond: number;
  /** Bytes a second, in the longest sum of two vectors. */
  readonly bytesPerSecond: number;
}

export interface KernelCost {
  /** Op and first module. */
  readonly label: string;
  readonly kernel: string;
  readonly workgroups: readonly [number, number, number];
  readonly count: number;
  readonly microseconds: number;
  /** Read and written, each once. */
  readonly bytes: number;
  /** Multiply-adds of a product; null for all else. */
  readonly work: number | null;
  /** The longer of the times that its work and its bytes take at the best rates, over the time that it took; null where that is too short to be told. */
  readonly rooflineShare: number | null;
}

/** One dispatch of the step. */
export interface TimelinePart {
  /** Op and module: `linear #12 (encoder.layer.0.mlp.fc1)`. */
  readonly label: string;
  readonly kernel: string;
  readonly workgroups: readonly [number, number, number];
  /** Of its kind at these sizes, wherever that stands in the step. */
  readonly microseconds: number;
}

export interface StepKernels {
  readonly peaks: Peaks;
  /** Dearest first. */
  readonly kernels: readonly KernelCost[];
  /** All dispatches in the order in which they run. */
  readonly timeline: readonly TimelinePart[];
  /** The least seconds of the whole step at the best rates. */
  readonly rooflineSeconds: number;
}

/** A method's step. */
export interface StepSpeed {
  readonly method: string;
  /** Numbers that train. */
  readonly trainable: number;
  readonly secondsPerStep: number;
  /** Tokens, or pictures. */
  readonly perSecond: number;
  /** Null where onnxruntime computes. */
  readonly dispatches: number | null;
  readonly submits: number | null;
  readonly peakBytes: number | null;
  readonly rooflineShare: number | null;
}

/** The chosen method's step beside LoRA's, and the chosen one kernel by kernel. */
export interface SpeedReport {
  readonly device: string;
  readonly unit: 'tokens' | 'pictures';
  readonly peaks: Peaks | null;
  readonly steps: readonly StepSpeed[];
  /** Null where the device has no timestamps. */
  readonly kernels: readonly KernelCost[] | null;
  /** The step of the chosen method, kernel by kernel; null where nothing but the whole could be timed. */
  readonly timeline: readonly TimelinePart[] | null;
}

/** Sides of square products, and lengths of sums: the shorter the sum, the more of it lies in a cache. */
const PROBES = {
  software: { sides: [256, 512], lengths: [1 << 14, 1 << 17, 1 << 20] },
  hardware: { sides: [1024, 2048], lengths: [1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24] },
} as const;

/** Turns of the step's kernels and the probes; of each the best counts. */
const TURNS = 3;
/** Browsers round timestamps to 100 µs: a kernel runs so often in a row that it takes so long, and what took a fifth of it is not a rate. */
const LONG_MICROSECONDS = 5000;
const SHORTEST_MICROSECONDS = LONG_MICROSECONDS / 5;
const MOST_IN_A_ROW = 200;

type Builder = ReturnType<typeof createBuilder>;
type Value = ReturnType<Builder['input']>;

function planOf(
  device: Device,
  shape: readonly number[],
  op: (g: Builder, x: Value, y: Value) => Value,
): Plan {
  const g = createBuilder();
  const type = { dtype: 'f32', shape } as const;
  return schedule(g.finish({ z: op(g, g.input('x', type), g.input('y', type)) }), device.caps);
}

function probesOf(device: Device): Plan[] {
  const { sides, lengths } = PROBES[device.caps.software ? 'software' : 'hardware'];
  return [
    ...sides.map((side) => planOf(device, [side, side], (g, x, y) => matmul(g, x, y))),
    ...lengths.map((length) => planOf(device, [length], (g, x, y) => binary(g, x, y, { fn: 'add' }))),
  ];
}

/** Kernels that touch only some rows of a table that is bound whole: as many bytes as they write, twice. */
const LOOKUPS: readonly string[] = ['gather.wgsl', 'takeAlong.wgsl'];

/** Bytes that a dispatch reads and writes at least: each range once, also where it is bound several times. */
export function bytesMoved({ bindings, dispatch }: DispatchStep): number {
  const ranges = new Map(bindings.map((b) => [`${b.buffer} ${b.offset} ${b.bytes}`, b]));
  const isLookup = LOOKUPS.includes(dispatch.shader);
  return [...ranges.values()].reduce((n, b) => n + (isLookup ? (b.writable ? 2 * b.bytes : 0) : b.bytes), 0);
}

/** One kind of dispatch, and the best that it did. */
interface Timed {
  readonly at: DispatchStep;
  readonly places: readonly number[];
  readonly bytes: number;
  readonly work: number | null;
  readonly microseconds: number;
  /** Whether that is long enough to be a rate. */
  readonly isTold: boolean;
}

/** The best rates that were seen. */
class Roofline {
  readonly #timed: readonly Timed[];
  readonly #workPerSecond: number;

  constructor(timed: readonly Timed[]) {
    this.#timed = timed.filter(({ isTold }) => isTold);
    this.#workPerSecond = best(this.#timed.map(({ work, microseconds }) => rate(work ?? 0, microseconds)));
  }

  /** Bytes a second of dispatches that touch no fewer: fewer may lie in a cache. */
  bytesPerSecond(bytes: number): number {
    return best(this.#timed.filter((t) => t.bytes >= bytes).map((t) => rate(t.bytes, t.microseconds)));
  }

  get peaks(): Peaks {
    const sums = this.#timed.filter(({ at }) => at.dispatch.shader === 'binary.wgsl');
    const longest = Math.max(0, ...sums.map(({ bytes }) => bytes));
    return { workPerSecond: this.#workPerSecond, bytesPerSecond: this.bytesPerSecond(longest) };
  }

  /** The least microseconds of a dispatch, and no more than it took. */
  least({ work, bytes, microseconds }: Timed): number {
    const seconds = Math.max((work ?? 0) / this.#workPerSecond, bytes / this.bytesPerSecond(bytes));
    // Nothing so large was long enough to be told.
    return Number.isFinite(seconds) ? Math.min(seconds * 1e6, microseconds) : microseconds;
  }
}

const best = (rates: readonly number[]): number => Math.max(0, ...rates);
const rate = (amount: number, microseconds: number): number => (amount / microseconds) * 1e6;

/** Times the kernels of a plan. @returns null where the device has no timestamps */
export async function kernelsOf(device: Device, plan: Plan): Promise<StepKernels | null> {
  const store = createStore(device);
  const programs: Probe[] = [];
  try {
    for (const each of [plan, ...probesOf(device)]) programs.push(await openProbe(device, store, each));
    const found: Timed[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      for (const probe of programs) {
        const timed = await timedOf(probe);
        if (!timed) return null;
        found.push(...timed);
      }
    }
    const fastest = new Map<DispatchStep, Timed>();
    for (const each of found) {
      const before = fastest.get(each.at);
      if (!before || each.microseconds < before.microseconds) fastest.set(each.at, each);
    }
    return costsOf(plan, [...fastest.values()]);
  } finally {
    for (const { program } of programs) program.destroy();
    store.destroy();
  }
}

interface Probe {
  readonly plan: Plan;
  readonly program: Awaited<ReturnType<typeof compile>>;
  /** How often a dispatch runs in a row, by its place. */
  readonly times: (step: number) => number;
}

async function openProbe(device: Device, store: Store, plan: Plan): Promise<Probe> {
  const program = await compile(device, store, plan);
  // After one run caches and clocks are warm.
  program.run();
  await program.idle(0);
  const once = new Map((await program.profile(() => 1))?.map((each) => [each.places[0], each.microseconds]));
  const times = (step: number): number =>
    Math.min(MOST_IN_A_ROW, Math.ceil(LONG_MICROSECONDS / Math.max(1, once.get(step) ?? 1)));
  return { plan, program, times };
}

async function timedOf({ plan, program, times }: Probe): Promise<Timed[] | null> {
  const found = await program.profile(times);
  if (!found) return null;
  return found.map(({ places, microseconds }) => {
    const [first = 0] = places;
    const at = plan.steps[first] as DispatchStep;
    return {
      ...{ at, places, microseconds: Math.max(microseconds, 1e-3) },
      ...{ bytes: bytesMoved(at), work: gemmWork(at.dispatch) },
      isTold: microseconds * times(first) >= SHORTEST_MICROSECONDS,
    };
  });
}

/** Of what was timed, the plan's own kernels. */
function costsOf(plan: Plan, timed: readonly Timed[]): StepKernels {
  const roofline = new Roofline(timed);
  const own = timed.filter(({ at }) => plan.steps.includes(at));
  const kernels = own.map((each): KernelCost => {
    const { at, places, microseconds, bytes, work, isTold } = each;
    return {
      ...{ label: at.label, kernel: kernelOf(at), workgroups: at.dispatch.workgroups },
      ...{ count: places.length, microseconds, bytes, work },
      rooflineShare: isTold ? roofline.least(each) / microseconds : null,
    };
  });
  return {
    peaks: roofline.peaks,
    kernels: kernels.toSorted((a, b) => b.count * b.microseconds - a.count * a.microseconds),
    timeline: timelineOf(plan, own),
    rooflineSeconds: own.reduce((n, each) => n + (each.places.length * roofline.least(each)) / 1e6, 0),
  };
}

/** `matmul forward` */
export const kernelOf = ({ dispatch: { shader, entry } }: DispatchStep): string =>
  `${shader.replace(/\.wgsl$/, '')} ${entry}`;

/** The dispatches of a plan in its order, each with the time of its kind. */
function timelineOf({ steps }: Plan, timed: readonly Timed[]): TimelinePart[] {
  const times = new Map(timed.flatMap(({ places, microseconds }) => places.map((at) => [at, microseconds])));
  return steps.flatMap((step, at): TimelinePart[] => {
    const microseconds = times.get(at);
    if (step.kind === 'copy' || microseconds === undefined) return [];
    const { workgroups } = step.dispatch;
    return [{ label: step.label, kernel: kernelOf(step), workgroups, microseconds }];
  });
}
