/** BOFT as PEFT has it: the rotation of the inputs is a product of sparse butterfly factors, followed by a scale per output. */
import { butterflyPermutation } from '../../lib/butterfly.ts';
import { say } from '../../lib/say.ts';
import { triangleSize } from '../oft/config.ts';
import { describeModule, noticeFanInFanOut, patchOf, refuseInit } from '../rules.ts';
import { defineMethod, type TensorInit } from '../types.ts';
import {
  type BoftConfig,
  blockFor,
  boftBlocks,
  factorsInFile,
  refuseBlocks,
  refusedModule,
  schema,
} from './config.ts';

export const boft = defineMethod<BoftConfig>({
  id: 'boft',
  peftType: 'BOFT',
  title: 'BOFT',
  family: 'rotation',
  start: {
    learningRate: 6e-3,
    config: (layers, { boft_block_num }) =>
      (boft_block_num ?? 0) === 0 ? { boft_block_size: blockFor(layers.map((layer) => layer.in)) } : {},
  },
  size: [
    { field: 'boft_block_size', values: [2, 4, 8, 16, 32] },
    { field: 'boft_n_butterfly_factor', values: [1, 2, 3, 4, 5, 6] },
  ],
  schema,
  targets: 'required',
  fileNames: ['boft_R', 'boft_s'],
  refuse(config) {
    const { boft_block_size: size, boft_block_num: number } = config;
    if (size === 0 && number === 0) {
      return say`Either \`boft_block_size\` or \`boft_block_num\` must be non-zero. Currently, boft_block_size = ${size} and boft_block_num = ${number}.`;
    }
    if (size !== 0 && number !== 0) {
      return say`You can only specify either boft_block_size (${size}) or boft_block_num (${number}), but not both simultaneously, because boft_block_size x boft_block_num == in_features.`;
    }
    return refuseInit(config.init_weights);
  },
  peftRefuses: (layer) => (layer.kind === 'conv1d' ? refusedModule(layer) : null),
  check(layer, config) {
    if (layer.kind === 'embedding') {
      return refusedModule(layer);
    }
    if (layer.kind !== 'conv2d') return refuseBlocks(layer.in, config);
    const { kernel } = patchOf(layer);
    if (kernel[0] !== kernel[1])
      return say`PEFT's BOFT takes the kernel of a convolution to be square, and that of ${describeModule(layer)} is not; choose other layers.`;
    return refuseBlocks(layer.in, config, say`convolutional kernel dimension`);
  },
  notice: (layer, config) =>
    layer.kind === 'conv2d'
      ? say`PEFT's BOFT takes the weight of a convolution for one of [in, out] without transposing it, so it turns a mixture of inputs and outputs; Papilio does the same.`
      : noticeFanInFanOut(layer, config.fan_in_fan_out),
  count(layer, config) {
    const { block, number, factors } = boftBlocks(layer.in, config);
    return {
      stored: factors * number * block * block + layer.out,
      free: factors * number * triangleSize(block) + layer.out,
    };
  },
  pattern(layer, config) {
    const { block, factors } = boftBlocks(layer.in, config);
    return {
      role: 'rotation',
      factors: Array.from({ length: factors }, (_, index) => ({
        kind: 'blocks' as const,
        label: `B_${index}`,
        size: layer.in,
        block,
        group: butterflyPermutation(layer.in, block, index).map((place) => Math.floor(place / block)),
        shared: false,
      })),
    };
  },
  tensors(layer, config) {
    const { block, number, factors } = boftBlocks(layer.in, config);
    const normal = (mean: number): TensorInit => ({ kind: 'normal', mean, std: 0.1 });
    const identity = config.init_weights === true;
    return [
      {
        name: 'boft_R',
        shape: [factors, number, block, block],

        init: identity ? { kind: 'zeros' } : normal(0),
      },
      {
        name: 'boft_s',
        shape: layer.kind === 'conv2d' ? [1, layer.out] : [layer.out, 1],

        init: identity ? { kind: 'ones' } : normal(1),
      },
    ];
  },
  onRead(config, tensors) {
    const factors = factorsInFile(tensors);
    if (factors === null || factors === config.boft_n_butterfly_factor) return { config, warnings: [] };
    return {
      config: { ...config, boft_n_butterfly_factor: factors },
      warnings: [
        say`The configuration asks for ${config.boft_n_butterfly_factor} butterfly factors but the tensors hold ${factors}; the tensors count.`,
      ],
    };
  },
  onWrite: (config) =>
    config.boft_n_butterfly_factor > 1
      ? [
          say`This adapter has ${config.boft_n_butterfly_factor} butterfly factors, which most PEFT installations cannot load yet: without a working CUDA extension PEFT builds one factor only and stops with a size mismatch. The merged model is not affected; train with boft_n_butterfly_factor 1 for a file that loads everywhere.`,
        ]
      : [],
  graph: () => import('./graph.ts'),
});
