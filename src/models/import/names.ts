/**
 * Which PyTorch module a node belongs to, and what its parameters are called: from, in order, the exporter's metadata, the node's
 * path, the weight's name, the bias's name.
 */
import type { OnnxNode } from '../../onnx/types.ts';
import type { IrNode, Weight } from './ir.ts';

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
  const scopes = parts.slice(0, -1);
  // Children of an nn.Sequential repeat its name: `mlp/mlp.0/MatMul`.
  const own = scopes.filter((scope, i) => !scopes[i + 1]?.startsWith(`${scope}.`));
  return unshortened(own.join('.'));
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

/** `….in_proj_weight` and `….in_proj_bias`: the packed projection of nn.MultiheadAttention, whose parameters are the attention's own. */
const IN_PROJECTION = /^(.+)\.in_proj_(weight|bias)$/;

/** The attention whose packed projection a tensor belongs to, by its name. */
export const attentionOf = (tensor: string): string | null =>
  IN_PROJECTION.exec(unquantised(tensor))?.[1] ?? null;

/** Whether a name without a dot is a parameter's own, at the top of the model, and none that an exporter makes up. */
const isTopLevel = (tensor: string): boolean =>
  /^[A-Za-z][A-Za-z_]*(_?\d+)?$/.test(tensor) &&
  !/^(val|ints|scalar|node|const|constant|fold|t|p|e|x|w|b)?_?\d*$/i.test(tensor) &&
  !/^(Const|Reshape|Shape|Expand|Slice|Gather|MatMul|Add|Mul|Concat|Unsqueeze|Constant|Cast)_?\d*$/.test(
    tensor,
  );

/** PyTorch's name of the parameter that the file keeps under this name, or null for names that exporters make up. */
export function parameterName(tensor: string): string | null {
  const name = unquantised(tensor);
  if (ownerOf(name)) return /\.(MatMul|Gemm|Conv)\./.test(name) ? null : name;
  return isTopLevel(name) ? name : null;
}

/** Words that stand in the names of learned numbers, and in those of the constants of formulas. */
const LEARNED =
  /^(logits?|temperature|temp|tau|alpha|beta|gamma|delta|kappa|lambda|lam|rho|theta|gains?|slope|weight|bias|learned|learnable|param|rezero|resweight)$/i;
const SCALING = /^(scale|shift|gate)s?$/i;
const CONSTANT = /^(const\w*|eps|epsilon|zero|one|two|half|inf|nan|min|max|mask\w*|fill|default)$/i;

/** Whether a number is 1/√n or √n for a whole n, as attention divides its scores by. */
const isRootOfWhole = (value: number): boolean =>
  [value * value, 1 / (value * value)].some((n) => n > 1.5 && Math.abs(n / Math.round(n) - 1) < 1e-6);

/**
 * Whether a tensor of one number is a parameter by its name: `blocks.0.ls1.gamma`, and of names without a module those of learned
 * numbers (`logit_scale`), since tools call the constants of formulas `scale` and `no` as well.
 */
export function namesScalar(tensor: string, value: number): boolean {
  if (parameterName(tensor) === null) return false;
  const owned = ownerOf(tensor)?.parameter;
  const words = (owned ?? tensor)
    .split(/_|(?<=[a-z])(?=[A-Z])/)
    .map((word) => word.replace(/(?<!\d)\d+$/, ''));
  if (words.some((word) => CONSTANT.test(word))) return false;
  if (owned !== undefined || words.some((word) => LEARNED.test(word))) return true;
  return words.some((word) => SCALING.test(word)) && !isRootOfWhole(value);
}

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

/** The module that a node's own metadata or path says. */
export function placeOf(node: OnnxNode, prefix: string): string | null {
  const scoped = fromScopes(node);
  if (scoped) return scoped;
  const path = fromPath(node);
  return path && prefix + path;
}

/** The module of a layer with weights, where the file says it. */
export const moduleOf = ({ origin, inputs }: IrNode, prefix: string): string | null =>
  (origin && placeOf(origin, prefix)) ??
  ownerOf(inputs[1]!.weight!.name)?.module ??
  (inputs[2]?.weight && ownerOf(inputs[2].weight.name)?.module) ??
  null;

/** A name for a module of which the file says nothing. */
export const madeUpModule = (weight: Weight): string =>
  isTopLevel(unquantised(weight.name))
    ? unquantised(weight.name)
    : `layer.${weight.name.replace(/\W+/g, '_')}`;

/** What transformers calls the head that scores words, by model_type. */
const HEADS: Readonly<Record<string, string>> = {
  bert: 'cls.predictions.decoder',
  roberta: 'lm_head.decoder',
  'xlm-roberta': 'lm_head.decoder',
  camembert: 'lm_head.decoder',
  distilbert: 'vocab_projector',
  electra: 'generator_lm_head',
  albert: 'predictions.decoder',
  gpt_neox: 'embed_out',
  whisper: 'proj_out',
};

/** The module of a head that the file does not name. */
export const headName = (config: Readonly<Record<string, unknown>>): string =>
  (typeof config.model_type === 'string' && Object.hasOwn(HEADS, config.model_type)
    ? HEADS[config.model_type]
    : undefined) ?? 'lm_head';

/** Vision transformers keep their projections one module deeper than BERT does. */
const VISION = /vit|deit|dinov2|beit|\bast\b|audio_spectrogram/i;

/** PyTorch's modules for query, key and value by the projection behind the attention: what it is called, where they are, their names. */
const PROJECTIONS: readonly {
  readonly after: RegExp;
  readonly parent: (found: RegExpExecArray, family: string) => string;
  readonly names: readonly [string, string, string];
}[] = [
  {
    after: /^(.+\.attention)\.output\.dense$/,
    parent: ([, at], family) => `${at}.${VISION.test(family) ? 'attention' : 'self'}`,
    names: ['query', 'key', 'value'],
  },
  { after: /^(.+)\.out_lin$/, parent: ([, at]) => at!, names: ['q_lin', 'k_lin', 'v_lin'] },
  {
    after: /^(.+)\.(?:out_proj|o_proj)$|^(.+\.self_attn)\.dense$/,
    parent: ([, at, phi]) => at ?? phi!,
    names: ['q_proj', 'k_proj', 'v_proj'],
  },
  { after: /^(.+\.attention)\.dense$/, parent: ([, at]) => at!, names: ['query', 'key', 'value'] },
  { after: /^(.+)\.o$/, parent: ([, at]) => at!, names: ['q', 'k', 'v'] },
];

/** Models whose own module is the packed one, although exporters name it as they name what they packed. */
const PACKED_FAMILIES = /^phi3|^phi4|^phi3small|^chatglm|^gpt_neox|^falcon|^bloom|^codegen/;

/**
 * PyTorch's modules for the query, key and value of one product that an optimiser or a builder packed; null where the model itself has
 * one module for all three, or where nothing says its names.
 * @param after the module of the projection behind the attention
 */
export function unpackedModules(
  node: IrNode,
  after: string | null,
  prefix: string,
  config: Readonly<Record<string, unknown>>,
): readonly [string, string, string] | null {
  const family = typeof config.model_type === 'string' ? config.model_type : '';
  if (PACKED_FAMILIES.test(family)) return null;
  const own = moduleOf(node, prefix);
  if (own !== null) {
    const at = /^(.+)\.qkv_proj$/.exec(own)?.[1];
    return at === undefined ? null : [`${at}.q_proj`, `${at}.k_proj`, `${at}.v_proj`];
  }
  for (const { after: pattern, parent, names } of after === null ? [] : PROJECTIONS) {
    const found = pattern.exec(after!);
    if (!found) continue;
    const at = parent(found, `${family} ${after}`);
    return names.map((name) => `${at}.${name}`) as [string, string, string];
  }
  return null;
}

/**
 * Whether a matrix that the file keeps [in, out] under this name is GPT-2's Conv1D, the one layer whose own weight lies so; the same
 * layers as nn.Linear (nanoGPT) come as transposed copies without their name.
 */
export const isConv1d = (tensor: string): boolean =>
  /(^|\.)(c_attn|q_attn|c_proj|c_fc)\.weight$/.test(unquantised(tensor));

/** What transformers calls the packed projection before this one, where the model itself has it. */
export const packedBefore = (after: string | null): string | null => {
  const at = after === null ? null : /^(.+)\.c_proj$/.exec(after);
  return at ? `${at[1]}.c_attn` : null;
};

// Which family of transformers a model belongs to: what config.json says, else by the names of its modules.

/** Names that only one family has, the more telling first; all patterns of a line must be found. */
const signs: readonly (readonly [string, ...RegExp[]])[] = [
  ['distilbert', /(^|\.)distilbert\.|\.q_lin$/],
  ['deberta-v2', /(^|\.)deberta\.|attention\.self\.(query_proj|in_proj)$/],
  ['roberta', /(^|\.)roberta\./],
  ['dinov2', /layer_scale1$/],
  ['deit', /(^|\.)deit\./],
  ['vit', /(^|\.)vit\.|layernorm_before$/],
  ['clip', /(^|\.)(text|vision)_model\.(embeddings|encoder)\b|(^|\.)pre_layrnorm$/],
  ['bert', /(^|\.)bert\.|attention\.self\.(query|qkv)$/],
  ['gpt2', /\bh\.\d+\.attn\.c_attn$/],
  ['whisper', /encoder\.conv1$/, /encoder_attn\.q_proj$/],
  ['whisper', /(^|\.)conv1$/, /(^|\.)conv2$/, /self_attn_layer_norm$/],
  ['t5', /\.(Self|EncDec)Attention\.q$/],
  ['gemma3_text', /pre_feedforward_layernorm$/, /self_attn\.q_norm$/],
  ['gemma2', /pre_feedforward_layernorm$/],
  ['qwen3', /self_attn\.q_norm$/],
  ['phi3', /self_attn\.qkv_proj$/, /mlp\.gate_up_proj$/],
  ['phi', /self_attn\.dense$/, /mlp\.fc2$/],
  ['llama', /self_attn\.(q|qkv)_proj$/, /mlp\.(gate|down)_proj$/],
];

export function familyOf(
  config: Readonly<Record<string, unknown>>,
  modules: readonly { readonly name: string; readonly parameters: Readonly<Record<string, unknown>> }[],
): string {
  if (typeof config.model_type === 'string') return config.model_type;
  const has = (sign: RegExp): boolean => modules.some(({ name }) => sign.test(name));
  const guess = signs.find(([, ...patterns]) => patterns.every(has))?.[0];
  if (guess !== 'llama') return guess ?? 'unknown';
  // Qwen2 is Llama with biases on q, k and v.
  const q = modules.find(({ name }) => name.endsWith('self_attn.q_proj'));
  return q?.parameters.bias ? 'qwen2' : 'llama';
}
