/**
 * The peers of the benchmark: other libraries that make the same LoRA step through WebGPU. A peer is given the frozen weights, the start of the
 * adapter and a batch as plain numbers, and counts what goes through its own device.
 */
import type { Shape } from './subjects.ts';

/** A tensor on its way to a peer. */
export interface PlainTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface Peer {
  readonly package: string;
  /** Uploads weights and batch and builds the step. */
  run(options: PeerStepOptions): Promise<PeerRun>;
  /** Dispatches, submits and the most bytes in buffers since the last call. */
  takeCounts(): { readonly dispatches: number; readonly submits: number; readonly peakBytes: number };
}

export interface PeerRun {
  /** Updates on the batch, queued one after the other; resolves with their losses when the GPU is done with the last. */
  steps(count: number): Promise<number[]>;
  dispose(): void;
}

export interface PeerStepOptions {
  /** The model's family and sizes, from which a peer knows its forward pass. */
  readonly shape: Shape;
  readonly weights: ReadonlyMap<string, PlainTensor>;
  /** Starting A and B by module. */
  readonly lora: ReadonlyMap<string, { readonly A: PlainTensor; readonly B: PlainTensor }>;
  readonly scaling: number;
  readonly input: { readonly shape: readonly number[]; readonly data: Float32Array | Int32Array };
  /** One per row of logits; −100 does not count. */
  readonly labels: Int32Array;
  readonly adamw: {
    readonly learningRate: number;
    readonly beta1: number;
    readonly beta2: number;
    readonly epsilon: number;
    readonly weightDecay: number;
  };
}

/** Puts the runtime's WebGPU where browsers have it, since peers look for it there; Node 20 has no navigator at all. */
export function ensureNavigator(gpu: GPU): void {
  const here = globalThis as { navigator?: { gpu?: GPU } };
  if (!here.navigator?.gpu)
    Object.defineProperty(globalThis, 'navigator', {
      value: { gpu, userAgent: 'papilio' },
      configurable: true,
    });
}

/** Counts what goes through a device, by wrapping its methods. */
export function watch(device: GPUDevice): Peer['takeCounts'] {
  let now = 0;
  let peak = 0;
  let dispatches = 0;
  let submits = 0;
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor);
    now += descriptor.size;
    peak = Math.max(peak, now);
    const destroy = buffer.destroy.bind(buffer);
    let alive = true;
    buffer.destroy = () => {
      if (alive) now -= descriptor.size;
      alive = false;
      return destroy();
    };
    return buffer;
  };
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (passDescriptor) => {
      const pass = beginComputePass(passDescriptor);
      const dispatch = pass.dispatchWorkgroups.bind(pass);
      pass.dispatchWorkgroups = (...counts) => {
        dispatches++;
        return dispatch(...counts);
      };
      return pass;
    };
    return encoder;
  };
  const submit = device.queue.submit.bind(device.queue);
  device.queue.submit = (buffers) => {
    submits++;
    return submit(buffers);
  };
  return () => {
    const counts = { dispatches, submits, peakBytes: peak };
    dispatches = 0;
    submits = 0;
    peak = now;
    return counts;
  };
}
