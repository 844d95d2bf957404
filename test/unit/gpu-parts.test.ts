import { describe, expect, test } from 'vitest';
import { createDepth, createPacing } from '../../src/gpu/pacing.ts';
import { bindingsOf, createPipelines, createShaderLibrary, entryPoints } from '../../src/gpu/pipelines.ts';
import { rng } from '../../src/lib/rng.ts';
import { divisor } from '../../src/ops/dispatch.ts';

describe('pacing', () => {
  const million = 1e6;

  test('cheap steps share one submit; expensive ones are spread under the budget', () => {
    expect(createPacing(new Array(50).fill(1000)).cuts()).toEqual([50]);
    // 40 ms each by the first estimate: two fit into 100 ms.
    expect(createPacing(new Array(5).fill(40 * million)).cuts()).toEqual([2, 4, 5]);
    expect(createPacing([]).cuts()).toEqual([0]);
  });

  test('measured times move the cuts towards the budget from both sides', () => {
    const truth = [10, 10, 10, 300, 10, 10];
    const pacing = createPacing(new Array(6).fill(40 * million));
    for (let run = 0; run < 30; run++) {
      let from = 0;
      for (const to of pacing.cuts()) {
        pacing.measured(
          from,
          to,
          truth.slice(from, to).reduce((a, b) => a + b, 0),
        );
        from = to;
      }
    }
    let from = 0;
    for (const to of pacing.cuts()) {
      const ms = truth.slice(from, to).reduce((a, b) => a + b, 0);
      // A single step cannot be cut; what stands with it must not add much.
      expect(ms).toBeLessThanOrEqual(to - from === 1 ? 300 : 330);
      from = to;
    }
    const fast = createPacing(new Array(6).fill(40 * million));
    expect(fast.cuts().length).toBe(3);
    for (let run = 0; run < 10; run++) {
      let at = 0;
      for (const to of [...fast.cuts()]) {
        fast.measured(at, to, (to - at) * 0.1);
        at = to;
      }
    }
    expect(fast.cuts()).toEqual([6]);
  });
});

describe('a divisor', () => {
  /** As `quotient` of lib/index.wgsl. */
  const quotient = (n: number, [, factor, shift]: readonly number[]): number =>
    Number((((BigInt(n) << 1n) * BigInt(factor!)) >> 32n) >> BigInt(shift!));

  test('divides every index below 2³¹, whose largest and whose neighbours of multiples are tried', () => {
    const random = rng(0x5eed);
    const below = (end: number) => Math.min(end - 1, Math.floor(random.between(0, end)));
    const some = Array.from({ length: 300 }, () => 1 + below(2 ** (1 + below(30))));
    for (const size of [1, 2, 3, 5, 7, 641, 65535, 65536, 65537, 2 ** 30, 2 ** 31 - 1, ...some]) {
      const by = divisor(size);
      expect(by[1]).toBeLessThan(2 ** 32);
      const multiple = size * (1 + below(Math.max(1, Math.floor(2 ** 31 / size) - 1)));
      for (const n of [0, size - 1, size, multiple - 1, multiple, 2 ** 31 - 1, below(2 ** 31)]) {
        if (n >= 0 && n < 2 ** 31)
          expect([n, size, quotient(n, by)]).toEqual([n, size, Math.floor(n / size)]);
      }
    }
  });
});

describe('depth', () => {
  const runsAfter = (gaps: readonly number[]): number => {
    const depth = createDepth(6);
    let now = 0;
    depth.arrived(now);
    for (const gap of gaps) depth.arrived((now += gap));
    return depth.runs;
  };
  const runs = (ms: number): number => runsAfter(new Array(8).fill(ms));

  test('what is in flight spans 30 ms, in two runs to six', () => {
    expect([500, 100, 16, 15, 14, 10, 7, 5, 1, 0].map(runs)).toEqual([2, 2, 2, 2, 3, 3, 5, 6, 6, 6]);
  });

  test('news of several runs at once are no quick runs; a few say nothing; a run that becomes slow is followed at once', () => {
    expect(runsAfter([0, 200, 0, 200, 0, 200, 0, 200])).toBe(2);
    expect(runsAfter([1, 1, 1])).toBe(2);
    expect(runsAfter([1, 1, 1, 1, 1, 1, 1, 1, 120])).toBe(2);
  });

  test('nothing is known after an interruption', () => {
    const depth = createDepth(4);
    for (let i = 0; i < 9; i++) depth.arrived(i);
    expect(depth.runs).toBe(4);
    depth.interrupted();
    expect(depth.runs).toBe(2);
  });
});

/** Chromium answers a second question about one module only when something else is asked of the device. */
test('the compiler is asked about each module once, whoever asks', async () => {
  let asked = 0;
  const device = {
    pushErrorScope: () => {},
    popErrorScope: async () => null,
    createShaderModule: () => ({
      getCompilationInfo: async () => {
        asked++;
        return { messages: [{ type: 'warning', message: 'odd', lineNum: 0, linePos: 0 }] };
      },
    }),
  } as unknown as GPUDevice;
  const library = createShaderLibrary({ 'one.wgsl': '@compute @workgroup_size(1) fn main() {}' });
  const pipelines = createPipelines(device, library);
  const request = { shader: 'one.wgsl', entry: 'main' };
  expect(await pipelines.messages(request)).toEqual(['warning: odd']);
  expect(await pipelines.messages(request)).toEqual(['warning: odd']);
  expect(asked).toBe(1);
});

describe('shaders', () => {
  const code = `struct Params { n: u32, }
@group(0) @binding(0) var<uniform> params: Params;
@binding(1) @group(0) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage> z: array<f32>;
fn helper(i: u32) -> f32 { if (i > 0) { return x[i]; } return 0; }
@compute @workgroup_size(64) fn first(@builtin(global_invocation_id) id: vec3u) { y[id.x] = helper(params.n); }
@compute
@workgroup_size(64)
fn second(@builtin(global_invocation_id) id: vec3u) { if (z[0] > 0 || f32(id.x) < z.y) { return; } }`;

  test('an entry point binds what it and its callees use', () => {
    expect(entryPoints(code)).toEqual(['first', 'second']);
    expect(bindingsOf(code, 'first')).toEqual([
      { binding: 0, type: 'uniform' },
      { binding: 1, type: 'read-only-storage' },
      { binding: 2, type: 'storage' },
    ]);
    expect(bindingsOf(code, 'second')).toEqual([{ binding: 2, type: 'read-only-storage' }]);
  });

  test('conditions must be declared, in the kernel or the library that uses them', async () => {
    const library = createShaderLibrary({
      'a.wgsl':
        '// conditions: FAST\nimport package::lib::b::two;\n@if(FAST) const n = 1;\n@else const n = two;\n',
      'lib/b.wgsl': '// conditions: WIDE\n@if(WIDE) const two = 4;\n@else const two = 2;\n',
      'c.wgsl': '@if(SECRET) const n = 1;\n',
    });
    expect(library.names).toEqual(['a', 'c']);
    expect((await library.link('a.wgsl', { WIDE: true })).code).toMatch(/two = 4/);
    await expect(library.link('a', { FAST: true, SLOW: false })).rejects.toThrow(
      /does not declare the condition SLOW/,
    );
    await expect(library.link('c', {})).rejects.toThrow(/c uses the condition SECRET/);
    await expect(library.link('d', {})).rejects.toThrow(/no shader shaders\/d\.wgsl/);
  });
});
