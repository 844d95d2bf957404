/**
 * A peer of the benchmark: the same LoRA step in TensorFlow.js on its WebGPU backend. It has no compiled functions: every op is a kernel, gradients
 * come from its tape. The packages are for development only and loaded when they are needed.
 */
import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import { fail } from '../../src/lib/errors.ts';
import {
  ensureNavigator,
  type Peer,
  type PeerRun,
  type PeerStepOptions,
  type PlainTensor,
  watch,
} from './peers.ts';
import type { Shape } from './subjects.ts';

type Tf = typeof import('@tensorflow/tfjs-core');

/** The backend's name among those of the library; it gets a device that is counted. */
const BACKEND = 'webgpu-counted';

/** @throws PapilioError 'not-found' when the packages are not installed, 'no-adapter' where there is no WebGPU */
export async function openTfjs(gpu: GPU): Promise<Peer> {
  ensureNavigator(gpu);
  const tf = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-core/dist/register_all_gradients.js');
  await import('@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js');
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter)
    return fail('no-adapter', 'TensorFlow.js finds no WebGPU here; leave it out with --peers none.');
  const { limits } = adapter;
  const device = await adapter.requestDevice({
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])),
  });
  const takeCounts = watch(device);
  tf.copyRegisteredKernels('webgpu', BACKEND);
  tf.registerBackend(BACKEND, () => new WebGPUBackend(device as never, adapter.info as never));
  if (!(await tf.setBackend(BACKEND)))
    return fail(
      'no-adapter',
      'The WebGPU backend of TensorFlow.js does not start here; leave it out with --peers none.',
    );
  return {
    package: `@tensorflow/tfjs ${tf.version_core}`,
    run: async (options) => runOf(tf, options),
    takeCounts,
  };
}

/** What the library asks of an adapter itself. */
const LIMITS = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
] as const;

function runOf(tf: Tf, options: PeerStepOptions): PeerRun {
  const { adamw, labels } = options;
  const kept: Tensor[] = [];
  const keep = <T extends Tensor>(tensor: T): T => {
    kept.push(tensor);
    return tensor;
  };
  const upload = ({ shape, data }: PlainTensor) => keep(tf.tensor(data, [...shape], 'float32'));
  const weights = new Map([...options.weights].map(([name, tensor]) => [name, upload(tensor)]));
  const variable = (tensor: PlainTensor) => keep(tf.variable(upload(tensor)));
  const lora = new Map(
    [...options.lora].map(([name, { A, B }]) => [name, { A: variable(A), B: variable(B) }]),
  );
  const trained = [...lora.values()].flatMap(({ A, B }) => [A, B]);
  const moments = trained.map((p) => ({
    m: keep(tf.variable(tf.zerosLike(p), false)),
    v: keep(tf.variable(tf.zerosLike(p), false)),
  }));
  const input = keep(
    options.input.data instanceof Int32Array
      ? tf.tensor(options.input.data, [...options.input.shape], 'int32')
      : tf.tensor(options.input.data, [...options.input.shape]),
  );
  const classes = keep(tf.tensor1d(labels, 'int32'));
  const valid = labels.reduce((n, l) => n + (l === -100 ? 0 : 1), 0);
  const forward = forwardOf(tf, options.shape, { weights, lora, scaling: options.scaling });
  const lossOf = () => {
    const logits = forward(input);
    const rows: Tensor = logits.reshape([labels.length, -1]);
    const chosen = tf.oneHot(classes, rows.shape[1]!).toFloat();
    return tf.logSoftmax(rows).mul(chosen).sum().neg().div(valid).asScalar();
  };
  let done = 0;
  const step = (): Tensor =>
    tf.tidy(() => {
      done++;
      const { value, grads } = tf.variableGrads(lossOf, trained);
      const { learningRate, beta1, beta2, epsilon, weightDecay } = adamw;
      const [first, second] = [1 - beta1 ** done, 1 - beta2 ** done];
      trained.forEach((p, i) => {
        const { m, v } = moments[i]!;
        const g = grads[p.name]!;
        m.assign(m.mul(beta1).add(g.mul(1 - beta1)));
        v.assign(v.mul(beta2).add(g.square().mul(1 - beta2)));
        const direction = m.mul(1 / first).div(
          v
            .mul(1 / second)
            .sqrt()
            .add(epsilon),
        );
        p.assign(p.mul(1 - learningRate * weightDecay).sub(direction.mul(learningRate)));
      });
      return value;
    });
  return {
    async steps(count) {
      const losses = Array.from({ length: count }, step);
      // The last number that was trained is there when all others are.
      await trained.at(-1)?.data();
      const values: number[] = [];
      for (const loss of losses) {
        values.push((await loss.data())[0]!);
        loss.dispose();
      }
      return values;
    },
    dispose: () => tf.dispose(kept),
  };
}

// The benchmark's models in TensorFlow.js: one function per family from weights, LoRA and a batch to logits. Weights go by PyTorch names in the
// engine's layout, [out, in] for linear layers.

interface Values {
  readonly weights: ReadonlyMap<string, Tensor>;
  readonly lora: ReadonlyMap<string, { readonly A: Tensor; readonly B: Tensor }>;
  readonly scaling: number;
}

type Forward = (input: Tensor) => Tensor;

const forwardOf = (tf: Tf, shape: Shape, values: Values): Forward => {
  switch (shape.family) {
    case 'dinov2':
      return dinov2(tf, shape, values);
    case 'llama':
      return llama(tf, shape, values);
    case 'gpt2':
      return gpt2(tf, shape, values);
  }
};

/** The pieces that the families share. */
function parts(tf: Tf, { weights, lora, scaling }: Values) {
  const w = (name: string): Tensor => weights.get(name)!;
  /** x wᵀ over the last axis. */
  const times = (x: Tensor, matrix: Tensor): Tensor => {
    const [out, width] = matrix.shape as [number, number];
    const y = tf.matMul(x.reshape([-1, width]) as never, matrix as never, false, true);
    return y.reshape([...x.shape.slice(0, -1), out]);
  };
  const linear = (x: Tensor, module: string): Tensor => {
    const bias = weights.get(`${module}.bias`);
    const adapter = lora.get(module);
    const plain = times(x, w(`${module}.weight`));
    const biased = bias ? plain.add(bias) : plain;
    return adapter ? biased.add(times(times(x, adapter.A), adapter.B).mul(scaling)) : biased;
  };
  const layerNorm = (x: Tensor, module: string, eps: number): Tensor => {
    const centred = x.sub(x.mean(-1, true));
    const normal = centred.mul(centred.square().mean(-1, true).add(eps).rsqrt());
    return normal.mul(w(`${module}.weight`)).add(w(`${module}.bias`));
  };
  const rmsNorm = (x: Tensor, module: string, eps: number): Tensor =>
    x.mul(x.square().mean(-1, true).add(eps).rsqrt()).mul(w(`${module}.weight`));
  /** [B, S, H*D] → [B, H, S, D]. */
  const heads = (x: Tensor, count: number): Tensor => {
    const [batch = 1, length = 1, width = 1] = x.shape;
    return x.reshape([batch, length, count, width / count]).transpose([0, 2, 1, 3]);
  };
  const attend = (q: Tensor, k: Tensor, v: Tensor, isCausal: boolean): Tensor => {
    const [batch = 1, count = 1, length = 1, depth = 1] = q.shape;
    const scores = tf.matMul(q as Tensor4D, k as Tensor4D, false, true).mul(1 / Math.sqrt(depth));
    // Later keys count nothing: strictly above the diagonal.
    const masked = isCausal ? scores.add(causal(tf, length)) : scores;
    const mixed = tf.matMul(tf.softmax(masked, -1) as Tensor4D, v as Tensor4D);
    return mixed.transpose([0, 2, 1, 3]).reshape([batch, length, count * depth]);
  };
  return { w, linear, layerNorm, rmsNorm, heads, attend };
}

const causal = (tf: Tf, length: number): Tensor =>
  tf.tidy(() => {
    const at = tf.range(0, length, 1, 'float32');
    return at
      .reshape([1, length])
      .greater(at.reshape([length, 1]))
      .toFloat()
      .mul(-1e30);
  });

/** 0.5 x (1 + erf(x / √2)). */
const gelu = (tf: Tf, x: Tensor): Tensor => x.mul(0.5).mul(tf.erf(x.mul(Math.SQRT1_2)).add(1));

/** 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). */
const geluTanh = (x: Tensor): Tensor =>
  x.mul(0.5).mul(
    x
      .add(x.square().mul(x).mul(0.044715))
      .mul(Math.sqrt(2 / Math.PI))
      .tanh()
      .add(1),
  );

/** Dinov2ForImageClassification. */
function dinov2(tf: Tf, shape: Extract<Shape, { family: 'dinov2' }>, values: Values): Forward {
  const { w, linear, layerNorm, heads, attend } = parts(tf, values);
  const { patch } = shape;
  return (pixels) => {
    const [batch = 1, channels = 1, height = 1, width = 1] = pixels.shape;
    const [rows, columns] = [height / patch, width / patch];
    const embeddings = 'dinov2.embeddings';
    const projection = `${embeddings}.patch_embeddings.projection`;
    const kernel = w(`${projection}.weight`);
    const d = kernel.shape[0]!;
    // A convolution whose stride is its kernel is a matrix product over patches.
    const patches = pixels
      .reshape([batch, channels, rows, patch, columns, patch])
      .transpose([0, 2, 4, 1, 3, 5])
      .reshape([batch * rows * columns, channels * patch * patch]);
    const flat = kernel.reshape([d, channels * patch * patch]);
    const tokens = tf
      .matMul(patches as never, flat as never, false, true)
      .add(w(`${projection}.bias`))
      .reshape([batch, rows * columns, d]);
    const cls = w(`${embeddings}.cls_token`).tile([batch, 1, 1]);
    let x: Tensor = tf.concat([cls, tokens], 1).add(w(`${embeddings}.position_embeddings`));
    for (let i = 0; i < shape.layers; i++) {
      const layer = `dinov2.encoder.layer.${i}`;
      const attention = `${layer}.attention.attention`;
      const n1 = layerNorm(x, `${layer}.norm1`, 1e-6);
      const project = (name: string) => heads(linear(n1, `${attention}.${name}`), shape.heads);
      const mixed = attend(project('query'), project('key'), project('value'), false);
      const out = linear(mixed, `${layer}.attention.output.dense`);
      x = out.mul(w(`${layer}.layer_scale1.lambda1`)).add(x);
      const hidden = gelu(tf, linear(layerNorm(x, `${layer}.norm2`, 1e-6), `${layer}.mlp.fc1`));
      x = linear(hidden, `${layer}.mlp.fc2`)
        .mul(w(`${layer}.layer_scale2.lambda1`))
        .add(x);
    }
    const y = layerNorm(x, 'dinov2.layernorm', 1e-6);
    const [first, rest] = tf.split(y, [1, rows * columns], 1) as [Tensor, Tensor];
    return linear(tf.concat([first.reshape([batch, d]), rest.mean(1)], -1), 'classifier');
  };
}

/** LlamaForCausalLM; `cos` and `sin` [1, S, 1, D] are among the weights. */
function llama(tf: Tf, shape: Extract<Shape, { family: 'llama' }>, values: Values): Forward {
  const { w, linear, rmsNorm, heads, attend } = parts(tf, values);
  const table = (name: string): Tensor => {
    const [, length = 1, , depth = 1] = w(name).shape;
    return w(name).reshape([1, 1, length, depth]);
  };
  const rotate = (x: Tensor): Tensor => {
    const [first, second] = tf.split(x, 2, -1) as [Tensor, Tensor];
    return x.mul(table('cos')).add(tf.concat([second.neg(), first], -1).mul(table('sin')));
  };
  return (ids) => {
    let x: Tensor = tf.gather(w('model.embed_tokens.weight'), ids as never);
    for (let i = 0; i < shape.layers; i++) {
      const layer = `model.layers.${i}`;
      const attention = `${layer}.self_attn`;
      const n1 = rmsNorm(x, `${layer}.input_layernorm`, 1e-5);
      const q = rotate(heads(linear(n1, `${attention}.q_proj`), shape.heads));
      const k = rotate(heads(linear(n1, `${attention}.k_proj`), shape.kvHeads));
      const v = heads(linear(n1, `${attention}.v_proj`), shape.kvHeads);
      x = linear(attend(q, k, v, true), `${attention}.o_proj`).add(x);
      const n2 = rmsNorm(x, `${layer}.post_attention_layernorm`, 1e-5);
      const gate = linear(n2, `${layer}.mlp.gate_proj`);
      const hidden = gate.mul(gate.sigmoid()).mul(linear(n2, `${layer}.mlp.up_proj`));
      x = linear(hidden, `${layer}.mlp.down_proj`).add(x);
    }
    return linear(rmsNorm(x, 'model.norm', 1e-5), 'lm_head');
  };
}

/** GPT2LMHeadModel, the head tied to the embedding. */
function gpt2(tf: Tf, shape: Extract<Shape, { family: 'gpt2' }>, values: Values): Forward {
  const { w, linear, layerNorm, heads, attend } = parts(tf, values);
  return (ids) => {
    const length = ids.shape[1]!;
    const table = w('transformer.wte.weight');
    const [vocabulary, d] = table.shape as [number, number];
    const positions = tf.slice(w('transformer.wpe.weight'), [0, 0], [length, d]);
    let x: Tensor = tf.gather(table, ids as never).add(positions);
    for (let i = 0; i < shape.layers; i++) {
      const layer = `transformer.h.${i}`;
      const qkv = linear(layerNorm(x, `${layer}.ln_1`, 1e-5), `${layer}.attn.c_attn`);
      const [q, k, v] = tf.split(qkv, 3, -1).map((part) => heads(part, shape.heads)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      x = linear(attend(q, k, v, true), `${layer}.attn.c_proj`).add(x);
      const hidden = linear(layerNorm(x, `${layer}.ln_2`, 1e-5), `${layer}.mlp.c_fc`);
      x = linear(geluTanh(hidden), `${layer}.mlp.c_proj`).add(x);
    }
    const y = layerNorm(x, 'transformer.ln_f', 1e-5).reshape([-1, d]);
    return tf.matMul(y as never, table as never, false, true).reshape([ids.shape[0]!, length, vocabulary]);
  };
}
