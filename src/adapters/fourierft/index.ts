/** FourierFT as PEFT has it: the weight update is the inverse Fourier transform of a few learned real coefficients. */

import { say } from '../../lib/say.ts';
import { noticeFanInFanOut, refuseLayersWithExpression, unsupported } from '../rules.ts';
import { FOURIERFT_TARGETS } from '../targets.ts';
import { defineMethod } from '../types.ts';
import { type FourierftConfig, fourierLocations, fourierStart, frequencyCount, schema } from './config.ts';

export const fourierft = defineMethod<FourierftConfig>({
  id: 'fourierft',
  peftType: 'FOURIERFT',
  title: 'FourierFT',
  family: 'spectral',
  start: { learningRate: 5e-3, config: fourierStart },
  size: [{ field: 'n_frequency', values: { min: 1, max: 1_000_000 } }],
  schema,
  targets: 'required',
  defaultTargets: FOURIERFT_TARGETS,
  fileNames: ['fourierft_spectrum'],
  refuse(config) {
    if (config.random_loc_seed === null) return say`manual_seed expected a long, but got NoneType`;
    return refuseLayersWithExpression(config);
  },
  check(layer, config) {
    if (layer.kind === 'embedding' || layer.kind === 'conv2d') {
      return unsupported(layer, say`the following modules are supported: \`torch.nn.Linear\``);
    }
    const n = frequencyCount(layer, config);
    if (n <= 0) return say`\`n_frequency\` should be a positive integer value but the value passed is ${n}`;
    const entries = layer.in * layer.out;
    if (n > entries) {
      return say`\`n_frequency\` should be less than or equal to the product of the input and output dimensions but the value passed is ${n} and the product is ${entries}`;
    }
    return null;
  },
  notice: (layer, config) => noticeFanInFanOut(layer, config.fan_in_fan_out),
  count(layer, config) {
    const n = frequencyCount(layer, config);
    return { stored: n, free: n };
  },
  pattern(layer, config) {
    const { row, column } = fourierLocations(
      layer.out,
      layer.in,
      frequencyCount(layer, config),
      config.random_loc_seed ?? 0,
    );
    return {
      role: 'update',
      factors: [{ kind: 'points', label: 'S', rows: layer.out, columns: layer.in, row, column }],
    };
  },
  tensors(layer, config) {
    return [
      {
        name: 'fourierft_spectrum',
        shape: [frequencyCount(layer, config)],
        init: config.init_weights ? { kind: 'zeros' } : { kind: 'normal', mean: 0, std: 1 },
      },
    ];
  },
  graph: () => import('./graph.ts'),
});
