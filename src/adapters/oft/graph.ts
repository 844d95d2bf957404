/** OFT on the graph: blocks of skew numbers → rotations (one Cayley for the whole group) → turned inputs. */
import type { Value } from '../../graph/types.ts';
import { cayley } from '../../ops/cayley.ts';
import { binary } from '../../ops/elementwise.ts';
import { linear } from '../../ops/linear.ts';
import { view } from '../../ops/moves.ts';
import { linearOfStack, rotationsOf, runsOf } from '../graphParts.ts';
import type { LayerAdapter, MethodGraph } from '../types.ts';
import type { OftConfig } from './config.ts';
import { oftBlocks, triangleSize } from './config.ts';

const unchanged: LayerAdapter = { adapt: (weights) => weights };

export const graph: MethodGraph<OftConfig> = {
  neutral: { 'oft_R.weight': 0, 'oft_embedding_R.weight': 0 },

  forwardReversed: true,

  open(scope, { layers, config, params }) {
    const { g } = scope;
    const first = layers[0]!;
    const isEmbedding = first.kind === 'embedding';
    const q = params[isEmbedding ? 'oft_embedding_R.weight' : 'oft_R.weight'];
    // A block size adjusted to 1 has no parameters: PEFT's permanent identity.
    if (!q) return layers.map(() => unchanged);

    const { block: b, stored } = oftBlocks(isEmbedding ? first.out : first.in, config);
    const blocks = layers.length * stored;
    const R = cayley(g, view(g, q, [blocks, triangleSize(b)]), {
      b,
      kind: config.use_cayley_neumann ? 'neumann' : 'exact',
      terms: config.num_cayley_neumann_terms,
    });
    const runs = runsOf(layers, scope);
    return rotationsOf(g, runs, R, [1, stored, b, b]).map(({ input, all, turn }): LayerAdapter => {
      const rotate = (x: Value) => turn(x, false);
      if (isEmbedding) return { adapt: ({ W, bias }) => ({ W: rotate(W), bias }), rotate };
      return {
        adapt: ({ W, bias }) => ({ W: turn(W, true), bias }),
        apply: (x, { W, bias }) => linear(g, input(x), W, bias),
        ...(all && {
          applyAll(x, { W, bias }) {
            const y = linearOfStack(g, all(x), W);
            return bias ? binary(g, y, bias, { fn: 'add' }) : y;
          },
        }),
        rotate,
      };
    });
  },

  // The radius is shared by the stored blocks.
  rowLimit: (config, spec) => (config.coft ? config.eps / Math.sqrt(spec.shape[0]!) : null),
};
