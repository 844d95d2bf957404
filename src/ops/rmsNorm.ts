/** rmsNorm over the last axis, and its two backward kernels: for the input, and for the weight. */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape } from '../graph/shape.ts';
import type { Emitter, Param, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, spread, WORKGROUP } from './dispatch.ts';
import type { NormAttrs, NormGradAttrs, NormRows } from './norm.ts';
import { normRows, optionalOperands, rowChunks } from './norm.ts';
import { emptyTensor } from './reference.ts';

const SHADER = 'rmsNorm.wgsl';

const params = ({ rows, columns }: NormRows, eps: number, chunk = 1, chunks = 1): Param[] => [
  ...[rows, columns],
  { f32: eps },
  ...[chunk, chunks],
];

const rowType = (x: TensorType): TensorType => ({ dtype: 'f32', shape: x.shape.slice(0, -1) });

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

export const rmsNormOp = defineOp<NormAttrs>({
  name: 'rmsNorm',
  infer([x, w]) {
    normRows('rmsNorm', x!, w);
    return [{ dtype: 'f32', shape: x!.shape }, rowType(x!)];
  },
  gradient(g, node, [dY], wants) {
    const [x, w] = node.inputs as [Value, Value | undefined];
    const rstd = node.outputs[1]!;
    if (!dY) return node.inputs.map(() => null);
    const dx = wants[0]
      ? g.emit(rmsNormGradOp, [x, dY, rstd, ...(w ? [w] : [])], { ...node.attrs, add: false })[0]!
      : null;
    const dw = wants[1] ? g.emit(rmsNormGradWeightsOp, [x, dY, rstd], node.attrs)[0]! : null;
    return w ? [dx, dw] : [dx];
  },
  kernel({ inputs, attrs }) {
    const size = normRows('rmsNorm', inputs[0]!);
    const weight = inputs.length > 1;
    return {
      dispatches: [
        {
          shader: SHADER,
          entry: 'forward',
          conditions: { WEIGHT: weight },
          constants: { WG: WORKGROUP },
          params: params(size, attrs.eps),
          bindings: [{ in: 0 }, { out: 0 }, { out: 1 }, ...(weight ? [{ in: 1 }] : [])],
          workgroups: spread(size.rows),
        },
      ],
    };
  },
  reference([x, w], { eps }) {
    const { rows, columns } = normRows('rmsNorm', x!);
    const y = emptyTensor('f32', x!.shape);
    const rstd = emptyTensor('f32', rowType(x!).shape);
    for (let r = 0; r < rows; r++) {
      const row = x!.data.subarray(r * columns, (r + 1) * columns);
      rstd.data[r] = 1 / Math.sqrt(row.reduce((s, v) => s + v * v, 0) / columns + eps);
      row.forEach((v, c) => {
        y.data[r * columns + c] = v * rstd.data[r]! * (w ? w.data[c]! : 1);
      });
    }
    return [y, rstd];
  },
  cases: [
    { name: 'odd', inputs: [f32(2, 3, 7), f32(7)], attrs: { eps: 1e-5 } },
    { name: 'wide', inputs: [f32(3, 130), f32(130)], attrs: { eps: 1e-6 } },
    { name: 'plain', inputs: [f32(5, 9)], attrs: { eps: 1e-5 } },
    { name: 'many rows', inputs: [f32(200, 6), f32(6)], attrs: { eps: 1e-5 } },
  ],
});

/** x, dy, rstd, w?, added? → dx, plus what is added. */
export const rmsNormGradOp = defineOp<NormGradAttrs>({
  name: 'rmsNormGrad',
  infer(inputs, attrs) {
    const x = inputs[0];
    const { weight, added } = optionalOperands(inputs, 1, attrs);
    normRows('rmsNormGrad', x!, weight);
    if (added && !sameShape(added.shape, x!.shape)) {
      fail('shape', `rmsNormGrad: what is added [${added.shape}] is not of x's shape [${x!.shape}].`);
    }
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient: null,
  kernel({ inputs, attrs }) {
    const size = normRows('rmsNormGrad', inputs[0]!);
    const { weight, added } = optionalOperands(
      inputs.map((_, i) => ({ in: i })),
      1,
      attrs,
    );
    return {
      dispatches: [
        {
          shader: SHADER,
          entry: 'backward_input',
          conditions: { WEIGHT: weight !== undefined, ADD: attrs.add },
          constants: { WG: WORKGROUP },
          params: params(size, attrs.eps),
          bindings: [
            ...[{ in: 0 }, { in: 1 }, { in: 2 }],
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
    const [x, dy, rstd] = inputs;
    const { weight: w, added } = optionalOperands(inputs, 1, attrs);
    const { rows, columns } = normRows('rmsNormGrad', x!);
    const dx = emptyTensor('f32', x!.shape);
    for (let r = 0; r < rows; r++) {
      const scale = rstd!.data[r]!;
      const n = (c: number) => x!.data[r * columns + c]! * scale;
      const h = (c: number) => dy!.data[r * columns + c]! * (w ? w.data[c]! : 1);
      let dot = 0;
      for (let c = 0; c < columns; c++) dot += h(c) * n(c);
      for (let c = 0; c < columns; c++) {
        const at = r * columns + c;
        dx.data[at] = scale * (h(c) - (n(c) * dot) / columns) + (added ? added.data[at]! : 0);
      }
    }
    return [dx];
  },
  cases: [
    {
      name: 'with weight',
      inputs: [f32(3, 70), f32(3, 70), f32(3), f32(70)],
      attrs: { eps: 1e-5, add: false },
    },
    { name: 'without', inputs: [f32(4, 9), f32(4, 9), f32(4)], attrs: { eps: 1e-5, add: false } },
    {
      name: 'with weight, added to',
      inputs: [f32(3, 70), f32(3, 70), f32(3), f32(70), f32(3, 70)],
      attrs: { eps: 1e-5, add: true },
    },
    { name: 'added to', inputs: [f32(4, 9), f32(4, 9), f32(4), f32(4, 9)], attrs: { eps: 1e-5, add: true } },
  ],
});

/** x, dy, rstd → dw: the sum over the rows. */
export const rmsNormGradWeightsOp = defineOp<NormAttrs>({
  name: 'rmsNormGradWeights',
  infer: ([x]) => [f32(normRows('rmsNormGradWeights', x!).columns)],
  gradient: null,
  kernel({ inputs, attrs }) {
    const size = normRows('rmsNormGradWeights', inputs[0]!);
    const { chunk, chunks } = rowChunks(size);
    const common = {
      shader: SHADER,
      conditions: { WEIGHT: false },
      constants: { WG: WORKGROUP },
      params: params(size, attrs.eps, chunk, chunks),
    };
    const part = chunks === 1 ? { out: 0 } : { scratch: 0 };
    const sums = {
      ...common,
      entry: 'backward_weights',
      bindings: [{ in: 0 }, { in: 1 }, { in: 2 }, part],
      workgroups: perElement(size.columns * chunks),
    };
    if (chunks === 1) return { dispatches: [sums] };
    return {
      scratchBytes: [size.columns * chunks * 4],
      dispatches: [
        sums,
        { ...common, entry: 'finish', bindings: [part, { out: 0 }], workgroups: perElement(size.columns) },
      ],
    };
  },
  reference([x, dy, rstd]) {
    const { columns } = normRows('rmsNormGradWeights', x!);
    const dw = emptyTensor('f32', [columns]);
    dy!.data.forEach((d, i) => {
      const c = i % columns;
      dw.data[c] = dw.data[c]! + d * x!.data[i]! * rstd!.data[Math.floor(i / columns)]!;
    });
    return [dw];
  },
  cases: [
    { name: 'few rows', inputs: [f32(5, 7), f32(5, 7), f32(5)], attrs: { eps: 1e-5 } },
    { name: 'many rows', inputs: [f32(333, 5), f32(333, 5), f32(333)], attrs: { eps: 1e-5 } },
  ],
});

/** y and rstd of root-mean-square normalisation over the last axis; w may be null. */
export const rmsNorm = (g: Emitter, x: Value, w: Value | null, attrs: NormAttrs): readonly [Value, Value] =>
  g.emit(rmsNormOp, w ? [x, w] : [x], attrs) as unknown as [Value, Value];
