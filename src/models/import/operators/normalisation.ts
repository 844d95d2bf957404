/** LayerNorm and RMSNorm, of ONNX and as onnxruntime fuses them with what stands before. */

import { say } from '../../../lib/say.ts';
import * as op from '../../../ops/index.ts';
import { allocate } from '../importBudget.ts';
import { type IrValue, knownValue } from '../ir.ts';
import { join } from './elementwise.ts';
import {
  alike,
  axisOf,
  type Context,
  derive,
  float,
  input,
  int,
  type Operator,
  type Operators,
  positions,
  type Results,
  refuse,
} from './operator.ts';

type Norm = 'LayerNorm' | 'RmsNorm';

const norm = (kind: Norm): Operator => ({
  infer(c) {
    const x = input(c, 0);
    const rank = x.shape.length;
    if (axisOf(int(c, 'axis', -1), rank) !== rank - 1)
      return refuse(say`it normalises over more than the last axis`);
    const weights = kind === 'LayerNorm' ? [input(c, 1), c.inputs[2] ?? null] : [input(c, 1)];
    return alike(kind, [x, ...weights], { eps: float(c, 'epsilon', 1e-5) });
  },
});

/** What a block passes by: the input, rows of tables, a norm or a sum, and not what its last layer gives. */
const isResidual = ({ producer }: IrValue): boolean =>
  producer === null || ['LayerNorm', 'RmsNorm', 'Add', 'Gather'].includes(producer.op);

const add = (c: Context, a: IrValue, b: IrValue): IrValue => join(c, 'Add', a, b);

/** input + skip + bias, normalised; the fourth output is that sum. */
const skipNorm = (kind: Norm): Operator => ({
  infer(c) {
    if (c.node.outputs[1] || c.node.outputs[2]) return refuse(say`it gives out its mean and deviation`);
    const bias = c.inputs[kind === 'LayerNorm' ? 4 : 3];
    const [x, skip] = [input(c, 0), input(c, 1)];
    // The bias is that of the linear layer before, on whichever side that is, so it joins there first.
    const isFirst = isResidual(skip) && !isResidual(x);
    const sum = bias && isFirst ? add(c, add(c, x, bias), skip) : add(c, x, bias ? add(c, skip, bias) : skip);
    const weights = kind === 'LayerNorm' ? [input(c, 2), c.inputs[3] ?? null] : [input(c, 2)];
    const y = derive(kind, [sum, ...weights], { eps: float(c, 'epsilon', 1e-12) }, sum.shape, c.node);
    return [y, null, null, sum];
  },
});

/** com.microsoft.EmbedLayerNormalization: token, position and segment rows, summed and normalised; the second output counts tokens. */
export function embedLayerNorm(c: Context): Results {
  const [ids, segments] = [input(c, 0), c.inputs[1] ?? null];
  const [batch, length] = ids.shape as [number, number];
  const rows = (table: IrValue, at: IrValue): IrValue =>
    derive('Gather', [table, at], { axis: 0 }, [...at.shape, table.shape[1]!], c.node);
  const places = positions('int64', length);
  let sum = add(c, rows(input(c, 2), ids), rows(input(c, 3), c.inputs[8] ?? places));
  if (segments && c.inputs[4]) sum = add(c, sum, rows(c.inputs[4], segments));
  const attrs = { eps: float(c, 'epsilon', 1e-12) };
  const y = derive('LayerNorm', [sum, input(c, 5), input(c, 6)], attrs, sum.shape, c.node);
  const mask = c.inputs[7];
  const none = { dtype: 'int32', shape: [batch], data: allocate('int32', [batch]) } as const;
  const counts = mask
    ? derive('Reduce', [mask], { fn: 'sum', axes: [1], keepdims: false }, [batch], c.node)
    : knownValue('no mask', none);
  return [y, counts, sum];
}

export const normalisation: Operators = {
  LayerNormalization: norm('LayerNorm'),
  RMSNormalization: norm('RmsNorm'),
  SimplifiedLayerNormalization: norm('RmsNorm'),
  LayerNorm: {
    emit: ({ g, x, optional, attrs }) =>
      op.layerNorm(g, x(0), optional(1), optional(2), { eps: attrs.eps as number }),
  },
  RmsNorm: {
    emit: ({ g, x, optional, attrs }) => op.rmsNorm(g, x(0), optional(1), { eps: attrs.eps as number }),
  },
  'com.microsoft.SkipLayerNormalization': skipNorm('LayerNorm'),
  'com.microsoft.SkipSimplifiedLayerNormalization': skipNorm('RmsNorm'),
  'com.microsoft.EmbedLayerNormalization': { infer: embedLayerNorm },
};
