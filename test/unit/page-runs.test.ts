/**
 * Runs side by side: what changed in words, what is worth its price, how rows sort and differ. Seen to fail with: a change told backwards, a front
 * that keeps a run beaten in both, unmeasured figures sorted first, points of a share without their sign.
 */
import { describe, expect, it } from 'vitest';
import { describeChange, describeRun } from '../../src/page/features/runs/changes.ts';
import { figuresOf, type RunFigures } from '../../src/page/features/runs/figures.ts';
import { paretoFront } from '../../src/page/features/runs/pareto.ts';
import { bestText, NUMBER_COLUMNS, QUALITY, RUN_COLUMN, sorted } from '../../src/page/features/runs/rows.ts';
import { baseSettings, type PageSettings } from '../../src/page/features/setup/settings.ts';
import { drawnRuns, freeLook, lineOf, newRun } from '../../src/page/features/training/runs.ts';
import { createSeries } from '../../src/page/features/training/series.ts';
import { openReport, stepMetric } from './page-fixtures.ts';

const told = (settings: PageSettings, figures: Partial<RunFigures> = {}) => ({
  settings,
  figures: {
    ...{ model: 'glyphs-vit', data: 'letters', engine: 'webgpu' as const },
    rate: settings.training.learningRate,
    ...figures,
  },
});
const base = baseSettings('letters-boft');
const withConfig = (config: Record<string, unknown>) => ({ ...base, config: { ...base.config, ...config } });

describe('a run in words', () => {
  it('is its method and data, and what differs from where its settings begin', () => {
    expect(describeRun({ settings: base, figures: null })).toBe('BOFT, letters');
    expect(describeRun({ settings: withConfig({ boft_block_size: 8 }), figures: null })).toBe(
      'BOFT, letters, b 4 → 8',
    );
    const lora = baseSettings('letters-boft', { method: 'lora' });
    const settings = { ...lora, config: { ...lora.config, lora_alpha: 5 } };
    expect(describeRun({ settings, figures: null })).toMatch(/, α \d+ → 5$/);
    // The rate that the run took for itself is named only beside another.
    expect(describeRun(told(settings, { rate: 0.1 }))).toMatch(/, α \d+ → 5$/);
    expect(describeChange(told(settings, { rate: 0.1 }), told(settings))).toMatch(/^learning rate 0.1 → /);
  });

  it('is what differs from the run before', () => {
    const now = withConfig({ boft_n_butterfly_factor: 4, boft_block_size: 8 });
    expect(describeChange(told(base), told(now))).toBe('b 4 → 8, m 2 → 4');
    expect(describeChange(told(now), told(base))).toBe('b 8 → 4, m 4 → 2');
    expect(describeChange(told(base), told(base))).toBe('the same settings');
    const lora = baseSettings('letters-boft', { method: 'lora' });
    const given = { ...lora, config: { ...lora.config, r: 8 } };
    expect(describeChange(told(lora), told(given))).toBe('the same settings');
    expect(describeChange(null, told(base))).toBe('BOFT, letters');
  });

  it('names another method, model, data or engine, and cuts what is long', () => {
    const oft = baseSettings('oft-equal-budget');
    expect(describeChange(told(base), told(oft))).toMatch(/^BOFT → OFT, learning rate 0.005 → 0.008$/);
    const on = (settings: PageSettings, module: string) => ({
      ...settings,
      config: { ...settings.config, target_modules: [module] },
    });
    expect(describeChange(told(on(base, 'query')), told(on(oft, 'query')))).toBe(
      'BOFT → OFT, learning rate 0.005 → 0.008',
    );
    expect(describeChange(told(on(base, 'query')), told(on(oft, 'key')))).toMatch(/modules query → key/);
    expect(describeChange(told(base), told(base, { engine: 'onnxruntime', data: 'my.csv' }))).toBe(
      'data letters → my.csv, engine webgpu → onnxruntime',
    );
    const training = { ...base.training, steps: 1, batchSize: 2, seed: 9, epochs: 1, beta1: 0, beta2: 0 };
    const many = { ...withConfig({ boft_block_size: 8 }), training };
    expect(describeChange(told(base), told(many))).toMatch(/^(\S.*?, ){6}1 more$/);
    const others = withConfig({ target_modules: ['query', 'value', 'key', 'fc1', 'fc2', 'dense'] });
    expect(describeChange(told(base), told(others))).toMatch(/^other target/);
  });
});

describe('the front', () => {
  const points = [
    { cost: 10, quality: 0.9 },
    { cost: 5, quality: 0.8 },
    { cost: 7, quality: 0.7 },
    { cost: 5, quality: 0.6 },
    { cost: 12, quality: 0.9 },
    { cost: 1, quality: Number.NaN },
  ];
  it('holds those that no other beats in both, the cheapest first', () => {
    expect(paretoFront(points, true)).toEqual([1, 0]);
  });
  it('turns round where less is better', () => {
    expect(paretoFront(points, false)).toEqual([3]);
  });
  it('keeps runs that are equal in both, and none where there are none', () => {
    expect(paretoFront([points[1]!, points[1]!, points[3]!], true)).toEqual([0, 1]);
    expect(paretoFront([], true)).toEqual([]);
  });
});

const trained = (values: readonly number[], metric: 'accuracy' | 'perplexity' = 'accuracy') => {
  const series = createSeries();
  for (let step = 1; step <= 12; step++) series.add(stepMetric(step));
  values.forEach((value, i) => {
    series.addEval({ step: i * 6, metric, value, loss: 1 - value / 10, examples: 20 });
  });
  return series;
};

describe('figures', () => {
  it('are of the first, the best and the last evaluation', () => {
    const figures = figuresOf(trained([0.1, 0.8, 0.7]), openReport({ steps: 12 }), 0.01, 0);
    expect(figures).toMatchObject({
      first: { step: 0, value: 0.1 },
      best: { step: 6, value: 0.8 },
      last: { step: 12, value: 0.7 },
      ...{ steps: 12, totalSteps: 12, stored: 1, free: 1, seconds: 1.2, engine: 'webgpu', machine: 'd' },
    });
    expect(figures.secondsPerStep).toBeCloseTo(0.1);
    expect(bestText(figures)).toBe('best 80.0 %, step 6');
    expect(figuresOf(trained([9, 3, 4], 'perplexity'), openReport({ steps: 12 }), 0.01, 0).best?.value).toBe(
      3,
    );
  });

  it('keep the pace of before where this sitting has timed none', () => {
    const before = figuresOf(trained([]), openReport({ steps: 12 }), 0.01, 0);
    expect(figuresOf(trained([]), openReport({ steps: 12 }), 0.01, 12).secondsPerStep).toBeNull();
    expect(figuresOf(trained([]), openReport({ steps: 12 }), 0.01, 12, before).secondsPerStep).toBeCloseTo(
      0.1,
    );
  });
});

describe('rows', () => {
  const row = (id: number, name: string, last: number | null, free = 1) => ({
    run: { ...newRun(id, base, id, name), startedAt: id },
    figures:
      last === null
        ? null
        : { ...figuresOf(trained([0.1, last]), openReport({ steps: 12 }), 0.01, 0), free, peakBytes: null },
  });
  const rows = [row(1, 'b', 0.5, 300), row(2, 'a', 0.9, 100), row(3, 'c', null)];
  const names = (by: string, isDown: boolean) => sorted(rows, by, isDown).map(({ run }) => run.name);

  it('sort by any column, what was not measured last', () => {
    expect(names(RUN_COLUMN(), true)).toEqual(['c', 'a', 'b']);
    expect(names(RUN_COLUMN(), false)).toEqual(['b', 'a', 'c']);
    expect(names('Held out', true)).toEqual(['a', 'b', 'c']);
    expect(names('Held out', false)).toEqual(['b', 'a', 'c']);
    expect(names('Parameters', true)).toEqual(['b', 'a', 'c']);
  });

  it('differ from a baseline in points or in per cent', () => {
    const [b, a] = rows.map(({ figures }) => figures!);
    const difference = (title: string) =>
      NUMBER_COLUMNS.find((one) => one.title() === title)!.difference(a!, b!);
    expect(QUALITY.difference(a!, b!)).toBe('+40.0 points');
    expect(QUALITY.difference(b!, a!)).toBe('−40.0 points');
    expect(difference('Parameters')).toBe('−66.7 %');
    expect(difference('Time')).toBe('the same');
    expect(difference('Memory')).toBe('');
    const memory = NUMBER_COLUMNS.find((one) => one.title() === 'Memory')!;
    const [less, more] = [
      { ...b!, peakBytes: 2e6 },
      { ...a!, peakBytes: 3e6 },
    ] as const;
    expect(memory.difference(more, less)).toBe('+50.0 %');
    expect(memory.difference({ ...more, engine: 'onnxruntime' }, less)).toBe('');
    expect(QUALITY.difference(a!, { ...b!, metric: 'perplexity' })).toBe('');
  });
});

describe('the runs that are drawn', () => {
  const runs = Array.from({ length: 8 }, (_, i) => newRun(i, base, i));
  const ids = (of: readonly { readonly id: number }[]) => of.map(({ id }) => id);

  it('are the last five, the current one, and what somebody has ticked', () => {
    expect(ids(drawnRuns(runs))).toEqual([3, 4, 5, 6, 7]);
    expect(ids(drawnRuns(runs, 0))).toEqual([0, 3, 4, 5, 6, 7]);
    const ticked = runs.map((one) => (one.id === 1 ? { ...one, isShown: true } : one));
    expect(ids(drawnRuns(ticked.map((one) => (one.id === 7 ? { ...one, isShown: false } : one))))).toEqual([
      1, 3, 4, 5, 6,
    ]);
  });

  it('have thirty lines that differ, and a new one takes the first that is free', () => {
    const looks = Array.from({ length: 30 }, (_, look) => JSON.stringify(lineOf(look)));
    expect(new Set(looks).size).toBe(30);
    expect(freeLook(runs.filter(({ id }) => id !== 2))).toBe(2);
  });
});
