/**
 * Every op on onnxruntime in WebAssembly, the engine of a page without a GPU, against the float64 references: the check of a device passes there,
 * and asks every op that has a form. What the check cannot ask, since onnxruntime computes again what the forward pass has kept, is asked here.
 */
import { describe, expect, it } from 'vitest';
import { createBuilder } from '../../src/graph/builder.ts';
import { checkOf, type OpCase } from '../../src/graph/interpret.ts';
import type { AnyOp, Tensor } from '../../src/graph/types.ts';
import { type FeedTensor, openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { toOnnx } from '../../src/onnxruntime/toOnnx.ts';
import { loadWebRuntime } from '../../src/onnxruntime/webRuntime.ts';
import { attentionOp, inputCount } from '../../src/ops/attention.ts';
import { interpret, ops } from '../../src/ops/checks.ts';
import { crossEntropyOp } from '../../src/ops/crossEntropy.ts';
import { describeCheck, type OpCheckRow } from '../../src/training/checkReport.ts';
import { difference, inputTensor } from '../../src/training/checkTensors.ts';
import { checkDevice } from '../../src/training/deviceCheck.ts';

/** Ops that only stand in graphs for WebGPU, each with what does its work on onnxruntime. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  // Made by the fuse pass, which joins kernels.
  assemble: 'its terms',
  factorGrads: 'two products',
  mirroredProduct: 'a product',
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

/** Ops whose own cases make up what the forward pass has kept. */
const COMPUTED_AGAIN = ['attentionGrad', 'crossEntropyGrad'];

/** The largest error, relative to the largest element; some cases allow more, since WGSL promises less. */
const TOLERANCE = 2e-5;

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

/** Cases that the check of a device does not ask, or allows more than onnxruntime needs. */
const ownCases = (op: AnyOp): readonly OpCase<unknown>[] =>
  checkOf(op).cases.filter(({ tolerance = 0 }) => COMPUTED_AGAIN.includes(op.name) || tolerance > TOLERANCE);

/** The largest error over an op's own cases, each with what its forward pass leaves. */
async function worst(op: AnyOp): Promise<number> {
  let most = 0;
  for (const { inputs: specs, attrs } of ownCases(op)) {
    const g = createBuilder();
    const tensors = consistent(
      op,
      attrs,
      specs.map((t, i) => inputTensor(t, rng(31, i))),
    );
    const made = g.emit(
      op,
      tensors.map((t, i) => g.input(`x${i}`, t)),
      attrs,
    );
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
    for (const [at, v] of Object.entries(graph.outputs))
      most = Math.max(most, difference(got[at]!.data, expected.get(v).data).error);
  }
  return most;
}

describe("every op's cases in onnxruntime", { timeout: 600_000 }, () => {
  it('pass the check of a device, with their gradients', async () => {
    const rows: OpCheckRow[] = [];
    const host = { gpu: async () => Promise.reject(new Error('none')), onnxruntime: () => loadWebRuntime() };
    const report = await checkDevice(
      host,
      'onnxruntime',
      (event) => event.type === 'row' && rows.push(event.row),
      new AbortController().signal,
    );
    expect(report).toMatchObject({ engine: 'onnxruntime', ended: null, rows });
    expect(rows.flatMap(({ failures }) => failures.map(describeCheck))).toEqual([]);
    const asked = ops.filter(({ name }) => !(name in ELSEWHERE) && !COMPUTED_AGAIN.includes(name));
    const forward = new Set(rows.filter(({ worst }) => worst.forward).map(({ op }) => op));
    expect(asked.filter(({ name }) => !forward.has(name))).toEqual([]);
    // Whatever could not be asked says why.
    expect(rows.filter(({ worst, left }) => !worst.forward && left.length === 0)).toEqual([]);
  });

  const own = ops.filter((op) => ownCases(op).length > 0);
  it.each(own.map((op) => [op.name, op] as const))('%s, as onnxruntime can', async (_name, op) => {
    expect(await worst(op)).toBeLessThan(TOLERANCE);
  });

  it('leaves out only ops that have no form for onnxruntime', () => {
    for (const name of Object.keys(ELSEWHERE))
      expect(ops.find((op) => op.name === name)?.onnx, name).toBeUndefined();
  });
});
