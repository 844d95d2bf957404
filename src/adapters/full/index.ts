/**
 * Every weight trains. With target_modules only those layers do; without, all layers and every other parameter (norms, position
 * tables) as well. This is how the embedded models are pretrained.
 */

import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { fileFields, targetFields } from '../fields.ts';
import { defineMethod, type Layer } from '../types.ts';

const schema = z.object({ ...fileFields, ...targetFields });

export type FullConfig = z.output<typeof schema>;

function weightShape(layer: Layer): number[] {
  return layer.kind === 'embedding' ? [layer.in, layer.out] : [layer.out, layer.in];
}

export const full = defineMethod<FullConfig>({
  id: 'full',
  peftType: 'PAPILIO_FULL',
  get title() {
    return say`Full fine-tuning`;
  },
  family: 'baseline',
  start: { learningRate: 5e-4 },
  schema,
  targets: 'optional',
  fileNames: 'any',
  count(layer) {
    const parameters = layer.in * layer.out + (layer.hasBias ? layer.out : 0);
    return { stored: parameters, free: parameters };
  },
  pattern: (layer) => {
    const [rows, columns] = weightShape(layer) as [number, number];
    return { role: 'weight', factors: [{ kind: 'dense', label: 'W', rows, columns }] };
  },
  tensors: (layer) => [
    { name: 'weight', shape: weightShape(layer), init: { kind: 'base' } },
    ...(layer.hasBias ? [{ name: 'bias', shape: [layer.out], init: { kind: 'base' } as const }] : []),
  ],
  onWrite: () => [
    say`This is no PEFT adapter but a set of whole weights, and PEFT cannot load it. Papilio can, and the merged model runs anywhere.`,
  ],
});
