/**
 * Which PyTorch module a node belongs to, and what its parameters are called: from, in order, the exporter's metadata, the node's
 * path, the weight's name, the bias's name.
 */
import type { OnnxNode } from '../../onnx/types.ts';
import type { FoldedNode, FoldedValue, Weight } from './folded.ts';

/** `['', 'encoder', …, 'encoder.layer.4.output.dense', 'linear_29']` → the second-last entry. */
function fromScopes(node: OnnxNode): string | null {
  const text = node.metadata.get('pkg.torch.onnx.name_scopes');
  if (text === undefined) return null;
  const parts = [...text.matchAll(/'([^']*)'|"([^"]*)"/g)].map((m) => m[1] ?? m[2] ?? '');
  const module = parts.at(-2);
  return module ? module : null;
}

/** `/bert/encoder/layer.0/query/MatMul` → `bert.encoder.layer.0.query`; also onnxruntime-genai's `.../q_proj/MatMul_Q4`. */
function fromPath(node: OnnxNode): string | null {
  if (!node.name.startsWith('/')) return null;
  const parts = node.name.slice(1).split('/');
  if (parts.length < 2) return null;
  return unshortened(parts.slice(0, -1).join('.'));
}

/** The genai builder shortens PyTorch's names in a few places. */
function unshortened(module: string): string {
  return module
    .replace(
      /(^|\.)(layers\.\d+)\.attn\.((?:q|k|v|o|qkv)_proj|[qk]_norm)(\.layernorm)?$/,
      '$1$2.self_attn.$3',
    )
    .replace(/(^|\.)layers\.\d+\.final_norm_layernorm$/, '$1norm');
}

/** The name that a tensor had before onnxruntime's quantiser put codes in its place. */
export const unquantised = (tensor: string): string => tensor.replace(/_quantized$/, '');

/** The module of a tensor named as PyTorch names parameters, or null for names that exporters make up. */
export function ownerOf(tensor: string): { module: string; parameter: string } | null {
  const name = unquantised(tensor);
  const m = /^([A-Za-z_][\w.-]*)\.([A-Za-z_]\w*)$/.exec(name);
  if (!m || /_output_\d+$/.test(name)) return null;
  // onnxruntime-genai's builder: `model.layers.0.attn.q_proj.MatMul.weight`.
  return { module: unshortened(m[1]!.replace(/\.(MatMul|Gemm|Conv)$/, '')), parameter: m[2]! };
}

/**
 * A prefix that node paths lack although parameters have it (an export of a wrapped model): found where a node's path is a suffix of
 * its own parameter's module, and used only if every such node agrees.
 */
export function missingPrefix(nodes: readonly OnnxNode[], weights: ReadonlySet<string>): string {
  const prefixes = new Set<string>();
  for (const node of nodes) {
    const path = fromPath(node);
    if (!path) continue;
    for (const input of node.inputs) {
      const owner = weights.has(input) ? ownerOf(input) : null;
      if (!owner) continue;
      if (owner.module === path) prefixes.add('');
      else if (owner.module.endsWith(`.${path}`)) prefixes.add(owner.module.slice(0, -path.length));
    }
  }
  return prefixes.size === 1 ? [...prefixes][0]! : '';
}

/** The module of a layer with weights, where the file tells it. */
function toldModule(
  origin: OnnxNode | null,
  weight: Weight,
  bias: Weight | null,
  prefix: string,
): string | null {
  const scoped = origin && fromScopes(origin);
  if (scoped) return scoped;
  const path = origin && fromPath(origin);
  if (path) return prefix + path;
  return ownerOf(weight.name)?.module ?? (bias && ownerOf(bias.name)?.module) ?? null;
}

/** The module of a layer with weights. Always a name, if need be one made from the tensor's. */
export const moduleOf = (...of: Parameters<typeof toldModule>): string =>
  toldModule(...of) ?? `layer.${of[1].name.replace(/\W+/g, '_')}`;

/**
 * The optimiser's one product for q, k and v has a name of its own making, but the projection after the attention kept its module:
 * `….attention.output.dense` → `….attention.self.qkv`, `….self_attn.out_proj` → `….self_attn.qkv`.
 */
export function packedModule(
  node: FoldedNode,
  uses: ReadonlyMap<FoldedValue, readonly FoldedNode[]>,
  prefix: string,
): string | null {
  const { origin } = node;
  if (origin?.domain !== 'com.microsoft' || origin.opType !== 'Attention') return null;
  if (toldModule(origin, node.inputs[1]!.weight!, node.inputs[2]?.weight ?? null, prefix)) return null;
  let level = node.outputs;
  for (let depth = 0; depth < 6; depth++) {
    const readers = level.flatMap((v) => uses.get(v) ?? []);
    const next = readers.find((r) => r.op === 'Linear' && r.inputs[1]?.weight);
    if (next) {
      const after = toldModule(next.origin, next.inputs[1]!.weight!, next.inputs[2]?.weight ?? null, prefix);
      const parent = after && /^(.+?)(\.output)?\.\w+$/.exec(after);
      return parent ? `${parent[1]}${parent[2] ? '.self' : ''}.qkv` : null;
    }
    level = readers.flatMap((r) => r.outputs);
  }
  return null;
}

/**
 * Whether a matrix that the file keeps [in, out] under this name is GPT-2's Conv1D, the one layer whose own weight lies so; the same
 * layers as nn.Linear (nanoGPT) come as transposed copies without their name.
 */
export const isConv1d = (tensor: string): boolean =>
  /(^|\.)(c_attn|q_attn|c_proj|c_fc)\.weight$/.test(unquantised(tensor));
