/** Runs a plan of a few dispatches with a reader's shaders: one submit each, so that no watchdog sees a long one, and never waiting for longer than is said. */
import { encodeParams } from '../../gpu/compile.ts';
import type { Device } from '../../gpu/device.ts';
import type { BindingDeclaration } from '../../gpu/pipelines.ts';
import type { DispatchStep, Plan } from '../../graph/plan.ts';
import type { Dispatch } from '../../graph/types.ts';
import { OUTPUT } from './kernels.ts';

/** The bind group that has where an exhausted budget is written; the kernels' own is 0. */
export const BUDGET_GROUP = 1;

/** The device is gone or silent: whoever meets it opens another. */
export class DeviceGone extends Error {}

/** WebGPU does not run it. */
export class Refused extends Error {}

export interface ReadyPipeline {
  readonly raw: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly bindings: readonly BindingDeclaration[];
}

export interface Waiting {
  /** @throws DeviceGone where it takes longer than it may, or the device is lost */
  heard<T>(news: Promise<T>, what: 'compile' | 'run'): Promise<T>;
}

/** STORAGE | COPY_SRC | COPY_DST, UNIFORM | COPY_DST, MAP_READ | COPY_DST: these are no globals in Node. */
const STORAGE = 0x80 | 0x04 | 0x08;
const UNIFORM = 0x40 | 0x08;
const STAGING = 0x01 | 0x08;

/** What is in every cell before a kernel writes it: a quiet NaN that no arithmetic makes. */
export const NOTHING = 0x7fc0beef;

export type Ran = { readonly words: Uint32Array } | { readonly loop: number; readonly step: DispatchStep };

/** @returns the bits of the output, or the loop that exhausted the budget of one of the dispatches */
export async function runPlan(
  { raw }: Device,
  plan: Plan,
  feeds: Readonly<Record<string, Float32Array>>,
  pipelineOf: (dispatch: Dispatch) => ReadyPipeline,
  { heard }: Waiting,
): Promise<Ran> {
  const made: GPUBuffer[] = [];
  const buffer = (size: number, usage: number): GPUBuffer => {
    const one = raw.createBuffer({ size: Math.ceil(size / 4) * 4, usage });
    made.push(one);
    return one;
  };
  try {
    const buffers = plan.buffers.map(({ bytes, persistent }) => {
      const one = buffer(bytes, STORAGE);
      const data =
        persistent?.role === 'input' ? feeds[persistent.name]! : (persistent?.source?.() ?? nothing(bytes));
      raw.queue.writeBuffer(one, 0, data as BufferSource);
      return one;
    });
    const spent = buffer(4, STORAGE);
    for (const step of plan.steps) {
      if (step.kind === 'copy') continue;
      raw.queue.writeBuffer(spent, 0, new Uint32Array(1));
      const uniform = buffer(256, UNIFORM);
      raw.queue.writeBuffer(uniform, 0, encodeParams(step.dispatch.params) as BufferSource);
      const pipeline = pipelineOf(step.dispatch);
      const staging = buffer(4, STAGING);
      raw.pushErrorScope('validation');
      const encoder = raw.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline.raw);
      pass.setBindGroup(
        0,
        raw.createBindGroup({
          layout: pipeline.layout,
          entries: entriesOf(step, pipeline, buffers, uniform),
        }),
      );
      const budget = pipeline.raw.getBindGroupLayout(BUDGET_GROUP);
      pass.setBindGroup(
        BUDGET_GROUP,
        raw.createBindGroup({ layout: budget, entries: [{ binding: 0, resource: { buffer: spent } }] }),
      );
      pass.dispatchWorkgroups(...step.dispatch.workgroups);
      pass.end();
      encoder.copyBufferToBuffer(spent, 0, staging, 0, 4);
      raw.queue.submit([encoder.finish()]);
      const invalid = await heard(raw.popErrorScope(), 'run');
      if (invalid) throw new Refused(invalid.message);
      const loop = (await read(staging, heard))[0]!;
      if (loop > 0) return { loop, step };
    }
    const { buffer: index, offset, bytes } = plan.outputs[OUTPUT]!;
    const staging = buffer(bytes, STAGING);
    const encoder = raw.createCommandEncoder();
    encoder.copyBufferToBuffer(buffers[index]!, offset, staging, 0, bytes);
    raw.queue.submit([encoder.finish()]);
    return { words: await read(staging, heard) };
  } finally {
    for (const one of made) one.destroy();
  }
}

const nothing = (bytes: number): Uint32Array => new Uint32Array(Math.ceil(bytes / 4)).fill(NOTHING);

async function read(staging: GPUBuffer, heard: Waiting['heard']): Promise<Uint32Array> {
  await heard(staging.mapAsync(0x01), 'run');
  return new Uint32Array(staging.getMappedRange().slice(0));
}

function entriesOf(
  { bindings: ranges }: DispatchStep,
  { bindings }: ReadyPipeline,
  buffers: readonly GPUBuffer[],
  uniform: GPUBuffer,
): GPUBindGroupEntry[] {
  return bindings.map(({ binding }) => {
    if (binding === 0) return { binding, resource: { buffer: uniform } };
    const range = ranges[binding - 1]!;
    return {
      binding,
      resource: { buffer: buffers[range.buffer]!, offset: range.offset, size: range.bytes },
    };
  });
}
