/**
 * FourierFT on the graph: rows of activations through the transform where that is cheaper, else the spectra of a whole group → their ΔW by one
 * sparse inverse transform → W + ΔW, with the spectra's gradient from that of ΔW or, where that is cheaper, from rows.
 */
import type { Value } from '../../graph/types.ts';
import { sizeOf } from '../../lib/numbers.ts';
import { binary } from '../../ops/elementwise.ts';
import { linear } from '../../ops/linear.ts';
import { concat, detach, view } from '../../ops/moves.ts';
import { frequencyInputs, sparseIdft } from '../../ops/sparseIdft.ts';
import { spectral, spectralSource } from '../../ops/spectral.ts';
import { type SpectralRoute, spectralRoute } from '../../ops/spectralRoute.ts';
import { additive, cutRuns, cutStack, runsOf } from '../graphParts.ts';
import type { LayerAdapter, MethodGraph } from '../types.ts';
import { type FourierftConfig, fourierLocations, frequencyCount } from './config.ts';

/** Numbers between places where a buffer may be bound (256 bytes). */
const ALIGNED = 64;

export const graph: MethodGraph<FourierftConfig> = {
  neutral: { fourierft_spectrum: 0 },

  open(scope, { layers, config, params }) {
    const { g } = scope;
    const { out, in: width } = layers[0]!;
    const n = frequencyCount(layers[0]!, config);
    const { row, column } = fourierLocations(out, width, n, config.random_loc_seed ?? 0);
    const attrs = { out, in: width, scaling: config.scaling };
    const frequencies = frequencyInputs(g, Int32Array.from(row), Int32Array.from(column), attrs);
    const stack = params.fourierft_spectrum!;
    const once = <T>(make: () => readonly T[]) => {
      let made: readonly T[] | undefined;
      return (i: number): T => {
        made ??= make();
        return made[i]!;
      };
    };
    // Each begins where a buffer may be bound.
    const stride = Math.ceil(n / ALIGNED) * ALIGNED;
    const spectrum = once(() => {
      const behind = [layers.length, stride - n];
      const zeros = () => g.constant({ dtype: 'f32', shape: behind }, new Float32Array(sizeOf(behind)));
      const apart = stride === n ? stack : concat(g, [stack, zeros()], { axis: 1 });
      return cutStack(g, apart, layers.length, [stride]);
    });
    const runs = runsOf(layers, scope);
    const delta = once(() =>
      cutRuns(g, view(g, sparseIdft(g, stack, frequencies), [layers.length, out, width]), runs),
    );
    const routeOf = (x: Value): SpectralRoute => spectralRoute({ ...attrs, n }, sizeOf(x.shape) / width);
    return layers.map((_, i): LayerAdapter => {
      const added = additive(g, () => delta(i).own());
      return {
        ...added,
        applyAll(x, { W, bias }) {
          const all = routeOf(x) === 'rows' ? null : delta(i).all;
          return all && linear(g, x, binary(g, W, view(g, all, W.shape), { fn: 'add' }), bias);
        },
        apply(x, weights) {
          const route = routeOf(x);
          if (route === 'rows') {
            const y = linear(g, x, weights.W, weights.bias);
            return binary(g, y, spectral(g, x, spectrum(i), frequencies), { fn: 'add' });
          }
          if (route === 'mixed') {
            const fixed = detach(g, delta(i).own());
            const y = linear(g, x, binary(g, weights.W, fixed, { fn: 'add' }), weights.bias);
            return spectralSource(g, y, x, spectrum(i), frequencies);
          }
          const { W, bias } = added.adapt(weights);
          return linear(g, x, W, bias);
        },
      };
    });
  },
};
