/** What can be adapted of a model, by kind; which configuration asks a method for it; and each method at a size that suits small models. */
import { METHODS, type MethodId } from '../../../src/adapters/registry.ts';
import type { LoadedModel } from '../../../src/models/load.ts';

type Config = Readonly<Record<string, unknown>>;

/** Small adapters, so that rounding to a legal size and several layers of a group come into play. */
const SIZES: Readonly<Record<MethodId, Config>> = {
  oft: { oft_block_size: 4 },
  boft: { boft_block_size: 4 },
  fourierft: { n_frequency: 9, scaling: 20 },
  lora: { r: 2, lora_alpha: 4 },
  adalora: { init_r: 3, target_r: 2, lora_alpha: 4 },
  ia3: { feedforward_modules: [] },
  loha: { r: 2, alpha: 3 },
  lokr: { r: 2, alpha: 3 },
  vera: { r: 4 },
  head: {},
  full: {},
};

const isMatrix = ({ kind }: { readonly kind: string }): boolean => kind === 'linear' || kind === 'conv1d';
const isAttention = (name: string): boolean => /attn|attention/i.test(name);

/** Module names of a model by what they are. */
export interface Parts {
  readonly attention: readonly string[];
  readonly mlp: readonly string[];
  readonly head: readonly string[];
  readonly embedding: readonly string[];
  readonly convolution: readonly string[];
  readonly norm: readonly string[];
}

export function partsOf(model: LoadedModel): Parts {
  const { layers } = model.targets;
  const matrices = layers.filter((l) => isMatrix(l) && l.name !== model.head).map((l) => l.name);
  return {
    attention: matrices.filter(isAttention),
    mlp: matrices.filter((name) => !isAttention(name) && /\.\d+\./.test(name)),
    head: layers.filter((l) => l.name === model.head).map((l) => l.name),
    embedding: layers.filter((l) => l.kind === 'embedding').map((l) => l.name),
    convolution: layers.filter((l) => l.kind === 'conv2d').map((l) => l.name),
    norm: model.modules.filter((m) => m.kind === 'layernorm').map((m) => m.name),
  };
}

export const TARGETS = [
  'default',
  'attention',
  'mlp',
  'all-linear',
  'head',
  'embedding',
  'convolution',
  'saved head',
  'saved embedding',
  'saved norms',
  'all biases',
  'own biases',
] as const;

export type TargetKind = (typeof TARGETS)[number];

const PART: Partial<Readonly<Record<TargetKind, keyof Parts>>> = {
  attention: 'attention',
  mlp: 'mlp',
  head: 'head',
  embedding: 'embedding',
  convolution: 'convolution',
  'saved head': 'head',
  'saved embedding': 'embedding',
  'saved norms': 'norm',
};

/** The choice of modules of a kind; null where the model has none of it, or the method no such setting. */
function chosen(method: MethodId, target: TargetKind, parts: Parts): Config | null {
  const { targets, schema } = METHODS[method];
  const part = PART[target];
  const names = part ? parts[part] : [];
  if (part && names.length === 0) return null;
  // What the others adapt, this one trains whole.
  if (targets === 'none')
    return part && !target.startsWith('saved')
      ? { modules_to_save: names }
      : target === 'default'
        ? {}
        : null;
  if (target === 'default') return {};
  if (target === 'all-linear') return { target_modules: 'all-linear' };
  if (target.startsWith('saved')) return { target_modules: parts.attention, modules_to_save: names };
  if (target.endsWith('biases')) {
    if (!Object.hasOwn(schema.shape, 'bias')) return null;
    return { target_modules: parts.attention, bias: target === 'all biases' ? 'all' : `${method}_only` };
  }
  return { target_modules: names };
}

/** A method's configuration for a kind of target, or null where there is no such combination. */
export function configFor(method: MethodId, target: TargetKind, parts: Parts): Config | null {
  const choice = chosen(method, target, parts);
  return choice && { ...SIZES[method], ...choice };
}
