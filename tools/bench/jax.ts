/**
 * A peer of the benchmark: the same LoRA step in @jax-js/jax, jitted as a whole (value, gradient and AdamW in one function). The
 * package is for development only and loaded when it is needed.
 */
import type { Array as JaxArray } from '@jax-js/jax';
import { fail } from '../../src/lib/errors.ts';
import { ensureNavigator, type Peer, type PeerRun, type PeerStepOptions, watch } from './peers.ts';
import type { Shape } from './subjects.ts';

type Jax = typeof import('@jax-js/jax');

/**
 * @param gpu the runtime's WebGPU, the one our own device comes from
 * @throws PapilioError('not-found') when the package is not installed, 'no-adapter' when it finds no WebGPU
 */
export async function openJax(gpu: GPU): Promise<Peer> {
  ensureNavigator(gpu);
  ensureIteratorHelpers();
  let jax: Jax;
  try {
    jax = await import('@jax-js/jax');
  } catch {
    return fail(
      'not-found',
      'The comparison needs the package @jax-js/jax, which only a full install has: run npm ci without --omit=dev, or leave it out with --peers none.',
    );
  }
  const devices = await jax.init('webgpu');
  if (!devices.includes('webgpu'))
    return fail('no-adapter', '@jax-js/jax finds no WebGPU here; leave it out with --peers none.');
  jax.defaultDevice('webgpu');
  const device = jax.getWebGPUDevice();
  return {
    package: '@jax-js/jax',
    run: (options) => runOf(jax, options),
    takeCounts: watch(device),
  };
}

type Moments = { m: PeerLora; v: PeerLora };

/** The loss of a batch: mean cross entropy of the labels that count. */
function lossFunction(jax: Jax, { shape, labels, scaling }: PeerStepOptions) {
  const forward = forwardOf(shape);
  const { numpy: np, nn } = jax;
  const valid = labels.reduce((n, l) => n + (l === -100 ? 0 : 1), 0);
  return (trained: PeerLora, frozen: PeerWeights, x: JaxArray, y: JaxArray): JaxArray => {
    const logits = forward({ jax, weights: frozen, lora: trained, scaling }, x);
    const classes = logits.shape.at(-1)!;
    const rows = logits.reshape([labels.length, classes]);
    // nn.oneHot reads out of bounds at −100; no class equals it.
    const chosen = np.equal(
      np.arange(classes, undefined, undefined, { dtype: np.int32 }),
      y.reshape([-1, 1]),
    );
    const picked = np.where(chosen, nn.logSoftmax(rows, -1), 0);
    return np.negative(np.sum(picked)).div(valid);
  };
}

/** Value, gradient and AdamW as one jitted function. */
function jittedUpdate(jax: Jax, options: PeerStepOptions) {
  const { numpy: np, tree } = jax;
  const { adamw } = options;
  const valueAndGrad = jax.valueAndGrad(lossFunction(jax, options));
  return jax.jit(
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
}

/** Uploads weights and batch and builds the jitted step. */
async function runOf(jax: Jax, options: PeerStepOptions): Promise<PeerRun> {
  const { numpy: np, tree } = jax;
  const { adamw } = options;
  const upload = ({ shape, data }: { shape: readonly number[]; data: Float32Array | Int32Array }): JaxArray =>
    np.array(data.slice(), { shape: [...shape], dtype: data instanceof Int32Array ? np.int32 : np.float32 });

  const weights: PeerWeights = {};
  for (const [name, tensor] of options.weights) weights[name] = upload(tensor);
  let lora: PeerLora = {};
  for (const [name, { A, B }] of options.lora) lora[name] = { A: upload(A), B: upload(B) };
  const zeros = (): PeerLora => tree.map((x: JaxArray) => np.zerosLike(x.ref), lora) as PeerLora;
  let moments: Moments = { m: zeros(), v: zeros() };
  const input = upload(options.input);
  const labels = upload({ shape: [options.labels.length], data: options.labels });
  const update = jittedUpdate(jax, options);

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

// The benchmark's models written for @jax-js/jax, the way its own documentation would: one function per family from weights, LoRA and
// a batch to logits. Weights go by PyTorch names in the engine's layout, [out, in] for linear layers.
// jax-js counts references: a value is consumed by its use, `.ref` keeps it for another.

/** LoRA's two matrices of one layer: A [r, in], B [out, r]. */
// A type, not an interface: jax-js walks trees of type aliases only.
type PeerLora = Record<string, { A: JaxArray; B: JaxArray }>;
type PeerWeights = Record<string, JaxArray>;

interface ForwardContext {
  readonly jax: Jax;
  readonly weights: PeerWeights;
  readonly lora: PeerLora;
  /** alpha / r */
  readonly scaling: number;
}

/** input (i32 ids [B, S] or f32 pixels [B, C, H, W]) → logits [B, S, V] or [B, classes]. */
type PeerForward = (context: ForwardContext, input: JaxArray) => JaxArray;

function forwardOf(shape: Shape): PeerForward {
  switch (shape.family) {
    case 'dinov2':
      return dinov2(shape);
    case 'llama':
      return llama(shape);
    case 'gpt2':
      return gpt2(shape);
  }
}

/** The pieces that the families share, over one set of weights. */
function parts({ jax, weights, lora, scaling }: ForwardContext) {
  const { numpy: np, nn } = jax;
  const w = (name: string): JaxArray => weights[name]!.ref;
  const has = (name: string): boolean => name in weights;
  const linear = (x: JaxArray, module: string): JaxArray => {
    const adapter = lora[module];
    const y = np.matmul(adapter ? x.ref : x, w(`${module}.weight`).transpose());
    const biased = has(`${module}.bias`) ? y.add(w(`${module}.bias`)) : y;
    if (!adapter) return biased;
    const low = np.matmul(x, adapter.A.ref.transpose());
    return biased.add(np.matmul(low, adapter.B.ref.transpose()).mul(scaling));
  };
  const layerNorm = (x: JaxArray, module: string, eps: number): JaxArray => {
    const centred = x.ref.sub(np.mean(x, -1, { keepdims: true }));
    const variance = np.mean(np.square(centred.ref), -1, { keepdims: true });
    const normal = centred.div(np.sqrt(variance.add(eps)));
    return normal.mul(w(`${module}.weight`)).add(w(`${module}.bias`));
  };
  const rmsNorm = (x: JaxArray, module: string, eps: number): JaxArray => {
    const meanSquare = np.mean(np.square(x.ref), -1, { keepdims: true });
    return x.div(np.sqrt(meanSquare.add(eps))).mul(w(`${module}.weight`));
  };
  /** [B, S, H*D] → [B, S, H, D], as nn.dotProductAttention takes them. */
  const heads = (x: JaxArray, count: number): JaxArray => {
    const [batch = 1, length = 1, width = 1] = x.shape;
    return x.reshape([batch, length, count, width / count]);
  };
  const attend = (q: JaxArray, k: JaxArray, v: JaxArray, isCausal: boolean): JaxArray => {
    const [batch = 1, length = 1, count = 1, depth = 1] = q.shape;
    return nn.dotProductAttention(q, k, v, { isCausal }).reshape([batch, length, count * depth]);
  };
  return { np, nn, w, linear, layerNorm, rmsNorm, heads, attend };
}

/** Dinov2ForImageClassification. */
function dinov2(shape: Extract<Shape, { family: 'dinov2' }>): PeerForward {
  return (context, pixels) => {
    const { np, nn, w, linear, layerNorm, heads, attend } = parts(context);
    const [batch = 1, channels = 1, height = 1, width = 1] = pixels.shape;
    const { patch } = shape;
    const [rows, columns] = [height / patch, width / patch];
    const embeddings = 'dinov2.embeddings';
    const projection = `${embeddings}.patch_embeddings.projection`;
    const kernel = w(`${projection}.weight`);
    const d = kernel.shape[0]!;
    // A convolution whose stride is its kernel is a matrix product over patches.
    const patches = pixels
      .reshape([batch, channels, rows, patch, columns, patch])
      .transpose([0, 2, 4, 1, 3, 5])
      .reshape([batch, rows * columns, channels * patch * patch]);
    const flat = kernel.reshape([d, channels * patch * patch]).transpose();
    const tokens = np.matmul(patches, flat).add(w(`${projection}.bias`));
    const cls = np.broadcastTo(w(`${embeddings}.cls_token`), [batch, 1, d]);
    let x = np.concatenate([cls, tokens], 1).add(w(`${embeddings}.position_embeddings`));
    for (let i = 0; i < shape.layers; i++) {
      const layer = `dinov2.encoder.layer.${i}`;
      const attention = `${layer}.attention.attention`;
      const n1 = layerNorm(x.ref, `${layer}.norm1`, 1e-6);
      const project = (name: string, input: JaxArray) =>
        heads(linear(input, `${attention}.${name}`), shape.heads);
      const context = attend(project('query', n1.ref), project('key', n1.ref), project('value', n1), false);
      const out = linear(context, `${layer}.attention.output.dense`);
      x = out.mul(w(`${layer}.layer_scale1.lambda1`)).add(x);
      const n2 = layerNorm(x.ref, `${layer}.norm2`, 1e-6);
      const hidden = nn.gelu(linear(n2, `${layer}.mlp.fc1`), { approximate: false });
      x = linear(hidden, `${layer}.mlp.fc2`)
        .mul(w(`${layer}.layer_scale2.lambda1`))
        .add(x);
    }
    const y = layerNorm(x, 'dinov2.layernorm', 1e-6);
    const [first, rest] = np.split(y, [1], 1) as [JaxArray, JaxArray];
    const pooled = np.concatenate([first.reshape([batch, d]), np.mean(rest, 1)], -1);
    return linear(pooled, 'classifier');
  };
}

/** LlamaForCausalLM; `cos` and `sin` [1, S, 1, D] are among the weights. */
function llama(shape: Extract<Shape, { family: 'llama' }>): PeerForward {
  return (context, ids) => {
    const { np, nn, w, linear, rmsNorm, heads, attend } = parts(context);
    const rotate = (x: JaxArray): JaxArray => {
      const half = x.shape[3]! / 2;
      const [first, second] = np.split(x.ref, [half], -1) as [JaxArray, JaxArray];
      const turned = np.concatenate([np.negative(second), first], -1);
      return x.mul(w('cos')).add(turned.mul(w('sin')));
    };
    let x = np.take(w('model.embed_tokens.weight'), ids, 0);
    for (let i = 0; i < shape.layers; i++) {
      const layer = `model.layers.${i}`;
      const attention = `${layer}.self_attn`;
      const n1 = rmsNorm(x.ref, `${layer}.input_layernorm`, 1e-5);
      const q = rotate(heads(linear(n1.ref, `${attention}.q_proj`), shape.heads));
      const k = rotate(heads(linear(n1.ref, `${attention}.k_proj`), shape.kvHeads));
      const v = heads(linear(n1, `${attention}.v_proj`), shape.kvHeads);
      x = linear(attend(q, k, v, true), `${attention}.o_proj`).add(x);
      const n2 = rmsNorm(x.ref, `${layer}.post_attention_layernorm`, 1e-5);
      const gate = nn.silu(linear(n2.ref, `${layer}.mlp.gate_proj`));
      x = linear(gate.mul(linear(n2, `${layer}.mlp.up_proj`)), `${layer}.mlp.down_proj`).add(x);
    }
    return linear(rmsNorm(x, 'model.norm', 1e-5), 'lm_head');
  };
}

/** GPT2LMHeadModel, the head tied to the embedding. */
function gpt2(shape: Extract<Shape, { family: 'gpt2' }>): PeerForward {
  return (context, ids) => {
    const { np, nn, w, linear, layerNorm, heads, attend } = parts(context);
    const length = ids.shape[1]!;
    const [positions, unused] = np.split(w('transformer.wpe.weight'), [length], 0);
    unused?.dispose();
    let x = np.take(w('transformer.wte.weight'), ids, 0).add(positions!);
    for (let i = 0; i < shape.layers; i++) {
      const layer = `transformer.h.${i}`;
      const qkv = linear(layerNorm(x.ref, `${layer}.ln_1`, 1e-5), `${layer}.attn.c_attn`);
      const [q, k, v] = np.split(qkv, 3, -1).map((part) => heads(part, shape.heads)) as [
        JaxArray,
        JaxArray,
        JaxArray,
      ];
      x = linear(attend(q, k, v, true), `${layer}.attn.c_proj`).add(x);
      const hidden = linear(layerNorm(x.ref, `${layer}.ln_2`, 1e-5), `${layer}.mlp.c_fc`);
      x = linear(nn.gelu(hidden, { approximate: true }), `${layer}.mlp.c_proj`).add(x);
    }
    const y = layerNorm(x, 'transformer.ln_f', 1e-5);
    return np.matmul(y, w('transformer.wte.weight').transpose());
  };
}

// `map` and `filter` of iterators, which @jax-js/jax calls and Node has only from version 22.

/** Adds them to the prototype of all iterators where they are missing. */
function ensureIteratorHelpers(): void {
  const prototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())) as object;
  const add = (name: string, value: unknown): void => {
    if (!(name in prototype))
      Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
  };
  add('map', function* map<T, U>(this: Iterable<T>, f: (x: T, i: number) => U): Generator<U> {
    let i = 0;
    for (const x of this) yield f(x, i++);
  });
  add('filter', function* filter<T>(this: Iterable<T>, f: (x: T, i: number) => boolean): Generator<T> {
    let i = 0;
    for (const x of this) if (f(x, i++)) yield x;
  });
}
