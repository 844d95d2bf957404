/** The two forms of attention's kernels give the same bits on every adapter: what a processor computes is what a GPU computes there. */
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/gpu/compile.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { checkOf, type OpCase } from '../../src/graph/interpret.ts';
import { schedule } from '../../src/graph/schedule.ts';
import type { AnyOp } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { attentionGradOp, attentionOp } from '../../src/ops/attention.ts';
import '../../src/ops/attention.check.ts';
import { inputTensor } from '../../src/training/checkTensors.ts';
import { testDevice } from './device.ts';

async function bitsOf(op: AnyOp, test: OpCase<unknown>): Promise<Uint32Array[]> {
  const device = await testDevice();
  const store = createStore(device);
  const random = rng(0xb175);
  const tensors = test.inputs.map((spec) => inputTensor(spec, random));
  const g = createBuilder();
  const inputs = tensors.map((t, i) => g.input(`in${i}`, t));
  const outputs = g.emit(op, inputs, test.attrs);
  const graph = g.finish(Object.fromEntries(outputs.map((v, i) => [`out${i}`, v])));
  const program = await compile(device, store, schedule(graph, device.caps));
  tensors.forEach((t, i) => {
    program.write(`in${i}`, Float32Array.from(t.data));
  });
  program.run();
  const read: Uint32Array[] = [];
  for (const i of outputs.keys())
    read.push(new Uint32Array(((await program.read(`out${i}`)) as Float32Array).slice().buffer));
  program.destroy();
  store.destroy();
  return read;
}

describe.each<[string, AnyOp]>([
  ['attention', attentionOp],
  ['attentionGrad', attentionGradOp],
])('%s', (_name, op) => {
  const cases = checkOf(op).cases as readonly OpCase<{ readonly form?: string }>[];
  const tiled = cases.filter(({ attrs }) => attrs.form === 'tiled');

  it.each(tiled.map((test) => [test.name, test] as const))('%s', async (_case, test) => {
    const direct = { ...test, attrs: { ...test.attrs, form: 'direct' } };
    expect(await bitsOf(op, test)).toEqual(await bitsOf(op, direct));
  });
});
