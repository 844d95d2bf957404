/**
 * What charts and maps are taken away as: tables, CSV, .npy. Seen to fail: a thinned line in the file, a row lost where two lines meet, a header of
 * the wrong length.
 */
import { describe, expect, test } from 'vitest';
import { factorNonZeros } from '../../src/methods.ts';
import { productPainter } from '../../src/page/features/butterfly/ProductMap.tsx';
import { patternOf } from '../../src/page/features/butterfly/setting.ts';
import { productsOf, wiresOf, wiringOf } from '../../src/page/features/butterfly/wiring.ts';
import { factorPainter, learntFactorPainter } from '../../src/page/features/inspect/factorPainters.ts';
import { type MapColors, turnedPainter, valuePainter } from '../../src/page/features/inspect/painters.ts';
import { smooth, smoothFormula } from '../../src/page/features/training/series.ts';
import { type ChartSpec, fewRows, tableOf } from '../../src/page/parts/chartNumbers.ts';
import { fileStem, matrixCsv, npyOf, tableCsv } from '../../src/page/parts/numberFiles.ts';

const line = { color: '--line-0', width: 1 } as const;

describe('the numbers of a chart', () => {
  const loss = Float64Array.of(4, 2, 1, 0.5);
  const steps = Float64Array.of(1, 2, 3, 4);
  const beta = 0.5;
  const spec: ChartSpec = {
    lines: [
      { ...line, name: 'otter raw', x: steps, y: loss, isQuiet: true },
      {
        ...line,
        name: 'otter',
        x: [1, 4],
        y: [4, 1],
        whole: { x: steps, y: loss, smoothed: { y: smooth(loss, beta), formula: smoothFormula(beta) } },
      },
      { ...line, name: 'otter held out', x: [0, 4], y: [5, 0.75] },
    ],
    xTitle: '',
    yTitle: '',
    names: { x: 'step', y: 'loss' },
    isLog: false,
  };

  test('are whole where the drawing is not, raw and smoothed with the formula, one row for each x', () => {
    const table = tableOf(spec);
    const { head, rows, formulas } = table;
    expect(head).toEqual(['step', 'otter: loss', 'otter: loss, smoothed', 'otter held out: loss']);
    expect(formulas).toEqual({ 'otter: loss, smoothed': smoothFormula(beta) });
    expect(tableCsv(table).split('\n')[0]).toBe(
      'step,otter: loss,"otter: loss, smoothed (de-biased exponential moving average, s_t = β s_(t−1) + (1−β) x_t, given as s_t / (1−β^t), β = 0.5)",otter held out: loss',
    );
    // By hand: s = 2, 2, 1.5, 1 over 1 − β^t = 0.5, 0.75, 0.875, 0.9375.
    const expected = [
      [0, null, null, 5],
      [1, 4, 4, null],
      [2, 2, 2 / 0.75, null],
      [3, 1, 1.5 / 0.875, null],
      [4, 0.5, 1 / 0.9375, 0.75],
    ];
    expect(rows).toHaveLength(expected.length);
    rows.forEach((row, i) => {
      row.forEach((value, k) => {
        const wanted = expected[i]![k]!;
        if (wanted === null) expect(value).toBeNull();
        else expect(value).toBeCloseTo(wanted, 12);
      });
    });
  });

  test('of a line that has an x twice have two rows', () => {
    const twice: ChartSpec = { ...spec, lines: [{ ...line, name: 'a', x: [1, 1, 2], y: [3, 4, 5] }] };
    expect(tableOf(twice).rows).toEqual([
      [1, 3],
      [1, 4],
      [2, 5],
    ]);
  });

  test('are a CSV whose titles may hold commas and quotes', () => {
    expect(
      tableCsv({
        head: ['x', 'a, "b"'],
        rows: [
          [1, null],
          [2, 0.25],
        ],
      }),
    ).toBe('x,"a, ""b"""\n1,\n2,0.25\n');
  });

  test('are few on screen, with both ends', () => {
    const rows = Array.from({ length: 1001 }, (_, i) => [i, 2 * i]);
    const few = fewRows({ head: ['x', 'y'], rows }, 101).rows;
    expect(few).toHaveLength(101);
    expect(few.map(([x]) => x)).toEqual(Array.from({ length: 101 }, (_, i) => 10 * i));
    expect(fewRows({ head: ['x'], rows: [[1]] }, 200).rows).toEqual([[1]]);
  });
});

describe('a matrix', () => {
  const data = Float32Array.of(0.1, -2, 1e-20, 3.4028234e38, 0, 7);
  const matrix = { rows: 2, columns: 3, data };

  test('comes back from its CSV bit for bit', () => {
    const lines = [...matrixCsv(matrix)].join('').trim().split('\n');
    expect(lines).toHaveLength(2);
    expect(Float32Array.from(lines.join(',').split(','), Number)).toEqual(data);
  });

  test('is an .npy that NumPy’s format describes', () => {
    const bytes = npyOf(matrix);
    const header = new DataView(bytes.buffer).getUint16(8, true);
    expect([...bytes.subarray(0, 8)]).toEqual([0x93, 78, 85, 77, 80, 89, 1, 0]);
    expect((10 + header) % 64).toBe(0);
    const words = new TextDecoder().decode(bytes.subarray(10, 10 + header));
    expect(words.trimEnd()).toBe("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
    expect(words.endsWith('\n')).toBe(true);
    expect(new Float32Array(bytes.buffer.slice(10 + header))).toEqual(data);
  });
});

describe('the numbers of a map', () => {
  const colors: MapColors = { zero: 0, still: 1, low: 2, high: 3, tones: [4, 5] };
  const pattern = patternOf({ method: 'boft', dimension: 16, block: 4, factors: 2, shared: false });
  const wiring = wiringOf(pattern)!;
  const sum = (data: Float32Array) => data.reduce((total, value) => total + value, 0);

  test('of structure are 1 where an entry can differ from zero: as many as are counted', () => {
    for (const factor of pattern.factors) {
      const { rows, columns, data } = factorPainter(factor, colors).numbers();
      expect([rows, columns]).toEqual([16, 16]);
      expect(sum(data)).toBe(factorNonZeros(factor));
    }
    const product = productPainter(wiring, 2, colors).numbers();
    expect(sum(product.data) / 256).toBe(productsOf(wiring)[1]!.fill);
  });

  test('of the graph are its edges: those of the factors, and each where its factor has an entry', () => {
    const { rows } = wiresOf(wiring);
    expect(rows).toHaveLength(pattern.factors.reduce((count, factor) => count + factorNonZeros(factor), 0));
    const first = factorPainter(pattern.factors[0]!, colors).numbers().data;
    for (const [factor, from, to] of rows)
      if (factor === 0) expect(first[Number(to) * 16 + Number(from)]).toBe(1);
  });

  test('of values are those that are pointed at, and lie as they are kept', () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    expect(turnedPainter(data, 3, 2, 1, colors).numbers()).toEqual({ rows: 3, columns: 2, data });
    expect(valuePainter(Float32Array.of(1, 2, 3, 5), 2, 2, 1, colors, true).numbers().data).toEqual(
      Float32Array.of(0, 2, 3, 4),
    );
  });

  test('of what a factor learnt are its blocks less the identity, each in its place', () => {
    const factor = pattern.factors[1]!;
    if (factor.kind !== 'blocks') throw new Error('a factor of blocks is meant');
    const blocks = Float32Array.from({ length: 16 * 4 }, (_, i) => i + 1);
    const painter = learntFactorPainter(factor, blocks, 1, colors);
    const { data } = painter.numbers();
    expect(sum(data)).toBe(sum(blocks) - 16);
    for (let r = 0; r < 16; r++)
      for (let c = 0; c < 16; c++) {
        const said = /: (\S+)$/.exec(painter.describe(r, c))?.[1];
        if (factor.group[r] === factor.group[c]) expect(data[r * 16 + c]).toBeCloseTo(Number(said), 2);
        else expect(data[r * 16 + c]).toBe(0);
      }
  });
});

test('files are called as what they show', () => {
  expect(fileStem('Loss by step')).toBe('loss-by-step');
  expect(fileStem('‖RᵀR − I‖')).toBe('r-r-i');
  expect(fileStem('损失：按步')).toBe('损失-按步');
  expect(fileStem('‖−‖')).toBe('papilio');
  expect(fileStem(`a ${'very '.repeat(40)}long name`).length).toBeLessThanOrEqual(60);
});
