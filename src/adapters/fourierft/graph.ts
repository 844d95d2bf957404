/** FourierFT on the graph: the spectra of a whole group → their ΔW by one sparse inverse transform → W + ΔW. */
import { binary } from '../../ops/elementwise.ts';
import { split } from '../../ops/moves.ts';
import { sparseIdft } from '../../ops/sparseIdft.ts';
import type { GraphHalf, LayerAdapter } from '../graphTypes.ts';
import { type FourierftConfig, frequencyCount } from './index.ts';
import { fourierLocations } from './locations.ts';

export const graph: GraphHalf<FourierftConfig> = {
  open({ g }, { layers, config, params }) {
    const first = layers[0]!;
    const { row, column } = fourierLocations(
      first.out,
      first.in,
      frequencyCount(first, config),
      config.random_loc_seed ?? 0,
    );
    const delta = sparseIdft(g, params.fourierft_spectrum!, {
      out: first.out,
      in: first.in,
      rows: Int32Array.from(row),
      columns: Int32Array.from(column),
      scaling: config.scaling,
    });
    const deltas = split(
      g,
      delta,
      layers.map((_, i) => ({ offset: i * first.out * first.in, shape: [first.out, first.in] })),
    );
    return layers.map(
      (_, i): LayerAdapter => ({
        adapt: ({ W, bias }) => ({ W: binary(g, W, deltas[i]!, { fn: 'add' }), bias }),
        update: () => deltas[i]!,
      }),
    );
  },
};
