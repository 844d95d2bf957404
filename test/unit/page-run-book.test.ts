/**
 * The kept runs: followed while they train, written, thinned, deleted and taken back, saved as a file and read from one. Seen to fail with: a run
 * that is kept only at its end, an outcome that a reset forgets, a full disk that says nothing, a file that overwrites, a thinning without extremes,
 * a curve whose columns differ in length.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { RunBook } from '../../src/page/features/runs/book.ts';
import { changedText } from '../../src/page/features/runs/changes.ts';
import type { RunDatabase } from '../../src/page/features/runs/database.ts';
import {
  curveOf,
  fillSeries,
  type KeptCurve,
  type KeptRun,
  keptCurveSchema,
  keptRunSchema,
} from '../../src/page/features/runs/kept.ts';
import { readRunsFile } from '../../src/page/features/runs/runsFile.ts';
import { Controller } from '../../src/page/features/training/controller.ts';
import { createSeries } from '../../src/page/features/training/series.ts';
import type { SavedSession } from '../../src/page/features/training/sessions.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createStores } from '../../src/page/stores.ts';
import { fakeTrainer, stepMetric } from './page-fixtures.ts';

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** A browser's storage: what lies there outlives the pages that are opened over it. */
function createDisk() {
  const runs = new Map<string, KeptRun>();
  const curves = new Map<string, KeptCurve>();
  const notes = new Map<string, unknown>();
  const disk = { runs, curves, refusal: null as PapilioError | null, saved: null as SavedSession | null };
  const database: RunDatabase = {
    runs: async () => ({ runs: [...runs.values()].sort((a, b) => a.startedAt - b.startedAt), unread: 0 }),
    curve: async (key) => curves.get(key) ?? null,
    put: async (run, curve) => {
      if (disk.refusal !== null) throw disk.refusal;
      runs.set(run.key, keptRunSchema.parse(structuredClone(run)));
      if (curve !== null) curves.set(run.key, keptCurveSchema.parse(structuredClone(curve)));
    },
    remove: async (keys) => {
      for (const key of keys) [runs, curves].map((store) => store.delete(key));
    },
    note: async (name) => notes.get(name),
    setNote: async (name, value) => void notes.set(name, value),
  };
  return { ...disk, disk, database };
}

/** The page, opened over what the browser keeps. */
async function openPage({ disk, database }: ReturnType<typeof createDisk>, now = () => 1000) {
  const stores = createStores();
  const trainer = fakeTrainer();
  const sessions = {
    save: async (session: SavedSession) => {
      disk.saved = session;
    },
    load: async () => disk.saved,
    clear: async () => {},
  };
  stores.run.setState({ saved: disk.saved });
  const controller = new Controller(stores, trainer, sessions, new Tabs({}), now);
  const book = new RunBook(stores.run, database, async () => {});
  await book.load();
  const train = async (steps: number, from = 1) => {
    await controller.toggle();
    for (let step = from; step < from + steps; step++)
      trainer.send({ type: 'step', metric: stepMetric(step), submits: 1 });
    trainer.send({
      type: 'eval',
      metric: { step: from + steps - 1, metric: 'accuracy', value: 0.5, loss: 1, examples: 20 },
    });
  };
  const names = () => stores.run.getState().runs.map(({ name }) => name);
  return { ...stores, trainer, controller, book, train, names };
}

describe('a run', () => {
  let disk: ReturnType<typeof createDisk>;
  beforeEach(() => {
    disk = createDisk();
  });

  it('is kept when it pauses, and when another takes its place, with what changed', async () => {
    const page = await openPage(disk);
    await page.train(3);
    expect(disk.runs.size).toBe(0);
    await page.controller.toggle();
    await settle();
    const [kept] = disk.runs.values();
    expect(kept).toMatchObject({ end: 'paused', points: 3 });
    expect(changedText(kept!.changed)).toBe('BOFT, letters');
    expect(kept!.figures).toMatchObject({ steps: 3, model: 'glyphs-vit', last: { step: 3, value: 0.5 } });
    expect(kept!.link).toContain('preset=letters-boft');
    page.choice.setState(({ settings }) => ({
      settings: { ...settings, config: { ...settings.config, boft_block_size: 8 } },
    }));
    await page.controller.restart();
    await settle();
    expect(disk.runs.get(kept!.key)?.end).toBe('stopped');
    page.trainer.send({ type: 'step', metric: stepMetric(1), submits: 1 });
    page.trainer.send({ type: 'state', state: 'finished' });
    await settle();
    const second = [...disk.runs.values()][1]!;
    expect(second.end).toBe('finished');
    expect(changedText(second.changed)).toBe('b 4 → 8');
  });

  it('that diverged is kept, with figures that are no numbers', async () => {
    const page = await openPage(disk);
    await page.controller.toggle();
    page.trainer.send({ type: 'step', metric: { ...stepMetric(1), loss: Number.NaN }, submits: 1 });
    page.trainer.send({
      type: 'eval',
      metric: { step: 1, metric: 'perplexity', value: Number.POSITIVE_INFINITY, loss: 1, examples: 20 },
    });
    await page.controller.pause();
    await settle();
    expect([...disk.runs.values()].map(({ figures }) => [figures.loss, figures.last])).toEqual([
      [null, { step: 1, value: null }],
    ]);
    const again = await openPage(disk);
    const [kept] = again.run.getState().runs;
    expect(kept!.outcome!.figures.last).toEqual({ step: 1, value: Number.NaN });
  });

  it('that came to nothing is none', async () => {
    const page = await openPage(disk);
    await page.controller.toggle();
    await page.controller.restart();
    expect(page.names()).toEqual([page.run.getState().current?.name]);
    await page.controller.reset();
    expect(page.names()).toEqual([]);
  });

  it('is there after a reload, its curve where it is drawn, and goes on as the same run', async () => {
    const first = await openPage(disk);
    await first.train(5);
    await first.controller.toggle();
    const { key, name } = first.run.getState().current!;
    first.book.note(key, 'the best so far');
    await settle();
    const page = await openPage(disk);
    await settle();
    const [run] = page.run.getState().runs;
    expect(run).toMatchObject({ key, name, note: 'the best so far' });
    expect(run!.series.column('loss')[4]).toBeCloseTo(0.2);
    await page.controller.resumeSaved();
    expect(page.run.getState().runs).toHaveLength(1);
    expect(page.run.getState().current).toMatchObject({ key, name, note: 'the best so far' });
    expect(page.run.getState().current?.series.length).toBe(5);
  });

  it('that is renamed keeps its name in its checkpoint', async () => {
    const page = await openPage(disk);
    await page.train(2);
    const { key } = page.run.getState().current!;
    page.book.rename(key, '  wide blocks ');
    page.book.rename(key, '   ');
    await page.controller.toggle();
    await settle();
    expect(disk.disk.saved?.name).toBe('wide blocks');
    expect(disk.runs.get(key)?.name).toBe('wide blocks');
  });

  it('is deleted, and taken back with its curve; the one on screen is not', async () => {
    const page = await openPage(disk);
    await page.train(4);
    await page.controller.reset();
    await settle();
    const { key } = page.run.getState().runs[0]!;
    await page.book.remove([key]);
    expect([page.names(), disk.runs.size, disk.curves.size]).toEqual([[], 0, 0]);
    await page.book.undoRemove();
    expect([page.names().length, disk.runs.size]).toEqual([1, 1]);
    expect(disk.curves.get(key)?.columns.step).toEqual([1, 2, 3, 4]);
    await page.controller.undoReset();
    await page.book.remove([key]);
    expect(page.names()).toHaveLength(1);
  });

  it('stays on the page when the browser is full, which is said, and can be saved', async () => {
    disk.disk.refusal = new PapilioError('quota', 'QuotaExceededError: full');
    const page = await openPage(disk);
    await page.train(3);
    await page.controller.toggle();
    await settle();
    expect(page.book.view.getState().problem).toBe(
      'The browser could not keep the runs (QuotaExceededError: full). They are still here: save them as a file, or delete some.',
    );
    const [whole] = readRunsFile(new TextEncoder().encode(await page.book.file()), 'runs.json');
    expect(whole?.curve?.columns.step).toEqual([1, 2, 3]);
    await page.controller.restart();
    page.book.setBaseline(null);
    disk.disk.refusal = null;
    await page.train(2);
    await page.controller.toggle();
    await page.controller.reset();
    await settle();
    expect([page.book.view.getState().problem?.slice(0, 11), disk.runs.size]).toEqual(['The browser', 1]);
    await page.book.remove([page.run.getState().runs[1]!.key]);
    expect([page.book.view.getState().problem, [...disk.runs.keys()]]).toEqual([null, [whole!.run.key]]);
  });

  it('that could not be kept and is deleted is no problem any more', async () => {
    disk.disk.refusal = new PapilioError('quota', 'QuotaExceededError: full');
    const page = await openPage(disk);
    await page.train(3);
    await page.controller.reset();
    await settle();
    expect(page.book.view.getState().problem).toContain('could not keep');
    disk.disk.refusal = null;
    await page.book.remove([page.run.getState().runs[0]!.key]);
    expect([page.book.view.getState().problem, page.names()]).toEqual([null, []]);
  });
});

describe('a file of runs', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const written = async () => {
    const page = await openPage(createDisk());
    await page.train(3);
    await page.controller.toggle();
    await settle();
    return page.book.file();
  };

  it('brings runs into another browser once, and overwrites nothing there', async () => {
    const text = await written();
    const disk = createDisk();
    const page = await openPage(disk);
    await page.book.open(bytes(text), 'runs.json');
    expect(page.book.view.getState().said).toBe('Added 1 run from runs.json.');
    const { key } = page.run.getState().runs[0]!;
    page.book.note(key, 'mine');
    await page.book.open(bytes(text), 'runs.json');
    expect(page.book.view.getState().said).toBe(
      'Added 0 runs from runs.json. 1 of it was here already and stayed.',
    );
    await settle();
    expect(page.run.getState().runs).toHaveLength(1);
    expect(disk.runs.get(key)?.note).toBe('mine');
    expect(disk.curves.get(key)?.columns.loss).toHaveLength(3);
  });

  it('of more runs than are kept gives its newest, where there is room', async () => {
    const file = JSON.parse(await written()) as { runs: { run: KeptRun; curve: KeptCurve }[] };
    const [one] = file.runs;
    file.runs = Array.from({ length: 203 }, (_, i) => ({
      ...one!,
      run: { ...one!.run, key: `run-${i}`, startedAt: i },
    }));
    const page = await openPage(createDisk());
    await page.book.open(bytes(JSON.stringify(file)), 'runs.json');
    expect(page.book.view.getState().said).toBe(
      'Added 200 runs from runs.json. The oldest 3 are left out, since 200 are kept at most.',
    );
    expect(page.run.getState().runs.map(({ startedAt }) => startedAt)).toEqual(
      Array.from({ length: 200 }, (_, i) => i + 3),
    );
    await expect(page.book.open(bytes(JSON.stringify(file)), 'runs.json')).rejects.toThrow(
      'runs.json holds 3 runs that are not here, and 200 are kept at most; delete some first.',
    );
  });

  it('that is bad is refused in a sentence, whatever is bad of it, and nothing is lost', async () => {
    const text = await written();
    const page = await openPage(createDisk());
    await page.book.open(bytes(text), 'runs.json');
    const spoilt = (change: (file: { runs: { run: KeptRun; curve: KeptCurve }[] }) => void) => {
      const file = JSON.parse(text);
      change(file);
      return JSON.stringify(file);
    };
    const bad: readonly (readonly [string, RegExp])[] = [
      ['[1', /^x.json is no JSON; choose a file/],
      ['{"a":1}', /^x.json is no file of runs/],
      ['{"papilio":"runs","version":2}', /is of version 2, and this page reads version 1/],
      [spoilt(({ runs }) => void (runs[0]!.run.name = '')), /damaged at runs.0.run.name/],
      [spoilt(({ runs }) => void runs[0]!.curve.columns.loss.pop()), /columns of different lengths/],
      [spoilt(({ runs }) => void runs[0]!.curve.columns.step.reverse()), /steps out of order/],
      [spoilt(({ runs }) => void (runs[0]!.run.key = '../x')), /damaged at runs.0.run.key/],
      ['['.repeat(100_000), /no JSON/],
    ];
    for (const [content, says] of bad)
      await expect(page.book.open(bytes(content), 'x.json'), content.slice(0, 60)).rejects.toThrow(says);
    await expect(page.book.open(new Uint8Array(2 ** 26 + 1), 'x.json')).rejects.toThrow(/bytes of runs/);
    expect(page.run.getState().runs).toHaveLength(1);
  });
});

describe('a long curve', () => {
  const series = createSeries();
  for (let step = 1; step <= 20_000; step++)
    series.add(stepMetric(step, step === 7777 ? 50 : 1 + Math.sin(step)));

  it('is kept in 1,500 points at most, its highest among them, and read again as it was kept', () => {
    const curve = keptCurveSchema.parse(curveOf(series));
    expect(curve.columns.step.length).toBeLessThanOrEqual(1500);
    expect(curve.columns.step.length).toBeGreaterThan(1400);
    expect(Math.max(...curve.columns.loss.map((x) => x ?? 0))).toBe(50);
    const again = createSeries();
    fillSeries(again, curve);
    expect(curveOf(again)).toEqual(curve);
  });
});

it('of many runs the oldest are thinned, and beyond 200 the oldest without a note goes', async () => {
  const disk = createDisk();
  const page = await openPage(disk);
  await page.train(400);
  await page.controller.reset();
  await settle();
  const [whole] = readRunsFile(new TextEncoder().encode(await page.book.file()), 'x');
  const copies = Array.from({ length: 199 }, (_, i) => ({
    ...whole!,
    run: {
      ...whole!.run,
      key: `copy-${i}`,
      startedAt: whole!.run.startedAt - 1000 + i,
      note: i === 0 ? 'noted' : '',
    },
  }));
  const file = JSON.stringify({ papilio: 'runs', version: 1, runs: copies });
  await page.book.open(new TextEncoder().encode(file), 'x');
  expect(disk.runs.size).toBe(200);
  expect(disk.curves.get('copy-0')?.columns.step.length).toBeLessThanOrEqual(200);
  expect(disk.curves.get('copy-198')?.columns.step).toHaveLength(400);
  await page.train(3);
  await page.controller.toggle();
  await settle();
  await settle();
  expect(disk.runs.size).toBe(200);
  expect(disk.runs.has('copy-0')).toBe(true);
  expect(disk.runs.has('copy-1')).toBe(false);
});
