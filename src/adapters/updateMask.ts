/** Rank and module dropout of LoHa and LoKr: which rows of a layer's update count in a training step, drawn on the CPU. */
import type { Value } from '../graph/types.ts';
import { rng } from '../lib/rng.ts';
import type { AdapterScope, LayerGroup, StepFill } from './graphTypes.ts';

export interface UpdateDrops {
  readonly layers: number;
  readonly rows: number;
  /** Probability that a row is left out. */
  readonly rank: number;
  /** Probability that a layer's whole update is left out. */
  readonly module: number;
  /** Divides what is kept by its share, as PEFT does for LoHa always and for LoKr on request. */
  readonly scale: boolean;
}

/** Fills [layers, rows]: 0 where a row is left out, else 1 or one over the share that is kept. */
export function drawMask({ layers, rows, rank, module, scale }: UpdateDrops, stream: number): StepFill {
  return (mask, seed) => {
    const random = rng(seed, stream);
    for (let layer = 0; layer < layers; layer++) {
      const own = mask.subarray(layer * rows, (layer + 1) * rows);
      const isOut = random.chance(module);
      let kept = 0;
      for (let row = 0; row < rows; row++) {
        own[row] = random.chance(rank) ? 0 : 1;
        kept += own[row]!;
      }
      // PEFT divides by zero when no row is left; here the update is then nothing.
      const factor = isOut || kept === 0 ? 0 : scale ? rows / kept : 1;
      for (let row = 0; row < rows; row++) own[row] = own[row]! * factor;
    }
  };
}

interface Dropping {
  readonly rank_dropout: number;
  readonly module_dropout: number;
}

/** f32 [layers, out], drawn before every step; null where nothing is dropped. */
export function updateMask<C extends Dropping>(
  scope: AdapterScope,
  { id, layers, config }: LayerGroup<C>,
  scale: boolean,
): Value | null {
  const { rank_dropout: rank, module_dropout: module } = config;
  if (!scope.training || (rank === 0 && module === 0)) return null;
  const rows = layers[0]!.out;
  return scope.stepInput(
    `updateMask.${id}`,
    { dtype: 'f32', shape: [layers.length, rows] },
    drawMask({ layers: layers.length, rows, rank, module, scale }, Number(id.replace(/\D/g, ''))),
  );
}
