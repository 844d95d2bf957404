/**
 * The kernels of a training step one by one: each dispatch of its plan that differs from the others, at its own sizes, between two timestamps; beside
 * what the device does in a large product and in a large sum, which stand for its peak and its bandwidth.
 */
import { compile } from '../gpu/compile.ts';
import type { Device } from '../gpu/device.ts';
import { createStore } from '../gpu/store.ts';
import { createBuilder } from '../graph/builder.ts';
import type { DispatchStep, Plan } from '../graph/plan.ts';
import type { Graph } from '../graph/types.ts';
import { binary } from '../ops/elementwise.ts';
import { gemmWork } from '../ops/gemm.ts';
import { matmul } from '../ops/matmul.ts';

/** What the device does at its best here, measured. */
export interface Peaks {
  /** Multiply-adds a second, in a product of large square matrices. */
  readonly workPerSecond: number;
  /** Bytes a second, in a sum of long vectors. */
  readonly bytesPerSecond: number;
}

export interface KernelCost {
  /** Op and first module. */
  readonly label: string;
  readonly kernel: string;
  readonly workgroups: readonly [number, number, number];
  readonly count: number;
  readonly microseconds: number;
  readonly bytes: number;
  /** Multiply-adds of a product; null for all else. */
  readonly work: number | null;
  /** The time that peak or bandwidth would need, over the time that it took. */
  readonly rooflineShare: number;
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
}

const SIDE = { software: 256, hardware: 2048 } as const;
const LENGTH = { software: 1 << 20, hardware: 1 << 24 } as const;

/** @param secondsOf times a graph */
export async function peaksOf(
  secondsOf: (graph: Graph) => Promise<number>,
  software: boolean,
): Promise<Peaks> {
  const kind = software ? 'software' : 'hardware';
  const side = SIDE[kind];
  const length = LENGTH[kind];
  const product = await secondsOf(of([side, side], (g, x, y) => matmul(g, x, y)));
  const sum = await secondsOf(of([length], (g, x, y) => binary(g, x, y, { fn: 'add' })));
  return { workPerSecond: side ** 3 / product, bytesPerSecond: (3 * 4 * length) / sum };
}

type Builder = ReturnType<typeof createBuilder>;
type Value = ReturnType<Builder['input']>;

function of(shape: readonly number[], op: (g: Builder, x: Value, y: Value) => Value): Graph {
  const g = createBuilder();
  const type = { dtype: 'f32', shape } as const;
  return g.finish({ z: op(g, g.input('x', type), g.input('y', type)) });
}

const bytesOf = ({ bindings }: DispatchStep): number => bindings.reduce((n, b) => n + b.bytes, 0);

/** Seconds that peak or bandwidth would need for a dispatch, whichever is longer. */
function roofline(step: DispatchStep, peaks: Peaks): number {
  return Math.max((gemmWork(step.dispatch) ?? 0) / peaks.workPerSecond, bytesOf(step) / peaks.bytesPerSecond);
}

/** The same for all of a plan. */
export const rooflineOf = (plan: Plan, peaks: Peaks): number =>
  plan.steps.reduce((n, step) => n + (step.kind === 'dispatch' ? roofline(step, peaks) : 0), 0);

/** Dearest first; null where the device has no timestamps. */
export async function kernelsOf(
  device: Device,
  plan: Plan,
  peaks: Peaks,
  times: number,
): Promise<readonly KernelCost[] | null> {
  const store = createStore(device);
  const program = await compile(device, store, plan);
  try {
    // Warms caches and clocks.
    program.run();
    await program.idle(0);
    const found = await program.profile(times);
    const costs = found?.map(({ step, count, microseconds }): KernelCost => {
      const at = plan.steps[step] as DispatchStep;
      const { shader, entry, workgroups } = at.dispatch;
      return {
        label: at.label,
        kernel: `${shader.replace(/\.wgsl$/, '')} ${entry}`,
        ...{ workgroups, count, microseconds },
        bytes: bytesOf(at),
        work: gemmWork(at.dispatch),
        rooflineShare: (roofline(at, peaks) * 1e6) / Math.max(microseconds, 1e-3),
      };
    });
    return costs?.toSorted((a, b) => b.count * b.microseconds - a.count * a.microseconds) ?? null;
  } finally {
    program.destroy();
    store.destroy();
  }
}
