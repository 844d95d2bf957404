/**
 * The shader lab without a device: budgets are put into every loop and nothing else, places in a linked text are found in the files, breakages and parts stand
 * in the kernels as they are, and lines are followed through edits. Seen to fail with: a loop in `continuing` that is counted twice, a budget for loops with
 * barriers alone, a place taken as the linker guesses it, a part whose line was changed, a map of lines that counts from the top,
 * a line of the kernel that nothing links.
 */
import { describe, expect, it } from 'vitest';
import { shaderLibrary } from '../../src/gpu/pipelines.ts';
import { BREAKAGES, broken } from '../../src/labs/shader/breakages.ts';
import { MOST_MEETINGS, MOST_ROUNDS, withBudget } from '../../src/labs/shader/budget.ts';
import { dispatchesOf, expectedOf, KERNEL_FILES, trialsOf } from '../../src/labs/shader/kernels.ts';
import { cellsOf, PARTS, symbolsOf } from '../../src/labs/shader/parts.ts';
import { placesIn } from '../../src/labs/shader/places.ts';
import { KERNELS, type KernelName } from '../../src/labs/shader/protocol.ts';
import { createShaderLab } from '../../src/labs/shader/shaderLab.ts';
import { cellByKey } from '../../src/page/labs/shader/Cells.tsx';
import { idleLines, movedLines } from '../../src/page/labs/shader/lines.ts';

const filesOf = (name: KernelName) =>
  Object.fromEntries(KERNEL_FILES[name].map((path) => [path, shaderLibrary.files[path]!]));

/** Lines that do nothing: comments, ends, conditions of the linker, the beginnings of functions, barriers. */
const STILL =
  /^\s*(\/\/.*|[})]+[,; {]*|@compute.*|@builtin.*|@(if|else)(\(!?\w+\))? *\{?|(@if\(!?\w+\) )?fn .*[({]|workgroupBarrier\(\);( \/\/.*)?|\} else \{)?$/;

/** All other lines of functions that are run and of no symbol of the formula, in their order. */
const SHARING: Readonly<Record<KernelName, readonly string[]>> = {
  cayley: [
    'let block = id.x + id.y * groups.x * WG;',
    'if (block >= p.blocks) { return; }',
    'let block = (group.x + group.y * groups.x) * PER + lane / B;',
    'let inside = block < p.blocks; // no early return: the barriers below are for all',
    'let j = lane % B;',
    'let base = (lane / B) * B * B;',
    'if (!inside) { return; }',
  ],
  butterfly: [
    // Without dropout every block is kept.
    '@if(!MASK) { return true; }',
    'let at = id.x + id.y * groups.x * WG;',
    'let row_groups = (p.rows + 3u) / 4u;',
    'let column = at % p.d;',
    'let row = (at / p.d % row_groups) * 4u;',
    'let stack = at / (p.d * row_groups);',
    'if (stack >= p.stack) { return; }',
    'if (kept(stack, p.factor, place.x)) {',
    // A block that is left out.
    'sum = vec4f(source[r0 + column], source[r1 + column], source[r2 + column], source[r3 + column]);',
  ],
  idft: [
    // What `to` has gained, which the lines beside have made.
    'return mat4x4f(',
    'fma(vec4f(column.x), row, to[0]), fma(vec4f(column.y), row, to[1]),',
    'fma(vec4f(column.z), row, to[2]), fma(vec4f(column.w), row, to[3]),',
    'fn line_at(matrix: u32, line: u32) -> u32 { return (matrix * 2u * p.lines + line) * p.quads; }',
    'fn b_after() -> u32 { return p.lines * p.quads; }',
    'let i = flat(gid, groups, WG);',
    'if (i >= p.threads) { return; }',
    'let rest = quotient(i, p.blocks);',
    'let block = i - rest * p.blocks.x;',
    'let four = quotient(rest, p.by_lines);',
    'let line = rest - four * p.lines;',
    'for (var m = 0u; m < 4u; m++) {',
    'if (4u * four + m < p.count) {',
    'let at = line_at(4u * four + m, line) + 2u * block;',
    'let base = (p.first + matrix) * p.matrix;',
    'var sums = to;',
    'return sums;',
    'let rest = quotient(i, p.across);',
    'let matrix = quotient(rest, p.blocks);',
    'return vec3u(matrix, rest - matrix * p.blocks.x, i - rest * p.across.x);',
    'var x = Places();',
    'return x;',
    'let i = flat(gid, groups, WG);',
    'if (i >= p.threads) { return; }',
    'let own = block_of(i);',
    'let q = own.z * NUMBERS;',
    'var at = line_at(own.x, 0u) + PLACES / 4u * own.y;',
    'var line = 0u;',
    'for (; line < end; line++) {',
    'let x = line_places(at);',
    'at += p.quads;',
    'let x = PLACES * own.y;',
    // The place of a thread, and division by a product.
    'return gid.x + gid.y * groups.x * width;',
    'let low = (lhs & 0xffffu) * (rhs & 0xffffu);',
    'let mid = (lhs >> 16u) * (rhs & 0xffffu) + (low >> 16u);',
    'let other = (lhs & 0xffffu) * (rhs >> 16u) + (mid & 0xffffu);',
    'return (lhs >> 16u) * (rhs >> 16u) + (mid >> 16u) + (other >> 16u);',
    'return upper_half(n << 1u, by.y) >> by.z;',
  ],
};

const PUT_IN =
  / if \(budget_stop\(\d+u\)\) \{ break; \}| \*budget_at \+= 1u; if \(\*budget_at > \d+u\) \{ if .*? \} break; \}| var budget_meetings: u32; let budget_at = &budget_meetings;/g;

describe.each(KERNELS)('%s', (name) => {
  const files = filesOf(name);
  const [main] = KERNEL_FILES[name];

  it('links its lines with the symbols of its formula and with cells', async () => {
    const symbols = Object.values(symbolsOf(name, files)).flat();
    // Some places only an even side has.
    const all = await Promise.all(trialsOf(name).map(async (one) => [...one.inputs, await expectedOf(one)]));
    const matrices = all.flat();
    for (const part of PARTS[name]) {
      expect(symbols, part.symbol).toContain(part.symbol);
      expect(matrices.flatMap((one) => cellsOf(part, one)).length, `cells of ${part.symbol}`).toBeGreaterThan(
        0,
      );
    }
    // Every cell belongs to a part.
    for (const one of matrices) {
      const all = new Set(PARTS[name].flatMap((part) => cellsOf(part, one)));
      expect(all.size, one.symbol).toBe(one.rows * one.columns);
    }
  });

  it('links every line that is run, but for those that share the work out', async () => {
    const { kernel } = createShaderLab(() => Promise.reject(new Error('no device')));
    const { reached } = await kernel(name);
    const symbols = symbolsOf(name, files);
    const apart = Object.entries(files).flatMap(([path, text]) => {
      const idle = idleLines(text, reached);
      let isRun = false;
      // What stands under conditions that hold for none of the trials is not run.
      return text
        .replaceAll(/^( *)@if\((FULL|WIDE|MASK|MIRRORED)\) (\{\n[\s\S]*?\n\1\}|[^{\n].*|\{.*\}$)/gm, (off) =>
          off.replaceAll(/[^\n]+/g, '//'),
        )
        .split('\n')
        .flatMap((line, i) => {
          if (/^(@if\(\w+\) *)?fn /.test(line)) isRun = true;
          const isInside = isRun && !idle[i] && symbols[path]![i] === null;
          if (/^(}|@|struct|override|var|$)/.test(line)) isRun = false;
          return isInside && !STILL.test(line) ? [line.trim()] : [];
        });
    });
    expect(apart).toEqual(SHARING[name]);
  });

  it('has its breakages, each in one line that is linked', () => {
    const symbols = symbolsOf(name, files);
    for (const { id } of BREAKAGES[name]) {
      const changed = broken(name, files, id);
      const lines = Object.keys(files).flatMap((path) => {
        const [before, after] = [files[path]!.split('\n'), changed[path]!.split('\n')];
        expect(after.length).toBe(before.length);
        return before.flatMap((line, i) => (line === after[i] ? [] : [symbols[path]![i]]));
      });
      expect(lines, `breakage ${id}`).toEqual([expect.any(String)]);
    }
    expect(broken(name, files, '0')).toEqual(files);
    expect(broken(name, files, 'nothing')).toEqual(files);
  });

  it('is run in lines that are told from the others', () => {
    const entries = trialsOf(name).flatMap((trial) => dispatchesOf(trial).map(({ entry }) => entry));
    const idle = idleLines(files[main]!, entries);
    const lines = files[main]!.split('\n');
    for (const entry of entries)
      expect(idle[lines.findIndex((line) => line.startsWith(`fn ${entry}(`))], entry).toBe(false);
    expect(idle[lines.findIndex((line) => line.startsWith('struct Params'))]).toBe(false);
    expect(idle.filter(Boolean).length).toBeGreaterThan(40);
  });

  it('keeps its lines where a budget is put into it', async () => {
    for (const { shader, conditions } of trialsOf(name).flatMap(dispatchesOf)) {
      const linked = await shaderLibrary.link(shader, conditions ?? {});
      const { code, loops } = withBudget(linked.code, 1);
      // Without what was put in it is as it was.
      expect(code.replaceAll(PUT_IN, '').slice(0, linked.code.length)).toBe(linked.code);
      expect(loops.length).toBe([...linked.code.matchAll(/\b(for|while|loop)\b/g)].length);
      const placeOf = placesIn(linked, shaderLibrary.files);
      for (const at of loops) {
        const place = placeOf(at)!;
        expect(shaderLibrary.files[place.path]!.split('\n')[place.line - 1]).toMatch(/\b(for|while|loop)\b/);
      }
    }
  });
});

describe('a budget', () => {
  const entry = (body: string, more = '') => `${more}\n@compute @workgroup_size(1) fn main() { ${body} }`;
  const rounds = (code: string) =>
    [...code.matchAll(/budget_stop\((\d+)u\)\) \{ break; \}/g)].map(([, n]) => n);
  const meetings = (code: string) => [...code.matchAll(/\*budget_at \+= 1u;/g)].length;

  it.each([
    ['for (;;) { break; }', 1],
    ['while true { }', 1],
    ['loop { break; }', 1],
    ['loop { if true { break; } continuing { loop { break; } } }', 2],
    ['for (var i = 0; i < 3; i++) { for (;;) { while (i > 0) { } break; } }', 3],
    ['if true { loop { break; } } else if false { loop { break; } } else { loop { break; } }', 3],
    ['switch 1 { case 1: { loop { break; } } default: { while (false) { } } }', 2],
    ['{ { { loop { break; } } } }', 1],
    ['/* while (true) {} /* loop {} */ */ // for (;;) {}\n', 0],
    ['var format = 1; var whiles = 2; var loops = format; loops = whiles;', 0],
    ['@diagnostic(off, derivative_uniformity) while (true) { }', 1],
    ['for\n/* ( */ (\n;\n;\n)\n/* { */\n{ break; }', 1],
  ])('goes into every loop: %s', (body, count) => {
    const { code, loops } = withBudget(entry(body), 1);
    expect(loops.length).toBe(count);
    expect(new Set(rounds(code)).size).toBe(count);
    expect(rounds(code).length).toBe(count);
  });

  it('of loops that meet goes along by a pointer, by name of the functions that have them', () => {
    const meet =
      'fn meet(n: u32) { for (var k = 0u; k < n; k++) { workgroupBarrier(); } } fn not_this() { loop { break; } }';
    const { code, loops, mostOf } = withBudget(
      entry('loop { break; } meet(3u); not_this(); while (true) { meet(4u); }', meet),
      1,
    );
    expect(loops.length).toBe(4);
    expect([1, 2, 3, 4].map(mostOf)).toEqual([MOST_MEETINGS, MOST_ROUNDS, MOST_ROUNDS, MOST_MEETINGS]);
    expect(meetings(code)).toBe(2);
    expect(code).toContain('fn meet(budget_at: ptr<function, u32>, n: u32)');
    expect(code).toContain('meet(budget_at, 3u)');
    expect(code).toContain('not_this();');
    expect(code).toContain('main() { var budget_meetings: u32; let budget_at = &budget_meetings;');
  });

  it('apart stays within the whole, however deep loops lie in each other', () => {
    const deep = 'fn inner() { for (;;) { for (;;) { break; } break; } }';
    const { mostOf, code } = withBudget(entry('while (true) { inner(); }', deep), 1, true);
    expect(mostOf(1) ** 3).toBeLessThanOrEqual(MOST_ROUNDS);
    expect(mostOf(1)).toBeGreaterThan(30);
    expect(rounds(code)).toEqual([]);
    expect(code).toContain('var budget_own3: u32 = 0u; while');
  });

  it('has names that the text has not', () => {
    const { code } = withBudget(
      entry('var budget_left = 1; var budgetx_at = 2; while (true) { budget_left += 1; }'),
      1,
    );
    expect(code).toContain('budgetxx_stop(1u)');
  });

  it('is refused to calls without end', () => {
    const calls = Array.from({ length: 24 }, (_, k) => `fn f${k + 1}() { f${k}(); f${k}(); }`).join('\n');
    expect(() => withBudget(entry('f24();', `fn f0() {}\n${calls}`), 1)).toThrow(/calls functions/);
    expect(() => withBudget(entry('a();', 'fn a() { b(); } fn b() { a(); }'), 1)).toThrow(/calls functions/);
  });
});

describe('lines', () => {
  const map = (before: string, now: string) => movedLines([...before], [...now]);
  it('are followed through edits', () => {
    expect(map('abcdef', 'abcdef')).toEqual([0, 1, 2, 3, 4, 5]);
    expect(map('abcdef', 'abXdef')).toEqual([0, 1, 2, 3, 4, 5]);
    expect(map('abcdef', 'abXYdef')).toEqual([0, 1, null, null, 3, 4, 5]);
    expect(map('abcdef', 'abcXdef')).toEqual([0, 1, 2, null, 3, 4, 5]);
    expect(map('abcdef', 'aef')).toEqual([0, 4, 5]);
    expect(map('abcdefgh', 'aXbcdeYgh')).toEqual([0, null, 1, 2, 3, 4, 5, 6, 7]);
    expect(map('abc', '')).toEqual([]);
    expect(map('', 'ab')).toEqual([null, null]);
  });
  it('of functions that nothing runs are found, with what stands before them', () => {
    const text =
      '// of a\n@compute\nfn a(\n  x: u32,\n) {\n  b();\n}\n\nfn b() { c(); }\nfn c() {\n}\noverride D = 1;';
    expect(idleLines(text, ['a', 'b'])).toEqual([...new Array(9).fill(false), true, true, false]);
    expect(idleLines(text, ['c'])).toEqual([...new Array(7).fill(true), false, true, false, false, false]);
  });
});

it('leads from cell to cell by keys, and never out of the picture', () => {
  const of = { rows: 2, columns: 3 };
  const keys = (...pressed: string[]) =>
    pressed.reduce<{ row: number; column: number } | null>((at, key) => cellByKey(key, at, of) ?? at, null);
  expect(keys('ArrowDown')).toEqual({ row: 0, column: 0 });
  expect(keys('ArrowDown', 'ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowDown')).toEqual({
    row: 1,
    column: 2,
  });
  expect(keys('ArrowLeft', 'ArrowLeft', 'ArrowUp')).toEqual({ row: 0, column: 0 });
  expect(cellByKey('Enter', null, of)).toBeNull();
});
