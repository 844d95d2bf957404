/**
 * Tells whether a sentence is one of a recipe. It shares neither code nor word lists with the grammar that writes recipes
 * (src/data/recipes.ts): seven shapes of sentence, and what has to agree within one.
 */

/** Plural by singular. */
type Basket = ReadonlyMap<string, string>;

const basket = (text: string): Basket =>
  new Map(
    text.split(' ').map((one) => {
      if (one.endsWith('y')) return [one, `${one.slice(0, -1)}ies`];
      return [one, /(o|ch)$/.test(one) ? `${one}es` : `${one}s`];
    }),
  );

/** What goes with what: fruit belongs into what is baked, vegetables into what is boiled. */
const kitchens: readonly { readonly things: Basket; readonly dishes: ReadonlySet<string> }[] = [
  {
    things: basket('pear plum apple peach cherry fig apricot lemon'),
    dishes: new Set(['cake', 'pie', 'tart', 'pudding']),
  },
  {
    things: basket('carrot onion leek potato tomato turnip mushroom parsnip'),
    dishes: new Set(['soup', 'stew', 'broth', 'hotpot']),
  },
];

const any = (words: string): string => `(?:${words.trim().split(/\s+/).join('|')})`;
const count = any('two three four five six seven eight nine ten twelve');
const time = `${any('five six eight ten twelve fifteen twenty thirty forty fifty')} minutes`;
const warmth = any('hot warm cold');
const liquid = any('milk water cream stock');
const word = '([a-z]+)';
/** "a small pear", "an apple", "three plums". */
const amount = `(?:(an?) |${count} )(?:(small|large|fresh|fine) )?${word}`;

interface Shape {
  readonly name: string;
  readonly pattern: RegExp;
  /** Whether what the groups of the pattern found agrees. */
  readonly agrees: (found: readonly (string | undefined)[]) => boolean;
}

const shape = (name: string, pattern: string, agrees: Shape['agrees'] = () => true): Shape => ({
  name,
  pattern: new RegExp(`^${pattern}\\.$`),
  agrees,
});

const isArticleOf = (article: string, next: string): boolean =>
  /^[aeiou]/.test(next) === (article.toLowerCase() === 'an');

/** The kitchen in which a thing is at home, in one or in the other number; its number. */
const find = (name: string) => {
  for (const { things, dishes } of kitchens)
    for (const [one, several] of things)
      if (name === one || name === several) return { isOne: name === one, dishes };
  return null;
};

/** Whether a thing, in the number that it should have, belongs into a dish. */
const isIn = (name: string, isOne: boolean, dish: string): boolean => {
  const found = find(name);
  return found !== null && found.isOne === isOne && found.dishes.has(dish);
};

const herb = any('parsley thyme mint sage dill basil chives rosemary');
const herbs = `${count} spoons of ${any('fresh fine')} ${herb}`;
const drink = `${count} cups of ${warmth} ${liquid}`;

const shapes: readonly Shape[] = [
  shape(
    'title',
    `(An?) (${any('golden creamy simple rich light rustic quick festive humble hearty royal famous')}) ${word} ${word} with ${herb} for ${count}`,
    ([article, mood, thing, dish]) => isArticleOf(article!, mood!) && isIn(thing!, true, dish!),
  ),
  shape(
    'preparation',
    `First, ${any('wash peel chop slice')} ${amount} and sprinkle ${herbs} over (it|them)`,
    ([article, quality, thing, pronoun]) =>
      (article === undefined || isArticleOf(article, quality ?? thing!)) &&
      find(thing!)?.isOne === (article !== undefined) &&
      (pronoun === 'it') === (article !== undefined),
  ),
  shape(
    'mixing',
    `Then ${any('stir mix whisk')} ${count} cups of ${any('flour sugar rice oats crumbs nuts')} and ${count} spoons of ${any('honey butter ginger cinnamon jam oil')} into the ${warmth} ${liquid}`,
  ),
  shape(
    'frying',
    `Then ${any('fry roast brown')} the ${word} in ${count} spoons of ${warmth} ${any('butter oil cream')} for ${time}`,
    ([thing]) => isIn(thing!, false, 'soup'),
  ),
  shape(
    'baking',
    `Next, pour the ${any('smooth thick pale')} ${any('batter dough mixture cream')} and ${drink} over the ${word} and bake the ${word} in a ${any('hot warm')} oven for ${time}`,
    ([thing, dish]) => isIn(thing!, false, dish!) && isIn(thing!, false, 'cake'),
  ),
  shape(
    'boiling',
    `Next, pour ${drink} over the ${word} and let the ${word} ${any('simmer boil cook')} for ${time}`,
    ([thing, dish]) => isIn(thing!, false, dish!) && isIn(thing!, false, 'soup'),
  ),
  shape(
    'serving',
    `At last, sprinkle ${herbs} over the ${word} and serve it ${warmth} with ${count} ${any('slices pieces')} of ${any('bread cheese ham toast cake')}`,
    ([dish]) => kitchens.some(({ dishes }) => dishes.has(dish!)),
  ),
];

/** The shape that a sentence of a recipe has, with its full stop; null for any other sentence. */
export function recipeSentence(sentence: string): string | null {
  for (const { name, pattern, agrees } of shapes) {
    const found = pattern.exec(sentence);
    if (found !== null && agrees(found.slice(1))) return name;
  }
  return null;
}

/** The sentences of a text; what follows the last full stop, question or exclamation mark is one as well. */
export const sentencesOf = (text: string): string[] =>
  (text.match(/[^.?!]+[.?!]+"?|[^.?!]+$/g) ?? []).map((one) => one.trim()).filter((one) => one !== '');
