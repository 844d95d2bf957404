/**
 * Makes a plan runnable: pipelines, buffers, one uniform buffer for all parameters, bind groups. Everything a run needs is made here,
 * so that a run only encodes and submits.
 */
import type { DispatchStep, Plan } from '../graph/plan.ts';
import type { Param } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import type { Device } from './device.ts';
import { type Pipeline, type PipelineRequest, pipelineKey } from './pipelines.ts';
import { createProgram, type Program } from './program.ts';
import { encodeSteps, type Recorded } from './steps.ts';
import { checkData, type Store, storageUsage, writeData } from './store.ts';

export interface CompileOptions {
  /** Called as pipelines become ready: `done` of `total`. */
  readonly onPipeline?: (done: number, total: number) => void;
}

const uniformAlignment = 256;
/** UNIFORM | COPY_DST. */
const uniformUsage = 0x40 | 0x08;

/** The bytes of a dispatch's `Params`, at least the 16 that a uniform takes. */
export function encodeParams(params: readonly Param[]): Uint8Array {
  const bytes = new Uint8Array(Math.max(16, Math.ceil(params.length / 4) * 16));
  const view = new DataView(bytes.buffer);
  params.forEach((p, i) => {
    if (typeof p === 'object') view.setFloat32(i * 4, p.f32, true);
    else view.setUint32(i * 4, p >>> 0, true);
  });
  return bytes;
}

/** All kernels' parameters in one buffer; equal ones share their place. */
function packParams(plan: Plan): {
  readonly params: readonly ({ readonly offset: number; readonly size: number } | null)[];
  readonly packed: Uint8Array;
} {
  const places = new Map<string, number>();
  const texts: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  let end = 0;
  const params = plan.steps.map((step) => {
    if (step.kind !== 'dispatch') return null;
    const bytes = encodeParams(step.dispatch.params);
    const key = bytes.join();
    let offset = places.get(key);
    if (offset === undefined) {
      offset = end;
      end += Math.ceil(bytes.length / uniformAlignment) * uniformAlignment;
      places.set(key, offset);
      texts.push({ offset, bytes });
    }
    return { offset, size: bytes.length };
  });
  const packed = new Uint8Array(Math.max(16, end));
  for (const { offset, bytes } of texts) packed.set(bytes, offset);
  return { params, packed };
}

/** Bytes of the buffers that a compiled plan has for itself: all but parameters and states, which programs share. */
export const programBytes = (plan: Plan): number =>
  plan.buffers.reduce(
    (n, { bytes, persistent: v }) => (v?.role === 'parameter' || v?.role === 'state' ? n : n + bytes),
    packParams(plan).packed.length,
  );

/**
 * @throws PapilioError: 'limit' or 'out-of-memory' with what did not fit, 'device-lost', 'internal' when a kernel's description and
 * its shader disagree (the message names both)
 */
export async function compile(
  device: Device,
  store: Store,
  plan: Plan,
  options: CompileOptions = {},
): Promise<Program> {
  const pipelines = requestPipelines(device, plan, options);
  const owned: GPUBuffer[] = [];
  const release = () => {
    for (const buffer of owned) device.release(buffer);
  };
  const own = (label: string, bytes: number, usage: number): GPUBuffer => {
    const buffer = device.buffer(label, bytes, usage);
    owned.push(buffer);
    return buffer;
  };
  try {
    const buffers = makeBuffers(device, store, plan, own);
    const { params, packed } = packParams(plan);
    const uniforms = own('parameters of the kernels', packed.length, uniformUsage);
    device.raw.queue.writeBuffer(uniforms, 0, packed);

    const ready = await pipelines;
    await device.settle();

    device.raw.pushErrorScope('validation');
    const steps = recordSteps(device, plan, ready, buffers, (i) => ({ buffer: uniforms, ...params[i]! }));
    const invalid = await device.raw.popErrorScope();
    if (invalid) fail('internal', `A kernel's bindings were refused: ${invalid.message}`);
    await rehearse(device, steps);
    return createProgram({ device, plan, buffers, steps, pipelines: ready.size, release });
  } catch (error) {
    await pipelines.catch(() => {});
    release();
    // A device that was lost meanwhile explains whatever failed.
    device.assertAlive();
    throw error;
  }
}

type ReadyPipelines = ReadonlyMap<string, Pipeline>;

/** All pipelines of a plan, by key. */
async function requestPipelines(
  device: Device,
  plan: Plan,
  { onPipeline }: CompileOptions,
): Promise<ReadyPipelines> {
  const requests = new Map<string, PipelineRequest>();
  for (const step of plan.steps) {
    if (step.kind === 'dispatch') requests.set(pipelineKey(step.dispatch), step.dispatch);
  }
  const pipelines = new Map<string, Pipeline>();
  await Promise.all(
    [...requests].map(async ([key, request]) => {
      pipelines.set(key, await device.pipelines.get(request));
      onPipeline?.(pipelines.size, requests.size);
    }),
  );
  return pipelines;
}

/** The plan's buffers: parameters and states are the store's, the others are made by `own`; constants get their contents. */
function makeBuffers(
  device: Device,
  store: Store,
  plan: Plan,
  own: (label: string, bytes: number, usage: number) => GPUBuffer,
): GPUBuffer[] {
  return plan.buffers.map(({ label, bytes, persistent: value }) => {
    if (value && (value.role === 'parameter' || value.role === 'state')) return store.ensure(value);
    const buffer = own(label, bytes, storageUsage);
    if (value?.role === 'constant') {
      const data = value.source!();
      checkData(label, value, data);
      writeData(device, buffer, data);
    }
    return buffer;
  });
}

interface UniformRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** The steps with their GPU objects; dispatches with one layout and the same operands share a bind group. */
function recordSteps(
  device: Device,
  plan: Plan,
  pipelines: ReadyPipelines,
  buffers: readonly GPUBuffer[],
  uniformOf: (step: number) => UniformRange,
): Recorded[] {
  const groups = new Map<string, GPUBindGroup>();
  const layoutIds = new Map<GPUBindGroupLayout, number>();
  return plan.steps.map((step, i): Recorded => {
    if (step.kind === 'copy') {
      return {
        kind: 'copy',
        label: step.label,
        from: buffers[step.from.buffer]!,
        fromOffset: step.from.offset,
        to: buffers[step.to.buffer]!,
        toOffset: step.to.offset,
        bytes: step.from.bytes,
      };
    }
    const pipeline = pipelines.get(pipelineKey(step.dispatch))!;
    const uniform = uniformOf(i);
    const entries = entriesOf(step, pipeline, buffers, uniform);
    if (!layoutIds.has(pipeline.layout)) layoutIds.set(pipeline.layout, layoutIds.size);
    const key = JSON.stringify([
      layoutIds.get(pipeline.layout),
      uniform.offset,
      uniform.size,
      ...step.bindings.map((b) => [b.buffer, b.offset, b.bytes]),
    ]);
    let group = groups.get(key);
    if (!group) {
      group = device.raw.createBindGroup({ label: step.label, layout: pipeline.layout, entries });
      groups.set(key, group);
    }
    return {
      kind: 'dispatch',
      label: step.label,
      shader: step.dispatch.shader,
      entry: step.dispatch.entry,
      pipeline: pipeline.raw,
      group,
      workgroups: step.dispatch.workgroups,
    };
  });
}

/**
 * Encodes the steps once without submitting them: WebGPU checks binding sizes and aliasing only then. If it refuses, the steps are
 * tried one by one, to name the first at fault.
 */
async function rehearse(device: Device, steps: readonly Recorded[]): Promise<void> {
  const refusal = async (from: number, to: number): Promise<string | null> => {
    device.raw.pushErrorScope('validation');
    const encoder = device.raw.createCommandEncoder();
    encodeSteps(encoder, steps, from, to);
    encoder.finish();
    return (await device.raw.popErrorScope())?.message ?? null;
  };
  const whole = await refusal(0, steps.length);
  if (whole === null) return;
  for (const [i, step] of steps.entries()) {
    const message = await refusal(i, i + 1);
    const shader = step.kind === 'dispatch' ? `, shader ${step.shader}/${step.entry}` : '';
    if (message) fail('internal', `${step.label}${shader} was refused: ${message}`);
  }
  fail('internal', `The program was refused: ${whole}`);
}

/** The bind group entries of a dispatch: those its entry point uses. Bindings of the kernel that it does not use are left out. */
function entriesOf(
  step: DispatchStep,
  pipeline: Pipeline,
  buffers: readonly GPUBuffer[],
  uniform: UniformRange,
): GPUBindGroupEntry[] {
  const where = `${step.label}: shader ${step.dispatch.shader}, entry point ${step.dispatch.entry}`;
  return pipeline.bindings.map(({ binding, type }) => {
    if (binding === 0) {
      if (type !== 'uniform') fail('internal', `${where} binds no uniform at 0.`);
      return { binding, resource: uniform };
    }
    const range = step.bindings[binding - 1];
    if (!range) return fail('internal', `${where} uses binding ${binding}, which the kernel does not give.`);
    if (type === 'storage' && !range.writable) {
      fail(
        'internal',
        `${where} declares binding ${binding} read_write, but it is an input that the op does not mutate.`,
      );
    }
    return { binding, resource: { buffer: buffers[range.buffer]!, offset: range.offset, size: range.bytes } };
  });
}
