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

/** y, and the statistics of the rows: means (layerNorm), then rstd. */
function normalise(norm: Norm, [x, w, b]: readonly Tensor[], { eps }: NormAttrs): Tensor[] {
  const { rows, columns } = normRows(norm, x!);
  const y = emptyTensor('f32', x!.shape);
  const count = statistics(norm);
  const stats = emptyTensor('f32', [count * rows]);
  for (let r = 0; r < rows; r++) {
    const row = x!.data.subarray(r * columns, (r + 1) * columns);
    const m = norm === 'layerNorm' ? row.reduce((s, v) => s + v, 0) / columns : 0;
    const variance = row.reduce((s, v) => s + (v - m) ** 2, 0) / columns;
    const rstd = 1 / Math.sqrt(variance + eps);
    stats.data[r] = m;
    stats.data[(count - 1) * rows + r] = rstd;
    row.forEach((v, c) => {
      y.data[r * columns + c] = (v - m) * rstd * (w ? w.data[c]! : 1) + (b ? b.data[c]! : 0);
    });
  }
  return [y, stats];
}

/** Normalised x of element i, and rstd of row r, from the statistics that follow x and dy. */
function normalised(norm: Norm, [x, , stats]: readonly Tensor[]) {
  const { rows, columns } = normRows(norm, x!);
  const rstd = (r: number) => stats!.data[(statistics(norm) - 1) * rows + r]!;
  const n = (i: number) => {
    const r = Math.floor(i / columns);
    return (x!.data[i]! - (norm === 'layerNorm' ? stats!.data[r]! : 0)) * rstd(r);
  };
  return { n, rstd };
}

function inputGradient(norm: Norm, inputs: readonly Tensor[], attrs: NormGradAttrs): Tensor[] {
  const [x, dy] = inputs;
  const { weight: w, added, gain } = optionalOperands(inputs, attrs);
  const { rows, columns } = normRows(`${norm}Grad`, x!);
  const dx = emptyTensor('f32', x!.shape);
  const { n, rstd } = normalised(norm, inputs);
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
        rstd(r) * (h(c) - sum / columns - (n(r * columns + c) * dot) / columns) +
        (added ? added.data[r * columns + c]! : 0);
    }
  }
  if (!gain) return [dx];
  return [dx, { ...dx, data: dx.data.map((v, i) => v * gain.data[i % columns]!) }];
}

function weightGradients(norm: Norm, inputs: readonly Tensor[]): Tensor[] {
  const [x, dy] = inputs;
  const { columns } = normRows(`${norm}GradWeights`, x!);
  const dw = emptyTensor('f32', [columns]);
  const db = emptyTensor('f32', [columns]);
  const { n } = normalised(norm, inputs);
  dy!.data.forEach((d, i) => {
    const c = i % columns;
    dw.data[c] = dw.data[c]! + d * n(i);
    db.data[c] = db.data[c]! + d;
  });
  return norm === 'layerNorm' ? [dw, db] : [dw];
}

/** Cases of the gradient in the input: with and without weight, added to, with a gain. */
const gradCases = (norm: Norm): OpCase<NormGradAttrs>[] =>
  [true, false].flatMap((weight) =>
    [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ].map(([add, gain]) => {
      const [rows, columns] = weight ? [3, 70] : [4, 9];
      const x = f32(rows, columns);
      return {
        name: `${weight ? 'with' : 'without'} weight${add ? ', added to' : ''}${gain ? ', with a gain' : ''}`,
        inputs: [
          ...[x, x, f32(statistics(norm) * rows)],
          ...(weight ? [f32(columns)] : []),
          ...(add ? [x] : []),
          ...(gain ? [f32(columns)] : []),
        ],
        attrs: { eps: 1e-5, add: add!, gain: gain! },
      };
    }),
  );

const weightCases = (norm: Norm): OpCase<NormAttrs>[] =>
  [
    [5, 7],
    [333, 5],
  ].map(([rows, columns]) => ({
    name: rows! > 100 ? 'many rows' : 'few rows',
    inputs: [f32(rows!, columns!), f32(rows!, columns!), f32(statistics(norm) * rows!)],
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
