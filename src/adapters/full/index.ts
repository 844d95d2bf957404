/**
 * Every weight trains. With target_modules only those layers do; without, all layers and every other parameter (norms, position
 * tables) as well. This is how the embedded models are pretrained.
 */
import { z } from 'zod';
import { fileFields, targetFields } from '../fields.ts';
import type { AdapterMethod, Layer } from '../types.ts';

const schema = z.object({ ...fileFields, ...targetFields });

export type FullConfig = z.output<typeof schema>;

function weightShape(layer: Layer): number[] {
  return layer.kind === 'embedding' ? [layer.in, layer.out] : [layer.out, layer.in];
}

export const full: AdapterMethod<FullConfig> = {
  id: 'full',
  peftType: 'PAPILIO_FULL',
  title: 'Full fine-tuning',
  family: 'baseline',
  card: {
    idea: 'Train every weight. The most freedom and the most memory; the upper end of every comparison.',
    formula: 'W \\leftarrow W - \\eta\\,\\nabla_W L',
    tryThis: 'Compare its parameter count and its held-out score with an adapter of a hundredth of the size.',
    paper: 'Baseline',
  },
  start: { learningRate: 5e-4, config: () => ({}) },
  schema,
  fixed: {},
  requiredInFile: [],
  targets: 'optional',
  fileNames: 'any',
  refuse: () => null,
  check: () => null,
  notice: () => null,
  count(layer) {
    const parameters = layer.in * layer.out + (layer.hasBias ? layer.out : 0);
    return { stored: parameters, free: parameters };
  },
  pattern: (layer) => {
    const [rows, columns] = weightShape(layer) as [number, number];
    return { role: 'weight', factors: [{ kind: 'dense', label: 'W', rows, columns }] };
  },
  tensors: (layer) => [
    { name: 'weight', shape: weightShape(layer), trainable: true, init: { kind: 'base' } },
    ...(layer.hasBias
      ? [{ name: 'bias', shape: [layer.out], trainable: true, init: { kind: 'base' } as const }]
      : []),
  ],
  onRead: (config) => ({ config, warnings: [] }),
  onWrite: () => [
    'This is no PEFT adapter but a set of whole weights, and PEFT cannot load it. Papilio can, and the merged model runs anywhere.',
  ],
};
