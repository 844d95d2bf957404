/** LoKr as PEFT has it: the update is the Kronecker product of a small matrix and one that is whole or of low rank. */
import { sizeOf } from '../../lib/numbers.ts';
import { lycorisScale, peftRefusesLycoris, refuseLycoris } from '../lycoris.ts';
import { defineMethod } from '../types.ts';
import { kroneckerShape, type LokrConfig, schema, tensors } from './config.ts';

export const lokr = defineMethod<LokrConfig>({
  id: 'lokr',
  peftType: 'LOKR',
  title: 'LoKr',
  family: 'product',
  start: { learningRate: 1e-2 },
  size: [{ field: 'r', values: Array.from({ length: 64 }, (_, i) => i + 1), alongside: ['alpha'] }],
  schema,
  targets: 'required',
  fileNames: ['lokr_w1', 'lokr_w1_a', 'lokr_w1_b', 'lokr_w2', 'lokr_w2_a', 'lokr_w2_b'],
  peftRefuses: peftRefusesLycoris,
  check: refuseLycoris,
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
  graph: () => import('./graph.ts'),
});
