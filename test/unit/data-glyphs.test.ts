// Drawn glyphs: a pure function of seed and number, balanced, varied, told apart by their shapes, and quick enough.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { digits, letters } from '../../src/data/glyphs/characters.ts';
import {
  distance,
  FROM_LETTERS,
  FROM_OTHERS,
  type Shape,
  shapeOf,
  signs,
} from '../../src/data/glyphs/signs.ts';
import type { Skeleton } from '../../src/data/glyphs/strokes.ts';
import { type GlyphSet, glyphDataset } from '../../src/data/glyphs.ts';
import { tonesOf } from '../../src/data/pictures.ts';
import type { ImageDataset, ImageSplit } from '../../src/data/types.ts';

const names: readonly GlyphSet[] = ['digits', 'letters', 'wild-digits'];

/** Share of held examples whose nearest neighbour among `count` training examples has their label. */
function nearestNeighbour(train: ImageDataset, held: ImageDataset, count: number, tried: number): number {
  const known = Array.from({ length: count }, (_, i) => train.train.pixels(i));
  let right = 0;
  for (let i = 0; i < tried; i++) {
    const x = held.held.pixels(i);
    let best = Number.POSITIVE_INFINITY;
    let label = -1;
    known.forEach((y, k) => {
      let d = 0;
      for (let p = 0; p < y.length && d < best; p++) d += (x[p]! - y[p]!) ** 2;
      if (d < best) {
        best = d;
        label = train.train.label(k);
      }
    });
    if (label === held.held.label(i)) right++;
  }
  return right / tried;
}

describe.each(names)('%s', (name) => {
  const set = glyphDataset(name, { seed: 4 });

  it('draws example i the same each time and in any order', () => {
    const first = set.train.pixels(17).slice();
    set.train.pixels(3);
    expect(set.train.pixels(17)).toEqual(first);
    expect(glyphDataset(name, { seed: 4 }).train.pixels(17)).toEqual(first);
    expect(glyphDataset(name, { seed: 5 }).train.pixels(17)).not.toEqual(first);
    expect(set.held.pixels(17)).not.toEqual(first);
  });

  it('stays in 0 … 1 with a stroke to be seen, and never draws the same twice', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 400; i++) {
      const pixels = set.train.pixels(i);
      expect(pixels.length).toBe(32 * 32);
      const low = pixels.reduce((a, b) => Math.min(a, b), 1);
      const high = pixels.reduce((a, b) => Math.max(a, b), 0);
      expect(low).toBeGreaterThanOrEqual(0);
      expect(high).toBeLessThanOrEqual(1);
      expect(high - low).toBeGreaterThan(0.25);
      seen.add(pixels.slice(300, 700).join());
    }
    expect(seen.size).toBe(400);
  });

  it('has every class equally often', () => {
    const counts = new Map<number, number>();
    const round = set.labels.length * 7;
    for (let i = 0; i < round; i++) counts.set(set.held.label(i), (counts.get(set.held.label(i)) ?? 0) + 1);
    expect([...counts.values()]).toEqual(set.labels.map(() => 7));
  });
});

describe('signs', { timeout: 60_000 }, () => {
  const shapes = (set: Readonly<Record<string, readonly Skeleton[]>>) =>
    Object.values(set).flat().map(shapeOf);

  // Seen to fail with a letter let in, and with the letters left out of what signs keep away from.
  it('are no letters and no digits, each unlike every other, and the same at every call', () => {
    const made = signs(60);
    const own = shapes(made);
    const least = (others: readonly Shape[]) =>
      Math.min(...own.flatMap((a) => others.map((b) => distance(a, b))));
    expect(least(shapes(letters))).toBeGreaterThanOrEqual(FROM_LETTERS);
    expect(least(shapes(digits))).toBeGreaterThanOrEqual(FROM_OTHERS);
    for (const [i, a] of own.entries())
      for (const b of own.slice(0, i)) expect(distance(a, b)).toBeGreaterThanOrEqual(FROM_OTHERS);
    expect(signs(60)).toEqual(made);
    expect(signs(20)).toEqual(Object.fromEntries(Object.entries(made).slice(0, 20)));
  });

  it('are learnt beside the digits, which are every third picture', () => {
    const { labels, train } = glyphDataset('signs-and-digits', { trainCount: 900 });
    expect(labels.length).toBe(310);
    expect(labels.slice(0, 11)).toEqual([...'0123456789', 'sign 001']);
    const counts = labels.map(() => 0);
    for (let i = 0; i < train.count; i++) counts[train.label(i)]!++;
    expect(counts).toEqual(labels.map((_, k) => (k < 10 ? 30 : 2)));
  });
});

describe('glyphs', { timeout: 60_000 }, () => {
  // Raw pixels one against one, the weakest of readers: chance is 0.1 and 0.04, measured 0.7 and 0.6.
  it('are classes a reader can tell apart, and wild ones do not follow from plain ones', () => {
    const plain = glyphDataset('digits');
    const wild = glyphDataset('wild-digits');
    expect(nearestNeighbour(plain, plain, 1200, 100)).toBeGreaterThan(0.55);
    expect(nearestNeighbour(glyphDataset('letters'), glyphDataset('letters'), 1560, 104)).toBeGreaterThan(
      0.45,
    );
    expect(nearestNeighbour(plain, wild, 1200, 100)).toBeLessThan(0.45);
  });

  it('are drawn at 2,000 a second or more', () => {
    const set = glyphDataset('wild-digits');
    // The best of five rounds in CPU seconds: a machine that is busy elsewhere is no slower pen.
    const rounds = Array.from({ length: 5 }, () => {
      const start = process.cpuUsage();
      for (let i = 0; i < 200; i++) set.train.pixels(i);
      return (200 * 1e6) / process.cpuUsage(start).user;
    });
    expect(Math.max(...rounds)).toBeGreaterThan(2000);
  });

  it('lie on a blackboard, or on a grey pavement', () => {
    const [board, pavement] = (['digits', 'letters'] as const).map((name) => tonesOf(glyphDataset(name)));
    expect([board!.stroke, pavement!.stroke]).toEqual([1, 1]);
    expect(board!.ground).toBeLessThan(0.1);
    expect(pavement!.ground).toBeGreaterThan(0.4);
  });

  it('to choose by and to report are apart, and to train on the same', () => {
    const [reported, chosenBy] = (['letters', 'letters-validation'] as const).map((name) =>
      glyphDataset(name),
    );
    const keyed = ({ count, pixels }: ImageSplit) =>
      Array.from({ length: count / 10 }, (_, i) => pixels(i).join());
    const [seen, unseen] = [keyed(chosenBy!.held), new Set(keyed(reported!.held))];
    expect(unseen.size).toBe(200);
    expect(seen.filter((picture) => unseen.has(picture))).toEqual([]);
    expect(chosenBy!.train.pixels(7)).toEqual(reported!.train.pixels(7));
    expect(chosenBy!.labels).toEqual(reported!.labels);
  });

  it('know ten digits and 26 letters', () => {
    expect(glyphDataset('digits').labels.join('')).toBe('0123456789');
    expect(glyphDataset('letters').labels.join('')).toBe('ABCDEFGHIJKLMNOPQRSTUVWXYZ');
  });
});

it('have figures in docs/ in which the preset learns them and the head alone less well', () => {
  const figures = JSON.parse(readFileSync('docs/figures.json', 'utf8')) as readonly {
    readonly name: string;
    readonly engine: string;
    readonly steps: number;
    readonly examples: number;
    readonly after: number;
    readonly runs?: readonly unknown[];
  }[];
  const figure = (name: string, by = 'onnxruntime') =>
    figures.find(({ name: own, engine }) => own === name && engine === by)!;
  const byGpu = figure('letters-boft-seeds', 'webgpu');
  expect(byGpu.after).toBeGreaterThanOrEqual(0.95);
  expect([byGpu.steps, byGpu.examples, byGpu.runs?.length]).toEqual([300, 2000, 3]);
  const [rotated, head] = [figure('letters-boft-seeds'), figure('letters-head-seeds')];
  expect(rotated.after).toBeGreaterThanOrEqual(0.95);
  expect(rotated.after - head.after).toBeGreaterThanOrEqual(0.15);
  for (const { steps, examples } of [rotated, head]) expect([steps, examples]).toEqual([300, 2000]);
  expect([rotated.runs?.length, head.runs?.length]).toEqual([3, 15]);
});
