/** The datasets that come with the project, by name; all are made on the spot from a seed, none is downloaded. */
import { fail } from '../lib/errors.ts';
import { type Rng, rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import { glyphDataset, isGlyphSet } from './glyphs.ts';
import { recipe } from './recipes.ts';
import { scene } from './styles.ts';
import { tale } from './tales.ts';
import { documentsDataset } from './text.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { ImageDataset, SplitName, TextDataset } from './types.ts';

export interface EmbeddedOptions {
  /** Needed by the texts: the tokenizer of the model that reads them. */
  readonly tokenizer?: Tokenizer;
  readonly seed?: number;
  /** Examples (pictures or texts) in each split; default 20,000 and 2,000 pictures, 16,000 and 200 tales, 2,000 and 200 recipes. */
  readonly trainCount?: number;
  readonly heldCount?: number;
}

export interface EmbeddedEntry {
  readonly name: string;
  readonly kind: 'image' | 'text';
  readonly title: string;
  readonly about: string;
}

export const embeddedDatasets: readonly EmbeddedEntry[] = [
  {
    name: 'digits',
    kind: 'image',
    get title() {
      return say`Digits`;
    },
    get about() {
      return say`Digits 0 to 9, drawn by hand in chalk on a blackboard, 32 × 32.`;
    },
  },
  {
    name: 'letters',
    kind: 'image',
    get title() {
      return say`Letters`;
    },
    get about() {
      return say`Capital letters A to Z, small and drawn with care in chalk on a grey pavement.`;
    },
  },
  {
    name: 'letters-validation',
    kind: 'image',
    get title() {
      return say`Letters to choose by`;
    },
    get about() {
      return say`The letters to train on, with others kept aside: settings chosen by these are measured on those of Letters, which nothing was chosen by.`;
    },
  },
  {
    name: 'wild-digits',
    kind: 'image',
    get title() {
      return say`Wild digits`;
    },
    get about() {
      return say`Digits that are hollow, dotted, turned, inverted or on patterned ground.`;
    },
  },
  {
    name: 'signs-and-digits',
    kind: 'image',
    get title() {
      return say`Signs and digits`;
    },
    get about() {
      return say`What glyphs-vit was trained on, all on a blackboard: 300 signs that nobody writes, none of them a letter, and the digits.`;
    },
  },
  {
    name: 'tales',
    kind: 'text',
    get title() {
      return say`Tales`;
    },
    get about() {
      return say`Short tales, letters, diaries, kitchen scenes and talk at the market, from a grammar.`;
    },
  },
  {
    name: 'recipes',
    kind: 'text',
    get title() {
      return say`Recipes`;
    },
    get about() {
      return say`Recipes from another grammar, in the words of the tales: quantities, steps, times.`;
    },
  },
];

/** What the language model has read before it reads anything else: a tale, or one of the other styles. */
const told = (r: Rng): string => (r.chance(0.2) ? tale(r) : scene(r));

const grammars = { tales: told, recipes: recipe } as const;
/** Texts of a split, unless another number is asked for. */
const TEXTS = { tales: { train: 16_000, held: 200 }, recipes: { train: 2_000, held: 200 } } as const;
/** Tokens after which a new text begins whatever was there: windows of any usual length begin with one now and then. */
const BLOCK = 256;
const STREAMS: Readonly<Record<SplitName, number>> = { train: 1, held: 2 };

/** The first `count` texts of a split; text i is a function of (seed, split, i) alone. */
export function embeddedTexts(
  name: 'tales' | 'recipes',
  split: SplitName,
  count: number = TEXTS[name][split],
  seed = 0,
): string[] {
  const source = rng(seed, STREAMS[split]);
  return Array.from({ length: count }, (_, i) => grammars[name](source.fork(i)));
}

/** A dataset of {@link embeddedDatasets}. Throws 'not-found', or 'bad-argument' for a text without a tokenizer. */
export function embeddedDataset(name: string, options: EmbeddedOptions = {}): ImageDataset | TextDataset {
  const { tokenizer, seed = 0 } = options;
  if (isGlyphSet(name)) return glyphDataset(name, options);
  if (name === 'tales' || name === 'recipes') {
    if (!tokenizer)
      return fail(
        'bad-argument',
        say`The dataset "${name}" is text and needs a model with a tokenizer.json beside it.`,
      );
    const texts = (split: SplitName, count?: number) => embeddedTexts(name, split, count, seed);
    return documentsDataset(
      name,
      texts('train', options.trainCount),
      texts('held', options.heldCount),
      tokenizer,
      BLOCK,
    );
  }
  const names = embeddedDatasets.map((entry) => entry.name).join(', ');
  return fail('not-found', say`There is no embedded dataset "${name}"; there are ${names}.`);
}
