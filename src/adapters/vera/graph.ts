/** VeRA on the graph: the shared random matrices cut to the layers' sizes, with a learned scale after each. */
import type { Value } from '../../graph/types.ts';
import { columnScale } from '../../ops/columnScale.ts';
import { binary } from '../../ops/elementwise.ts';
import { linear } from '../../ops/linear.ts';
import { matmul } from '../../ops/matmul.ts';
import { slice, view } from '../../ops/moves.ts';
import { additive, dropInputs, layerParts } from '../graphParts.ts';
import type { LayerAdapter, MethodGraph } from '../types.ts';
import type { VeraConfig } from './config.ts';

export const graph: MethodGraph<VeraConfig> = {
  neutral: { vera_lambda_b: 0 },

  open(scope, group) {
    const { g } = scope;
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
        ...additive(g, update),
        apply(x, { W, bias }) {
          const low = columnScale(g, linear(g, dropInputs(scope, x, p, i), A, null), lambdaD);
          const added = columnScale(g, linear(g, low, B, null), lambdaB);
          return binary(g, linear(g, x, W, bias), added, { fn: 'add' });
        },
      };
    });
  },
};
