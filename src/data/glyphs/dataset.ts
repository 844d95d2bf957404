/**
 * Glyph datasets, drawn when asked for: example i of a split is a function of (seed, split, i) alone, classes in turn,
 * so every split is balanced and nothing is stored. 32 × 32, one channel.
 */
import { rng } from '../../lib/rng.ts';
import type { ImageDataset, ImageSplit } from '../types.ts';
import { digits } from './digits.ts';
import { drawGlyph, type Hand } from './draw.ts';
import { letters } from './letters.ts';
import type { Skeleton } from './strokes.ts';

export type GlyphSet = 'digits' | 'letters' | 'wild-digits';

export interface GlyphOptions {
  readonly seed?: number;
  readonly trainCount?: number;
  readonly heldCount?: number;
}

const GLYPH_SIZE = 32;

const sets: Readonly<
  Record<GlyphSet, { readonly glyphs: Readonly<Record<string, readonly Skeleton[]>>; readonly hand: Hand }>
> = {
  digits: { glyphs: digits, hand: 'plain' },
  letters: { glyphs: letters, hand: 'plain' },
  'wild-digits': { glyphs: digits, hand: 'wild' },
};

const TRAIN_STREAM = 1;
const HELD_STREAM = 2;

/** A glyph dataset; by default 20,000 examples to train on and 2,000 held. */
export function glyphDataset(name: GlyphSet, options: GlyphOptions = {}): ImageDataset {
  const { seed = 0, trainCount = 20_000, heldCount = 2_000 } = options;
  const { glyphs, hand } = sets[name];
  const labels = Object.keys(glyphs).sort();
  const split = (count: number, stream: number): ImageSplit => {
    const source = rng(seed, stream);
    return {
      count,
      label: (i) => i % labels.length,
      pixels: (i) => {
        const r = source.fork(i);
        const out = new Float32Array(GLYPH_SIZE * GLYPH_SIZE);
        drawGlyph(out, GLYPH_SIZE, r.pick(glyphs[labels[i % labels.length]!]!), hand, r);
        return out;
      },
    };
  };
  return {
    kind: 'image',
    name,
    width: GLYPH_SIZE,
    height: GLYPH_SIZE,
    channels: 1,
    labels,
    train: split(trainCount, TRAIN_STREAM),
    held: split(heldCount, HELD_STREAM),
  };
}
