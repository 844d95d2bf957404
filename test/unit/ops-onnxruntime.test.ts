/** Every op's cases in onnxruntime against the float64 references, but for those that no graph for onnxruntime has. */
import { describe, expect, it } from 'vitest';
import { createBuilder } from '../../src/graph/builder.ts';
import { checkOf, type OpCase } from '../../src/graph/interpret.ts';
import type { AnyOp, DeviceData, Tensor, Value } from '../../src/graph/types.ts';
import { type FeedTensor, openSession } from '../../src/inference/session.ts';
import { float32ToHalf } from '../../src/lib/half.ts';
import { rng } from '../../src/lib/rng.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { toOnnx } from '../../src/onnxruntime/toOnnx.ts';
import { attentionOp, inputCount } from '../../src/ops/attention.ts';
import { interpret, ops } from '../../src/ops/checks.ts';
import { crossEntropyOp } from '../../src/ops/crossEntropy.ts';
import { difference, inputTensor } from '../../src/training/checkTensors.ts';

/** Ops that only stand in graphs for WebGPU, each with what does its work on onnxruntime. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  // Made by the fuse pass, which joins kernels.
  assemble: 'its terms',
  factorGrads: 'two products',
  product: 'linear and matmul',
  // The update and what follows it, in onnxruntimeUpdate.ts.
  adamw: 'applyAdamw',
  sgd: 'applySgd',
  sumSquares: 'applyAdamw and applySgd',
  projectRows: 'createAfterStep',
  importance: 'createAfterStep',
  keepBest: 'createAfterStep',
  zeroDropped: 'createAfterStep',
  axpy: 'the sum over forward passes in onnxruntimeEngine.ts',
};

/** Ops that write what they are given in whole numbers into tables of the model. */
const WRITTEN = new Set(['sparseIdft', 'sparseDft', 'spectral', 'spectralGrad']);

type Case = OpCase<unknown>;

/** Products and gathers read narrow weights only after the fuse pass; without it the graph widens them. */
const READS_NARROW = new Set(['linear', 'matmul', 'gather', 'linearCrossEntropy']);
const isFused = (name: string, { inputs }: Case): boolean =>
  READS_NARROW.has(name) && inputs.some(({ dtype }) => dtype === 'f16' || dtype === 'u32');

const stored = ({ dtype, data }: Tensor): DeviceData =>
  dtype === 'f16' ? float32ToHalf(data) : dtype === 'u32' ? Uint32Array.from(data) : Int32Array.from(data);

/** A gradient's inputs that the forward pass left behind are its own for these inputs: onnxruntime may compute them again. */
function consistent(op: AnyOp, attrs: unknown, tensors: readonly Tensor[]): readonly Tensor[] {
  if (op.name === 'crossEntropyGrad') {
    const [logits, labels, , dLoss] = tensors;
    const [, lse] = checkOf(crossEntropyOp).reference([logits!, labels!], attrs as never);
    return [logits!, labels!, lse!, dLoss!];
  }
  if (op.name === 'attentionGrad') {
    const count = inputCount(attrs as never);
    const [read, [, , dOut], mask] = [
      tensors.slice(0, count),
      tensors.slice(count, count + 3),
      tensors.slice(count + 3),
    ];
    const [out, lse] = checkOf(attentionOp).reference([...read, ...mask], attrs as never);
    return [...read, out!, lse!, dOut!, ...mask];
  }
  return tensors;
}

async function worst(op: AnyOp, c: Case): Promise<number> {
  const g = createBuilder();
  const tensors = consistent(
    op,
    c.attrs,
    c.inputs.map((t, i) => inputTensor(t, rng(31, i))),
  );
  const inputs = tensors.map((t, i): Value => {
    const name = `x${i}`;
    if (t.dtype === 'f16' || t.dtype === 'u32') return g.parameter(name, t, () => stored(t));
    return t.dtype === 'i32' && WRITTEN.has(op.name)
      ? g.constant(t, Int32Array.from(t.data))
      : g.input(name, t);
  });
  const made = g.emit(op, inputs, c.attrs);
  const graph = g.finish(Object.fromEntries(made.map((v, i) => [`y${i}`, v])));
  const { model, inputs: wanted } = toOnnx(graph);
  const given = [...wanted].map(([at, v]): [string, FeedTensor] => {
    const { data } = tensors[Number(v.name.slice(1))]!;
    return v.dtype === 'i32'
      ? [at, { dtype: 'int32', dims: v.shape, data: Int32Array.from(data) }]
      : [at, { dtype: 'float32', dims: v.shape, data: Float32Array.from(data) }];
  });
  const session = await openSession(encodeModel(model), { providers: ['wasm'], optimise: false });
  const got = await session.run(Object.fromEntries(given));
  await session.release();
  const expected = interpret(graph, new Map(tensors.map((t, i) => [`x${i}`, t])));
  return Object.entries(graph.outputs).reduce(
    (most, [at, v]) => Math.max(most, difference(got[at]!.data, expected.get(v).data).error),
    0,
  );
}

describe("every op's cases in onnxruntime", { timeout: 60_000 }, () => {
  it.each(ops.filter(({ name }) => !(name in ELSEWHERE)).map((op) => [op.name, op] as const))(
    '%s',
    async (name, op) => {
      const cases = checkOf(op).cases.filter((c) => !isFused(name, c));
      expect(cases.length).toBeGreaterThan(0);
      for (const c of cases) expect(await worst(op, c), c.name).toBeLessThan(2e-5);
    },
  );

  it('leaves out only ops that have no form for onnxruntime', () => {
    for (const name of Object.keys(ELSEWHERE))
      expect(ops.find((op) => op.name === name)?.onnx, name).toBeUndefined();
  });
});
