/** OFT as PEFT has it: the inputs of a layer are turned, block by block, by learned rotations. */
import { z } from 'zod';
import { biasField, field, fileFields, layerFields, size } from '../fields.ts';
import { patchOf } from '../patches.ts';
import { describeModule, noticeFanInFanOut, refuseInit } from '../rules.ts';
import type { AdapterMethod, Layer } from '../types.ts';
import { adjustToDivisor, LARGEST_BLOCK, oftBlocks, startBlock, triangleSize, USUAL_BLOCK } from './rule.ts';

const schema = z.object({
  ...fileFields,
  ...layerFields,
  oft_block_size: field(size().min(0), USUAL_BLOCK, {
    title: 'Block size',
    description:
      'Side of each rotation block. A size that does not divide the inputs is replaced by the nearest that does. 0 if r is given.',
    symbol: 'b',
    group: 'main',
    min: 2,
    max: LARGEST_BLOCK,
    step: 1,
  }),
  r: field(size().min(0), 0, {
    title: 'Number of blocks',
    description: 'Instead of the block size: how many blocks. 0 if the block size is given.',
    symbol: 'r',
    group: 'advanced',
    min: 0,
    step: 1,
  }),
  bias: biasField('oft_only'),
  use_cayley_neumann: field(z.boolean(), true, {
    title: 'Cayley-Neumann series',
    description:
      'Approximates the Cayley transform by a short power series. It turns the other way round than the exact transform does.',
    group: 'advanced',
  }),
  num_cayley_neumann_terms: field(size(64), 5, {
    title: 'Series terms',
    description: 'Terms of the series; 3 and 4 are the same, 1 is the identity.',
    symbol: 't',
    group: 'advanced',
    min: 2,
    max: 12,
    step: 1,
  }),
  block_share: field(z.boolean(), false, {
    title: 'Share blocks',
    description: 'One rotation for all blocks of a layer.',
    group: 'advanced',
  }),
  coft: field(z.boolean(), false, {
    title: 'Constrained (COFT)',
    description: 'Keeps every block within a small radius of the identity.',
    group: 'advanced',
  }),
  eps: field(z.number().min(0), 6e-5, {
    title: 'COFT radius',
    description: 'How far a block may leave the identity; the default leaves almost no freedom.',
    symbol: '\\varepsilon',
    group: 'advanced',
    min: 0,
  }),
  module_dropout: field(z.number().min(0).max(1), 0, {
    title: 'Module dropout',
    description: 'Accepted by PEFT but never applied, here neither.',
    group: 'file',
    min: 0,
    max: 1,
  }),
  init_weights: field(z.union([z.boolean(), z.string()]), true, {
    title: 'Start as identity',
    description: 'true: the adapter starts without effect; false: small random rotations.',
    group: 'advanced',
  }),
});

export type OftConfig = z.output<typeof schema>;

/** The dimension OFT turns: the inputs of a linear layer, the vectors of an embedding. */
function rotated(layer: Layer): number {
  return layer.kind === 'embedding' ? layer.out : layer.in;
}

export const oft: AdapterMethod<OftConfig> = {
  id: 'oft',
  peftType: 'OFT',
  title: 'OFT',
  family: 'rotation',
  card: {
    idea: 'Turn the inputs of a layer instead of adding to its weight. Rotations keep lengths and angles, so what the model knows is moved, not overwritten.',
    formula:
      'y = W\\,R^{\\top} x + b,\\quad R = \\operatorname{diag}(R_1,\\dots,R_r),\\quad R_k = (I-Q_k)(I+Q_k)^{-1},\\ Q_k^{\\top} = -Q_k',
    tryThis:
      'Halve the block size and watch the parameter count and the accuracy: inputs in different blocks can no longer mix.',
    paper:
      'Qiu et al., Controlling Text-to-Image Diffusion by Orthogonal Finetuning, 2023 (arXiv:2306.07280)',
  },
  start: {
    learningRate: 2e-3,
    config: (layers, { r }) => ((r ?? 0) === 0 ? { oft_block_size: startBlock(layers.map(rotated)) } : {}),
  },
  size: [{ field: 'oft_block_size', values: [2, 4, 8, 16, 32, 64, 128] }],
  sizeOn: (layer, config) => ({ oft_block_size: oftBlocks(rotated(layer), config).block }),
  schema,
  fixed: {},
  requiredInFile: ['oft_block_size'],
  targets: 'required',
  fileNames: ['oft_R.weight', 'oft_embedding_R.weight'],
  refuse(config) {
    if (config.r === 0 && config.oft_block_size === 0) {
      return 'Either `r` or `oft_block_size` must be non-zero. Currently, r = 0 and oft_block_size = 0.';
    }
    if (config.r !== 0 && config.oft_block_size !== 0) {
      return `You can only specify either r (${config.r}) or oft_block_size (${config.oft_block_size}), but not both simultaneously, because r x oft_block_size == in_features.`;
    }
    return refuseInit(config.init_weights);
  },
  check(layer) {
    if (layer.kind === 'conv2d' && patchOf(layer).area > 1) {
      return 'OFT turns every patch of a convolution with stride 1 and sums them where they overlap, without normalising, so it is neither the identity at the start nor equal to its own merge; choose linear layers or convolutions with a kernel of 1.';
    }
    return null;
  },
  peftRefuses: (layer) =>
    layer.kind === 'conv1d'
      ? `Target module ${describeModule(layer)} is not supported. Currently, only the following modules are supported: \`torch.nn.Linear\`, \`torch.nn.Conv2d\`.`
      : null,
  notice(layer, config) {
    const dimension = rotated(layer);
    const [name, requested] =
      config.oft_block_size > 0
        ? (['oft_block_size', config.oft_block_size] as const)
        : (['r', config.r] as const);
    const adjusted = adjustToDivisor(dimension, requested);
    const { block } = oftBlocks(dimension, config);
    const nothing = block === 1 ? 'A block of 1 is the identity: no numbers train there.' : null;
    if (adjusted !== requested) {
      const said = `Invalid \`${name}\` (${requested})! Adjusted \`${name}\` to (${adjusted}).`;
      return nothing === null ? said : `${said} ${nothing}`;
    }
    return nothing ?? noticeFanInFanOut(layer, config.fan_in_fan_out);
  },
  count(layer, config) {
    const { block, stored } = oftBlocks(rotated(layer), config);
    const parameters = stored * triangleSize(block);
    return { stored: parameters, free: parameters };
  },
  pattern(layer, config) {
    const size = rotated(layer);
    const { block } = oftBlocks(size, config);
    const group = Uint32Array.from({ length: size }, (_, row) => Math.floor(row / block));
    return {
      role: 'rotation',
      factors: [{ kind: 'blocks', label: 'R', size, block, group, shared: config.block_share }],
    };
  },
  tensors(layer, config) {
    const { block, stored } = oftBlocks(rotated(layer), config);
    return [
      {
        name: layer.kind === 'embedding' ? 'oft_embedding_R.weight' : 'oft_R.weight',
        shape: [stored, triangleSize(block)],
        trainable: true,
        init: config.init_weights === true ? { kind: 'zeros' } : { kind: 'normal', mean: 0, std: 0.1 },
      },
    ];
  },
  onRead(config, _tensors, peftVersion) {
    const current = peftVersion !== null && !/^0\.([0-9]|1[0-7])(\.|$)/.test(peftVersion);
    if (!config.use_cayley_neumann || current) return { config, warnings: [] };
    return {
      config,
      warnings: [
        "This adapter was saved by a PEFT before 0.18, which summed the Cayley-Neumann series a little differently; like today's PEFT, Papilio reads it with the new series, so its outputs differ slightly.",
      ],
    };
  },
  onWrite: () => [],
};
