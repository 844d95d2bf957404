/** LoHa as PEFT has it: the update is the entrywise product of two low-rank matrices, whose rank can reach r squared. */
import { lycorisScale, peftRefusesLycoris, refuseLycoris } from '../lycoris.ts';
import { defineMethod } from '../types.ts';
import { type LohaConfig, schema, tensors } from './config.ts';

export const loha = defineMethod<LohaConfig>({
  id: 'loha',
  peftType: 'LOHA',
  title: 'LoHa',
  family: 'product',
  start: { learningRate: 5e-3 },
  size: [{ field: 'r', values: { min: 1, max: 1024 }, alongside: ['alpha'] }],
  schema,
  targets: 'required',
  fileNames: ['hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b'],
  peftRefuses: peftRefusesLycoris,
  check: refuseLycoris,
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
  graph: () => import('./graph.ts'),
});
