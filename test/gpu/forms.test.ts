/** The two forms of a kernel give the same bits on every adapter: what a processor computes is what a GPU computes there. */
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/gpu/compile.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { checkOf, type OpCase } from '../../src/graph/interpret.ts';
import { schedule } from '../../src/graph/schedule.ts';
import type { AnyOp } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { attentionGradOp, attentionOp } from '../../src/ops/attention.ts';
import { type CayleyAttrs, cayleyGradOp, cayleyOp } from '../../src/ops/cayley.ts';
import type { KernelForm } from '../../src/ops/dispatch.ts';
import { mirroredProductOp } from '../../src/ops/mirroredProduct.ts';
import { layerNormGradOp, layerNormOp, rmsNormGradOp, rmsNormOp } from '../../src/ops/norms.ts';
import { logSoftmaxOp, softmaxGradOp, softmaxOp } from '../../src/ops/softmax.ts';
import { sparseDftOp, sparseIdftOp } from '../../src/ops/sparseIdft.ts';
import { spectralGradOp, spectralOp } from '../../src/ops/spectral.ts';
import { sumSquaresOp } from '../../src/ops/sumSquares.ts';
import '../../src/ops/attention.check.ts';
import '../../src/ops/cayley.check.ts';
import '../../src/ops/mirroredProduct.check.ts';
import '../../src/ops/norms.check.ts';
import '../../src/ops/softmax.check.ts';
import '../../src/ops/sparseIdft.check.ts';
import '../../src/ops/spectral.check.ts';
import '../../src/ops/sumSquares.check.ts';
import { inputTensor } from '../../src/training/checkTensors.ts';
import { testDevice } from './device.ts';

/** @param software whether what is compiled is for a processor; unless given, as the adapter is */
async function resultsOf(op: AnyOp, test: OpCase<unknown>, software?: boolean): Promise<Float32Array[]> {
  const device = await testDevice();
  const caps = software === undefined ? device.caps : { ...device.caps, software };
  const store = createStore(device);
  const random = rng(0xb175);
  const tensors = test.inputs.map((spec) => inputTensor(spec, random));
  const g = createBuilder();
  const inputs = tensors.map((t, i) => g.input(`in${i}`, t));
  const outputs = g.emit(op, inputs, test.attrs);
  const graph = g.finish(Object.fromEntries(outputs.map((v, i) => [`out${i}`, v])));
  const program = await compile(device, store, schedule(graph, caps));
  tensors.forEach((t, i) => {
    program.write(`in${i}`, t.dtype === 'i32' ? Int32Array.from(t.data) : Float32Array.from(t.data));
  });
  program.run();
  const read: Float32Array[] = [];
  for (const i of outputs.keys()) read.push(((await program.read(`out${i}`)) as Float32Array).slice());
  program.destroy();
  store.destroy();
  return read;
}

const bitsOf = async (...of: Parameters<typeof resultsOf>): Promise<Uint32Array[]> =>
  (await resultsOf(...of)).map(({ buffer }) => new Uint32Array(buffer));

/** Of transforms: eight rows at a time, four, one; and the sums of ranges. Of products: both longer sides, odd sizes, parts of a four. */
const SOME = /^(threes and fives|four rows|one row|many rows|wide|tall|odd sizes)/;

describe.each<AnyOp>([attentionOp, attentionGradOp, spectralOp, spectralGradOp, sparseIdftOp, sparseDftOp])(
  '$name',
  (op) => {
    const cases = checkOf(op).cases as readonly OpCase<{ readonly form?: KernelForm }>[];
    const once = cases.filter(({ name, attrs }) => attrs.form === 'shared' || SOME.test(name));
    const inForm = (test: OpCase<unknown>, form: KernelForm) => ({
      ...test,
      attrs: { ...(test.attrs as object), form },
    });

    it.each(once.map((test) => [test.name, test] as const))('%s', async (_case, test) => {
      expect(await bitsOf(op, inForm(test, 'shared'))).toEqual(await bitsOf(op, inForm(test, 'alone')));
    });
  },
);

describe.each<AnyOp>([
  layerNormOp,
  layerNormGradOp,
  rmsNormOp,
  rmsNormGradOp,
  softmaxOp,
  logSoftmaxOp,
  softmaxGradOp,
  sumSquaresOp,
  mirroredProductOp,
])('$name, for a GPU and for a processor', (op) => {
  const cases = checkOf(op).cases as readonly OpCase<unknown>[];
  it.each(cases.map((test) => [test.name, test] as const))('%s', async (_case, test) => {
    expect(await bitsOf(op, test, false)).toEqual(await bitsOf(op, test, true));
  });
});

describe.each<AnyOp>([cayleyOp, cayleyGradOp])('$name, in workgroup memory and by products', (op) => {
  const cases = checkOf(op).cases as readonly OpCase<CayleyAttrs>[];
  const both = cases.filter(
    ({ attrs: { b, kind } }) => b > 16 && b <= 32 && (op === cayleyGradOp || kind === 'neumann'),
  );
  it.each(both.map((test) => [test.name, test] as const))('%s', async (_case, test) => {
    const [[gpu], [processor]] = [await resultsOf(op, test, false), await resultsOf(op, test, true)];
    const largest = Math.max(...gpu!.map(Math.abs));
    expect(largest).toBeGreaterThan(0);
    expect(gpu!.every((value, i) => Math.abs(value - processor![i]!) <= 3e-6 * largest)).toBe(true);
  });
});
