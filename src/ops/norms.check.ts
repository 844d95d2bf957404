/** The float64 references and test cases of norms.ts. */
import { defineCheck, type OpCase } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import {
  layerNormGradOp,
  layerNormGradWeightsOp,
  layerNormOp,
  type Norm,
  type NormAttrs,
  type NormGradAttrs,
  normRows,
  optionalOperands,
  rmsNormGradOp,
  rmsNormGradWeightsOp,
  rmsNormOp,
  statistics,
} from './norms.ts';
import { emptyTensor } from './reference.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

/** Mean (layerNorm) and rstd of the rows, and y. */
function normalise(norm: Norm, [x, w, b]: readonly Tensor[], { eps }: NormAttrs): Tensor[] {
  const { rows, columns } = normRows(norm, x!);
  const y = emptyTensor('f32', x!.shape);
  const mean = emptyTensor('f32', x!.shape.slice(0, -1));
  const rstd = emptyTensor('f32', x!.shape.slice(0, -1));
  for (let r = 0; r < rows; r++) {
    const row = x!.data.subarray(r * columns, (r + 1) * columns);
    const m = norm === 'layerNorm' ? row.reduce((s, v) => s + v, 0) / columns : 0;
    const variance = row.reduce((s, v) => s + (v - m) ** 2, 0) / columns;
    mean.data[r] = m;
    rstd.data[r] = 1 / Math.sqrt(variance + eps);
    row.forEach((v, c) => {
      y.data[r * columns + c] = (v - m) * rstd.data[r]! * (w ? w.data[c]! : 1) + (b ? b.data[c]! : 0);
    });
  }
  return norm === 'layerNorm' ? [y, mean, rstd] : [y, rstd];
}

/** Normalised x of element i, from the statistics that follow x and dy. */
function normalised(norm: Norm, inputs: readonly Tensor[], columns: number): (i: number) => number {
  const x = inputs[0]!;
  const mean = norm === 'layerNorm' ? inputs[2]! : null;
  const rstd = inputs[1 + statistics(norm)]!;
  return (i) => {
    const r = Math.floor(i / columns);
    return (x.data[i]! - (mean ? mean.data[r]! : 0)) * rstd.data[r]!;
  };
}

function inputGradient(norm: Norm, inputs: readonly Tensor[], attrs: NormGradAttrs): Tensor[] {
  const [x, dy] = inputs;
  const { weight: w, added } = optionalOperands(norm, inputs, attrs);
  const { rows, columns } = normRows(`${norm}Grad`, x!);
  const rstd = inputs[1 + statistics(norm)]!;
  const dx = emptyTensor('f32', x!.shape);
  const n = normalised(norm, inputs, columns);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    let dot = 0;
    const h = (c: number) => dy!.data[r * columns + c]! * (w ? w.data[c]! : 1);
    for (let c = 0; c < columns; c++) {
      if (norm === 'layerNorm') sum += h(c);
      dot += h(c) * n(r * columns + c);
    }
    for (let c = 0; c < columns; c++) {
      dx.data[r * columns + c] =
        rstd.data[r]! * (h(c) - sum / columns - (n(r * columns + c) * dot) / columns) +
        (added ? added.data[r * columns + c]! : 0);
    }
  }
  return [dx];
}

function weightGradients(norm: Norm, inputs: readonly Tensor[]): Tensor[] {
  const [x, dy] = inputs;
  const { columns } = normRows(`${norm}GradWeights`, x!);
  const dw = emptyTensor('f32', [columns]);
  const db = emptyTensor('f32', [columns]);
  const n = normalised(norm, inputs, columns);
  dy!.data.forEach((d, i) => {
    const c = i % columns;
    dw.data[c] = dw.data[c]! + d * n(i);
    db.data[c] = db.data[c]! + d;
  });
  return norm === 'layerNorm' ? [dw, db] : [dw];
}

/** Cases of the gradient in the input: with and without weight, and added to. */
const gradCases = (norm: Norm): OpCase<NormGradAttrs>[] =>
  [true, false].flatMap((weight) =>
    [false, true].map((add) => {
      const [rows, columns] = weight ? [3, 70] : [4, 9];
      const x = f32(rows, columns);
      return {
        name: `${weight ? 'with' : 'without'} weight${add ? ', added to' : ''}`,
        inputs: [
          ...[x, x, ...new Array(statistics(norm)).fill(f32(rows))],
          ...(weight ? [f32(columns)] : []),
          ...(add ? [x] : []),
        ],
        attrs: { eps: 1e-5, add },
      };
    }),
  );

const weightCases = (norm: Norm): OpCase<NormAttrs>[] =>
  [
    [5, 7],
    [333, 5],
  ].map(([rows, columns]) => ({
    name: rows! > 100 ? 'many rows' : 'few rows',
    inputs: [
      ...[f32(rows!, columns!), f32(rows!, columns!)],
      ...new Array(statistics(norm)).fill(f32(rows!)),
    ],
    attrs: { eps: 1e-5 },
  }));

defineCheck(layerNormOp, {
  reference: (inputs, attrs) => normalise('layerNorm', inputs, attrs),
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

defineCheck(rmsNormOp, {
  reference: (inputs, attrs) => normalise('rmsNorm', inputs, attrs),
  cases: [
    { name: 'odd', inputs: [f32(2, 3, 7), f32(7)], attrs: { eps: 1e-5 } },
    { name: 'wide', inputs: [f32(3, 130), f32(130)], attrs: { eps: 1e-6 } },
    { name: 'plain', inputs: [f32(5, 9)], attrs: { eps: 1e-5 } },
    { name: 'many rows', inputs: [f32(200, 6), f32(6)], attrs: { eps: 1e-5 } },
  ],
});

defineCheck(layerNormGradOp, {
  reference: (inputs, attrs) => inputGradient('layerNorm', inputs, attrs),
  cases: gradCases('layerNorm'),
});

defineCheck(rmsNormGradOp, {
  reference: (inputs, attrs) => inputGradient('rmsNorm', inputs, attrs),
  cases: gradCases('rmsNorm'),
});

defineCheck(layerNormGradWeightsOp, {
  reference: (inputs) => weightGradients('layerNorm', inputs),
  cases: weightCases('layerNorm'),
});

defineCheck(rmsNormGradWeightsOp, {
  reference: (inputs) => weightGradients('rmsNorm', inputs),
  cases: weightCases('rmsNorm'),
});
