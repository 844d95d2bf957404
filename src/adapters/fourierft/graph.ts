/** FourierFT on the graph: the spectra of a whole group → their ΔW by one sparse inverse transform → W + ΔW. */
import { frequencyInputs, sparseIdft } from '../../ops/sparseIdft.ts';
import { additive, cutStack } from '../graphParts.ts';
import type { MethodGraph } from '../types.ts';
import { type FourierftConfig, fourierLocations, frequencyCount } from './config.ts';

export const graph: MethodGraph<FourierftConfig> = {
  open({ g }, { layers, config, params }) {
    const first = layers[0]!;
    const { row, column } = fourierLocations(
      first.out,
      first.in,
      frequencyCount(first, config),
      config.random_loc_seed ?? 0,
    );
    const frequencies = frequencyInputs(g, Int32Array.from(row), Int32Array.from(column), {
      out: first.out,
      in: first.in,
      scaling: config.scaling,
    });
    const delta = sparseIdft(g, params.fourierft_spectrum!, frequencies);
    return cutStack(g, delta, layers.length, [first.out, first.in]).map((own) => additive(g, () => own));
  },
};
