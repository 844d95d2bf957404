/** VeRA as PEFT has it: one pair of frozen random matrices for the whole model, and two learned vectors per layer that scale them. */
import { fail } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { diagonalBlocks, noticeFanInFanOut, unsupported } from '../rules.ts';
import { VERA_TARGETS } from '../targets.ts';
import { defineMethod } from '../types.ts';
import { notSaved, projections, schema, type VeraConfig } from './config.ts';

export const vera = defineMethod<VeraConfig>({
  id: 'vera',
  peftType: 'VERA',
  title: 'VeRA',
  family: 'low-rank',
  start: { learningRate: 1e-2 },
  size: [{ field: 'r', values: { min: 1, max: 4096 } }],
  schema,
  targets: 'required',
  defaultTargets: VERA_TARGETS,
  fileNames: ['vera_lambda_b', 'vera_lambda_d'],
  sharedNames: ['vera_A', 'vera_B'],
  refuse(config) {
    if (config.r === 0) return say`\`r\` must be positive; with 0 PEFT stops with "float division by zero".`;
    if (config.r < 0)
      return say`\`r\` should be a positive integer value but the value passed is ${config.r}`;
    if (config.bias !== 'none' && config.bias !== 'all' && config.bias !== 'vera_only')
      return say`Requested bias: ${config.bias}, is not implemented.`;
    return null;
  },
  check(layer) {
    return layer.kind === 'linear' || layer.kind === 'conv1d'
      ? null
      : unsupported(
          layer,
          say`the following modules are supported: \`torch.nn.Linear\`, \`transformers.pytorch_utils.Conv1D\``,
        );
  },
  notice(layer, config) {
    const fan = noticeFanInFanOut(layer, config.fan_in_fan_out);
    const saved = config.save_projection ? null : notSaved();
    return fan !== null && saved !== null ? `${fan} ${saved}` : (fan ?? saved);
  },
  count: (layer, config) => ({ stored: layer.out + config.r, free: layer.out + config.r }),
  pattern: (layer, config) => ({
    role: 'update',
    factors: [
      diagonalBlocks('Λ_b', layer.out),
      { kind: 'dense', label: 'B', rows: layer.out, columns: config.r, frozen: true },
      diagonalBlocks('Λ_d', config.r),
      { kind: 'dense', label: 'A', rows: config.r, columns: layer.in, frozen: true },
    ],
  }),
  tensors: (layer, config) => [
    {
      name: 'vera_lambda_b',
      shape: [layer.out],
      init: config.init_weights ? { kind: 'zeros' } : { kind: 'ones' },
    },
    {
      name: 'vera_lambda_d',
      shape: [config.r],
      init: config.init_weights
        ? { kind: 'normal', mean: config.d_initial, std: 0 }
        : { kind: 'normal', mean: 0, std: 1 },
    },
  ],
  shared: projections,
  writesShared: (config) => config.save_projection,
  onRead(config, _tensors, _version, shared) {
    const has = shared.has('vera_A') && shared.has('vera_B');
    if (config.save_projection && !has) {
      fail(
        'malformed-adapter',
        say`Specified to load vera_A and vera_B from state dictionary however they were not present! Save the adapter again with both, or set save_projection to false if the seed alone decides them.`,
      );
    }
    if (config.save_projection) return { config, warnings: [] };
    return {
      config,
      warnings: [
        has
          ? say`save_projection is false, but the file has vera_A and vera_B; they are used.`
          : say`The file has no vera_A and vera_B (save_projection is false); they are drawn again from projection_prng_key.`,
      ],
    };
  },
  onWrite: (config) => (config.save_projection ? [] : [notSaved()]),
  graph: () => import('./graph.ts'),
});
