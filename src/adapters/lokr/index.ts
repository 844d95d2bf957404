/** LoKr as PEFT has it: the update is the Kronecker product of a small matrix and one that is whole or of low rank. */
import { z } from 'zod';
import { sizeOf } from '../../lib/sizeOf.ts';
import { field, size } from '../fields.ts';
import { kaiming, lycorisFields, lycorisScale, peftRefusesLycoris, refuseLycoris } from '../lycoris.ts';
import { patchOf } from '../patches.ts';
import type { AdapterMethod, Layer, TensorInit, TensorSpec } from '../types.ts';
import { kroneckerShape } from './factorise.ts';

const schema = z.object({
  ...lycorisFields(
    'Rank of a factor that is stored as a product; a factor smaller than twice the rank is stored whole.',
    // A rank beyond every factor is how "store all of it whole" is written.
    2 ** 31 - 1,
  ),
  decompose_both: field(z.boolean(), false, {
    title: 'Decompose both',
    description: 'Stores the first factor as a product too, where that is smaller.',
    group: 'main',
  }),
  decompose_factor: field(size(), -1, {
    title: 'Split at',
    description:
      'Size of the first factor; -1 splits inputs and outputs into the two numbers nearest to their square root.',
    symbol: 'f',
    group: 'main',
    min: -1,
    step: 1,
  }),
  rank_dropout_scale: field(z.boolean(), false, {
    title: 'Scale what is kept',
    description: 'Divides the rows that rank dropout keeps by their share.',
    group: 'advanced',
  }),
  init_weights: field(z.union([z.boolean(), z.literal('lycoris')]), true, {
    title: 'Initialisation',
    description:
      'true: the first factor starts at zero; "lycoris": the second one does; false: both are random.',
    group: 'advanced',
    options: [true, false, 'lycoris'],
  }),
});

export type LokrConfig = z.output<typeof schema>;

function tensors(layer: Layer, config: LokrConfig): readonly TensorSpec[] {
  const { rank } = lycorisScale(layer, config);
  const { outL, outK, inM, inN, whole1, whole2 } = kroneckerShape(layer, rank, config);
  const { kernel, area } = patchOf(layer);
  const zeros: TensorInit = { kind: 'zeros' };
  const zeroFirst = config.init_weights === true;
  const zeroSecond = config.init_weights === 'lycoris';
  const tensor = (name: string, shape: readonly number[], isZero: boolean): TensorSpec => ({
    name,
    shape,
    trainable: true,
    init: isZero ? zeros : kaiming(sizeOf(shape.slice(1))),
  });
  const first = whole1
    ? [tensor('lokr_w1', [outL, inM], zeroFirst)]
    : [tensor('lokr_w1_a', [outL, rank], zeroFirst), tensor('lokr_w1_b', [rank, inM], false)];
  const second = whole2
    ? [tensor('lokr_w2', layer.kind === 'conv2d' ? [outK, inN / area, ...kernel] : [outK, inN], zeroSecond)]
    : [tensor('lokr_w2_a', [outK, rank], false), tensor('lokr_w2_b', [rank, inN], zeroSecond)];
  return [...first, ...second];
}

export const lokr: AdapterMethod<LokrConfig> = {
  id: 'lokr',
  peftType: 'LOKR',
  title: 'LoKr',
  family: 'product',
  card: {
    idea: 'Build a large update from a small matrix and a second one that it repeats like a stamp, scaled by each of its entries. Few numbers, yet the update can have full rank.',
    formula:
      '\\Delta W = \\tfrac{\\alpha}{r}\\; w_1 \\otimes w_2,\\quad w_1 \\in \\mathbb{R}^{l \\times m},\\ w_2 \\in \\mathbb{R}^{k \\times n},\\ lk = d_{out},\\ mn = d_{in}',
    tryThis:
      'Set the split to 2, then to -1: the same stamp is repeated more often, and the parameters become fewer.',
    paper:
      'Yeh et al., Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation, 2023 (arXiv:2309.14859)',
  },
  start: { learningRate: 1e-2, config: () => ({}) },
  size: [{ field: 'r', values: Array.from({ length: 64 }, (_, i) => i + 1), alongside: ['alpha'] }],
  schema,
  fixed: {},
  requiredInFile: [],
  targets: 'required',
  fileNames: ['lokr_w1', 'lokr_w1_a', 'lokr_w1_b', 'lokr_w2', 'lokr_w2_a', 'lokr_w2_b'],
  refuse: () => null,
  peftRefuses: peftRefusesLycoris,
  check: refuseLycoris,
  notice: () => null,
  count(layer, config) {
    const stored = tensors(layer, config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    return { stored, free: stored };
  },
  pattern(layer, config) {
    const { outL, outK, inM, inN } = kroneckerShape(layer, lycorisScale(layer, config).rank, config);
    return {
      role: 'kronecker',
      factors: [
        { kind: 'dense', label: 'w_1', rows: outL, columns: inM },
        { kind: 'dense', label: 'w_2', rows: outK, columns: inN },
      ],
    };
  },
  tensors,
  onRead: (config) => ({ config, warnings: [] }),
  onWrite: () => [],
};
