/**
 * Recipes from a grammar: a title and four steps in the imperative, each with its own word of order before it. Their words are known
 * from the tales, their sentences are not: no tale tells anybody what to do with an order word, and none has a title. A recipe is a
 * function of its generator, some 70 words in one paragraph.
 */
import type { Rng } from '../lib/rng.ts';
import { capital, withArticle } from './grammar.ts';
import * as kitchen from './kitchen.ts';
import { amountOf, type Thing } from './kitchen.ts';

/** One recipe, without a line break. */
export function recipe(r: Rng): string {
  return (r.chance(0.5) ? cake(r) : soup(r)).join(' ');
}

const now = (verbs: readonly kitchen.Verb[], r: Rng): string => r.pick(verbs)[0];

const count = (r: Rng): string => r.pick(kitchen.numbers);

const herbs = (r: Rng): string =>
  `${count(r)} spoons of ${r.pick(['fresh', 'fine'])} ${r.pick(kitchen.herbs)}`;

const title = ([one]: Thing, dish: string, r: Rng): string =>
  `${capital(withArticle(r.pick(kitchen.moods)))} ${one} ${dish} with ${r.pick(kitchen.herbs)} for ${count(r)}.`;

function preparation(thing: Thing, r: Rng): string {
  const amount = amountOf(thing, r);
  const them = /^an? /.test(amount) ? 'it' : 'them';
  return `First, ${now(kitchen.preparing, r)} ${amount} and sprinkle ${herbs(r)} over ${them}.`;
}

const serving = (dish: string, r: Rng): string =>
  `At last, sprinkle ${herbs(r)} over the ${dish} and serve it ${r.pick(kitchen.warmths)} with ${count(r)} ${r.pick(['slices', 'pieces'])} of ${r.pick(kitchen.sides)}.`;

const drink = (r: Rng): string => `${count(r)} cups of ${r.pick(kitchen.warmths)} ${r.pick(kitchen.liquids)}`;

function cake(r: Rng): string[] {
  const fruit = r.pick(kitchen.fruits);
  const dish = r.pick(kitchen.cakes);
  return [
    title(fruit, dish, r),
    preparation(fruit, r),
    `Then ${now(kitchen.mixing, r)} ${count(r)} cups of ${r.pick(kitchen.dry)} and ${count(r)} spoons of ${r.pick(kitchen.sweets)} into the ${r.pick(kitchen.warmths)} ${r.pick(kitchen.liquids)}.`,
    `Next, pour the ${r.pick(kitchen.textures)} ${r.pick(kitchen.batters)} and ${drink(r)} over the ${fruit[1]} and bake the ${dish} in a ${r.pick(['hot', 'warm'])} oven for ${r.pick(kitchen.minutes)} minutes.`,
    serving(dish, r),
  ];
}

function soup(r: Rng): string[] {
  const vegetable = r.pick(kitchen.vegetables);
  const dish = r.pick(kitchen.soups);
  return [
    title(vegetable, dish, r),
    preparation(vegetable, r),
    `Then ${now(kitchen.frying, r)} the ${vegetable[1]} in ${count(r)} spoons of ${r.pick(kitchen.warmths)} ${r.pick(kitchen.fats)} for ${r.pick(kitchen.minutes)} minutes.`,
    `Next, pour ${drink(r)} over the ${vegetable[1]} and let the ${dish} ${now(kitchen.cooking, r)} for ${r.pick(kitchen.minutes)} minutes.`,
    serving(dish, r),
  ];
}
