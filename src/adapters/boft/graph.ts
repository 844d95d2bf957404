/** BOFT on the graph: full square blocks → rotations (one Cayley for the whole group) → butterfly-turned inputs, scaled outputs. */
import type { Value } from '../../graph/types.ts';
import { rng } from '../../lib/rng.ts';
import { cayleyFull } from '../../ops/cayley.ts';
import { columnScale } from '../../ops/columnScale.ts';
import { binary } from '../../ops/elementwise.ts';
import { linear } from '../../ops/linear.ts';
import { transpose, view } from '../../ops/moves.ts';
import { cutRuns, groupStream, linearOfStack, rotationsOf, runsOf } from '../graphParts.ts';
import type { LayerAdapter, MethodGraph, StepFill } from '../types.ts';
import { type BoftConfig, boftBlocks } from './config.ts';

/** 1 keeps a block, 0 makes it the identity: in one factor per layer, floor(p · num) blocks at random. */
function dropBlocks(layers: number, factors: number, blocks: number, p: number, stream: number): StepFill {
  const dropped = Math.floor(p * blocks);
  return (mask, seed) => {
    const random = rng(seed, stream);
    mask.fill(1);
    for (let layer = 0; layer < layers; layer++) {
      const start = (layer * factors + random.int(factors)) * blocks;
      const order = random.shuffle(Array.from({ length: blocks }, (_, i) => i));
      for (let i = 0; i < dropped; i++) mask[start + order[i]!] = 0;
    }
  };
}

export const graph: MethodGraph<BoftConfig> = {
  neutral: { boft_R: 0, boft_s: 1 },

  open(scope, { id, layers, config, params }) {
    const { g, training, stepInput } = scope;
    const { in: inputs, out } = layers[0]!;
    const { block: b, number, factors: m } = boftBlocks(inputs, config);
    const isPatch = layers[0]!.kind === 'conv2d';
    const n = layers.length;
    const R = cayleyFull(g, view(g, params.boft_R!, [n * m * number, b, b]), { b });
    const runs = runsOf(layers, scope);
    const scales = cutRuns(g, view(g, params.boft_s!, [n, out]), runs);
    const drops = training && Math.floor(config.boft_dropout * number) > 0;
    const mask = drops
      ? stepInput(
          `boftMask.${id}`,
          { dtype: 'f32', shape: [n, m, number] },
          dropBlocks(n, m, number, config.boft_dropout, groupStream(id)),
        )
      : null;

    const ended = (product: Value, s: Value, bias: Value | null): Value => {
      const scaled = columnScale(g, product, s);
      return bias ? binary(g, scaled, bias, { fn: 'add' }) : scaled;
    };
    return rotationsOf(g, runs, R, [m, number, b, b], mask).map(({ input, all, turn }, i): LayerAdapter => {
      const { own, all: every } = scales[i]!;
      const column = (): Value => view(g, own(), [out, 1]);
      const kept = isPatch && mask ? view(g, mask, [m, number], i * m * number) : undefined;
      // PEFT takes the numbers of a convolution's [out, in] as they lie for a matrix [in, out], and back.
      const through = (W: Value, change: (rows: Value) => Value): Value => {
        if (!isPatch) return change(W);
        const rows = transpose(g, view(g, W, [inputs, out]), { perm: [1, 0] });
        return view(g, transpose(g, change(rows), { perm: [1, 0] }), [out, inputs]);
      };
      const apply: LayerAdapter['apply'] = (x, { W, bias }) =>
        ended(linear(g, input(x), W, null), own(), bias);
      const applyAll: LayerAdapter['applyAll'] = (x, { W, bias }) =>
        all && every && ended(linearOfStack(g, all(x), W), view(g, every, [W.shape[0]!]), bias);
      return {
        adapt: ({ W, bias }) => ({
          W: through(W, (rows) => binary(g, turn(rows, true, kept), column(), { fn: 'mul' })),
          bias,
        }),
        undo: ({ W, bias }) => ({
          W: through(W, (rows) => binary(g, turn(rows, false), column(), { fn: 'div' })),
          bias,
        }),
        ...(!isPatch && { apply, applyAll }),
        rotate: (x) => turn(x, false),
        rotateBy: (factor, x) => {
          const only = new Float32Array(m * number);
          only.fill(1, factor * number, (factor + 1) * number);
          return turn(x, false, g.constant({ dtype: 'f32', shape: [m, number] }, only));
        },
      };
    });
  },
};
