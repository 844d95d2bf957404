/**
 * The butterfly view's arithmetic against rotations that the float64 references compute: what reaches what is where the dense product
 * differs from zero, a number of the adapter moves the entries that are named beside it, and what is greyed is what the methods refuse.
 * Seen to fail with: inputs and outputs exchanged in a product, factors taken from the last on, a block's rows in another order.
 */
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { initialValues, planAdapter } from '../../src/adapters/plan.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import type { Graph } from '../../src/graph/types.ts';
import { butterfly } from '../../src/ops/butterfly.ts';
import { interpret } from '../../src/ops/checks.ts';
import {
  columnTexts,
  countOf,
  type Focus,
  focusOn,
  focusOnEntry,
  focusText,
  forLit,
  litNodes,
  node,
  runsText,
} from '../../src/page/features/butterfly/focus.ts';
import {
  bundleOf,
  drawnEdges,
  everything,
  hitAt,
  layoutOf,
  xOf,
  yOf,
} from '../../src/page/features/butterfly/graphPicture.ts';
import {
  type Parameter,
  pairsOf,
  parameterOf,
  parametersOf,
  parameterValue,
} from '../../src/page/features/butterfly/parameters.ts';
import {
  blockStops,
  denseText,
  dimensionStops,
  factorStops,
  fieldsOf,
  freeNumbers,
  partnerOf,
  patternOf,
  reachOf,
  reachOfAll,
  reachText,
  refusal,
  type Setting,
} from '../../src/page/features/butterfly/setting.ts';
import { createView, type View } from '../../src/page/features/butterfly/view.ts';
import { denseFrom, filledIn, productsOf, wiringOf } from '../../src/page/features/butterfly/wiring.ts';
import { inspectModule } from '../../src/training/inspect.ts';
import { layer } from './adapters-fixtures.ts';
import { withGraph } from './adapters-layers.ts';

const once = async (graph: Graph): Promise<Record<string, Float32Array>> => {
  const ran = interpret(graph, new Map());
  return Object.fromEntries(
    Object.entries(graph.outputs).map(([name, value]) => [name, Float32Array.from(ran.get(value).data)]),
  );
};

const boft = (dimension: number, block: number, factors: number): Setting => ({
  method: 'boft',
  dimension,
  block,
  factors,
  shared: false,
});
const oft = (dimension: number, block: number, shared = false): Setting => ({
  ...boft(dimension, block, 1),
  method: 'oft',
  shared,
});

/** The adapter of a setting on one layer, looked into by the trainer's own code on the interpreter; `change` sees its packed numbers. */
function inspected(setting: Setting, change: (packed: Float32Array) => void) {
  const one = layer('q', setting.dimension, 4);
  const method = METHODS[setting.method];
  const { config } = validateConfig(method, {
    ...fieldsOf(setting),
    ...(setting.method === 'oft' ? { use_cayley_neumann: false } : {}),
    target_modules: ['q'],
  });
  const plan = planAdapter(withGraph(method), config, [one], []);
  const load = () => Float32Array.from({ length: 4 * setting.dimension }, (_, i) => Math.cos(i));
  const parameters = new Map([['q.weight', { name: 'q.weight', shape: [4, setting.dimension], load }]]);
  const packed = initialValues(plan, 7, parameters);
  change(packed);
  return inspectModule({ plan, parameters, initial: () => packed, packed, module: 'q', once });
}

const random = (packed: Float32Array) => {
  packed.set(packed.map((_, i) => Math.sin(1 + 7 * i) + 0.1));
};

/** B_(k−1) ⋯ B_0 of random blocks, dense, by the reference of the op with all other factors masked. */
function denseProduct({ dimension: d, block: b, factors: m }: Setting, k: number): Float64Array {
  const g = createBuilder();
  const f32 = (shape: number[], data: Float32Array) => g.constant({ dtype: 'f32', shape }, data);
  const eye = new Float32Array(d * d).map((_, i) => Number(i % (d + 1) === 0));
  const blocks = new Float32Array(m * d * b).map((_, i) => 1 + Math.abs(Math.sin(3 * i + 1)));
  const mask = new Float32Array((m * d) / b).map((_, i) => Number(i < (k * d) / b));
  const y = butterfly(g, f32([d, d], eye), f32([m, d / b, b, b], blocks), {}, f32([m, d / b], mask));
  const graph = g.finish({ y });
  return Float64Array.from(interpret(graph, new Map()).get(graph.outputs.y!).data);
}

const SETTINGS = [boft(16, 2, 4), boft(24, 4, 2), boft(32, 4, 3), boft(48, 8, 2), boft(12, 3, 1)];
const named = (setting: Setting) =>
  [`d ${setting.dimension}, b ${setting.block}, m ${setting.factors}`, setting] as const;

describe('the wires of a rotation', () => {
  it.each(SETTINGS.map(named))(
    '%s: what reaches what is where the dense product differs from zero',
    (_, setting) => {
      const { dimension: d, factors: m } = setting;
      const wiring = wiringOf(patternOf(setting))!;
      for (let k = 1; k <= m; k++) {
        const dense = denseProduct(setting, k);
        const isFilled = filledIn(wiring, k);
        let count = 0;
        for (let j = 0; j < d; j++) {
          const reached = litNodes(wiring, { from: node(0, j), to: null })[k]!;
          for (let i = 0; i < d; i++) {
            const isThere = dense[i * d + j] !== 0;
            count += Number(isThere);
            expect(reached[i] === 1).toBe(isThere);
            expect(isFilled(i, j)).toBe(isThere);
          }
          expect(countOf(reached)).toBe(reachOf({ ...setting, factors: k }));
        }
        expect(productsOf(wiring)[k - 1]!.fill).toBeCloseTo(count / d ** 2, 14);
        for (let i = 0; i < d; i++) {
          const heard = litNodes(wiring, { from: null, to: node(k, i) })[0]!;
          expect([...heard]).toEqual(Array.from({ length: d }, (_, j) => Number(dense[i * d + j] !== 0)));
        }
      }
      const first = Array.from({ length: m }, (_, k) => denseProduct(setting, k + 1)).findIndex((dense) =>
        dense.every((value) => value !== 0),
      );
      expect(denseFrom(wiring)).toBe(first < 0 ? null : first + 1);
    },
  );

  it('are dense from the factor on that mixes all', () => {
    expect(denseFrom(wiringOf(patternOf(boft(16, 2, 4)))!)).toBe(4);
    expect(denseFrom(wiringOf(patternOf(boft(32, 4, 3)))!)).toBeNull();
    expect(denseFrom(wiringOf(patternOf(oft(8, 8)))!)).toBe(1);
    expect(wiringOf({ role: 'update', factors: [] })).toBeNull();
  });

  it.each([...SETTINGS, oft(20, 5), oft(12, 4, true)].map(named))(
    '%s: the trainer’s blocks, put where the wires say, multiply to its rotation',
    async (_, setting) => {
      const { dimension: d, block: b } = setting;
      const { rotation, factors } = await inspected(setting, random);
      const wiring = wiringOf(patternOf(setting))!;
      let product = Float64Array.from({ length: d * d }, (_, i) => Number(i % (d + 1) === 0));
      for (const [k, { data, angles }] of factors!.entries()) {
        expect([data.length, angles.length]).toEqual([d * b, d / b]);
        const { members } = wiring.stages[k]!;
        const dense = new Float64Array(d * d);
        for (let at = 0; at < d; at++)
          for (let c = 0; c < b; c++)
            dense[members[at]! * d + members[at - (at % b) + c]!] = data[at * b + c]!;
        product = Float64Array.from({ length: d * d }, (_, i) => {
          let sum = 0;
          for (let x = 0; x < d; x++) sum += dense[Math.floor(i / d) * d + x]! * product[x * d + (i % d)]!;
          return sum;
        });
      }
      product.forEach((value, i) => {
        expect(Math.abs(value - rotation!.data[i]!)).toBeLessThan(1e-5);
      });
      expect(rotation!.orthogonality).toBeLessThan(1e-5);
    },
  );
});

describe('what is lit', () => {
  const wiring = wiringOf(patternOf(boft(16, 4, 3)))!;
  const indices = (marked: Uint8Array) => [...marked].flatMap((on, i) => (on ? [i] : []));
  const entries = (focus: Focus, factor: number) => {
    const found: string[] = [];
    forLit(wiring, litNodes(wiring, focus), factor, (r, c) => found.push(`${r},${c}`));
    return found.sort();
  };

  it('of an entry of a factor is its edge alone, in all pictures', () => {
    const focus = focusOnEntry(1, 6, 2);
    expect(litNodes(wiring, focus).map(indices)).toEqual([[], [2], [6], []]);
    expect(entries(focus, 1)).toEqual(['6,2']);
    expect(entries(focus, 0)).toEqual([]);
    expect(focusText(wiring, focus)).toBe(
      'Factor 1: the edge from node 2 after factor 0 to node 6 after factor 1.',
    );
    // Node 2 is joined with 6 and 7, 3, 2 by factor 1, not with 10.
    expect(entries(focusOnEntry(1, 10, 2), 1)).toEqual([]);
    expect(focusText(wiring, focusOnEntry(1, 10, 2))).toMatch(/^Factor 1: no edge/);
  });

  it('of an entry of the product is every way between its ends', () => {
    const focus = { from: node(0, 3), to: node(3, 12) };
    const lit = litNodes(wiring, focus);
    const ways = (column: number, at: number): number =>
      column === 3
        ? Number(at === 12)
        : indices(lit[column + 1]!)
            .filter((next) => wiring.stages[column]!.group[next] === wiring.stages[column]!.group[at])
            .reduce((sum, next) => sum + ways(column + 1, next), 0);
    expect(ways(0, 3)).toBeGreaterThan(0);
    for (const [column, marked] of lit.entries())
      for (const at of indices(marked)) expect(ways(column, at)).toBeGreaterThan(0);
    expect(focusText(wiring, focus)).toBe('There is a way from input 3 to output 12.');
  });

  it('is said in words', () => {
    expect(focusText(wiring, focusOn(wiring, node(0, 3)))).toBe('Input 3 reaches outputs 0–15 (16 of 16).');
    expect(focusText(wiring, focusOn(wiring, node(3, 5)))).toBe(
      'Output 5 comes from inputs 0–15 (16 of 16).',
    );
    expect(focusText(wiring, focusOn(wiring, { column: 1, first: 0, last: 3 }))).toBe(
      'Nodes 0–3 after factor 0 come from inputs 0–3 (4 of 16) and reach outputs 0–15 (16 of 16).',
    );
    const lit = litNodes(wiring, focusOn(wiring, node(0, 3)));
    expect(columnTexts(wiring, lit)).toEqual([
      'Inputs: 3 (1)',
      'After factor 0: 0–3 (4)',
      'After factor 1: 0–7 (8)',
      'Outputs: 0–15 (16)',
    ]);
    expect(runsText(Uint8Array.of(0, 0))).toBe('none');
    const dotted = new Uint8Array(40).map((_, i) => (i % 2 === 0 ? 1 : 0));
    expect(runsText(dotted)).toBe('0, 2, 4, 6, 8 and 15 more runs');
  });
});

describe('the numbers of a block', () => {
  const key = ({ factor, block, low, high }: Parameter) => [factor, block, low, high].join();

  it.each([boft(16, 4, 2), boft(12, 6, 2), oft(12, 4), oft(12, 4, true)].map(named))(
    '%s: each moves first the entries that are named, and no two share a place',
    async (_, setting) => {
      const wiring = wiringOf(patternOf(setting))!;
      const { dimension: d, block: b } = setting;
      const isSquare = setting.method === 'boft';
      const seen = new Set<number>();
      for (const [factor, { group }] of wiring.stages.entries())
        for (let block = 0; block < d / b; block++) {
          const list = parametersOf(wiring, isSquare, factor, block);
          expect(list).toHaveLength(pairsOf(b));
          for (const one of list) {
            for (const place of one.stored) seen.add(place);
            const [low, high] = one.rows;
            expect(key(parameterOf(wiring, isSquare, factor, high, low)!)).toBe(key(one));
            expect(group[low]).toBe(group[high]);
            const row = ((factor * d) / b + block) * b + one.low;
            if (isSquare) expect(one.stored[0]).toBe(row * b + one.high);
          }
        }
      expect(seen.size).toBe(isSquare ? setting.factors * d * (b - 1) : freeNumbers(setting));
      const [factor, block] = [setting.factors - 1, setting.shared ? 0 : d / b - 1];
      const one = parametersOf(wiring, isSquare, factor, block).at(-2)!;
      const epsilon = 1e-3;
      const { rotation, tensors } = await inspected(setting, (packed) => {
        for (const name of one.stored.slice(0, 1)) packed[name] = epsilon;
      });
      const moved: string[] = [];
      rotation!.data.forEach((value, i) => {
        const change = value - Number(i % (d + 1) === 0);
        if (Math.abs(change) > epsilon / 4) moved.push(`${Math.floor(i / d)},${i % d}`);
      });
      const [low, high] = one.rows;
      const expected = setting.shared
        ? Array.from({ length: d / b }, (_, g) => [
            `${g * b + one.low},${g * b + one.high}`,
            `${g * b + one.high},${g * b + one.low}`,
          ]).flat()
        : [`${low},${high}`, `${high},${low}`];
      expect(moved.sort()).toEqual(expected.sort());
      const tensor = tensors!.find(({ name }) => name.includes('_R'))!.data;
      expect(parameterValue(one, tensor)).toBeCloseTo(isSquare ? epsilon / 2 : epsilon, 6);
      expect(parameterOf(wiring, isSquare, 0, 3, 3)).toBeNull();
    },
  );
});

describe('settings', () => {
  it('are greyed exactly where the methods refuse them', () => {
    const tried = [4, 6, 8, 12, 20, 48, 64].flatMap((d) =>
      [1, 2, 3, 4, 5, 6, 8, 16, 32, 65].flatMap((b) => [1, 2, 3, 4, 5, 6].map((m) => boft(d, b, m))),
    );
    for (const setting of tried) {
      const config = METHODS.boft.schema.parse(fieldsOf(setting));
      const theirs = METHODS.boft.check(layer('q', setting.dimension, 4), config);
      expect([setting, refusal(setting) === null]).toEqual([setting, theirs === null]);
    }
    // OFT takes another block where one does not divide: legal is what it leaves as it is.
    for (const { dimension: d, block: b } of tried) {
      const { factors } = METHODS.oft.pattern(
        layer('q', d, 4),
        METHODS.oft.schema.parse(fieldsOf(oft(d, b))),
      );
      const [factor] = factors;
      expect(refusal(oft(d, b)) === null).toBe(factor?.kind === 'blocks' && factor.block === b);
    }
  });

  it('reach what the product of their factors fills, and say what it takes to reach all', () => {
    for (const setting of [boft(64, 8, 3), boft(128, 4, 6), boft(24, 2, 3), oft(64, 16), oft(32, 32)]) {
      const wiring = wiringOf(patternOf(setting))!;
      const { after, dense } = reachOfAll(setting);
      expect(after).toEqual(productsOf(wiring).map(({ fill }) => fill * setting.dimension));
      if (dense !== null) expect(denseFrom(wiringOf(patternOf(dense))!)).toBe(dense.factors);
    }
    expect(reachText(boft(128, 4, 3))).toBe(
      'one input reaches 4 → 8 → 16 of 128 outputs, all 128 from 6 factors on',
    );
    expect(denseText(boft(128, 4, 3))).toBe(
      'An input reaches its block of 4, and twice as many with every further factor. All 128 take 6 factors, with 1,152 free numbers; one block of 128, a rotation of everything, has 8,128.',
    );
    expect(reachText(boft(24, 2, 2))).toContain('of 24 outputs, and never all with blocks of 2');
    expect(reachText(oft(32, 32))).toBe('one input reaches 32 of 32 outputs, which is all');
  });

  it('say why', () => {
    expect(refusal(boft(64, 6, 2))).toBe('6 does not divide 64.');
    expect(refusal(boft(64, 8, 5))).toBe('With 5 factors the last would mix 128 inputs, and there are 64.');
    expect(refusal(boft(24, 2, 3))).toBeNull();
    expect(refusal(boft(48, 4, 3))).toBeNull();
    expect(refusal(boft(24, 4, 4))).toBe('With 4 factors the last would mix 32 inputs, and there are 24.');
    expect(refusal(boft(40, 2, 5))).toBe(
      'With 5 factors the last would mix 32 inputs, and 40 is not a multiple of that.',
    );
    expect(refusal(boft(15, 3, 2))).toMatch(/3 is odd/);
    expect(refusal(oft(100, 8))).toMatch(/^8 does not divide 100/);
    const at = boft(64, 8, 2);
    expect(blockStops(at).find(({ value }) => value === 24)?.reason).toBe('24 does not divide 64.');
    expect(factorStops(at).map(({ reason }) => reason === null)).toEqual([true, true, true, true, false]);
    expect(dimensionStops(at, [100]).find(({ value }) => value === 100)?.reason).not.toBeNull();
    expect(dimensionStops(at, []).find(({ value }) => value === 8)?.reason).not.toBeNull();
  });

  it('of the other method are the nearest in free numbers', () => {
    // m (b − 1) = 6 against b′ − 1 = 7.
    expect(partnerOf(boft(64, 4, 2))).toEqual(oft(64, 8));
    expect([freeNumbers(boft(64, 4, 2)), freeNumbers(oft(64, 8))]).toEqual([192, 224]);
    // Six factors of pairs and two of four both have 192; the pairs reach further.
    expect(partnerOf(oft(64, 8))).toEqual(boft(64, 2, 6));
    expect(freeNumbers(boft(64, 2, 6))).toBe(192);
    expect(partnerOf(boft(64, 8, 1))).toEqual(oft(64, 8));
    expect(partnerOf(oft(15, 5))).toBeNull();
  });
});

describe('the picture of the graph', () => {
  it('draws several nodes as one where there are many, and finds what stands at a point', () => {
    expect([64, 128, 129, 768, 1024, 254].map(bundleOf)).toEqual([1, 1, 3, 12, 16, 4]);
    const wiring = wiringOf(patternOf(boft(256, 8, 2)))!;
    const layout = layoutOf(wiring, 360);
    expect(layout).toMatchObject({ bundle: 4, nodes: 64, columns: 3 });
    const edges = [0, 1].map((factor) => drawnEdges(wiring, layout, factor, everything(wiring)));
    // Nodes 0 … 7 are drawn as 0 and 1, each joined with both.
    expect([...edges[0]!.subarray(0, 4)]).toEqual([1, 1, 0, 0]);
    // Factor 1 joins 0 … 3 with 8 … 11: drawn nodes 0 and 2.
    expect([...edges[1]!.subarray(0, 4)]).toEqual([1, 0, 1, 0]);
    const edgesOf = (factor: number) => edges[factor]!;
    expect(hitAt(layout, edgesOf, xOf(layout, 1), yOf(layout, 5))).toEqual({
      kind: 'node',
      column: 1,
      node: 5,
    });
    const [x, y] = [(xOf(layout, 1) + xOf(layout, 2)) / 2, (yOf(layout, 0) + yOf(layout, 2)) / 2];
    expect(hitAt(layout, edgesOf, x, y + 0.1)).toMatchObject({ kind: 'edge', factor: 1 });
    expect(hitAt(layout, edgesOf, xOf(layout, 0), -5)).toBeNull();
  });

  it('draws each of 128 nodes by itself', () => {
    const layout = layoutOf(wiringOf(patternOf(boft(128, 4, 3)))!, 360);
    expect(layout).toMatchObject({ bundle: 1, nodes: 128 });
    expect(yOf(layout, 1) - yOf(layout, 0)).toBeCloseTo(4, 1);
  });
});

describe('what was kept lit', () => {
  const [before, longer, smaller] = [boft(32, 4, 3), boft(32, 4, 4), boft(8, 2, 3)].map((one) =>
    createView(wiringOf(patternOf(one))!),
  ) as [View, View, View];
  const keptIn = (focus: Focus, now: View) => {
    before.pin(focus);
    const { pinned } = createView(now.wiring, before).store.getState();
    before.pin(focus);
    return pinned;
  };
  const input = (place: number) => focusOn(before.wiring, node(0, place));
  const output = (place: number) => focusOn(before.wiring, node(3, place));

  it('stays lit in another wiring: inputs stay inputs, outputs outputs, edges those of their factor', () => {
    expect(keptIn(input(5), longer)).toEqual(input(5));
    expect(keptIn(output(5), longer)).toEqual({ from: null, to: node(4, 5) });
    const edge = focusOnEntry(1, 5, 1);
    expect(keptIn(edge, longer)).toEqual(edge);
  });

  it('is let go where it is not there', () => {
    expect(keptIn(input(8), smaller)).toBeNull();
    expect(keptIn(input(7), smaller)).toEqual(input(7));
    // The last factor's edge ends at an output, and the output is now another factor's.
    expect(keptIn(focusOnEntry(2, 5, 1), longer)).toBeNull();
  });
});
