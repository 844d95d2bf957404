/** The machinery below the ops: programs agree with the interpreter, make nothing while running, pace themselves and fail well. */
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { openGpu } from '../../src/cli/runtime.ts';
import { compile } from '../../src/gpu/compile.ts';
import { type Device, openDevice } from '../../src/gpu/device.ts';
import { createShaderLibrary } from '../../src/gpu/pipelines.ts';
import { createStore, type Store } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { schedule } from '../../src/graph/schedule.ts';
import type { Graph, Tensor } from '../../src/graph/types.ts';
import { addOp, decayOp, emit, forkOp, packOp, partOp, stagedOp } from '../tools/toyOps.ts';
import { countObjects } from './counting.ts';
import { toyFiles, toyShaders } from './toyKernels.ts';

/** How long a submit may keep the GPU busy, where a test says so. */
const budget = vi.hoisted((): { ms: number | undefined } => ({ ms: undefined }));
afterEach(() => {
  budget.ms = undefined;
});
vi.mock(import('../../src/gpu/pacing.ts'), async (original) => {
  const pacing = await original();
  return { ...pacing, createPacing: (work, speed) => pacing.createPacing(work, speed, budget.ms) };
});

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });
const open = async (files = toyFiles) =>
  openDevice(await openGpu(), { shaders: files === toyFiles ? toyShaders : createShaderLibrary(files) });

/** Everything at once: views, a pack with a gap, copies, scratch, a mutated state and a view of it from before. */
function mixedGraph(): Graph {
  const g = createBuilder();
  const x = g.input('x', f32(64));
  const w = g.parameter('w', f32(64), () => Float32Array.from({ length: 64 }, (_, i) => (i % 7) - 3));
  const s = g.state('s', f32(192), () => Float32Array.from({ length: 192 }, (_, i) => i % 3));
  const c = g.constant(f32(64), new Float32Array(64).fill(0.5));
  const before = emit(g, partOp, [s], { shape: [64], offset: 64 });
  const [up, triple] = g.emit(forkOp, [emit(g, addOp, [x, w])], undefined);
  const [plus, product] = g.emit(stagedOp, [emit(g, addOp, [up!, c])], undefined);
  const packed = emit(g, packOp, [plus!, product!], { offsets: [0, 128], size: 192 });
  g.emit(decayOp, [s, packed], undefined);
  return g.finish({
    y: emit(g, addOp, [before, triple!]),
    packed,
    tail: emit(g, partOp, [packed], { shape: [3], offset: 130 }),
  });
}
const input = (run: number) => Float32Array.from({ length: 64 }, (_, i) => ((i * 5 + run * 3) % 11) - 4);

let device: Device;
let store: Store;
beforeAll(async () => {
  device = await open();
});
afterAll(() => device.destroy());

test('runs agree with the interpreter, states carried over', async () => {
  store = createStore(device);
  const graph = mixedGraph();
  const program = await compile(device, store, schedule(graph, device.caps));
  let states = new Map<string, Tensor>();
  for (let run = 0; run < 4; run++) {
    const data = input(run);
    program.write('x', data);
    program.run();
    const expected = interpret(
      graph,
      new Map([['x', { ...f32(64), data: Float64Array.from(data) }], ...states]),
    );
    states = new Map(expected.states);
    for (const [name, v] of Object.entries(graph.outputs)) {
      expect([...(await program.read(name))], `${name} of run ${run}`).toEqual([...expected.get(v).data]);
    }
    expect([...(await store.read('s'))]).toEqual([...states.get('s')!.data]);
  }
  program.destroy();
  store.destroy();
  expect(device.bytes()).toBe(0);
});

test('a run makes no buffer, pipeline or bind group, and its outputs arrive through the ring in order', async () => {
  // One submit, however long the machine takes for it.
  budget.ms = 1e9;
  const own = await open();
  const counts = countObjects(own);
  const mine = createStore(own);
  const graph = mixedGraph();
  const program = await compile(own, mine, schedule(graph, own.caps));
  const ring = await program.ring<number>(['y', 'tail'], 3);
  expect(counts.made()).toMatchObject({
    createBuffer: expect.any(Number),
    createBindGroup: expect.any(Number),
  });
  counts.reset();
  const seen: { tag: number; values: number[] }[] = [];
  ring.onValue(({ tag, data }) => seen.push({ tag, values: [...data.y!, ...data.tail!] }));
  for (let run = 0; run < 12; run++) {
    program.write('x', input(run));
    program.run({ ring, tag: run });
    await program.idle(2);
  }
  await ring.drain();
  expect(counts.made()).toEqual({});
  expect(program.stats.submits).toBe(1);
  let states = new Map<string, Tensor>();
  const expected = Array.from({ length: 12 }, (_, run) => {
    const fed = new Map([['x', { ...f32(64), data: Float64Array.from(input(run)) }], ...states]);
    const result = interpret(graph, fed);
    states = new Map(result.states);
    return {
      tag: run,
      values: [...result.get(graph.outputs.y!).data, ...result.get(graph.outputs.tail!).data].map(
        Math.fround,
      ),
    };
  });
  expect(seen).toEqual(expected);
  own.destroy();
});

test('at most the given number of runs is in flight after idle', async () => {
  const mine = createStore(device);
  const program = await compile(device, mine, schedule(mixedGraph(), device.caps));
  let finished = 0;
  const runs = 6;
  for (let run = 0; run < runs; run++) {
    program.run();
    void device.raw.queue.onSubmittedWorkDone().then(() => finished++);
    await program.idle(2);
    expect(run + 1 - finished).toBeLessThanOrEqual(3);
  }
  await program.idle();
  program.destroy();
  mine.destroy();
});

test('splitting into many submits changes no bit', async () => {
  const results: number[][] = [];
  for (const ms of [1e9, 1e-9]) {
    budget.ms = ms;
    const mine = createStore(device);
    const program = await compile(device, mine, schedule(mixedGraph(), device.caps));
    for (let run = 0; run < 3; run++) {
      program.write('x', input(run));
      program.run();
    }
    results.push([...(await program.read('y')), ...(await mine.read('s'))]);
    if (ms < 1) expect(program.stats.submits).toBe(program.stats.dispatches + program.stats.copies);
    else expect(program.stats.submits).toBe(1);
    program.destroy();
    mine.destroy();
  }
  expect(results[1]).toEqual(results[0]);
});

test('profile times every dispatch that differs, wherever it stands, where the device has timestamps', async () => {
  const mine = createStore(device);
  const plan = schedule(mixedGraph(), device.caps);
  const program = await compile(device, mine, plan);
  const times = await program.profile(() => 3);
  expect(device.timestamps).toBe(true);
  const shaders = times!.map(({ places }) => {
    const at = plan.steps[places[0]!]!;
    return at.kind === 'dispatch' ? at.dispatch.shader : at.kind;
  });
  expect([...new Set(shaders)]).toEqual(['add', 'fork', 'stage1', 'stage2', 'decay']);
  expect(times!.flatMap(({ places }) => places).toSorted((a, b) => a - b)).toEqual(
    plan.steps.flatMap((step, at) => (step.kind === 'dispatch' ? [at] : [])),
  );
  for (const t of times!) expect(t.microseconds).toBeGreaterThanOrEqual(0);
  program.destroy();
  mine.destroy();
});

describe('errors', () => {
  const addGraph = () => {
    const g = createBuilder();
    const x = g.input('x', f32(4));
    return g.finish({ y: g.emit(addOp, [x, x], undefined, 'encoder.layer.1')[0]! });
  };
  const failure = async (files: Record<string, string>) => {
    const own = await open({ ...toyFiles, ...files });
    const mine = createStore(own);
    const error = await compile(own, mine, schedule(addGraph(), own.caps)).then(
      () => null,
      (e: Error) => e,
    );
    own.destroy();
    return error;
  };

  test('a shader that does not compile is named with the line of its source file', async () => {
    const library = 'fn twice(x: f32) -> f32 {\n  return x + 1u;\n}';
    const text = `import package::lib::twice::twice;\n${toyFiles['add.wgsl']!.replace('2 * b[i]', 'twice(b[i])')}`;
    const error = await failure({ 'add.wgsl': text, 'lib/twice.wgsl': library });
    expect(error).toMatchObject({ kind: 'internal' });
    expect(error!.message).toMatch(/add\/main.*shaders\/lib\/twice\.wgsl:2: error: .*no matching overload/s);
  });

  test('undeclared conditions and overrides, missing bindings and writable inputs are refused by name', async () => {
    const add = toyFiles['add.wgsl']!;
    const withCondition = await failure({ 'add.wgsl': `@if(FAST) const fast = 1;\n${add}` });
    expect(withCondition!.message).toMatch(/add uses the condition FAST/);
    const fourth = await failure({
      'add.wgsl': add
        .replace('@compute', '@group(0) @binding(4) var<storage> d: array<f32>;\n@compute')
        .replace('c[i] =', 'c[i] = d[i] +'),
    });
    expect(fourth!.message).toMatch(
      /add #0 \(encoder\.layer\.1\): shader add, entry point main uses binding 4/,
    );
    const writes = await failure({ 'add.wgsl': add.replace('read> a', 'read_write> a') });
    expect(writes!.message).toMatch(/declares binding 1 read_write/);
  });

  test('a binding too small for its shader is refused before the first run, with node and shader', async () => {
    const wide = toyFiles['add.wgsl']!.replace('a: array<f32>', 'a: array<mat4x4f>').replace(
      'a[i] +',
      'a[i][0][0] +',
    );
    const error = await failure({ 'add.wgsl': wide });
    expect(error!.message).toMatch(
      /^add #0 \(encoder\.layer\.1\), shader add\/main was refused: .*too small/s,
    );
  });

  test('what WebGPU refuses outside of any check is reported by the next call', async () => {
    const own = await open();
    own.raw.createBuffer({ size: 4, usage: 0x01 | 0x80 });
    await own.raw.queue.onSubmittedWorkDone();
    expect(() => own.assertAlive()).toThrow(/WebGPU refused a command/);
    own.destroy();
  });

  test('a buffer over the limit is refused before it is made', () => {
    const bytes = device.raw.limits.maxBufferSize + 4;
    expect(() => device.buffer('state embeddings', bytes, 0x80)).toThrow(
      expect.objectContaining({
        kind: 'limit',
        message: expect.stringContaining('state embeddings needs a buffer of'),
      }),
    );
  });

  test('memory that is not there is reported with what it was for and how much', async () => {
    const own = await open();
    // No test should really fill the memory: the device is made to report what it would.
    const scopes: string[] = [];
    const push = own.raw.pushErrorScope.bind(own.raw);
    const pop = own.raw.popErrorScope.bind(own.raw);
    own.raw.pushErrorScope = (filter) => {
      scopes.push(filter);
      return push(filter);
    };
    own.raw.popErrorScope = async () => {
      const filter = scopes.pop();
      await pop();
      return filter === 'out-of-memory' ? ({ message: 'full' } as GPUError) : null;
    };
    own.buffer('temporaries of attention', 3 * 1048576, 0x80);
    await expect(own.settle()).rejects.toMatchObject({
      kind: 'out-of-memory',
      message: expect.stringContaining('no 3.0 MiB left for temporaries of attention'),
      details: { bytes: 3 * 1048576 },
    });
    own.destroy();
  });

  test('data of the wrong length or kind is refused', async () => {
    const mine = createStore(device);
    const program = await compile(device, mine, schedule(addGraph(), device.caps));
    expect(() => program.write('x', new Float32Array(5))).toThrow(
      /Input x is f32 \[4\] but was given 5 elements of f32/,
    );
    expect(() => program.write('x', new Int32Array(4))).toThrow(/elements of i32/);
    program.destroy();
  });

  test('a lost device ends waiting, running and reading with device-lost', async () => {
    const own = await open();
    const mine = createStore(own);
    const program = await compile(own, mine, schedule(mixedGraph(), own.caps));
    const ring = await program.ring<number>(['y']);
    program.run({ ring, tag: 0 });
    own.raw.destroy();
    expect(await own.lost).toMatchObject({ kind: 'device-lost' });
    expect(() => program.run()).toThrow(expect.objectContaining({ kind: 'device-lost' }));
    await expect(program.idle()).rejects.toMatchObject({ kind: 'device-lost' });
    await expect((async () => program.read('y'))()).rejects.toMatchObject({ kind: 'device-lost' });
    await expect(mine.read('s')).rejects.toMatchObject({ kind: 'device-lost' });
  });
});
