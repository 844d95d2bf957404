/** IA3 as PEFT has it: learned factors that damp or amplify a layer's outputs, or the inputs of a feed-forward layer. */

import { say } from '../../lib/say.ts';
import { diagonalBlocks, noticeFanInFanOut, unsupported } from '../rules.ts';
import { defineMethod } from '../types.ts';
import { IA3_DEFAULTS, type Ia3Config, isFeedForward, schema, size } from './config.ts';

export const ia3 = defineMethod<Ia3Config>({
  id: 'ia3',
  peftType: 'IA3',
  title: 'IA3',
  family: 'scale',
  start: {
    learningRate: 1e-2,
    // PEFT's table has its own for the families it knows; these are the same layers of others.
    config: (_layers, { target_modules }) =>
      target_modules === 'all-linear'
        ? { feedforward_modules: '.*\\.(fc2|down_proj|wo|output\\.dense|mlp\\.c_proj)' }
        : {},
  },
  schema,
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
      ? say`\`feedforward_modules\` should be a subset of \`target_modules\``
      : null;
  },
  check(layer, config) {
    if (config.feedforward_modules === null)
      return say`Please specify \`feedforward_modules\` in \`peft_config\``;
    if (layer.kind === 'embedding')
      return unsupported(layer, say`\`torch.nn.Linear\`, \`torch.nn.Conv2d\`, and \`Conv1D\` are supported`);
    return null;
  },
  notice: (layer, config) => noticeFanInFanOut(layer, config.fan_in_fan_out),
  count(layer, config) {
    const stored = size(layer, config);
    return { stored, free: stored };
  },
  pattern(layer, config) {
    return { role: 'scaling', factors: [diagonalBlocks('l', size(layer, config))] };
  },
  tensors(layer, config) {
    const side = size(layer, config);
    const linear = isFeedForward(layer, config) ? [1, side] : [side, 1];
    return [
      {
        name: 'ia3_l',
        shape: layer.kind === 'conv2d' ? [1, side, 1, 1] : linear,
        init: config.init_ia3_weights ? { kind: 'ones' } : { kind: 'normal', mean: 0, std: 1 },
      },
    ];
  },
  graph: () => import('./graph.ts'),
});
