/**
 * The Weights tab without its pictures: what is asked when something is moved, and what is kept of the answers; the spectrum's edits and its
 * plane; the way back. Seen to fail with: every wish of a drag asked, an answer of a run that has ended kept, factors going back first to last, a place one too early, a
 * new run without the further frequencies.
 */
import { describe, expect, it, vi } from 'vitest';
import { METHODS } from '../../src/methods.ts';
import { createQuestions } from '../../src/page/features/inspect/inspection.ts';
import { baseSettings, layersOf } from '../../src/page/features/setup/settings.ts';
import { newRun } from '../../src/page/features/training/runs.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import {
  alongWay,
  type Measured,
  stations,
  strengthsAt,
  withPoint,
} from '../../src/page/features/weights/back.ts';
import { halfIn, placesOf } from '../../src/page/features/weights/Kept.tsx';
import { alike } from '../../src/page/features/weights/OwnTask.tsx';
import {
  AS_TRAINED,
  alone,
  bySize,
  centred,
  coefficient,
  isEdited,
  movedTo,
  nearest,
  periods,
  rangeOf,
  toggled,
  valuesOf,
} from '../../src/page/features/weights/spectrum.ts';
import {
  countWith,
  frequencyAt,
  learnMore,
  learntAs,
  mirrored,
  type Place,
  patternWith,
} from '../../src/page/features/weights/unlearnt.ts';
import { createWeights } from '../../src/page/features/weights/weights.ts';
import { newest, SCORED } from '../../src/page/features/weights/whatIf.ts';
import { createPage } from '../../src/page/page.ts';
import { createStores } from '../../src/page/stores.ts';
import type {
  EvalMetric,
  Inspection,
  OpenReport,
  WeightReport,
  WhatIfAnswer,
  WhatIfRequest,
} from '../../src/training/protocol.ts';
import { fakeTrainer, visionReport } from './page-fixtures.ts';

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const spectrum = {
  rows: Int32Array.of(0, 3, 7, 1),
  columns: Int32Array.of(0, 5, 1, 4),
  values: Float32Array.of(0.5, -2, 0, 1),
};

it('the table of singular values has the first, some between and the last', () => {
  expect(placesOf(3)).toEqual([0, 1, 2]);
  expect(placesOf(8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(placesOf(9)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(placesOf(100)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 15, 31, 63, 99]);
  expect(placesOf(128)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 15, 31, 63, 127]);
});

describe('a place that is not learnt', () => {
  const layer = { name: 'h.0.query', kind: 'linear', in: 6, out: 8, hasBias: true } as const;
  const config = METHODS.fourierft.schema.parse({ n_frequency: 10, target_modules: ['query'] });
  const isSameWave = (a: Place, b: Place, { rows, columns }: { rows: number; columns: number }) =>
    [1, -1].some(
      (sign) =>
        (a.row - sign * b.row + rows) % rows === 0 && (a.column - sign * b.column + columns) % columns === 0,
    );
  const placesWith = (count: number) => {
    const [places] = METHODS.fourierft.pattern(layer, {
      ...config,
      n_frequency_pattern: { [layer.name]: count },
    } as never).factors;
    if (places?.kind !== 'points') throw new Error('no places');
    return Array.from(places.row, (row, i) => ({ row, column: places.column[i]! }));
  };

  it('comes with as many frequencies as the seed draws until then, and every one of before stays', () => {
    const learnt = placesWith(10);
    const all = placesWith(48);
    expect(all.slice(0, 10)).toEqual(learnt);
    // A wave comes with the first of its two places.
    const size = { rows: layer.out, columns: layer.in };
    const first = all.map((place) => all.findIndex((one) => isSameWave(one, place, size)) + 1);
    expect(all.map((place) => countWith(layer, config, place))).toEqual(first);
    expect(first.filter((count, i) => count < i + 1)).toHaveLength(22);
    const last = all.findIndex((_, i) => i > 10 && first[i] === i + 1);
    expect(placesWith(countWith(layer, config, all[last]!)!).at(-1)).toEqual(all[last]);
    expect(countWith({ ...layer, in: 2048, out: 1024 }, config, all[0]!)).toBeNull();
    for (const n of [5, 8]) for (let f = 0; f < n; f++) expect(frequencyAt(centred(f, n) + 0.4, n)).toBe(f);
  });

  it('is learnt if its other place is: both make the same cosine', () => {
    const size = { rows: 8, columns: 6 };
    const wave = ({ row, column }: Place) =>
      Array.from({ length: 48 }, (_, i) =>
        Math.cos(2 * Math.PI * (((i % 8) * row) / 8 + (Math.floor(i / 8) * column) / 6)),
      );
    for (const place of placesWith(48)) {
      const other = mirrored(place, size);
      const here = wave(place);
      for (const [i, value] of wave(other).entries()) expect(value).toBeCloseTo(here[i]!, 10);
      expect(mirrored(other, size)).toEqual(place);
    }
    expect(learntAs(spectrum, size, { row: 3, column: 5 })).toBe(1);
    expect(learntAs(spectrum, size, { row: 5, column: 1 })).toBe(1);
    expect(learntAs(spectrum, size, { row: 0, column: 0 })).toBe(0);
    expect(learntAs(spectrum, size, { row: 5, column: 5 })).toBeNull();
  });

  it('is learnt in its module alone, whatever other keys fit that', () => {
    const named = (...names: string[]) => names.map((name) => ({ ...layer, name }));
    const queries = named('h.0.query', 'h.1.query', 'g.h.0.query', 'h.0.key', 'fc2');
    const counts = (module: string, before: Readonly<Record<string, number>>, layers = queries) => {
      const given = { ...config, n_frequency_pattern: before };
      const n_frequency_pattern = patternWith(layers, given, module, 18);
      return layers.map(
        (one) => METHODS.fourierft.count(one, { ...config, n_frequency_pattern } as never).free,
      );
    };
    expect(patternWith(queries, config, 'h.1.query', 18)).toEqual({ 'h.1.query': 18 });
    expect(counts('h.1.query', {})).toEqual([10, 18, 10, 10, 10]);
    expect(counts('h.1.query', { key: 7, 'h.1.query': 12 })).toEqual([10, 18, 10, 7, 10]);
    // A key fits what ends with it, and the whole name is asked for last.
    expect(counts('h.0.query', {})).toEqual([18, 10, 10, 10, 10]);
    expect(counts('h.1.query', { query: 7 })).toEqual([7, 18, 7, 10, 10]);
    expect(counts('h.1.query', { '1.query': 8, 'h.1.query': 12, query: 7 })).toEqual([7, 18, 7, 10, 10]);
    expect(counts('fc2', { 'no|fc2': 7 })).toEqual([10, 10, 10, 10, 18]);
    // Again, with more.
    const once = patternWith(queries, { ...config, n_frequency_pattern: { query: 7 } }, 'h.1.query', 12);
    expect(counts('h.1.query', once)).toEqual([7, 18, 7, 10, 10]);
    expect(Object.keys(once)).toEqual(['(?!)|h\\.1\\.query', 'query']);
    // Whole numbers come first among the keys of an object, wherever they are put.
    const numbered = named('0', 'mlp.0', 'head.0');
    expect(counts('mlp.0', { '0': 7 }, numbered)).toEqual([7, 18, 7]);
    expect(counts('0', { 'mlp.0': 7 }, numbered)).toEqual([18, 7, 10]);
  });

  it('is learnt by a new run on one press', async () => {
    const trainer = fakeTrainer();
    const page = createPage({
      trainer,
      sessions: { save: async () => {}, load: async () => null, clear: async () => {} },
      ...{ tabs: new Tabs({}), inference: vi.fn(), hub: vi.fn(), root: '/' },
    });
    page.choice.setState({ report: visionReport() });
    page.ui.setState({ gpu: { state: 'ready', isSoftware: true, name: 'a GPU' } });
    const run = baseSettings('letters-boft', { method: 'fourierft' });
    const set = { ...run, config: { ...run.config, n_frequency_pattern: { query: 7 } } };
    const report = visionReport();
    const module = 'dinov2.encoder.layer.0.attention.attention.query';
    learnMore(page, set, report, module, 18);
    await vi.waitFor(() => expect(trainer.calls).toContain('play'));
    const { request } = trainer.requests.at(-1)!;
    expect(request.method).toBe('fourierft');
    const learnt = layersOf(report)
      .filter(({ name }) => name.endsWith('.query'))
      .map((one) => [one.name, METHODS.fourierft.count(one, request.config as never).free]);
    expect(learnt).toEqual([
      [module, 18],
      [module.replace('layer.0', 'layer.1'), 7],
    ]);
  });
});

describe('a spectrum under the hand', () => {
  it('is moved, left out and brought back one by one', () => {
    const moved = movedTo(AS_TRAINED, 1, 0.25);
    expect([...valuesOf(spectrum, moved)]).toEqual([0.5, 0.25, 0, 1]);
    const off = toggled(moved, 1);
    expect(coefficient(spectrum, off, 1)).toBe(0);
    // What was moved is as it was moved once it counts again.
    expect(coefficient(spectrum, toggled(off, 1), 1)).toBe(0.25);
    // A coefficient that is moved counts.
    expect(coefficient(spectrum, movedTo(off, 1, 0.75), 1)).toBe(0.75);
    expect([...valuesOf(spectrum, alone(moved, 3, 4))]).toEqual([0, 0, 0, 1]);
    expect([isEdited(AS_TRAINED), isEdited(moved), isEdited(toggled(AS_TRAINED, 0))]).toEqual([
      false,
      true,
      true,
    ]);
    expect([...spectrum.values]).toEqual([0.5, -2, 0, 1]);
    expect(bySize(spectrum)).toEqual([1, 3, 0, 2]);
    expect(rangeOf(spectrum)).toEqual({ largest: 2, limit: 4 });
  });

  it('lies in a plane with 0 in the middle, where the nearest is found', () => {
    expect([0, 3, 4, 5, 7].map((f) => periods(f, 8))).toEqual([0, 3, 4, -3, -1]);
    expect([0, 3, 4, 7].map((f) => centred(f, 8))).toEqual([4, 7, 0, 3]);
    expect([0, 3, 4, 6].map((f) => centred(f, 7))).toEqual([3, 6, 0, 2]);
    const size = { rows: 8, columns: 6 };
    // Frequency 0 lies at (4, 3); 7 along the outputs is −1, just above.
    expect(nearest(spectrum, size, { row: 4.5, column: 3.5 }, 0.5)).toBe(0);
    expect(nearest(spectrum, size, { row: 3.6, column: 4.4 }, 1)).toBe(2);
    expect(nearest(spectrum, size, { row: 0, column: 0 }, 1)).toBeNull();
  });
});

describe('the way back', () => {
  it('takes all factors together, or the last first', () => {
    expect(strengthsAt('together', 0.4, 3)).toEqual([0.4, 0.4, 0.4]);
    expect(strengthsAt('in-turn', 1, 3)).toEqual([1, 1, 1]);
    expect(strengthsAt('in-turn', 0.5, 3)).toEqual([1, 0.5, 0]);
    expect(strengthsAt('in-turn', 0, 3)).toEqual([0, 0, 0]);
    expect(strengthsAt('in-turn', 0.35, 1)).toEqual([0.35]);
    expect(stations('in-turn', 4)).toEqual([1, 0.9, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.1, 0]);
  });

  const point = (way: Measured['way'], at: number, value: number, step = 5): Measured => ({
    way,
    at,
    metric: { step, metric: 'accuracy', value, loss: 1, examples: 8 },
  });

  it('keeps one point a place, of one step, and shares its ends', () => {
    let points: readonly Measured[] = [];
    for (const one of [
      point('together', 1, 0.9),
      point('together', 0.5, 0.6),
      point('in-turn', 0.5, 0.7),
      point('together', 0.5, 0.65),
      point('in-turn', 0, 0.1),
    ])
      points = withPoint(points, one);
    expect(alongWay(points, 'together').map(({ at, metric }) => [at, metric.value])).toEqual([
      [0, 0.1],
      [0.5, 0.65],
      [1, 0.9],
    ]);
    expect(alongWay(points, 'in-turn').map(({ metric }) => metric.value)).toEqual([0.1, 0.7, 0.9]);
    expect(withPoint(points, point('together', 0.2, 0.3, 6))).toHaveLength(1);
  });

  it('half of a change is in so many of its largest values', () => {
    expect(halfIn({ values: Float64Array.of(3, 3, 3, 3), norm: 6 })).toBe(2);
    expect(halfIn({ values: Float64Array.of(9, 1, 1), norm: Math.sqrt(83) })).toBe(1);
    expect(halfIn({ values: Float64Array.of(0, 0), norm: 0 })).toBe(1);
  });
});

it('only the newest wish is followed', async () => {
  const done: number[] = [];
  const waiting: (() => void)[] = [];
  const { wish, forget } = newest(async (n: number) => {
    done.push(n);
    await new Promise<void>((resolve) => waiting.push(resolve));
  });
  const all = [1, 2, 3, 4].map(wish);
  expect(done).toEqual([1]);
  waiting.shift()!();
  await settle();
  expect(done).toEqual([1, 4]);
  waiting.shift()!();
  await Promise.all(all);
  const last = wish(5);
  expect(done).toEqual([1, 4, 5]);
  waiting.shift()!();
  await last;
  // What is never answered holds nothing up once it is forgotten.
  void wish(6);
  void wish(7);
  forget();
  void wish(8);
  expect(done).toEqual([1, 4, 5, 6, 8]);
  waiting.shift()!();
  await settle();
  expect(done).toEqual([1, 4, 5, 6, 8]);
});

const metric = (value: number): EvalMetric => ({
  step: 9,
  metric: 'accuracy',
  value,
  loss: 1,
  examples: 128,
});
const inspection: Inspection = {
  module: 'a.query',
  method: 'boft',
  delta: { rows: 1, columns: 1, data: Float32Array.of(1), relative: 0.5 },
  spectrum,
};

function setUp(strengths = 2) {
  const stores = createStores();
  const asked: WhatIfRequest[] = [];
  const stopped: string[] = [];
  let answerWeights: (report: WeightReport) => void = () => {};
  const trainer = {
    async whatIf(request: WhatIfRequest) {
      asked.push(request);
      const value: WhatIfAnswer = {
        inspection: request.module === undefined ? null : inspection,
        metric: request.scored === undefined ? null : metric(asked.length / 100),
        comparison: request.compared && {
          kind: 'text',
          odds: { before: [], after: [] },
          prompt: '',
          before: '',
          after: '',
          seed: 1,
          temperature: 0,
        },
        strengths,
      } as WhatIfAnswer;
      return { step: 9, value };
    },
    weights: (module: string) =>
      new Promise<{ step: number; value: WeightReport }>((resolve) => {
        answerWeights = (report) => resolve({ step: 9, value: { ...report, module } });
      }),
    forgetting: async () => ({ step: 9, value: null }),
    stopLooking: async () => void stopped.push('stop'),
  };
  const start = (id: number) => {
    const { settings } = stores.choice.getState();
    const open = { counts: { trainable: { stored: 7, free: 5 } } } as unknown as OpenReport;
    stores.run.setState({ current: newRun(id, settings, 0), open, state: 'paused' });
  };
  start(1);
  const weights = createWeights(stores, trainer, createQuestions(stores, { fail: async () => {} }));
  return {
    ...stores,
    asked,
    stopped,
    weights,
    start,
    answer: (report: WeightReport) => answerWeights(report),
  };
}

describe('the way back, asked', () => {
  it('learns first how many factors there are, then follows the slider', async () => {
    const { weights, asked } = setUp();
    await weights.moving.goTo(1, 'a.query');
    expect(asked[0]).toEqual({ change: {}, scored: SCORED, module: 'a.query' });
    expect(weights.whatIf.getState().back).toMatchObject({ count: 2, answer: { at: 1, step: 9 } });
    await weights.moving.goTo(0.5, 'a.query');
    expect(asked.at(-2)!.change).toEqual({ strengths: [0.5, 0.5] });
    expect(asked.at(-1)!.compared).toBeDefined();
    await weights.moving.goBy('in-turn', 'a.query');
    expect(asked.at(-1)!.change).toEqual({ strengths: [1, 0] });
    const { answer, answers, points } = weights.whatIf.getState().back;
    expect([answer?.way, answer?.at, answers?.at]).toEqual(['in-turn', 0.5, 0.5]);
    expect(points.map(({ way, at }) => [way, at])).toEqual([
      ['together', 1],
      ['together', 0.5],
      ['in-turn', 0.5],
    ]);
  });

  it('asks of a drag only where it begins and where it is now', async () => {
    const { weights, asked } = setUp();
    await weights.moving.goTo(1, null);
    const before = asked.length;
    await Promise.all([0.9, 0.8, 0.7, 0.6].map((at) => weights.moving.goTo(at, null)));
    const strengths = asked.slice(before).map(({ change }) => change.strengths?.[0]);
    expect(strengths).not.toContain(0.8);
    expect(strengths).not.toContain(0.7);
    expect(strengths.at(-1)).toBe(0.6);
    // Where it was on the way both models are not asked to answer.
    expect(
      asked
        .slice(before)
        .filter(({ compared }) => compared)
        .map(({ change }) => change.strengths?.[0]),
    ).toEqual([0.6]);
  });

  it('measures the curve until it is stopped', async () => {
    const { weights, asked } = setUp(1);
    await weights.moving.goTo(1, null);
    await weights.moving.sweep();
    expect(alongWay(weights.whatIf.getState().back.points, 'together')).toHaveLength(11);
    expect(asked.every(({ change }) => (change.strengths?.length ?? 1) === 1)).toBe(true);
    expect(weights.whatIf.getState().back.isSweeping).toBe(false);
    const count = asked.length;
    const second = weights.moving.sweep();
    weights.moving.stopSweep();
    await second;
    expect(asked.length).toBe(count + 1);
  });
});

describe('the spectrum, asked', () => {
  it('is the score as trained first, then what was moved', async () => {
    const { weights, asked } = setUp();
    await weights.moving.editSpectrum('a.query', spectrum, AS_TRAINED);
    expect(asked[0]).toEqual({ change: {}, module: 'a.query', scored: SCORED });
    const edit = movedTo(AS_TRAINED, 0, 2);
    await weights.moving.editSpectrum('a.query', spectrum, edit);
    expect(asked[1]!.change).toEqual({
      spectrum: { module: 'a.query', values: Float32Array.of(2, -2, 0, 1) },
    });
    const { trained, answer } = weights.whatIf.getState().spectrum;
    expect([trained?.value, answer?.metric.value]).toEqual([0.01, 0.02]);
    await weights.moving.editSpectrum('a.query', spectrum, AS_TRAINED);
    expect(weights.whatIf.getState().spectrum).toMatchObject({ answer: null, trained: { value: 0.03 } });
  });
});

const report: WeightReport = {
  module: '',
  rows: 2,
  columns: 2,
  singular: { values: Float64Array.of(1, 0), of: 2, rank: 1, floor: 1e-6, norm: 1 },
  neurons: {
    ...{ count: 2, of: 2, pairs: 1, energy: { before: 1, after: 1 }, turned: { most: 0, mean: 0 } },
    angles: { before: new Uint32Array(36), after: new Uint32Array(36) },
  },
  lora: null,
};

describe('what is kept of a page’s runs', () => {
  it('is one look a run and module, beside those of other runs', async () => {
    const { weights, answer, start } = setUp();
    const look = async (module: string, rank: number) => {
      const looking = weights.look(module);
      await settle();
      answer({ ...report, singular: { ...report.singular, rank } });
      await looking;
    };
    await look('a.query', 1);
    await look('a.query', 2);
    await look('a.value', 3);
    start(2);
    await look('a.query', 4);
    const rows = weights.looked
      .getState()
      .rows.map(({ run, module, singular }) => [run, module, singular.rank]);
    expect(rows).toEqual([
      [1, 'a.query', 2],
      [1, 'a.value', 3],
      [2, 'a.query', 4],
    ]);
    await weights.measure();
    expect(weights.known.getState().rows).toMatchObject([{ run: 2, trainable: 5, own: null }]);
  });

  it('is nothing of a run that has ended since, nor of a look that was stopped', async () => {
    const { weights, answer, start, stopped, asked } = setUp();
    const looking = weights.look('a.query');
    await settle();
    expect(weights.looked.getState().busy).toBe('a.query');
    await weights.moving.goTo(1, null);
    await weights.moving.goTo(0.5, null);
    start(2);
    expect(weights.whatIf.getState().back).toMatchObject({ at: 1, count: null, points: [], answer: null });
    answer(report);
    await looking;
    expect(weights.looked.getState()).toMatchObject({ busy: null, rows: [], error: null });
    const another = weights.look('a.query');
    await settle();
    await weights.stopLooking();
    answer(report);
    await another;
    expect(weights.looked.getState().rows).toEqual([]);
    expect(stopped).toEqual(['stop']);
    // The new run is asked for its own strengths.
    const before = asked.length;
    await weights.moving.goTo(1, null);
    expect(asked[before]!.change).toEqual({});
  });
});

it('the base’s own task stands in one table with that of runs on the same data alone', () => {
  const row = (run: number, data: string | null) =>
    ({ run, own: data === null ? null : { data } }) as unknown as Parameters<typeof alike>[0][number];
  const all = [row(1, 'digits'), row(2, 'tales'), row(3, null), row(4, 'digits')];
  const runs = (run: number | null) => alike(all, run).map((one) => one.run);
  expect([runs(2), runs(1), runs(null), runs(3)]).toEqual([[2], [1, 4], [1, 4], [1, 4]]);
  expect(alike([row(3, null)], 3)).toEqual([]);
});
