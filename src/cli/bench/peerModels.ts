/**
 * The benchmark's models written for @jax-js/jax, the way its own documentation would: one function per family from weights, LoRA and
 * a batch to logits. Weights go by PyTorch names in the engine's layout, [out, in] for linear layers.
 *
 * jax-js counts references: a value is consumed by its use, `.ref` keeps it for another.
 */
import type { Array as JaxArray } from '@jax-js/jax';
import type { Jax } from './peer.ts';

/** LoRA's two matrices of one layer: A [r, in], B [out, r]. */
// A type, not an interface: jax-js walks trees of type aliases only.
export type PeerLora = Record<string, { A: JaxArray; B: JaxArray }>;
export type PeerWeights = Record<string, JaxArray>;

export interface ForwardContext {
  readonly jax: Jax;
  readonly weights: PeerWeights;
  readonly lora: PeerLora;
  /** alpha / r */
  readonly scaling: number;
}

/** input (i32 ids [B, S] or f32 pixels [B, C, H, W]) → logits [B, S, V] or [B, classes]. */
export type PeerForward = (context: ForwardContext, input: JaxArray) => JaxArray;

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
export function dinov2(shape: { layers: number; heads: number; patch: number }): PeerForward {
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
export function llama(shape: { layers: number; heads: number; kvHeads: number }): PeerForward {
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
export function gpt2(shape: { layers: number; heads: number }): PeerForward {
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
