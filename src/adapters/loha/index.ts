/** LoHa as PEFT has it: the update is the entrywise product of two low-rank matrices, whose rank can reach r squared. */
import { z } from 'zod';
import { field } from '../fields.ts';
import { kaiming, lycorisFields, lycorisScale, peftRefusesLycoris, refuseLycoris } from '../lycoris.ts';
import type { AdapterMethod, Layer, TensorSpec } from '../types.ts';

const schema = z.object({
  ...lycorisFields(
    'Columns of each w_a and rows of each w_b; the update can have a rank of up to r squared.',
  ),
  init_weights: field(z.boolean(), true, {
    title: 'Start without effect',
    description: 'true: the last of the four matrices starts at zero; false: all are random.',
    group: 'advanced',
  }),
});

export type LohaConfig = z.output<typeof schema>;

function tensors(layer: Layer, config: LohaConfig): readonly TensorSpec[] {
  const { rank } = lycorisScale(layer, config);
  const pair = (which: number, last: TensorSpec['init']): TensorSpec[] => [
    { name: `hada_w${which}_a`, shape: [layer.out, rank], trainable: true, init: kaiming(rank) },
    { name: `hada_w${which}_b`, shape: [rank, layer.in], trainable: true, init: last },
  ];
  const random = kaiming(layer.in);
  return [...pair(1, random), ...pair(2, config.init_weights ? { kind: 'zeros' } : random)];
}

export const loha: AdapterMethod<LohaConfig> = {
  id: 'loha',
  peftType: 'LOHA',
  title: 'LoHa',
  family: 'product',
  card: {
    idea: 'Multiply two low-rank matrices entry by entry. With the numbers of a rank-2r LoRA the update can reach rank r squared.',
    formula:
      '\\Delta W = \\tfrac{\\alpha}{r}\\,(A_1 B_1) \\odot (A_2 B_2),\\quad A_i \\in \\mathbb{R}^{d_{out} \\times r},\\ B_i \\in \\mathbb{R}^{r \\times d_{in}}',
    tryThis:
      'Compare it with LoRA of twice its rank, which has as many parameters: which of the two fits your data better?',
    paper:
      'Hyeon-Woo et al., FedPara: Low-Rank Hadamard Product for Communication-Efficient Federated Learning, 2021 (arXiv:2108.06098)',
  },
  start: { learningRate: 5e-3, config: () => ({}) },
  size: [{ field: 'r', values: { min: 1, max: 1024 }, alongside: ['alpha'] }],
  schema,
  fixed: {},
  requiredInFile: [],
  targets: 'required',
  fileNames: ['hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b'],
  refuse: () => null,
  peftRefuses: peftRefusesLycoris,
  check: refuseLycoris,
  notice: () => null,
  count(layer, config) {
    const stored = 2 * lycorisScale(layer, config).rank * (layer.in + layer.out);
    return { stored, free: stored };
  },
  pattern(layer, config) {
    const { rank } = lycorisScale(layer, config);
    return {
      role: 'hadamard',
      factors: [1, 2].flatMap((which) => [
        { kind: 'dense' as const, label: `A_${which}`, rows: layer.out, columns: rank },
        { kind: 'dense' as const, label: `B_${which}`, rows: rank, columns: layer.in },
      ]),
    };
  },
  tensors,
  onRead: (config) => ({ config, warnings: [] }),
  onWrite: () => [],
};
