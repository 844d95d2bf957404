/** OFT as PEFT has it: the inputs of a layer are turned, block by block, by learned rotations. */

import { say } from '../../lib/say.ts';
import { diagonalBlocks, noticeFanInFanOut, patchOf, refuseInit, unsupported } from '../rules.ts';
import { defineMethod } from '../types.ts';
import {
  adjustToDivisor,
  type OftConfig,
  oftBlocks,
  rotated,
  schema,
  startBlock,
  triangleSize,
} from './config.ts';

export const oft = defineMethod<OftConfig>({
  id: 'oft',
  peftType: 'OFT',
  title: 'OFT',
  family: 'rotation',
  start: {
    learningRate: 2e-3,
    config: (layers, { r }) => ((r ?? 0) === 0 ? { oft_block_size: startBlock(layers.map(rotated)) } : {}),
  },
  size: [{ field: 'oft_block_size', values: [2, 4, 8, 16, 32, 64, 128] }],
  sizeOn: (layer, config) => ({ oft_block_size: oftBlocks(rotated(layer), config).block }),
  schema,
  requiredInFile: ['oft_block_size'],
  targets: 'required',
  fileNames: ['oft_R.weight', 'oft_embedding_R.weight'],
  refuse(config) {
    if (config.r === 0 && config.oft_block_size === 0) {
      return say`Either \`r\` or \`oft_block_size\` must be non-zero. Currently, r = 0 and oft_block_size = 0.`;
    }
    if (config.r !== 0 && config.oft_block_size !== 0) {
      return say`You can only specify either r (${config.r}) or oft_block_size (${config.oft_block_size}), but not both simultaneously, because r x oft_block_size == in_features.`;
    }
    return refuseInit(config.init_weights);
  },
  check(layer) {
    if (layer.kind === 'conv2d' && patchOf(layer).area > 1) {
      return say`OFT turns every patch of a convolution with stride 1 and sums them where they overlap, without normalising, so it is neither the identity at the start nor equal to its own merge; choose linear layers or convolutions with a kernel of 1.`;
    }
    return null;
  },
  peftRefuses: (layer) =>
    layer.kind === 'conv1d'
      ? unsupported(layer, say`the following modules are supported: \`torch.nn.Linear\`, \`torch.nn.Conv2d\``)
      : null,
  notice(layer, config) {
    const dimension = rotated(layer);
    const [name, requested] =
      config.oft_block_size > 0
        ? (['oft_block_size', config.oft_block_size] as const)
        : (['r', config.r] as const);
    const adjusted = adjustToDivisor(dimension, requested);
    const { block } = oftBlocks(dimension, config);
    const nothing = block === 1 ? say`A block of 1 is the identity: no numbers train there.` : null;
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
    return { role: 'rotation', factors: [diagonalBlocks('R', size, block, config.block_share)] };
  },
  tensors(layer, config) {
    const { block, stored } = oftBlocks(rotated(layer), config);
    return [
      {
        name: layer.kind === 'embedding' ? 'oft_embedding_R.weight' : 'oft_R.weight',
        shape: [stored, triangleSize(block)],
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
        say`This adapter was saved by a PEFT before 0.18, which summed the Cayley-Neumann series a little differently; like today's PEFT, Papilio reads it with the new series, so its outputs differ slightly.`,
      ],
    };
  },
  graph: () => import('./graph.ts'),
});
