/** layerNorm over the last axis, and its two backward kernels: for the input, and for weight and bias. */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape } from '../graph/shape.ts';
import type { Emitter, Param, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, spread, WORKGROUP } from './dispatch.ts';
import type { NormAttrs, NormGradAttrs, NormRows } from './norm.ts';
import { normRows, optionalOperands, rowChunks } from './norm.ts';
import { emptyTensor } from './reference.ts';

const SHADER = 'layerNorm.wgsl';

const params = ({ rows, columns }: NormRows, eps: number, chunk = 1, chunks = 1): Param[] => [
  ...[rows, columns],
  { f32: eps },
  ...[chunk, chunks],
];

/** The types of the rows' statistics: x without its last axis. */
const rowType = (x: TensorType): TensorType => ({ dtype: 'f32', shape: x.shape.slice(0, -1) });

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

export const layerNormOp = defineOp<NormAttrs>({
  name: 'layerNorm',
  infer([x, w, b]) {
    normRows('layerNorm', x!, w, b);
    return [{ dtype: 'f32', shape: x!.shape }, rowType(x!), rowType(x!)];
  },
  gradient(g, node, [dY], wants) {
    const [x, w] = node.inputs as [Value, Value | undefined];
    const [, mean, rstd] = node.outputs as [Value, Value, Value];
    if (!dY) return node.inputs.map(() => null);
    const dx = wants[0]
      ? g.emit(layerNormGradOp, [x, dY, mean, rstd, ...(w ? [w] : [])], { ...node.attrs, add: false })[0]!
      : null;
    const [dw, db] =
      wants[1] || wants[2] ? g.emit(layerNormGradWeightsOp, [x, dY, mean, rstd], node.attrs) : [null, null];
    return [dx, wants[1] ? dw! : null, wants[2] ? db! : null].slice(0, node.inputs.length);
  },
  kernel({ inputs, attrs }) {
    const size = normRows('layerNorm', inputs[0]!);
    const [, weight, bias] = inputs;
    return {
      dispatches: [
        {
          shader: SHADER,
          entry: 'forward',
          conditions: { WEIGHT: weight !== undefined, BIAS: bias !== undefined },
          constants: { WG: WORKGROUP },
          params: params(size, attrs.eps),
          bindings: [
            ...[{ in: 0 }, { out: 0 }, { out: 1 }, { out: 2 }],
            ...(weight ? [{ in: 1 }] : []),
            ...(bias ? [{ in: 2 }] : []),
          ],
          workgroups: spread(size.rows),
        },
      ],
    };
  },
  reference([x, w, b], { eps }) {
    const { rows, columns } = normRows('layerNorm', x!);
    const y = emptyTensor('f32', x!.shape);
    const mean = emptyTensor('f32', rowType(x!).shape);
    const rstd = emptyTensor('f32', rowType(x!).shape);
    for (let r = 0; r < rows; r++) {
      const row = x!.data.subarray(r * columns, (r + 1) * columns);
      const m = row.reduce((s, v) => s + v, 0) / columns;
      const variance = row.reduce((s, v) => s + (v - m) ** 2, 0) / columns;
      mean.data[r] = m;
      rstd.data[r] = 1 / Math.sqrt(variance + eps);
      row.forEach((v, c) => {
        y.data[r * columns + c] = (v - m) * rstd.data[r]! * (w ? w.data[c]! : 1) + (b ? b.data[c]! : 0);
      });
    }
    return [y, mean, rstd];
  },
  cases: [
    { name: 'odd', inputs: [f32(2, 3, 7), f32(7), f32(7)], attrs: { eps: 1e-5 } },
    { name: 'wide', inputs: [f32(3, 130), f32(130), f32(130)], attrs: { eps: 1e-6 } },
    { name: 'no bias', inputs: [f32(5, 8), f32(8)], attrs: { eps: 1e-5 } },
    { name: 'plain', inputs: [f32(5, 9)], attrs: { eps: 1e-5 } },
    {
      name: 'far from zero',
      inputs: [{ ...f32(4, 32), range: [99, 101] }, f32(32), f32(32)],
      attrs: { eps: 1e-5 },
      tolerance: 2e-4,
      gradientInputs: [],
    },
    { name: 'many rows', inputs: [f32(200, 6), f32(6), f32(6)], attrs: { eps: 1e-5 } },
  ],
});

/** Sums that both backward kernels need, in float64: n (normalised x) of element i. */
const normalised = (
  x: Float64Array,
  mean: Float64Array,
  rstd: Float64Array,
  i: number,
  columns: number,
): number => {
  const r = Math.floor(i / columns);
  return (x[i]! - mean[r]!) * rstd[r]!;
};

/** x, dy, mean, rstd, w?, added? → dx, plus what is added. */
export const layerNormGradOp = defineOp<NormGradAttrs>({
  name: 'layerNormGrad',
  infer(inputs, attrs) {
    const x = inputs[0];
    const { weight, added } = optionalOperands(inputs, 2, attrs);
    normRows('layerNormGrad', x!, weight);
    if (added && !sameShape(added.shape, x!.shape)) {
      fail('shape', `layerNormGrad: what is added [${added.shape}] is not of x's shape [${x!.shape}].`);
    }
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient: null,
  kernel({ inputs, attrs }) {
    const size = normRows('layerNormGrad', inputs[0]!);
    const { weight, added } = optionalOperands(
      inputs.map((_, i) => ({ in: i })),
      2,
      attrs,
    );
    return {
      dispatches: [
        {
          shader: SHADER,
          entry: 'backward_input',
          conditions: { WEIGHT: weight !== undefined, BIAS: false, ADD: attrs.add },
          constants: { WG: WORKGROUP },
          params: params(size, attrs.eps),
          bindings: [
            ...[{ in: 0 }, { in: 1 }, { in: 2 }, { in: 3 }],
            ...(weight ? [weight] : []),
            { out: 0 },
            ...(added ? [added] : []),
          ],
          workgroups: spread(size.rows),
        },
      ],
    };
  },
  reference(inputs, attrs) {
    const [x, dy, mean, rstd] = inputs;
    const { weight: w, added } = optionalOperands(inputs, 2, attrs);
    const { rows, columns } = normRows('layerNormGrad', x!);
    const dx = emptyTensor('f32', x!.shape);
    const n = (i: number) => normalised(x!.data, mean!.data, rstd!.data, i, columns);
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      let dot = 0;
      const h = (c: number) => dy!.data[r * columns + c]! * (w ? w.data[c]! : 1);
      for (let c = 0; c < columns; c++) {
        sum += h(c);
        dot += h(c) * n(r * columns + c);
      }
      for (let c = 0; c < columns; c++) {
        dx.data[r * columns + c] =
          rstd!.data[r]! * (h(c) - sum / columns - (n(r * columns + c) * dot) / columns) +
          (added ? added.data[r * columns + c]! : 0);
      }
    }
    return [dx];
  },
  cases: [
    {
      name: 'with weight',
      inputs: [f32(3, 70), f32(3, 70), f32(3), f32(3), f32(70)],
      attrs: { eps: 1e-5, add: false },
    },
    { name: 'without', inputs: [f32(4, 9), f32(4, 9), f32(4), f32(4)], attrs: { eps: 1e-5, add: false } },
    {
      name: 'with weight, added to',
      inputs: [f32(3, 70), f32(3, 70), f32(3), f32(3), f32(70), f32(3, 70)],
      attrs: { eps: 1e-5, add: true },
    },
    {
      name: 'added to',
      inputs: [f32(4, 9), f32(4, 9), f32(4), f32(4), f32(4, 9)],
      attrs: { eps: 1e-5, add: true },
    },
  ],
});

/** x, dy, mean, rstd → dw, db: sums over the rows. */
export const layerNormGradWeightsOp = defineOp<NormAttrs>({
  name: 'layerNormGradWeights',
  infer([x]) {
    const { columns } = normRows('layerNormGradWeights', x!);
    return [f32(columns), f32(columns)];
  },
  gradient: null,
  kernel({ inputs, attrs }) {
    const size = normRows('layerNormGradWeights', inputs[0]!);
    const { chunk, chunks } = rowChunks(size);
    const common = {
      shader: SHADER,
      conditions: { WEIGHT: false, BIAS: false },
      constants: { WG: WORKGROUP },
      params: params(size, attrs.eps, chunk, chunks),
    };
    const parts = chunks === 1 ? [{ out: 0 }, { out: 1 }] : [{ scratch: 0 }, { scratch: 1 }];
    const sums = {
      ...common,
      entry: 'backward_weights',
      bindings: [{ in: 0 }, { in: 1 }, { in: 2 }, { in: 3 }, ...parts],
      workgroups: perElement(size.columns * chunks),
    };
    if (chunks === 1) return { dispatches: [sums] };
    return {
      scratchBytes: [size.columns * chunks * 4, size.columns * chunks * 4],
      dispatches: [
        sums,
        {
          ...common,
          entry: 'finish',
          bindings: [...parts, { out: 0 }, { out: 1 }],
          workgroups: perElement(size.columns),
        },
      ],
    };
  },
  reference([x, dy, mean, rstd]) {
    const { columns } = normRows('layerNormGradWeights', x!);
    const dw = emptyTensor('f32', [columns]);
    const db = emptyTensor('f32', [columns]);
    dy!.data.forEach((d, i) => {
      const c = i % columns;
      dw.data[c] = dw.data[c]! + d * normalised(x!.data, mean!.data, rstd!.data, i, columns);
      db.data[c] = db.data[c]! + d;
    });
    return [dw, db];
  },
  cases: [
    { name: 'few rows', inputs: [f32(5, 7), f32(5, 7), f32(5), f32(5)], attrs: { eps: 1e-5 } },
    { name: 'many rows', inputs: [f32(333, 5), f32(333, 5), f32(333), f32(333)], attrs: { eps: 1e-5 } },
  ],
});

/** y, mean and rstd of layer normalisation over the last axis; w and b may be null (b only with w). */
export const layerNorm = (
  g: Emitter,
  x: Value,
  w: Value | null,
  b: Value | null,
  attrs: NormAttrs,
): readonly [Value, Value, Value] =>
  g.emit(layerNormOp, [x, ...(w ? [w] : []), ...(w && b ? [b] : [])], attrs) as unknown as [
    Value,
    Value,
    Value,
  ];
