/**
 * Glyph datasets, drawn when asked for: example i of a split is a function of (seed, split, i) alone, classes in turn, so every split
 * is balanced and nothing is stored. 32 × 32, one channel. Of signs and digits every third picture is a digit.
 */
import { rng } from '../lib/rng.ts';
import { digits, letters } from './glyphs/characters.ts';
import { drawGlyph, type Hand } from './glyphs/hand.ts';
import { signs } from './glyphs/signs.ts';
import type { Skeleton } from './glyphs/strokes.ts';
import type { ImageDataset, ImageSplit } from './types.ts';

export type GlyphSet = 'digits' | 'letters' | 'letters-validation' | 'wild-digits' | 'signs-and-digits';

export interface GlyphOptions {
  readonly seed?: number;
  readonly trainCount?: number;
  readonly heldCount?: number;
}

const GLYPH_SIZE = 32;

/** Signs beside the digits. */
const SIGNS = 300;

type Glyphs = Readonly<Record<string, readonly Skeleton[]>>;

const TRAIN_STREAM = 1;
const HELD_STREAM = 2;
/** Of what no setting was chosen by. */
const UNSEEN_STREAM = 3;

interface Made {
  readonly glyphs: Glyphs;
  readonly hand: Hand;
  /** The stream that held pictures are drawn from. */
  readonly held: number;
  /** The class of example i, of classes in the order of their names. */
  readonly label: (i: number) => number;
}

const inTurn = (glyphs: Glyphs, hand: Hand, held = HELD_STREAM): Made => {
  const count = Object.keys(glyphs).length;
  return { glyphs, hand, held, label: (i) => i % count };
};

/** Digits come first by name, and signs after them; two signs, then a digit. */
function signsAndDigits(): Made {
  const known = Object.keys(digits).length;
  return {
    glyphs: { ...digits, ...signs(SIGNS) },
    hand: 'board',
    held: HELD_STREAM,
    label: (i) => {
      const round = Math.floor(i / 3);
      return i % 3 === 2 ? round % known : known + ((2 * round + (i % 3)) % SIGNS);
    },
  };
}

const sets: Readonly<Record<GlyphSet, () => Made>> = {
  digits: () => inTurn(digits, 'board'),
  letters: () => inTurn(letters, 'pavement', UNSEEN_STREAM),
  // The same letters to train on, and others kept aside: what the preset of letters was chosen by.
  'letters-validation': () => inTurn(letters, 'pavement'),
  'wild-digits': () => inTurn(digits, 'wild'),
  'signs-and-digits': signsAndDigits,
};

export const isGlyphSet = (name: string): name is GlyphSet => Object.hasOwn(sets, name);

/** A glyph dataset; by default 20,000 examples to train on, of signs 200,000, and 2,000 held. */
export function glyphDataset(name: GlyphSet, options: GlyphOptions = {}): ImageDataset {
  const {
    seed = 0,
    trainCount = name === 'signs-and-digits' ? 200_000 : 20_000,
    heldCount = 2_000,
  } = options;
  const { glyphs, hand, held, label } = sets[name]();
  const labels = Object.keys(glyphs).sort();
  const split = (count: number, stream: number): ImageSplit => {
    const source = rng(seed, stream);
    return {
      count,
      label,
      pixels: (i) => {
        const r = source.fork(i);
        const out = new Float32Array(GLYPH_SIZE * GLYPH_SIZE);
        drawGlyph(out, GLYPH_SIZE, r.pick(glyphs[labels[label(i)]!]!), hand, r);
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
    held: split(heldCount, held),
  };
}
