import * as ort from 'onnxruntime-web/wasm';
import { describe, expect, it, vi } from 'vitest';
import { openSession } from '../../src/inference/session.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { encodeExternal } from '../tools/encodeExternal.ts';

/** y = x · w + b for w [3, 2], so every number can be checked by hand. */
function linear() {
  const g = graphBuilder({ name: 'linear' });
  const x = g.input('x', 'float32', ['batch', 3]);
  const w = g.weight('w', [3, 2], [1, 2, 3, 4, 5, 6]);
  const b = g.weight('b', [2], [0.5, -0.5]);
  g.output(g.op('Add', [g.op('MatMul', [x, w]), b], {}, { outputs: ['y'] }), 'float32', ['batch', 2]);
  g.output(g.op('Neg', ['y'], {}, { outputs: ['minus'] }), 'float32', ['batch', 2]);
  return g.build();
}

const x = { dtype: 'float32', dims: [2, 3], data: [1, 0, 0, 1, 1, 1] } as const;

describe('openSession', () => {
  it('describes and runs a model', async () => {
    const session = await openSession(encodeModel(linear()));
    expect(session.provider).toBe('wasm');
    expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', dims: ['batch', 3] }]);
    expect(session.outputNames).toEqual(['y', 'minus']);
    const { y, minus } = await session.run({ x });
    expect(y).toEqual({ dtype: 'float32', dims: [2, 2], data: Float32Array.of(1.5, 1.5, 9.5, 11.5) });
    expect(minus?.data).toEqual(Float32Array.of(-1.5, -1.5, -9.5, -11.5));
    expect(Object.keys(await session.run({ x }, ['minus']))).toEqual(['minus']);
    await session.release();
    await expect(session.run({ x })).rejects.toMatchObject({ kind: 'internal' });
  });

  it('reads weights from external data', async () => {
    const g = graphBuilder();
    // 16 × 16 floats: large enough to move out of the model's own file.
    const weights = Float32Array.from({ length: 256 }, (_, i) => (i % 17 === 0 ? i : 0));
    const product = g.op('MatMul', [g.input('x', 'float32', [1, 16]), g.weight('w', [16, 16], weights)]);
    g.output(product, 'float32', [1, 16]);
    const { proto, data } = encodeExternal(g.build(), 'weights.bin');
    expect(data.length).toBe(1024);
    await expect(openSession(proto)).rejects.toMatchObject({ kind: 'unsupported-onnx' });
    const session = await openSession(proto, { external: { 'weights.bin': data } });
    const ones = { dtype: 'float32', dims: [1, 16], data: new Float32Array(16).fill(1) } as const;
    const result = await session.run({ x: ones });
    expect(result[product]?.data).toEqual(Float32Array.from({ length: 16 }, (_, i) => 17 * i));
    await session.release();
  });

  it('converts 64-bit integers, half floats and booleans both ways', async () => {
    const g = graphBuilder();
    const i = g.input('i', 'int64', [3]);
    const h = g.input('h', 'float16', [2]);
    const p = g.input('p', 'bool', [2]);
    g.output(g.op('Mul', [i, i], {}, { outputs: ['i2'] }), 'int64', [3]);
    g.output(g.op('Add', [h, h], {}, { outputs: ['h2'] }), 'float16', [2]);
    g.output(g.op('Not', [p], {}, { outputs: ['np'] }), 'bool', [2]);
    const session = await openSession(encodeModel(g.build()));
    const feeds = {
      // A model's own element type wins over the feed's, so token ids may come as int32.
      i: { dtype: 'int32', dims: [3], data: Int32Array.of(-3, 0, 40000) },
      h: { dtype: 'float16', dims: [2], data: [0.1, -2.5] },
      p: { dtype: 'bool', dims: [2], data: [1, 0] },
    } as const;
    const { i2, h2, np } = await session.run(feeds);
    expect(i2).toEqual({ dtype: 'int64', dims: [3], data: Int32Array.of(9, 0, 1600000000) });
    expect(h2?.dtype).toBe('float16');
    expect(h2?.data[0]).toBe(0.199951171875);
    expect(h2?.data[1]).toBe(-5);
    expect(np).toEqual({ dtype: 'bool', dims: [2], data: Uint8Array.of(0, 1) });
    const large = { ...feeds, i: { dtype: 'int64', dims: [3], data: [1, 1, 50000] } } as const;
    await expect(session.run(large)).rejects.toMatchObject({
      kind: 'limit',
      message: expect.stringContaining('2500000000'),
    });
    await session.release();
  });

  it('names what is wrong with a call', async () => {
    const session = await openSession(encodeModel(linear()));
    await expect(session.run({})).rejects.toMatchObject({
      kind: 'not-found',
      message: expect.stringContaining('x'),
    });
    await expect(session.run({ x, other: x })).rejects.toMatchObject({
      message: expect.stringContaining('other'),
    });
    await expect(session.run({ x }, ['z'])).rejects.toMatchObject({ message: expect.stringContaining('z') });
    await expect(session.run({ x: { ...x, dims: [3, 3] } })).rejects.toMatchObject({ kind: 'shape' });
    await expect(session.run({ x: { ...x, dims: [3, 2] } })).rejects.toMatchObject({ kind: 'bad-data' });
    // The failed calls leave queue and session usable.
    expect((await session.run({ x })).y?.data[0]).toBe(1.5);
    await session.release();
  });

  it('says why a model is refused', async () => {
    await expect(openSession(new Uint8Array(40))).rejects.toMatchObject({ kind: 'unsupported-onnx' });
    const g = graphBuilder();
    g.output(g.op('NoSuchOp', [g.input('x', 'float32', [1])]), 'float32', [1]);
    await expect(openSession(encodeModel(g.build()))).rejects.toMatchObject({
      kind: 'unsupported-onnx',
      message: expect.stringContaining('NoSuchOp'),
    });
  });

  it('never lets two onnxruntime calls overlap', async () => {
    let active = 0;
    let most = 0;
    const guarded = async <T>(call: () => Promise<T>): Promise<T> => {
      active++;
      most = Math.max(most, active);
      try {
        return await call();
      } finally {
        active--;
      }
    };
    const { create, prototype } = ort.InferenceSession as typeof ort.InferenceSession & {
      prototype: ort.InferenceSession;
    };
    const run = prototype.run;
    const spies = [
      vi
        .spyOn(ort.InferenceSession, 'create')
        .mockImplementation(((...args: Parameters<typeof create>) =>
          guarded(() => create.apply(ort.InferenceSession, args))) as typeof create),
      vi.spyOn(prototype, 'run').mockImplementation(function (
        this: ort.InferenceSession,
        ...args: unknown[]
      ) {
        return guarded(() => run.apply(this, args as unknown as Parameters<typeof run>));
      } as typeof run),
    ];
    const bytes = encodeModel(linear());
    const sessions = await Promise.all([openSession(bytes), openSession(bytes)]);
    const runs = await Promise.all(sessions.flatMap((session) => [session.run({ x }), session.run({ x })]));
    expect(runs).toHaveLength(4);
    for (const spy of spies) expect(spy).toHaveBeenCalled();
    expect(most).toBe(1);
    for (const spy of spies) spy.mockRestore();
    await Promise.all(sessions.map((session) => session.release()));
  });

  it('says that onnxruntime cannot be loaded, and loads it when asked again', async () => {
    vi.resetModules();
    let isThere = false;
    vi.doMock('onnxruntime-web/wasm', async (actual) => {
      if (!isThere) throw new Error('Cannot find package');
      return actual();
    });
    const { openSession: open } = await import('../../src/inference/session.ts');
    const refused = await open(encodeModel(linear())).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      kind: 'not-found',
      message: expect.stringMatching(/^onnxruntime-web, .* cannot be loaded \(.*\): .*try again\.$/),
    });
    isThere = true;
    await (await open(encodeModel(linear()))).release();
    vi.doUnmock('onnxruntime-web/wasm');
  });
});
