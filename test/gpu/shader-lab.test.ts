/**
 * The shader lab on a device: a wrong sign in each kernel is found at the cells that float64 with that wrong sign says, and nowhere else; texts that do not
 * compile, do not end or are not run say so, with the line where there is one, and the next text runs. Seen to fail with: a tolerance of 1, a budget that
 * leaves out `while`, a shared count for loops with barriers.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { openGpu } from '../../src/cli/runtime.ts';
import { BREAKAGES, broken } from '../../src/labs/shader/breakages.ts';
import { MOST_MEETINGS, MOST_ROUNDS } from '../../src/labs/shader/budget.ts';
import {
  allowedOf,
  type CheckedCase,
  KERNELS,
  type KernelName,
  type ShaderAnswer,
  type ShaderCase,
} from '../../src/labs/shader/protocol.ts';
import { createShaderLab } from '../../src/labs/shader/shaderLab.ts';

const lab = createShaderLab(openGpu);
afterAll(() => lab.close());

const checkedCases = (answer: ShaderAnswer): readonly CheckedCase[] => {
  expect(answer).toMatchObject({ kind: 'checked' });
  return answer.kind === 'checked' ? answer.cases : [];
};

/** M⁻¹ by elimination with pivots. */
function inverseOf(m: readonly number[], n: number): number[] {
  const a = Array.from({ length: n }, (_, i) => [
    ...m.slice(i * n, (i + 1) * n),
    ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)),
  ]);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(a[i]![k]!) > Math.abs(a[pivot]![k]!)) pivot = i;
    [a[k], a[pivot]] = [a[pivot]!, a[k]!];
    const by = a[k]![k]!;
    a[k] = a[k]!.map((v) => v / by);
    for (let i = 0; i < n; i++) {
      const f = a[i]![k]!;
      if (i !== k) a[i] = a[i]!.map((v, j) => v - f * a[k]![j]!);
    }
  }
  return a.flatMap((row) => row.slice(n));
}

/** What the first breakage of each kernel computes, from the inputs as they are shown. */
const WITH_WRONG_SIGN: Readonly<Record<KernelName, (one: ShaderCase) => number[]>> = {
  // Below the diagonal stands q, not -q: 2 (I + S)^-1 - I of a symmetric S.
  cayley: ({ inputs: [skew], sizes }) => {
    const b = sizes.b!;
    return Array.from({ length: sizes.n! }, (_, block) => {
      const q = skew!.values.slice(block * b * b, (block + 1) * b * b);
      const unit = (at: number) => (at % (b + 1) === 0 ? 1 : 0);
      const s = q.map((v, at) => unit(at) + (at % b < Math.floor(at / b) ? -v : v));
      return inverseOf(s, b).map((v, at) => 2 * v - unit(at));
    }).flat();
  },
  // Every factor turns the sign round once.
  butterfly: ({ expected, sizes }) => expected.values.map((v) => (-1) ** sizes.m! * v),
  // cos cos + sin sin in place of cos cos - sin sin, at places of the lower halves and at those with both mirrored.
  idft: ({ inputs: [spectrum], sizes }) => {
    const [rows, columns] = [sizes.p!, sizes.q!];
    const lower = (x: number, of: number) => 2 * x <= of;
    return Array.from({ length: rows * columns }, (_, at) => {
      const [p, q] = [Math.floor(at / columns), at % columns];
      const isOwnImage = p === 0 || q === 0 || 2 * p === rows || 2 * q === columns;
      const sign = isOwnImage || lower(p, rows) === lower(q, columns) ? -1 : 1;
      return spectrum!.values.reduce((sum, s, place) => {
        const down = (2 * Math.PI * p * Math.floor(place / columns)) / rows;
        const across = (2 * Math.PI * q * (place % columns)) / columns;
        return sum + s * (Math.cos(down) * Math.cos(across) + sign * -1 * Math.sin(down) * Math.sin(across));
      }, 0);
    });
  },
};

describe.each(KERNELS)('%s', (name) => {
  it('is right as it stands', async () => {
    const { files, cases } = await lab.kernel(name);
    const checked = checkedCases(await lab.check(name, files));
    expect(checked.map(({ wrong }) => wrong)).toEqual(cases.map(() => []));
    checked.forEach(({ found }, i) => {
      expect(found.length).toBe(cases[i]!.expected.values.length);
    });
  });

  it('with a wrong sign is wrong at the cells that float64 says, by as much', async () => {
    const { files, cases } = await lab.kernel(name);
    const checked = checkedCases(await lab.check(name, broken(name, files, '1')));
    const wrongs = cases.map((one) => {
      const computed = WITH_WRONG_SIGN[name](one);
      const allowed = allowedOf(one.expected);
      return computed.flatMap((v, at) => (Math.abs(v - one.expected.values[at]!) > allowed ? [at] : []));
    });
    expect(checked.map(({ wrong }) => wrong)).toEqual(wrongs);
    expect(wrongs.flat().length).toBeGreaterThan(20);
    checked.forEach(({ found }, i) => {
      const computed = WITH_WRONG_SIGN[name](cases[i]!);
      const scale = Math.max(...computed.map(Math.abs));
      computed.forEach((v, at) => {
        expect(Math.abs(found[at]! - v) / scale).toBeLessThan(1e-4);
      });
    });
  });

  it('is found to be broken by every breakage', async () => {
    const { files } = await lab.kernel(name);
    for (const { id } of BREAKAGES[name]) {
      const checked = checkedCases(await lab.check(name, broken(name, files, id)));
      expect(checked.flatMap(({ wrong }) => wrong).length, `breakage ${id}`).toBeGreaterThan(10);
    }
  });
});

describe('a text', () => {
  const IN_SMALL = '  var m: array<f32, 64>;';
  const IN_TILE = '  workgroupBarrier(); // the block is loaded';
  const END = '// Larger blocks: the same in place';
  /** Cayley's file with statements before the line, and functions further down; line numbers above stay. */
  const edited = async (line: string, statements: string, functions = '') => {
    const { files } = await lab.kernel('cayley');
    const text = files['cayley.wgsl']!;
    expect(text.split(line).length, line).toBe(2);
    const changed = text.replace(line, `${statements}\n${line}`).replace(END, `${functions}\n${END}`);
    return {
      answer: await lab.check('cayley', { 'cayley.wgsl': changed }),
      lineOf: (part: string) => changed.slice(0, changed.indexOf(part)).split('\n').length,
    };
  };

  it.each([
    ['while (true) {}', 'while'],
    ['loop { continuing { break if false; } }', 'loop'],
    ['for (var i = 5; i > 0; i++) { if (i < 0) { i = 1; } }', 'for'],
    ['for (var i = 0u; i < 3u; ) { continue; }', 'for'],
    ['while /* for (;;) { } } */ (true) { /* } /* nested */ } */ }', 'while'],
    ['for (var i = 0u; i < 9u; i++) { for (var j = 0u; j < 9u; j++) {\n  while (j < 9u) { } } }', 'while'],
    ['loop { switch (1u) { case 1u: { continue; } default: { break; } } if (false) { break; } }', 'loop'],
    ['{ { var i = 0u; while (i < 4294967295u) { if (i > 7u) { i--; } else { i++; } } } }', 'while'],
    ['loop { if (false) { break; } continuing { while (true) {} } }', 'while'],
    ['@diagnostic(off, derivative_uniformity) for (; true; ) { var f = 1.0; f *= 2.0; }', 'for'],
  ])('that does not end says so with its line: %s', async (statements, at) => {
    const from = performance.now();
    const { answer, lineOf } = await edited(IN_SMALL, `  ${statements}`);
    expect(answer).toMatchObject({ kind: 'budget', most: MOST_ROUNDS });
    const line = lineOf(statements) + statements.slice(0, statements.indexOf(at)).split('\n').length - 1;
    expect(answer).toMatchObject({ place: { path: 'cayley.wgsl', line } });
    expect(performance.now() - from).toBeLessThan(10_000);
  });

  it('that does not end in a function, or between barriers, says so with the line of the loop', async () => {
    const spin = 'fn spin(x: f32) -> f32 { var y = x;\n  while (y > 0.0) { y += 1.0; }\n  return y; }';
    const called = await edited(IN_SMALL, '  for (; spin(1.0) > 0.0; ) {}', spin);
    expect(called.answer).toMatchObject({ kind: 'budget', place: { line: called.lineOf('while (y') } });
    const meeting = await edited(IN_TILE, '  while (true) { workgroupBarrier(); }');
    expect(meeting.answer).toMatchObject({
      ...{ kind: 'budget', most: MOST_MEETINGS, place: { line: meeting.lineOf('while (true)') } },
    });
    const meet = 'fn meet() { for (var k = 0u; k < 1000000u; k++) { workgroupBarrier(); } }';
    const nested = await edited(IN_TILE, '  for (var k = 0u; k < 1000000u; k++) { meet(); }', meet);
    expect(nested.answer).toMatchObject({ kind: 'budget', place: { line: nested.lineOf('fn meet') } });
  });

  it('that is uniform by what a loop gives keeps its barriers', async () => {
    const kept = await edited(
      IN_TILE,
      '  var n = 0u; for (var k = 0u; k < B; k++) { n += 1u; } for (var k = 0u; k < n; k++) { storageBarrier(); }',
    );
    expect(checkedCases(kept.answer).flatMap(({ wrong }) => wrong)).toEqual([]);
    const endless = await edited(
      IN_TILE,
      '  var n = 1u; while (n > 0u) { n += 1u; if (n == 0u) { n = 1u; } } for (var k = 0u; k < n; k++) { storageBarrier(); }',
    );
    expect(endless.answer).toMatchObject({ kind: 'budget', place: { line: endless.lineOf('while (n') } });
  });

  it.each([
    ['for (;;) {}', /exit/],
    ['let x = 1u + 1.0;', /./],
    ['nothing = 1;', /nothing/],
    ['let x = 1', /;/],
    ['if (id.x == 3u) { workgroupBarrier(); }', /uniform/],
    ['"while (true) {}"', /"/],
    ['let 中文 = 1.0; let 𝒳 = 中文 + 1u;', /./],
  ])('that does not compile says why, with its line: %s', async (statements, why) => {
    const { answer, lineOf } = await edited(IN_SMALL, `\n\n  ${statements}`);
    expect(answer).toMatchObject({ kind: 'compile' });
    const [first] = answer.kind === 'compile' ? answer.messages : [];
    expect(first!.text).toMatch(why);
    const line = lineOf(statements);
    expect(first!.place).toMatchObject({ path: 'cayley.wgsl', line });
  });

  it.each([
    [
      'no entry point',
      (t: string) => t.replace('fn invert_small(', 'fn invert_tiny('),
      /no entry point invert_small/,
    ],
    ['no override', (t: string) => t.replaceAll('PER', 'QER'), /no override PER/],
    [
      'another binding',
      (t: string) =>
        t.replace('@binding(1) var<storage, read> source', '@binding(9) var<storage, read> source'),
      /Binding 9/,
    ],
    [
      'another group',
      (t: string) =>
        t.replace(
          '@group(0) @binding(1) var<storage, read> source',
          '@group(1) @binding(0) var<storage, read> source',
        ),
      /group 0/,
    ],
    ['a writable input', (t: string) => t.replace('read> source', 'read_write> source'), /Binding 1/],
    [
      'too many threads',
      (t: string) =>
        t.replace('@workgroup_size(WG)\nfn invert_small', '@workgroup_size(WG * 64u)\nfn invert_small'),
      /./,
    ],
    [
      'too much shared memory',
      (t: string) => t.replace('tile: array<f32, PER * B * B>', 'tile: array<f32, PER * B * B + 10000000u>'),
      /./,
    ],
    ['nothing', () => ' \n', /empty/],
    ['a megabyte', (t: string) => t + '/'.repeat(1_000_000), /letters/],
    [
      'calls without end',
      (t: string) =>
        `${t}\nfn f0() -> u32 { return 1u; }\n${Array.from({ length: 24 }, (_, k) => `fn f${k + 1}() -> u32 { return f${k}() + f${k}(); }`).join('\n')}`,
      /calls functions/,
    ],
  ] as const)('with %s is refused', async (_, change, why) => {
    const { files } = await lab.kernel('cayley');
    const changed = change(files['cayley.wgsl']!);
    expect(changed).not.toBe(files['cayley.wgsl']);
    const answer = await lab.check('cayley', { 'cayley.wgsl': changed });
    expect(answer).toMatchObject({ kind: 'refused' });
    expect(answer.kind === 'refused' && answer.reason).toMatch(why);
  });

  it('that writes nothing, or what is no number, is wrong there', async () => {
    const { files, cases } = await lab.kernel('cayley');
    const write = 'r[(block * B + i) * B + j] = 2.0 * m[i * 8u + j] - unit(i, j);';
    const silent = checkedCases(
      await lab.check('cayley', { 'cayley.wgsl': files['cayley.wgsl']!.replace(write, '') }),
    );
    expect(silent[0]!.wrong.length).toBe(cases[0]!.expected.values.length);
    expect(silent[0]!.found.every((v) => v === null)).toBe(true);
    const endless = checkedCases(
      await lab.check('cayley', {
        'cayley.wgsl': files['cayley.wgsl']!.replace(write, write.replace('2.0 *', 'sqrt(f32(i) - 2.0) *')),
      }),
    );
    expect(endless[0]!.found.slice(0, 6).every((v) => Number.isNaN(v))).toBe(true);
    // Beyond the end of a buffer nothing is written, or one cell of it.
    const outside = checkedCases(
      await lab.check('cayley', {
        'cayley.wgsl': files['cayley.wgsl']!.replace(write, write.replace('r[(block', 'r[99999u + (block')),
      }),
    );
    expect(outside[0]!.wrong.length).toBeGreaterThanOrEqual(cases[0]!.expected.values.length - 1);
  });
});
