/** Recorded steps: how they are encoded, and timed one by one with timestamp queries. */
import type { Device } from './device.ts';
import { readBuffer } from './readback.ts';

/** Recorded steps, and how they are encoded. */

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

export interface DispatchTime {
  readonly label: string;
  /** `copy` for a copy between buffers. */
  readonly shader: string;
  readonly entry: string;
  /** Microseconds on the GPU. Browsers round to 100 µs unless a developer flag is set. */
  readonly microseconds: number;
}

/** Queries a set may hold, by the specification. */
const maxQueries = 4096;
/** QUERY_RESOLVE | COPY_SRC. */
const resolveUsage = 0x200 | 0x04;

export async function profileSteps(
  device: Device,
  steps: readonly Recorded[],
): Promise<readonly DispatchTime[] | null> {
  if (!device.timestamps) return null;
  const times: DispatchTime[] = [];
  for (let from = 0; from < steps.length; from += maxQueries / 2) {
    const part = steps.slice(from, from + maxQueries / 2);
    const count = part.length * 2;
    const querySet = device.raw.createQuerySet({ type: 'timestamp', count });
    const resolved = device.buffer('timestamps', count * 8, resolveUsage);
    await device.settle();
    const encoder = device.raw.createCommandEncoder();
    part.forEach((step, i) => {
      if (step.kind === 'copy') {
        encodeSteps(encoder, part, i, i + 1);
        return;
      }
      const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
      const pass = encoder.beginComputePass({ timestampWrites });
      pass.setPipeline(step.pipeline);
      pass.setBindGroup(0, step.group);
      pass.dispatchWorkgroups(...step.workgroups);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    device.raw.queue.submit([encoder.finish()]);
    const words = (await readBuffer(device, {
      buffer: resolved,
      offset: 0,
      type: { dtype: 'u32', shape: [count * 2] },
    })) as Uint32Array;
    const at = (k: number): bigint => (BigInt(words[2 * k + 1]!) << 32n) | BigInt(words[2 * k]!);
    part.forEach((step, i) => {
      if (step.kind === 'copy') return;
      const nanoseconds = Number(at(2 * i + 1) - at(2 * i));
      times.push({
        label: step.label,
        shader: step.shader,
        entry: step.entry,
        microseconds: nanoseconds / 1000,
      });
    });
    querySet.destroy();
    device.release(resolved);
  }
  return times;
}
