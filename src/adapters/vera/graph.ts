/** VeRA on the graph: the shared random matrices cut to the layers' sizes, with a learned scale after each. */
import type { Value } from '../../graph/types.ts';
import { columnScale } from '../../ops/columnScale.ts';
import { dropout } from '../../ops/dropout.ts';
import { binary } from '../../ops/elementwise.ts';
import { linear } from '../../ops/linear.ts';
import { matmul } from '../../ops/matmul.ts';
import { slice, view } from '../../ops/moves.ts';
import type { GraphHalf, LayerAdapter } from '../graphTypes.ts';
import { layerParts } from '../layerParts.ts';
import type { VeraConfig } from './index.ts';

export const graph: GraphHalf<VeraConfig> = {
  open(scope, group) {
    const { g, training } = scope;
    const { config, layers } = group;
    const { r, vera_dropout: p } = config;
    const { in: inputs, out } = layers[0]!;
    const wide = scope.shared('vera_A');
    const A =
      wide.shape[1] === inputs ? wide : slice(g, wide, { starts: [0, 0], ends: [r, inputs], steps: [1, 1] });
    const B = view(g, scope.shared('vera_B'), [out, r]);
    return layerParts(g, group).map((params, i): LayerAdapter => {
      const lambdaB = params.vera_lambda_b!;
      const lambdaD = params.vera_lambda_d!;
      const update = (): Value => {
        const tall = binary(g, view(g, lambdaB, [out, 1]), B, { fn: 'mul' });
        const flat = binary(g, view(g, lambdaD, [r, 1]), A, { fn: 'mul' });
        return matmul(g, tall, flat, {});
      };
      return {
        adapt: ({ W, bias }) => ({ W: binary(g, W, update(), { fn: 'add' }), bias }),
        apply(x, { W, bias }) {
          const kept = training && p > 0 ? dropout(g, x, scope.stepSeed(), { p, salt: i }) : x;
          const low = columnScale(g, linear(g, kept, A, null), lambdaD);
          const added = columnScale(g, linear(g, low, B, null), lambdaB);
          return binary(g, linear(g, x, W, bias), added, { fn: 'add' });
        },
        update,
      };
    });
  },
};
