/** IA3 as PEFT has it: learned factors that damp or amplify a layer's outputs, or the inputs of a feed-forward layer. */
import { z } from 'zod';
import { field, fileFields, layerFields, targetFields } from '../fields.ts';
import { patchOf } from '../patches.ts';
import { fullMatcher } from '../pythonRegex.ts';
import { describeModule, noticeFanInFanOut } from '../rules.ts';
import type { AdapterMethod, Layer } from '../types.ts';
import { IA3_DEFAULTS } from './defaults.ts';

const schema = z.object({
  ...fileFields,
  ...targetFields,
  fan_in_fan_out: layerFields.fan_in_fan_out,
  feedforward_modules: field(z.union([z.array(z.string()), z.string()]).nullable(), null, {
    title: 'Feed-forward modules',
    description:
      'Targets whose inputs are scaled, not their outputs: a list of name endings (no dot needed before them), or one regular expression for whole names. An empty list means none.',
    group: 'targets',
  }),
  init_ia3_weights: field(z.boolean(), true, {
    title: 'Start without effect',
    description: 'true: every factor starts at one; false: all are random.',
    group: 'advanced',
  }),
});

export type Ia3Config = z.output<typeof schema>;

/** Whether the layer's inputs are scaled: its name ends with an entry, or matches the expression. */
export function isFeedForward(layer: Layer, config: Ia3Config): boolean {
  let test = feedForwardTests.get(config);
  if (!test) {
    const entries = config.feedforward_modules ?? [];
    test =
      typeof entries === 'string'
        ? fullMatcher(entries, 'feedforward_modules')
        : (name) => entries.some((entry) => name.endsWith(entry));
    feedForwardTests.set(config, test);
  }
  return test(layer.name);
}

const feedForwardTests = new WeakMap<Ia3Config, (name: string) => boolean>();

/** A convolution scales whole channels. */
const size = (layer: Layer, config: Ia3Config): number =>
  isFeedForward(layer, config) ? patchOf(layer).channels : layer.out;

export const ia3: AdapterMethod<Ia3Config> = {
  id: 'ia3',
  peftType: 'IA3',
  title: 'IA3',
  family: 'scale',
  card: {
    idea: 'Learn one factor per output of a layer, or per input of a feed-forward layer: the model keeps what it computes, and only its parts get louder or softer.',
    formula: 'y = l \\odot (Wx + b),\\quad y = W(l \\odot x) + b\\ \\text{ (feed-forward)}',
    tryThis:
      'Target only the values, then only the keys: with so few numbers you can see which of them the task needs.',
    paper:
      'Liu et al., Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning, 2022 (arXiv:2205.05638)',
  },
  start: {
    learningRate: 1e-2,
    // PEFT's table has its own for the families it knows; these are the same layers of others.
    config: (_layers, { target_modules }) =>
      target_modules === 'all-linear'
        ? { feedforward_modules: '.*\\.(fc2|down_proj|wo|output\\.dense|mlp\\.c_proj)' }
        : {},
  },
  schema,
  fixed: {},
  requiredInFile: [],
  targets: 'required',
  defaultTargets: Object.fromEntries(
    Object.entries(IA3_DEFAULTS).map(([type, { target }]) => [type, target]),
  ),
  fileNames: ['ia3_l'],
  complete(config, modelType) {
    const known = Object.hasOwn(IA3_DEFAULTS, modelType ?? '') ? IA3_DEFAULTS[modelType!] : undefined;
    return config.feedforward_modules !== null || known === undefined
      ? config
      : { ...config, feedforward_modules: [...known.feedforward] };
  },
  refuse({ feedforward_modules: inner, target_modules: all }) {
    return Array.isArray(inner) && Array.isArray(all) && inner.some((entry) => !all.includes(entry))
      ? '`feedforward_modules` should be a subset of `target_modules`'
      : null;
  },
  check(layer, config) {
    if (config.feedforward_modules === null) return 'Please specify `feedforward_modules` in `peft_config`';
    if (layer.kind === 'embedding')
      return `Target module ${describeModule(layer)} is not supported. Currently, only \`torch.nn.Linear\`, \`torch.nn.Conv2d\`, and \`Conv1D\` are supported.`;
    return null;
  },
  notice: (layer, config) => noticeFanInFanOut(layer, config.fan_in_fan_out),
  count(layer, config) {
    const stored = size(layer, config);
    return { stored, free: stored };
  },
  pattern(layer, config) {
    const side = size(layer, config);
    const group = Uint32Array.from({ length: side }, (_, i) => i);
    return {
      role: 'scaling',
      factors: [{ kind: 'blocks', label: 'l', size: side, block: 1, group, shared: false }],
    };
  },
  tensors(layer, config) {
    const side = size(layer, config);
    const linear = isFeedForward(layer, config) ? [1, side] : [side, 1];
    return [
      {
        name: 'ia3_l',
        shape: layer.kind === 'conv2d' ? [1, side, 1, 1] : linear,
        trainable: true,
        init: config.init_ia3_weights ? { kind: 'ones' } : { kind: 'normal', mean: 0, std: 1 },
      },
    ];
  },
  onRead: (config) => ({ config, warnings: [] }),
  onWrite: () => [],
};
