/**
 * Short texts in other styles than a tale's, from a grammar: scenes in a kitchen, letters, diaries, talk at the market, questions
 * with answers. They say who does or did what; what is to be done, and in which order, only recipes say. Some 30 to 70 words.
 */
import type { Rng } from '../lib/rng.ts';
import { expand, paragraph, type Slots } from './grammar.ts';
import * as kitchen from './kitchen.ts';
import { amountOf, twoOf } from './kitchen.ts';
import { person } from './tales.ts';

/** One text in a style of its own, without a line break. */
export function scene(r: Rng): string {
  const style = r.pick(styles);
  const slots = slotsOf(r);
  const middle = r.shuffle([...style.middle]).slice(0, 2 + r.int(3));
  return paragraph([r.pick(style.first), ...middle, r.pick(style.last)].map((way) => expand(way, slots, r)));
}

/** Who and what a text is about; what has no name in it is drawn anew each time it is asked for. */
function slotsOf(r: Rng): Slots {
  const hero = person(r);
  const friend = person(r, hero);
  const isCake = r.chance(0.5);
  const [things, dishes] = isCake ? [kitchen.fruits, kitchen.cakes] : [kitchen.vegetables, kitchen.soups];
  const [a, b] = twoOf(things, r);
  // What is counted out takes turns, so that two amounts in a sentence are of two things.
  let turn = 0;
  const verbs = {
    prepare: kitchen.preparing,
    mix: kitchen.mixing,
    fry: kitchen.frying,
    cook: kitchen.cooking,
  };
  const drawn = Object.entries({
    amount: () => amountOf(turn++ % 2 === 0 ? a : b, r),
    cups: () => `${r.pick(kitchen.numbers)} cups of ${r.pick(kitchen.dry)}`,
    drink: () => `${r.pick(kitchen.numbers)} cups of ${r.pick(kitchen.warmths)} ${r.pick(kitchen.liquids)}`,
    spoons: () => `${r.pick(kitchen.numbers)} spoons of ${r.pick(kitchen.sweets)}`,
    fat: () => `${r.pick(kitchen.numbers)} spoons of ${r.pick(kitchen.warmths)} ${r.pick(kitchen.fats)}`,
    herb: () => `${r.pick(kitchen.numbers)} spoons of ${r.pick(['fresh', 'fine'])} ${r.pick(kitchen.herbs)}`,
    side: () => `${r.pick(kitchen.numbers)} ${r.pick(['slices', 'pieces'])} of ${r.pick(kitchen.sides)}`,
    number: () => r.pick(kitchen.numbers),
    minutes: () => `${r.pick(kitchen.minutes)} minutes`,
    liquid: () => r.pick(kitchen.liquids),
    warmth: () => r.pick(kitchen.warmths),
    texture: () => r.pick(kitchen.textures),
    batter: () => r.pick(kitchen.batters),
    mood: () => r.pick(kitchen.moods),
    oven: () => `a ${r.pick(['hot', 'warm'])} oven`,
    several: () => r.pick([a, b])[1],
    ...Object.fromEntries(
      Object.entries(verbs).flatMap(([name, list]) => [
        [name, () => r.pick(list)[0]],
        [`${name}ed`, () => r.pick(list)[1]],
      ]),
    ),
  });
  const fixed = {
    hero: hero.name,
    kind: hero.kind,
    he: hero.he,
    his: hero.his,
    him: hero.him,
    friend: friend.name,
    friendKind: friend.kind,
    fhe: friend.he,
    as: a[1],
    bs: b[1],
    one: a[0],
    two: b[0],
    dish: r.pick(dishes),
  };
  return Object.defineProperties(
    fixed,
    Object.fromEntries(drawn.map(([name, get]) => [name, { get }])),
  ) as typeof fixed & Slots;
}

interface Style {
  readonly first: readonly string[];
  readonly middle: readonly string[];
  readonly last: readonly string[];
}

const styles: readonly Style[] = [
  {
    first: [
      '[one day|that morning|on Sunday], {hero} the {kind} wanted to make {a mood} {dish} for {number}.',
      '{hero} the {kind} made {a mood} {one} and {two} {dish} for {his} [friend|mother|grandmother].',
      '{friend} wanted {a mood} {one} and {two} {dish} for {number}, and {hero} had to help.',
    ],
    middle: [
      'first, {he} {prepareed} {amount} and {amount}.',
      'first, {hero} had to {prepare} {amount} and {amount}.',
      '{friend} began to {prepare} {amount}, and {hero} {prepareed} {amount}.',
      'then {he} {mixed} {cups} and {spoons} into the {warmth} {liquid}.',
      'then it was time to {mix} {cups} into the {warmth} {liquid}.',
      'then {friend} {fryed} the {as} and the {bs} in {fat}.',
      'then {hero} began to {fry} the {as} and the {bs} in {fat} and sang for {minutes}.',
      'next, {hero} poured {drink} over the {as}.',
      'next, {hero} poured the {texture} {batter} over the {as} and the {bs}.',
      'next, {he} wanted to pour the {texture} {batter} over the {bs} and bake the {dish}.',
      'the {dish} was in {oven} for {minutes}.',
      '{he} had to bake the {dish} in {oven} for {minutes}.',
      'then {he} let the {dish} {cook} and slept for {minutes}.',
    ],
    last: [
      'at last, {he} sprinkled {herb} over the {dish} and served it {warmth}.',
      'at last, {hero} and {friend} ate the {dish} {warmth} with {side}.',
      'at last, {he} could serve the {dish} with {side}.',
      'and so {he} had to sprinkle {herb} over the {dish} and serve it {warmth} to {friend}.',
    ],
  },
  {
    first: [
      'dear {friend}, [today|yesterday|on Sunday] I made {a mood} {dish} with {amount} and {amount}.',
      'dear {friend}, thank you for the {mood} {one} and {two} {dish}.',
      'dear {friend}, I want to make {a mood} {dish} for {number} and I need {amount}.',
    ],
    middle: [
      'I had to {prepare} {amount} and {amount}.',
      'my [mother|aunt|uncle] {mixed} {cups} and {spoons} into the {warmth} {liquid}.',
      'I could not {fry} the {as} and the {bs}, so I {prepareed} them.',
      'can you {fry} the {as} in {fat} for {minutes}?',
      'I poured {drink} over the {as} and let the {dish} {cook} for {minutes}.',
      'my [mother|aunt|uncle] says that you bake your {dish} in {oven} for {minutes}.',
      'the {batter} was {texture}, and we ate it with {side}.',
      'do you sprinkle {herb} over it?',
    ],
    last: [
      'your friend, {hero} the {kind}.',
      'come and eat with us. your friend, {hero}.',
      'we serve it {warmth} with {side}. your friend, {hero}.',
    ],
  },
  {
    first: [
      'today I was [happy|tired|hungry|sad], for there was {a mood} {dish} in the oven.',
      'today {hero} and I [made|ate] {a mood} {one} and {two} {dish}.',
      'this morning I found {amount} and {amount} in the [kitchen|grass|basket].',
    ],
    middle: [
      'we {prepareed} {amount} and {amount} in the [kitchen|yard].',
      '{hero} {fryed} the {as} and the {bs} for {minutes} and sang.',
      'I wanted to {mix} {cups} and {spoons} into the {liquid}.',
      'we had to pour {drink} over the {several}.',
      'for {minutes} nothing happened.',
      'the {texture} {batter} went over the {as} and the {bs}.',
      'we let it {cook} for {minutes} and told stories.',
      'we bake in {oven}, and it takes {minutes}.',
    ],
    last: [
      'we ate it {warmth} with {side} and were [glad|happy|full of joy].',
      'then {hero} went home, and I slept until morning.',
      'there was {herb} over the {dish}, and I liked it.',
    ],
  },
  {
    first: [
      '{hero} the {kind} went to the market and bought {amount} and {amount}.',
      'at the market {friend} the {friendKind} had {amount} and {amount}.',
    ],
    middle: [
      '"how many {several} do you want?" asked {friend}. "{number}, please," said {hero}.',
      '"do you bake the {dish} for {minutes}?" asked {hero}.',
      '"I need {cups} and {spoons}," said {hero}.',
      '"we have {drink} and {fat}," said {friend}.',
      '"who is going to {prepare} the {as} and the {bs}?" asked {hero}.',
      '"my [mother|uncle] used to {fry} the {several} in {fat}," said {friend}.',
      '"it is good with {herb}," said {friend}, "and with {side}."',
      '"what is in the {one} and {two} {dish}?" asked {friend}. "{amount}, {spoons} and {cups}," said {hero}.',
      '"I like it {warmth} and {texture}," said {hero}.',
    ],
    last: [
      'then {hero} went home with {amount}.',
      '"thank you," said {hero}, "I shall serve it {warmth}."',
      'they sat down together and ate {side}.',
    ],
  },
  {
    first: [
      'who {prepareed} the {as}? {hero} the {kind} {prepareed} the {as}.',
      'what is in {a mood} {dish}? there are {amount} and {amount} in it.',
      'how long was the {dish} in the oven? it was in {oven} for {minutes}.',
    ],
    middle: [
      'who {mixed} {cups} into the {liquid}? {friend} did.',
      'where are the {as} and the {bs}? they are in the {texture} {batter}.',
      'what did {hero} pour over the {several}? {he} poured {drink} over the {several}.',
      'who can {fry} {amount} in {fat}? {friend} can.',
      'how long did {friend} let it {cook}? {fhe} let it {cook} for {minutes}.',
      'did {hero} bake it? yes, {he} did bake it, and {friend} wanted to {prepare} {amount}.',
    ],
    last: [
      'who ate the {dish}? {hero} and {friend} ate it {warmth} with {side}.',
      'what did they sprinkle over it? it was {herb}.',
    ],
  },
];
