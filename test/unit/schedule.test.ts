import { describe, expect, test } from 'vitest';
import { type Builder, createBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import type { Plan } from '../../src/graph/plan.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import { baseCaps, type Graph, type Tensor, type Value } from '../../src/graph/types.ts';
import { rng } from '../../src/lib/rng.ts';
import { runPlan } from '../tools/planExecutor.ts';
import { addOp, decayOp, emit, forkOp, packOp, partOp, stagedOp, sumOp } from '../tools/toyOps.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });
const copies = (plan: Plan) => plan.steps.filter((s) => s.kind === 'copy').length;
const temporaries = (plan: Plan) => plan.buffers.filter((b) => !b.persistent).length;

/** Runs the plan and the interpreter side by side several times, states carried over, and expects the same numbers. */
function expectAgreement(graph: Graph, runs = 3): Plan {
  const plan = schedule(graph, baseCaps);
  const program = runPlan(plan);
  const states = new Map<string, Tensor>();
  for (let run = 0; run < runs; run++) {
    const random = rng(7, run);
    const feeds = new Map(
      graph.inputs.map((v) => [v.name, Float64Array.from({ length: sizeOf(v.shape) }, () => random.int(9))]),
    );
    program.run(feeds);
    const tensors = new Map<string, Tensor>(
      graph.inputs.map((v) => [v.name, { ...f32(...v.shape), data: feeds.get(v.name)! }]),
    );
    const result = interpret(graph, new Map([...tensors, ...states]));
    for (const [name, t] of result.states) states.set(name, t);
    for (const [name, v] of Object.entries(graph.outputs)) {
      const expected = v.role === 'state' ? states.get(v.name)! : result.get(v);
      expect([...program.output(name)], `${name} in run ${run}`).toEqual([...expected.data]);
    }
    for (const [name, t] of states) {
      if (plan.buffers.some((b) => b.persistent?.name === name))
        expect([...program.state(name)].slice(0, t.data.length)).toEqual([...t.data]);
    }
  }
  return plan;
}

describe('storage', () => {
  test('nodes that reach no output and write no state are dropped', () => {
    const g = createBuilder();
    const x = g.input('x', f32(64));
    const s = g.state('s', f32(64), () => new Float32Array(64));
    emit(g, addOp, [x, x]);
    const kept = emit(g, addOp, [x, s]);
    g.emit(decayOp, [s, kept], undefined);
    const plan = expectAgreement(g.finish({}));
    expect(plan.steps.map((step) => step.label)).toEqual(['add #1', 'decay #2']);
  });

  test('a chain needs two buffers however long it is', () => {
    const g = createBuilder();
    let x = g.input('x', f32(100));
    for (let i = 0; i < 8; i++) x = emit(g, addOp, [x, x]);
    const plan = expectAgreement(g.finish({ x }));
    expect(temporaries(plan)).toBe(2);
    expect(plan.temporaryBytes).toBe(2 * 400);
  });

  test('a small temporary moves into a large buffer that is free', () => {
    const g = createBuilder();
    const x = g.input('x', f32(64));
    const y = g.input('y', f32(8));
    const big = emit(g, addOp, [emit(g, addOp, [x, x]), x]);
    const small = emit(g, addOp, [emit(g, addOp, [y, y]), y]);
    expect(temporaries(expectAgreement(g.finish({ big, small })))).toBe(3);
  });

  test('a view at a multiple of 256 bytes costs nothing; elsewhere it is copied once', () => {
    const build = (offset: number) => {
      const g = createBuilder();
      const x = emit(g, addOp, [g.input('x', f32(256)), g.input('x', f32(256))]);
      const part = emit(g, partOp, [x], { shape: [8, 8], offset });
      const a = emit(g, addOp, [part, part]);
      return expectAgreement(g.finish({ a, part }));
    };
    expect(copies(build(128))).toBe(0);
    expect(copies(build(60))).toBe(1);
  });

  test('a view of a view adds the offsets', () => {
    const g = createBuilder();
    const x = g.input('x', f32(512));
    const outer = emit(g, partOp, [x], { shape: [256], offset: 128 });
    const inner = emit(g, partOp, [outer], { shape: [64], offset: 64 });
    const plan = expectAgreement(g.finish({ y: emit(g, addOp, [inner, inner]) }));
    expect(copies(plan)).toBe(0);
    expect(plan.steps[0]).toMatchObject({ bindings: [{ offset: 768 }, { offset: 768 }, { offset: 0 }] });
  });
});

describe('packs', () => {
  test('producers write straight into the pack, through reshapes', () => {
    const g = createBuilder();
    const x = g.input('x', f32(64));
    const a = emit(g, addOp, [x, x]);
    const b = emit(g, partOp, [emit(g, addOp, [x, a])], { shape: [8, 8], offset: 0 });
    const c = emit(g, addOp, [x, x]);
    // `a` has a second reader, so it is copied; `b` and `c` are not.
    const plan = expectAgreement(
      g.finish({ p: emit(g, packOp, [a, b, c], { offsets: [0, 64, 128], size: 192 }) }),
    );
    expect(copies(plan)).toBe(1);
  });

  test('a pack within a pack is a part of the outer one, unless it has gaps or stands off the alignment', () => {
    const build = (innerSize: number, at: number) => {
      const g = createBuilder();
      const x = g.input('x', f32(64));
      const doubled = () => emit(g, addOp, [x, x]);
      const inner = emit(g, packOp, [doubled(), doubled()], { offsets: [0, 64], size: innerSize });
      const flat = emit(g, partOp, [inner], { shape: [2, innerSize / 2], offset: 0 });
      const outer = emit(g, packOp, [doubled(), flat], { offsets: [0, at], size: at + innerSize });
      return copies(expectAgreement(g.finish({ outer })));
    };
    expect(build(128, 64)).toBe(0);
    expect(build(192, 64)).toBe(1);
    expect(build(128, 66)).toBe(1);
  });

  test('what lies between the parts stays zero although buffers are reused', () => {
    const g = createBuilder();
    const x = g.input('x', f32(128));
    const y = g.input('y', f32(10));
    let t = x;
    for (let i = 0; i < 3; i++) t = emit(g, addOp, [t, x]);
    const p = emit(g, packOp, [emit(g, addOp, [y, y]), emit(g, addOp, [y, y])], {
      offsets: [0, 64],
      size: 128,
    });
    let z = emit(g, addOp, [t, p]);
    for (let i = 0; i < 3; i++) z = emit(g, addOp, [z, x]);
    expect(copies(expectAgreement(g.finish({ z })))).toBe(0);
  });

  test('misaligned, repeated, persistent and shown parts are copied', () => {
    const g = createBuilder();
    const x = g.input('x', f32(10));
    const [a, b, shown] = [emit(g, addOp, [x, x]), emit(g, addOp, [x, x]), emit(g, addOp, [x, x])];
    const p = emit(g, packOp, [a, b, b, x, shown], { offsets: [10, 64, 128, 192, 256], size: 300 });
    expect(copies(expectAgreement(g.finish({ p, shown })))).toBe(5);
  });

  test('two outputs of one dispatch share a pack; of a kernel that reads back what it wrote they do not', () => {
    const build = (op: typeof forkOp) => {
      const g = createBuilder();
      const [a, b] = g.emit(op, [g.input('x', f32(64))], undefined);
      return copies(
        expectAgreement(g.finish({ p: emit(g, packOp, [a!, b!], { offsets: [0, 64], size: 128 }) })),
      );
    };
    expect(build(forkOp)).toBe(0);
    expect(build(stagedOp)).toBe(1);
  });
});

describe('partial sums', () => {
  const build = (...more: ((g: Builder, x: Value) => Value)[]) => {
    const g = createBuilder();
    const x = g.input('x', f32(64));
    const parts = [
      emit(g, sumOp, [x]),
      emit(g, addOp, [x, x]),
      emit(g, sumOp, [x]),
      ...more.map((f) => f(g, x)),
    ];
    const inner = emit(g, packOp, parts.slice(0, 2), { offsets: [0, 64], size: 128 });
    const offsets = [0, ...parts.slice(2).map((_, i) => 128 + 64 * i)];
    const p = emit(g, packOp, [inner, ...parts.slice(2)], { offsets, size: 64 * parts.length });
    return expectAgreement(g.finish({ y: emit(g, addOp, [p, p]) }));
  };
  const shaders = (plan: Plan) => plan.steps.map((s) => (s.kind === 'dispatch' ? s.dispatch.shader : 'copy'));

  test('that only a pack reads are added up by one dispatch at the pack', () => {
    expect(shaders(build())).toEqual(['parts', 'add', 'parts', 'totals', 'add']);
  });

  test('that something else reads are added up at once', () => {
    const read = (g: Builder, x: Value): Value => {
      const y = emit(g, sumOp, [x]);
      return emit(g, addOp, [y, y]);
    };
    expect(shaders(build(read))).toEqual(['parts', 'add', 'parts', 'parts', 'total', 'add', 'totals', 'add']);
  });

  test('stay within a binding, and one alone is added up at once', () => {
    const g = createBuilder();
    const x = g.input('x', f32(64));
    const p = emit(g, packOp, [emit(g, sumOp, [x]), emit(g, sumOp, [x])], { offsets: [0, 64], size: 128 });
    const plan = schedule(g.finish({ p }), { ...baseCaps, maxStorageBindingBytes: 1000 });
    expect(shaders(plan)).toEqual(['parts', 'total', 'parts', 'total']);
  });
});

describe('states', () => {
  const initial = () => Float32Array.from({ length: 128 }, (_, i) => i);

  test('a view of a state shows the state as it was when the view was made', () => {
    const g = createBuilder();
    const s = g.state('s', f32(128), initial);
    const x = g.input('x', f32(128));
    const before = emit(g, partOp, [s], { shape: [64], offset: 64 });
    const early = emit(g, addOp, [before, before]);
    g.emit(decayOp, [s, x], undefined);
    const after = emit(g, partOp, [s], { shape: [64], offset: 64 });
    const plan = expectAgreement(g.finish({ early, late: emit(g, addOp, [before, after]), s }));
    expect(copies(plan)).toBe(1);
  });

  test('an operand that overlaps the state being written is copied first', () => {
    const g = createBuilder();
    const s = g.state('s', f32(64), () => initial().slice(0, 64));
    g.emit(decayOp, [s, emit(g, partOp, [s], { shape: [64], offset: 0 })], undefined);
    expect(copies(expectAgreement(g.finish({ s })))).toBe(1);
  });

  test('only states are written in place', () => {
    const g = createBuilder();
    const x = g.input('x', f32(4));
    g.emit(decayOp, [x, x], undefined);
    expect(() => schedule(g.finish({}), baseCaps)).toThrow(/input 0, which is no state but a input/);
  });
});

describe('limits', () => {
  test('a binding larger than the device allows is refused by name before anything is made', () => {
    const g = createBuilder();
    const x = g.input('x', f32(1024));
    const graph = g.finish({ y: g.emit(addOp, [x, x], undefined, 'encoder.layer.3')[0]! });
    expect(() => schedule(graph, { ...baseCaps, maxStorageBindingBytes: 4000 })).toThrow(
      expect.objectContaining({
        kind: 'limit',
        message: expect.stringContaining('add #0 (encoder.layer.3) needs 4096 bytes'),
      }),
    );
  });

  test('more bindings than a stage has are refused', () => {
    const g = createBuilder();
    const x = g.input('x', f32(4));
    const graph = g.finish({ y: emit(g, addOp, [x, x]) });
    expect(() => schedule(graph, { ...baseCaps, maxStorageBuffersPerStage: 2 })).toThrow(/binds 3 buffers/);
  });
});

test('random graphs give the interpreter’s numbers under WebGPU’s rules', () => {
  let copied = 0;
  for (let seed = 0; seed < 300; seed++) {
    const random = rng(42, seed);
    const g = createBuilder();
    const size = random.pick([64, 128, 10]);
    const s = g.state('s', f32(size), () => Float32Array.from({ length: size }, (_, i) => i % 5));
    const values: Value[] = [g.input('x', f32(size)), g.input('y', f32(size)), s];
    const recent = () => values[Math.max(0, values.length - 1 - random.int(5))]!;
    const same = () => {
      const v = recent();
      return sizeOf(v.shape) === size ? v : emit(g, partOp, [v], { shape: [size], offset: 0 });
    };
    for (let k = 0; k < 25; k++) {
      const kind = random.int(8);
      if (kind <= 1) values.push(emit(g, addOp, [same(), same()]));
      else if (kind === 2) values.push(...g.emit(forkOp, [same()], undefined));
      else if (kind === 3) values.push(...g.emit(stagedOp, [same()], undefined));
      else if (kind === 4 && random.chance(0.5)) g.emit(decayOp, [s, same()], undefined);
      else if (kind === 7) values.push(emit(g, sumOp, [same()]));
      else if (kind === 5) {
        const step = random.pick([size, 64 * Math.ceil(size / 64)]);
        const made = random.pick([addOp, sumOp]);
        const part = () => emit(g, made, made === addOp ? [same(), same()] : [same()]);
        const parts = [same(), part(), part()];
        values.push(
          emit(g, packOp, parts, {
            offsets: parts.map((_, i) => i * step),
            size: 3 * step + random.pick([0, 4]),
          }),
        );
      } else {
        const v = recent();
        const offset = Math.min(sizeOf(v.shape) - size, random.pick([0, 64, 3]));
        values.push(emit(g, partOp, [v], { shape: [size], offset }));
      }
    }
    const outputs = Object.fromEntries([0, 1, 2].map((i) => [`o${i}`, recent()]));
    copied += copies(expectAgreement(g.finish(outputs), 2));
  }
  expect(copied).toBeGreaterThan(100);
});
