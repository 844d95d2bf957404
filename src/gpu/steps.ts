/** Recorded steps: how they are encoded, and how long they take: each dispatch between two timestamps, or all so many times over in one submit. */
import type { Plan } from '../graph/plan.ts';
import type { Device } from './device.ts';
import { readBuffer } from './readback.ts';

/** A dispatch or a copy with its GPU objects. */
export type Recorded =
  | {
      readonly kind: 'dispatch';
      readonly label: string;
      readonly shader: string;
      readonly entry: string;
      readonly pipeline: GPUComputePipeline;
      readonly group: GPUBindGroup;
      readonly workgroups: readonly [number, number, number];
    }
  | {
      readonly kind: 'copy';
      readonly label: string;
      readonly from: GPUBuffer;
      readonly fromOffset: number;
      readonly to: GPUBuffer;
      readonly toOffset: number;
      readonly bytes: number;
    };

/** Encodes steps; dispatches in a row share one compute pass. */
export function encodeSteps(
  encoder: GPUCommandEncoder,
  steps: readonly Recorded[],
  from: number,
  to: number,
): void {
  let pass: GPUComputePassEncoder | null = null;
  let pipeline: GPUComputePipeline | null = null;
  for (let i = from; i < to; i++) {
    const step = steps[i]!;
    if (step.kind === 'copy') {
      pass?.end();
      pass = null;
      encoder.copyBufferToBuffer(step.from, step.fromOffset, step.to, step.toOffset, step.bytes);
      continue;
    }
    if (!pass) {
      pass = encoder.beginComputePass();
      pipeline = null;
    }
    if (pipeline !== step.pipeline) pass.setPipeline(step.pipeline);
    pipeline = step.pipeline;
    pass.setBindGroup(0, step.group);
    pass.dispatchWorkgroups(...step.workgroups);
  }
  pass?.end();
}

interface TimedSteps {
  readonly device: Device;
  readonly plan: Plan;
  readonly steps: readonly Recorded[];
}

export interface DispatchTime {
  /** Where it stands in the plan, the first place first. */
  readonly places: readonly number[];
  /** Of one, on the GPU. Browsers round what is measured to 100 µs unless a developer flag is set. */
  readonly microseconds: number;
}

/** Queries a set may hold, by the specification. */
const maxQueries = 4096;
/** QUERY_RESOLVE | COPY_SRC. */
const resolveUsage = 0x200 | 0x04;

/** The places of each dispatch of a plan: equal but for their buffers. */
function placesOf({ plan, steps }: Omit<TimedSteps, 'device'>): number[][] {
  const places = new Map<string, number[]>();
  plan.steps.forEach((step, i) => {
    if (step.kind === 'copy' || steps[i]!.kind === 'copy') return;
    const { shader, entry, conditions, constants, params, workgroups } = step.dispatch;
    const sizes = step.bindings.map((b) => b.bytes);
    const key = JSON.stringify([shader, entry, conditions, constants, params, workgroups, sizes]);
    places.set(key, [...(places.get(key) ?? []), i]);
  });
  return [...places.values()];
}

export async function profileSteps(
  { device, plan, steps }: TimedSteps,
  times: (step: number) => number,
): Promise<readonly DispatchTime[] | null> {
  if (!device.timestamps) return null;
  const found: DispatchTime[] = [];
  const places = placesOf({ plan, steps });
  for (let from = 0; from < places.length; from += maxQueries / 2) {
    const part = places.slice(from, from + maxQueries / 2);
    const count = part.length * 2;
    const querySet = device.raw.createQuerySet({ type: 'timestamp', count });
    const resolved = device.buffer('timestamps', count * 8, resolveUsage);
    await device.settle();
    for (const [k, own] of part.entries()) {
      const encoder = device.raw.createCommandEncoder();
      const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * k, endOfPassWriteIndex: 2 * k + 1 };
      const pass = encoder.beginComputePass({ timestampWrites });
      for (let i = 0; i < times(own[0]!); i++) {
        const step = steps[own[i % own.length]!]!;
        if (step.kind === 'copy') continue;
        if (i === 0) pass.setPipeline(step.pipeline);
        pass.setBindGroup(0, step.group);
        pass.dispatchWorkgroups(...step.workgroups);
      }
      pass.end();
      device.raw.queue.submit([encoder.finish()]);
    }
    const encoder = device.raw.createCommandEncoder();
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    device.raw.queue.submit([encoder.finish()]);
    const type = { dtype: 'u32', shape: [count * 2] } as const;
    const words = (await readBuffer(device, { buffer: resolved, offset: 0, type })) as Uint32Array;
    const at = (k: number): bigint => (BigInt(words[2 * k + 1]!) << 32n) | BigInt(words[2 * k]!);
    part.forEach((own, k) => {
      const nanoseconds = Number(at(2 * k + 1) - at(2 * k));
      found.push({ places: own, microseconds: nanoseconds / 1000 / times(own[0]!) });
    });
    querySet.destroy();
    device.release(resolved);
  }
  return found;
}

export async function timeRow({ device, steps }: TimedSteps, times: number): Promise<number> {
  device.assertAlive();
  const encoder = device.raw.createCommandEncoder();
  for (let i = 0; i < times; i++) encodeSteps(encoder, steps, 0, steps.length);
  const commands = encoder.finish();
  const from = performance.now();
  device.raw.queue.submit([commands]);
  await device.heard(device.raw.queue.onSubmittedWorkDone());
  device.assertAlive();
  return performance.now() - from;
}
