/** BOFT as PEFT has it: the rotation of the inputs is a product of sparse butterfly factors, followed by a scale per output. */
import { z } from 'zod';
import { butterflyPermutation } from '../../lib/butterfly.ts';
import { biasField, field, fileFields, layerFields, size } from '../fields.ts';
import { triangleSize } from '../oft/rule.ts';
import { patchOf } from '../patches.ts';
import { describeModule, noticeFanInFanOut, refuseInit } from '../rules.ts';
import type { AdapterMethod, Layer, ModuleTensors, TensorInit } from '../types.ts';
import { blockFor, boftBlocks, refuseBlocks } from './butterfly.ts';

const schema = z.object({
  ...fileFields,
  ...layerFields,
  boft_block_size: field(size().min(0), 4, {
    title: 'Block size',
    description:
      'Side of each rotation block; must divide the inputs of every target. 0 if the number of blocks is given.',
    symbol: 'b',
    group: 'main',
    min: 2,
    max: 128,
    step: 1,
  }),
  boft_block_num: field(size().min(0), 0, {
    title: 'Number of blocks',
    description: 'Instead of the block size: blocks per factor. 0 if the block size is given.',
    symbol: 'd/b',
    group: 'advanced',
    min: 0,
    step: 1,
  }),
  boft_n_butterfly_factor: field(size(64), 1, {
    title: 'Butterfly factors',
    description: 'How many factors are multiplied. Each further one doubles how many inputs can mix.',
    symbol: 'm',
    group: 'main',
    min: 1,
    max: 10,
    step: 1,
  }),
  boft_dropout: field(z.number().min(0).max(1), 0, {
    title: 'Multiplicative dropout',
    description: 'In training, replaces this share of the blocks of one random factor by the identity.',
    symbol: 'p',
    group: 'main',
    min: 0,
    max: 0.9,
    step: 0.05,
  }),
  bias: biasField('boft_only'),
  init_weights: field(z.union([z.boolean(), z.string()]), true, {
    title: 'Start as identity',
    description: 'true: the adapter starts without effect; false: small random rotations and scales.',
    group: 'advanced',
  }),
});

export type BoftConfig = z.output<typeof schema>;

const refusedModule = (layer: Layer): string =>
  `Target module ${describeModule(layer)} is not supported. Currently, only \`torch.nn.Linear\` and \`torch.nn.Conv2d\` (optionally quantized) are supported.`;

/** The number of factors in a file is the first dimension of boft_R: PEFT without its CUDA extension trains one, whatever the config says. */
function factorsInFile(tensors: ReadonlyMap<string, ModuleTensors>): number | null {
  let factors: number | null = null;
  for (const params of tensors.values()) {
    const found = params.get('boft_R')?.shape[0];
    if (found === undefined) continue;
    if (factors !== null && factors !== found) return null;
    factors = found;
  }
  return factors;
}

export const boft: AdapterMethod<BoftConfig> = {
  id: 'boft',
  peftType: 'BOFT',
  title: 'BOFT',
  family: 'rotation',
  card: {
    idea: 'A dense rotation written as a product of sparse ones, wired like a fast Fourier transform: few parameters, yet every input can reach every output.',
    formula:
      'y = s \\odot \\bigl(W\\,M^{\\top} x\\bigr) + b,\\quad M = B_{m-1}\\cdots B_1 B_0,\\quad B_i = P_i \\operatorname{diag}(R_{i,1},\\dots,R_{i,d/b}) P_i^{\\top}',
    tryThis:
      'Keep b and raise m step by step: the composed pattern fills up, each factor doubling the reach of an input.',
    paper:
      'Liu et al., Parameter-Efficient Orthogonal Finetuning via Butterfly Factorization, 2023 (arXiv:2311.06243)',
  },
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
  fixed: {},
  requiredInFile: [],
  targets: 'required',
  fileNames: ['boft_R', 'boft_s'],
  refuse(config) {
    const { boft_block_size: size, boft_block_num: number } = config;
    if (size === 0 && number === 0) {
      return `Either \`boft_block_size\` or \`boft_block_num\` must be non-zero. Currently, boft_block_size = ${size} and boft_block_num = ${number}.`;
    }
    if (size !== 0 && number !== 0) {
      return `You can only specify either boft_block_size (${size}) or boft_block_num (${number}), but not both simultaneously, because boft_block_size x boft_block_num == in_features.`;
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
      return `PEFT's BOFT takes the kernel of a convolution to be square, and that of ${describeModule(layer)} is not; choose other layers.`;
    return refuseBlocks(layer.in, config, 'convolutional kernel dimension');
  },
  notice: (layer, config) =>
    layer.kind === 'conv2d'
      ? "PEFT's BOFT takes the weight of a convolution for one of [in, out] without transposing it, so it turns a mixture of inputs and outputs; Papilio does the same."
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
        trainable: true,
        init: identity ? { kind: 'zeros' } : normal(0),
      },
      {
        name: 'boft_s',
        shape: layer.kind === 'conv2d' ? [1, layer.out] : [layer.out, 1],
        trainable: true,
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
        `The configuration asks for ${config.boft_n_butterfly_factor} butterfly factors but the tensors hold ${factors}; the tensors count.`,
      ],
    };
  },
  onWrite: (config) =>
    config.boft_n_butterfly_factor > 1
      ? [
          `This adapter has ${config.boft_n_butterfly_factor} butterfly factors, which most PEFT installations cannot load yet: without a working CUDA extension PEFT builds one factor only and stops with a size mismatch. The merged model is not affected; train with boft_n_butterfly_factor 1 for a file that loads everywhere.`,
        ]
      : [],
};
