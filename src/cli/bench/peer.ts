/**
 * The peer of the benchmark: the same LoRA step in @jax-js/jax, jitted as a whole (value, gradient and AdamW in one function). The
 * package is for development only and loaded when it is needed.
 */
import type { Array as JaxArray } from '@jax-js/jax';
import { fail } from '../../lib/errors.ts';
import { ensureIteratorHelpers } from './iteratorHelpers.ts';
import type { PeerForward, PeerLora, PeerWeights } from './peerModels.ts';

export type Jax = typeof import('@jax-js/jax');

/** A tensor on its way to the peer. */
export interface PlainTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface Peer {
  readonly jax: Jax;
  /** Dispatches, submits and the most bytes in buffers since the last call. */
  takeCounts(): { readonly dispatches: number; readonly submits: number; readonly peakBytes: number };
}

let opened: Promise<Peer> | undefined;

/**
 * @param gpu the runtime's WebGPU, the one our own device comes from
 * @throws PapilioError('not-found') when the package is not installed, 'no-adapter' when it finds no WebGPU
 */
export function openPeer(gpu: GPU): Promise<Peer> {
  opened ??= open(gpu);
  return opened;
}

async function open(gpu: GPU): Promise<Peer> {
  // jax-js looks for WebGPU where browsers have it; Node 20 has no navigator at all.
  const here = globalThis as { navigator?: { gpu?: GPU; userAgent?: string } };
  if (!here.navigator?.gpu)
    Object.defineProperty(globalThis, 'navigator', {
      value: { gpu, userAgent: 'papilio' },
      configurable: true,
    });
  ensureIteratorHelpers();
  let jax: Jax;
  try {
    jax = await import('@jax-js/jax');
  } catch {
    return fail(
      'not-found',
      'The comparison needs the package @jax-js/jax, which only a full install has: run npm ci without --omit=dev, or leave the comparison out with --no-peer.',
    );
  }
  const devices = await jax.init('webgpu');
  if (!devices.includes('webgpu'))
    return fail('no-adapter', '@jax-js/jax finds no WebGPU here; leave the comparison out with --no-peer.');
  jax.defaultDevice('webgpu');
  const device = jax.getWebGPUDevice();
  return { jax, takeCounts: watch(device) };
}

/** Counts what goes through a device, by wrapping its methods. */
function watch(device: GPUDevice): Peer['takeCounts'] {
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

export interface PeerRun {
  /** Updates on the batch, queued one after the other; resolves with their losses when the GPU is done with the last. */
  steps(count: number): Promise<number[]>;
  dispose(): void;
}

export interface PeerStepOptions {
  readonly forward: PeerForward;
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

type Moments = { m: PeerLora; v: PeerLora };

/** Uploads weights and batch and builds the jitted step. */
export async function peerRun({ jax }: Peer, options: PeerStepOptions): Promise<PeerRun> {
  const { numpy: np, nn, tree } = jax;
  const { adamw, forward, scaling } = options;
  const upload = ({ shape, data }: { shape: readonly number[]; data: Float32Array | Int32Array }): JaxArray =>
    np.array(data.slice(), { shape: [...shape], dtype: data instanceof Int32Array ? np.int32 : np.float32 });

  const weights: PeerWeights = {};
  for (const [name, tensor] of options.weights) weights[name] = upload(tensor);
  let lora: PeerLora = {};
  for (const [name, { A, B }] of options.lora) lora[name] = { A: upload(A), B: upload(B) };
  const zeros = (): PeerLora => tree.map((x: JaxArray) => np.zerosLike(x.ref), lora) as PeerLora;
  let moments: Moments = { m: zeros(), v: zeros() };
  const input = upload(options.input);
  const valid = options.labels.reduce((n, l) => n + (l === -100 ? 0 : 1), 0);
  const labels = upload({ shape: [options.labels.length], data: options.labels });

  const lossOf = (trained: PeerLora, frozen: PeerWeights, x: JaxArray, y: JaxArray): JaxArray => {
    const logits = forward({ jax, weights: frozen, lora: trained, scaling }, x);
    const classes = logits.shape.at(-1)!;
    const rows = logits.reshape([options.labels.length, classes]);
    // nn.oneHot reads out of bounds at −100; no class equals it.
    const chosen = np.equal(
      np.arange(classes, undefined, undefined, { dtype: np.int32 }),
      y.reshape([-1, 1]),
    );
    const picked = np.where(chosen, nn.logSoftmax(rows, -1), 0);
    return np.negative(np.sum(picked)).div(valid);
  };
  const valueAndGrad = jax.valueAndGrad(lossOf);

  const update = jax.jit(
    (trained: PeerLora, state: Moments, frozen: PeerWeights, x: JaxArray, y: JaxArray, scalars: JaxArray) => {
      const [loss, gradients] = valueAndGrad(tree.ref(trained), frozen, x, y) as [JaxArray, PeerLora];
      // scalars: learning rate over first bias correction, second bias correction, learning rate × decay
      const [rate, correction, decay] = np.split(scalars, 3) as [JaxArray, JaxArray, JaxArray];
      const m = tree.map(
        (old: JaxArray, g: JaxArray) => old.mul(adamw.beta1).add(g.mul(1 - adamw.beta1)),
        state.m,
        tree.ref(gradients),
      ) as PeerLora;
      const v = tree.map(
        (old: JaxArray, g: JaxArray) => old.mul(adamw.beta2).add(np.square(g).mul(1 - adamw.beta2)),
        state.v,
        gradients,
      ) as PeerLora;
      const next = tree.map(
        (p: JaxArray, first: JaxArray, second: JaxArray) =>
          p.ref
            .sub(p.mul(decay.ref))
            .sub(first.div(np.sqrt(second.div(correction.ref)).add(adamw.epsilon)).mul(rate.ref)),
        trained,
        tree.ref(m),
        tree.ref(v),
      ) as PeerLora;
      tree.dispose([rate, correction, decay]);
      return { loss, lora: next, moments: { m, v } };
    },
  );

  let done = 0;
  const step = (): JaxArray => {
    done++;
    const { learningRate, beta1, beta2, weightDecay } = adamw;
    const scalars = Float32Array.of(
      learningRate / (1 - beta1 ** done),
      1 - beta2 ** done,
      learningRate * weightDecay,
    );
    const out = update(
      lora,
      moments,
      tree.ref(weights),
      input.ref,
      labels.ref,
      upload({ shape: [3], data: scalars }),
    ) as { loss: JaxArray; lora: PeerLora; moments: Moments };
    ({ lora, moments } = out);
    return out.loss;
  };
  return {
    async steps(count) {
      const losses = Array.from({ length: count }, step);
      await jax.blockUntilReady(lora);
      const values: number[] = [];
      for (const loss of losses) values.push((await loss.data())[0] as number);
      return values;
    },
    dispose() {
      tree.dispose([weights, lora, moments, input, labels]);
      update.dispose();
    },
  };
}
