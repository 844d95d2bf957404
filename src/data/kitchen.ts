/**
 * The words of the kitchen, as tales and recipes both use them: things with their plural, amounts, what is measured, vessels and
 * dishes. What is said of them differs: tales tell what somebody did, recipes what to do.
 */
import type { Rng } from '../lib/rng.ts';
import { list, withArticle } from './grammar.ts';

/** One and several of it. */
export type Thing = readonly [one: string, several: string];

const things = (text: string): readonly Thing[] =>
  list(text).map((pair) => pair.split('/') as [string, string]);

export const fruits = things(
  'pear/pears, plum/plums, apple/apples, peach/peaches, cherry/cherries, fig/figs, apricot/apricots, lemon/lemons',
);
export const vegetables = things(
  'carrot/carrots, onion/onions, leek/leeks, potato/potatoes, tomato/tomatoes, turnip/turnips, mushroom/mushrooms, parsnip/parsnips',
);
const qualities = list('small, large, fresh, fine');
export const numbers = list('two, three, four, five, six, seven, eight, nine, ten, twelve');
export const minutes = list('five, six, eight, ten, twelve, fifteen, twenty, thirty, forty, fifty');

/** Measured in cups. */
export const dry = list('flour, sugar, rice, oats, crumbs, nuts');
export const liquids = list('milk, water, cream, stock');
/** Measured in spoons. */
export const sweets = list('honey, butter, ginger, cinnamon, jam, oil');
export const fats = list('butter, oil, cream');
export const herbs = list('parsley, thyme, mint, sage, dill, basil, chives, rosemary');
export const sides = list('bread, cheese, ham, toast, cake');

export const warmths = list('hot, warm, cold');
export const textures = list('smooth, thick, pale');
export const batters = list('batter, dough, mixture, cream');
export const moods = list(
  'golden, creamy, simple, rich, light, rustic, quick, festive, humble, hearty, royal, famous',
);
export const cakes = list('cake, pie, tart, pudding');
export const soups = list('soup, stew, broth, hotpot');

/** A verb as it is after "to", and as a tale tells it. */
export type Verb = readonly [now: string, past: string];

export const preparing = things('wash/washed, peel/peeled, chop/chopped, slice/sliced');
export const mixing = things('stir/stirred, mix/mixed, whisk/whisked');
export const frying = things('fry/fried, roast/roasted, brown/browned');
export const cooking = things('simmer/simmered, boil/boiled, cook/cooked');

/** "a fine pear", "an onion", "three small plums". */
export function amountOf(thing: Thing, r: Rng): string {
  const [one, several] = thing;
  const quality = r.chance(0.6) ? `${r.pick(qualities)} ` : '';
  return r.chance(0.2) ? withArticle(quality + one) : `${r.pick(numbers)} ${quality}${several}`;
}

/** Two different elements of a list. */
export function twoOf<T>(from: readonly T[], r: Rng): [T, T] {
  const first = r.pick(from);
  return [first, r.pick(from.filter((other) => other !== first))];
}
