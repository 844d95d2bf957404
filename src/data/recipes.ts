/**
 * Recipes from a grammar: the same kitchen-table English as the tales, in another style altogether: a title, a line of
 * facts, a list of quantities, numbered steps with times. A recipe is a function of its generator, some 80 to 160 words.
 */
import type { Rng } from '../lib/rng.ts';
import { capital, expand, list } from './tales.ts';

const vegetables = list(
  'carrots, leeks, potatoes, onions, tomatoes, mushrooms, beans, peas, pumpkins, parsnips, beets, courgettes, turnips, peppers',
);
const fruits = list(
  'apples, pears, plums, cherries, blueberries, apricots, peaches, figs, blackberries, oranges',
);
const herbs = list('parsley, thyme, dill, chives, basil, mint, sage, rosemary, bay leaf, marjoram');
const spices = list('pepper, nutmeg, paprika, cinnamon, ginger, cumin, cloves, cardamom, mustard, vanilla');
const fats = list('butter, olive oil, sunflower oil, cream, goose fat');
const grains = list('rice, barley, lentils, oats, noodles, millet, bread crumbs, polenta');
const cheeses = list('goat cheese, hard cheese, fresh cheese, blue cheese, sour cream, yoghurt');
const moods = list(
  'quick, country, winter, summer, golden, spicy, creamy, old-fashioned, rustic, simple, festive, Sunday',
);
const tins = list('a round tin, a square tin, a deep dish, a shallow pan, a cast-iron pot, a loaf tin');

/** One of the plurals in the lists above. */
const singular = (plural: string): string =>
  plural
    .replace(/ies$/, 'y')
    .replace(/(ch|o)es$/, '$1')
    .replace(/s$/, '');

interface Dish {
  readonly titles: readonly string[];
  readonly needs: readonly string[];
  readonly steps: readonly (readonly string[])[];
}

const dishes: readonly Dish[] = [
  {
    titles: ['{Mood} {vegOne} soup', '{VegOne} soup with {herb}', '{Mood} soup of {veg} and {veg2}'],
    needs: [
      '{grams} g {veg}',
      '{grams2} g {veg2}',
      '1 onion',
      '{litres} l stock',
      '{spoons} tbsp {fat}',
      '{pinch} {spice}',
      '{herb}, salt',
    ],
    steps: [
      ['peel the {veg} and cut into [small|1 cm|large] cubes.', 'wash and chop the {veg} and the {veg2}.'],
      [
        'heat the {fat} in [a large pot|a cast-iron pot] and fry the onion for {few} minutes until [soft|golden|clear].',
      ],
      ['add the {veg} and the {spice}; stir for {few} minutes.', 'add the vegetables and the {spice}.'],
      [
        'pour in the stock, bring to the boil, then simmer for {minutes} minutes [over low heat|with the lid on].',
      ],
      ['blend until smooth.', 'mash half of the soup with a fork.', ''],
      ['season with salt, top with {herb} and serve [hot|with bread|at once].'],
    ],
  },
  {
    titles: ['{Mood} {fruitOne} cake', '{FruitOne} cake with {spice}', '{Mood} cake of {fruit}'],
    needs: [
      '{grams} g {fruit}',
      '{flour} g flour',
      '{sugar} g sugar',
      '{eggs} eggs',
      '{butter} g butter',
      '2 tsp baking powder',
      '{pinch} {spice}',
    ],
    steps: [
      ['preheat the oven to {oven} °C and grease {tin}.'],
      [
        'beat the butter and the sugar for {few} minutes until [pale|light|creamy].',
        'whisk the eggs and the sugar until [thick|pale].',
      ],
      ['add the eggs one by one.', 'fold in the eggs, then the {spice}.'],
      ['sift in the flour and the baking powder; do not overmix.', 'stir in the flour in two parts.'],
      ['spread the batter in the tin and press in the {fruit}.', 'fold in the {fruit} and fill the tin.'],
      ['bake for {minutes} minutes [on the middle shelf|until golden|until a skewer comes out clean].'],
      ['leave to cool for {rest} minutes before slicing.', 'dust with sugar and serve [warm|cold].'],
    ],
  },
  {
    titles: ['{Mood} {vegOne} bake', 'Baked {veg} with {cheese}', '{VegOne} and {herb} bake'],
    needs: [
      '{grams} g {veg}',
      '{grams2} g {veg2}',
      '{butter} g {cheese}',
      '{eggs} eggs',
      '200 ml milk',
      '{spoons} tbsp {fat}',
      '{pinch} {spice}',
    ],
    steps: [
      ['heat the oven to {oven} °C.', 'preheat the oven to {oven} °C and grease {tin}.'],
      ['slice the {veg} [thinly|into rings|lengthwise] and boil for {few} minutes in salted water.'],
      ['drain and layer with the {veg2} in {tin}.', 'drain well, then toss with the {veg2} and the {fat}.'],
      ['whisk the milk, the eggs and the {spice}; pour over the vegetables.'],
      ['scatter the {cheese} on top.', 'cover with the {cheese} and a little {fat}.'],
      ['bake for {minutes} minutes until [brown|golden|crisp].'],
      ['rest for {few} minutes, then sprinkle with {herb}.', 'serve with a green salad.'],
    ],
  },
  {
    titles: ['{Mood} {grain} with {veg}', 'One-pot {grain} and {veg}', '{Grain} with {herb} and {cheese}'],
    needs: [
      '{flour} g {grain}',
      '{grams2} g {veg}',
      '{cloves} cloves of garlic',
      '{litres} l water',
      '{spoons} tbsp {fat}',
      '{butter} g {cheese}',
      '{herb}',
    ],
    steps: [
      ['rinse the {grain} under cold water and drain.', 'soak the {grain} for {rest} minutes.'],
      ['chop the garlic and dice the {veg}.', 'cut the {veg} into thin strips.'],
      ['warm the {fat} in {tin}; fry the garlic for 1 minute.'],
      ['stir in the {grain} and the {veg}, then add the water.'],
      ['cover and cook for {minutes} minutes; stir [now and then|every {few} minutes|once].'],
      ['take off the heat and fold in the {cheese}.', 'drain if needed and mix with the {cheese}.'],
      ['season with {spice}, scatter with {herb} and serve.'],
    ],
  },
  {
    titles: ['{FruitOne} jam with {spice}', '{Mood} {fruitOne} compote', 'Spiced {fruit} in a jar'],
    needs: [
      '{grams} g {fruit}',
      '{sugar} g sugar',
      'juice of {few} lemons',
      '{pinch} {spice}',
      '100 ml water',
    ],
    steps: [
      ['wash, halve and stone the {fruit}.', 'pick over the {fruit} and rinse well.'],
      ['mix with the sugar and leave for {rest} minutes.'],
      ['add the lemon juice, the water and the {spice}; bring slowly to the boil.'],
      ['simmer for {minutes} minutes, skimming [often|the foam|from time to time].'],
      ['test a drop on a cold plate: it should [set|wrinkle].', ''],
      ['fill into {eggs} clean jars, close and turn over for {few} minutes.'],
      ['keep in a cool, dark place; use within {few} months.'],
    ],
  },
  {
    titles: ['{Mood} {herb} bread', '{Grain} bread with {herb}', 'Flat bread with {spice}'],
    needs: [
      '{flour} g flour',
      '{grams2} g {grain}',
      '10 g yeast',
      '300 ml lukewarm water',
      '{spoons} tbsp {fat}',
      '1 tsp salt',
      '{herb}',
    ],
    steps: [
      ['dissolve the yeast in the water with a pinch of sugar; wait {few} minutes.'],
      ['combine the flour, the {grain} and the salt in a bowl.'],
      ['add the yeast and the {fat}; knead for {few} minutes until [smooth|elastic].'],
      ['cover and leave to rise for {rest} minutes in a warm place.'],
      ['work in the {herb}, shape into [a loaf|{eggs} rolls|a flat round] and place in {tin}.'],
      ['bake at {oven} °C for {minutes} minutes; the crust should [sound hollow|be dark].'],
      ['cool on a rack.', 'brush with {fat} while still warm.'],
    ],
  },
];

const tips = [
  'Tip: use {herb2} instead of {herb} if you like.',
  'Tip: it tastes even better the next day.',
  'Tip: freeze what is left in small portions.',
  'Tip: replace the {fat} with {fat2}.',
  'Note: cut the time by {few} minutes in a fan oven.',
];

/** One recipe: lines divided by "\n". */
export function recipe(r: Rng): string {
  const dish = r.pick(dishes);
  const two = (from: readonly string[]): [string, string] => {
    const first = r.pick(from);
    return [first, r.pick(from.filter((other) => other !== first))];
  };
  const number = (low: number, high: number, step: number): string =>
    String(low + step * r.int(Math.floor((high - low) / step) + 1));
  const [veg, veg2] = two(vegetables);
  const [herb, herb2] = two(herbs);
  const [fat, fat2] = two(fats);
  const fruit = r.pick(fruits);
  const minutes = number(15, 60, 5);
  const rest = number(10, 60, 10);
  const slots = {
    veg,
    veg2,
    herb,
    herb2,
    fat,
    fat2,
    vegOne: singular(veg),
    fruit,
    fruitOne: singular(fruit),
    spice: r.pick(spices),
    grain: r.pick(grains),
    cheese: r.pick(cheeses),
    mood: r.pick(moods),
    tin: r.pick(tins),
    grams: number(300, 900, 50),
    grams2: number(100, 400, 50),
    flour: number(200, 500, 50),
    sugar: number(80, 300, 20),
    butter: number(50, 200, 25),
    eggs: number(2, 5, 1),
    litres: r.pick(['0.5', '0.75', '1', '1.2', '1.5']),
    spoons: number(1, 4, 1),
    cloves: number(1, 4, 1),
    few: number(2, 10, 1),
    pinch: r.pick(['1 pinch of', '1 tsp', '1/2 tsp', '2 pinches of']),
    oven: number(160, 230, 10),
    minutes,
    rest,
  };
  const fill = (template: string): string => expand(template, slots, r);
  const lines = [
    capital(fill(r.pick(dish.titles))),
    `Serves ${number(2, 8, 2)}. Time: ${Number(minutes) + Number(rest)} minutes.`,
    'Ingredients:',
    ...dish.needs.map((need) => `- ${fill(need)}`),
    'Method:',
    ...dish.steps
      .map((ways) => fill(r.pick(ways)))
      .filter((step) => step !== '')
      .map((step, i) => `${i + 1}. ${capital(step)}`),
  ];
  if (r.chance(0.5)) lines.push(fill(r.pick(tips)));
  return lines.join('\n');
}
