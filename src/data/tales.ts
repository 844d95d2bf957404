/**
 * Short tales from a grammar: someone wants something, something is in the way, somebody helps, and it ends well or
 * nearly. A tale is a function of its generator, some 60 to 150 words in one paragraph.
 */
import type { Rng } from '../lib/rng.ts';
import { expand, list, paragraph, type Slots } from './grammar.ts';

interface Person {
  readonly name: string;
  readonly kind: string;
  readonly home: string;
  readonly he: string;
  readonly him: string;
  readonly his: string;
  readonly himself: string;
}

const pronouns = {
  girl: { he: 'she', him: 'her', his: 'her', himself: 'herself' },
  boy: { he: 'he', him: 'him', his: 'his', himself: 'himself' },
} as const;

/** Somebody, of another name and kind than `not`. */
export function person(r: Rng, not?: Person): Person {
  const girl = r.chance(0.5);
  const names = (girl ? girls : boys).filter((name) => name !== not?.name);
  const { kind, home } = r.pick(kinds.filter((k) => k.kind !== not?.kind));
  return { name: r.pick(names), kind, home, ...pronouns[girl ? 'girl' : 'boy'] };
}

/** One tale, without a line break. */
export function tale(r: Rng): string {
  const hero = person(r);
  const friend = person(r, hero);
  const journey = r.pick(journeys);
  const making = r.pick(makings);
  const planting = r.pick(plantings);
  const fear = r.pick(fears);
  const friendKind = r.chance(0.5) ? friend.kind : r.pick(friendKinds);
  const sky = r.pick(weather);
  const beginning = r.pick(beginnings);
  const slots: Slots = {
    hero: hero.name,
    kind: hero.kind,
    home: hero.home,
    he: hero.he,
    him: hero.him,
    his: hero.his,
    himself: hero.himself,
    trait: r.pick(traits),
    friend: friend.name,
    friendKind,
    fhe: friend.he,
    fhim: friend.him,
    fhis: friend.his,
    weather: sky,
    when: beginning.includes('{weather}') ? r.pick(nextTimes) : sky,
    way: r.pick(placesOnTheWay),
    treasure: r.pick(treasures),
    hidden: r.pick(hidingPlaces),
    elsewhere: r.pick(hidingPlaces),
    food: r.pick(foods),
    goal: journey.goal,
    target: journey.target,
    there: journey.there,
    thing: making.thing,
    from: making.from,
    works: making.works,
    seed: planting.seed,
    grown: planting.grown,
    fear: fear.fear,
    where: fear.where,
    truth: fear.truth,
    lesson: r.pick(lessons),
    feeling: r.pick(feelings),
    sorrow: r.pick(sorrows),
  };
  const plot = r.pick(plots);
  const beats = [
    beginning,
    r.chance(0.4) ? r.pick(habits) : '',
    ...plot.beats.map((choices) => r.pick(choices)),
    ...(plot.fails && r.chance(0.4) ? [r.pick(failures)] : []),
    r.pick(plot.talk ?? dialogues),
    ...plot.after.map((choices) => r.pick(choices)),
    r.chance(0.4) ? r.pick(feelingsAfter) : '',
    r.pick(endings),
  ];
  return paragraph(beats.map((beat) => expand(beat, slots, r)));
}

// The sentences of the tales: how they begin, seven plots, what people say, how they end.

export interface Plot {
  /** Before help comes: each beat is a list of ways to say it. */
  readonly beats: readonly (readonly string[])[];
  /** Whether a first try may fail. */
  readonly fails: boolean;
  /** What is said where the friend is already there; else one of {@link dialogues}. */
  readonly talk?: readonly string[];
  /** After help has come. */
  readonly after: readonly (readonly string[])[];
}

const beginnings = [
  'once upon a time there was {a trait} {kind} named {hero} who lived in {home}.',
  'long ago, in {home}, there lived {a trait} {kind} called {hero}.',
  '{hero} was {a trait} {kind}. {he} lived in {home}.',
  'there once was {a kind} whose name was {hero}, and {he} was very {trait}.',
  'in {home} lived {hero}, {a trait} little {kind}.',
  'everybody knew {hero} the {kind}, for nobody was as {trait} as {he} was.',
  '{weather}, {a trait} {kind} named {hero} looked out of {home}.',
];

const habits = [
  'every day {he} [swept the floor|sang a song|fed the birds|read an old book] and [drank a cup of milk|went for a walk|watched the road].',
  '{he} liked [warm bread|long stories|quiet mornings|bright colours], but most of all {he} liked [to laugh|to dream|to sleep].',
  'in the [morning|evening] {he} [sat by the window|lit a small fire] and [thought|sang] to {himself}.',
  '{he} had [few friends|a good heart|a big secret], and that was [enough|fine].',
];

const plots: readonly Plot[] = [
  {
    beats: [
      [
        '{when}, {hero} lost {his} {treasure}.',
        'one day {his} {treasure} was gone.',
        '{when}, {he} woke up and could not find {his} {treasure}.',
      ],
      [
        '{he} looked {elsewhere}, but it was not there.',
        '{he} searched [all morning|the whole day|high and low], even {elsewhere}, and found nothing.',
        '"where is my {treasure}?" {he} cried.',
      ],
      [
        '{hero} sat down and felt {sorrow}.',
        '{he} was {sorrow}, for the {treasure} had been a gift from {his} [mother|father|grandmother|uncle].',
      ],
    ],
    fails: true,
    after: [
      [
        'together they looked {hidden}, and there lay the {treasure}.',
        'at last {friend} found the {treasure} {hidden}.',
        '{friend} pointed, and {hidden} something [shone|glittered|moved]: it was the {treasure}!',
      ],
      [
        '{hero} [laughed|jumped|danced] and thanked {fhim} [twice|three times|with all {his} heart].',
        '"you have found it!" said {hero}, and gave {friend} {food}.',
      ],
    ],
  },
  {
    beats: [
      [
        'more than anything, {hero} wanted to {goal}.',
        '{hero} had always dreamed of one thing: to {goal}.',
        '"one day I will {goal}," {he} often said.',
      ],
      [
        'so {when}, {he} packed {food} and set out.',
        '{when}, {he} put on {his} [boots|coat|hat], took {food} and left home.',
        '{when}, {he} closed the door behind {him} and began to walk.',
      ],
      [
        '{he} [crossed|came to|passed] {way}, and there the road [ended|was blocked|split in two].',
        'near {way} {he} lost {his} way and felt {sorrow}.',
      ],
    ],
    fails: false,
    after: [
      [
        '{friend} knew the way and they walked on together.',
        'side by side they went past {way}, [day after day|mile after mile|singing as they walked].',
      ],
      ['at last they came to {target}, and {there}.', 'when they reached {target}, {there}.'],
    ],
  },
  {
    beats: [
      [
        '{when}, {hero} decided to make {a thing}.',
        '{hero} had an idea: {he} would build {a thing}.',
        '"I need {a thing}," said {hero} [one day|at breakfast|to {himself}].',
      ],
      [
        '{he} took {from} and worked [all day|until dark|with great care].',
        'all {he} had was {from}, so {he} began with that.',
      ],
      [
        'but the {thing} [broke|fell apart|was crooked|would not work], and {hero} felt {sorrow}.',
        'the first {thing} was no good, and neither was the second.',
      ],
    ],
    fails: true,
    after: [
      [
        '{friend} [held the pieces|brought better tools|read the plan aloud] while {hero} [worked|measured|tied the knots].',
        'they started again from the beginning, slowly this time.',
      ],
      ['this time the {thing} {works}.', 'and look: the {thing} {works}!'],
    ],
  },
  {
    beats: [
      [
        '{when}, {hero} found {a seed} on the path.',
        '{a friendKind} once gave {hero} {a seed}.',
        '{when}, {he} bought {a seed} at the market for a [penny|song|smile].',
      ],
      [
        '{he} planted it [by the door|behind the house|in an old pot] and watered it every day.',
        '{he} put it into the earth and sat down to wait.',
      ],
      [
        'but [a week|a month|the whole spring] passed and nothing came up, and {hero} was {sorrow}.',
        'nothing happened. {hero} [dug|looked|listened] and felt {sorrow}.',
      ],
    ],
    fails: false,
    after: [
      [
        'so {hero} waited, and [the sun shone|the rain fell|the days grew longer].',
        '{hero} waited, and {friend} waited with {him}.',
      ],
      [
        'and then, [one morning|after a warm night|when nobody was looking], there stood {grown}.',
        'in the end it became {grown}, and [everybody|the whole village|all the animals] came to see it.',
      ],
    ],
  },
  {
    beats: [
      [
        '{hero} was afraid of {fear}.',
        'there was only one thing {hero} feared, and that was {fear}.',
        'nobody knew that {hero} was afraid of {fear}.',
      ],
      [
        '{when}, there was something to be done {where}, and {hero} was all alone.',
        '{when}, {his} {treasure} was left {where}, and somebody had to fetch it.',
      ],
      [
        '{his} [knees|hands|whiskers] shook, and {he} felt {sorrow}.',
        '{he} stood still and could not take a step.',
      ],
    ],
    fails: false,
    after: [
      [
        '{hero} took a deep breath, held on to {friend} and went on.',
        'so {he} counted to [three|five|ten] and went {where}.',
      ],
      ['and what did {he} find? {truth}.', 'there {he} saw that {truth}.'],
      ['{hero} was never so afraid of {fear} again.', 'after that, {fear} seemed much smaller.', ''],
    ],
  },
  {
    beats: [
      [
        '{when}, {hero} and {friend} the {friendKind} found {food}.',
        '{hero} and {his} friend {friend} the {friendKind} both wanted the same {treasure}.',
      ],
      [
        '"it is mine!" said {hero}. "no, it is mine!" said {friend}.',
        '{hero} pulled on one side and {friend} pulled on the other.',
      ],
      [
        'they [quarrelled|shouted|argued] until [the sun went down|they were both tired|it began to rain], and then they were both {sorrow}.',
        'for [a whole day|three days] they did not speak, and {hero} felt {sorrow}.',
      ],
    ],
    fails: false,
    talk: [
      'an old neighbour shook his head. "{lesson}," he said.',
      'then {hero} remembered what {his} grandmother used to say: {lesson}.',
      'in the night {hero} could not sleep. {he} thought about {friend} for a long time.',
    ],
    after: [
      [
        '"I am sorry," said {hero}, and {friend} was sorry too.',
        '{hero} went to {friend} with {food} and said nothing, and that was enough.',
      ],
      [
        'from then on they shared, [turn by turn|half and half|as friends do].',
        'they sat down together by {way} and shared everything they had.',
      ],
    ],
  },
  {
    beats: [
      [
        '{when}, a great [storm|flood|snowfall|wind] came over the land.',
        '{when}, the [river rose|snow fell|wind blew] as never before.',
      ],
      [
        '{hero} heard a [cry|knock|voice] near {way}.',
        'somebody was [calling for help|knocking at the door|crying] outside.',
      ],
      [
        'it was {friend} the {friendKind}, [cold|wet|lost] and {sorrow}.',
        'there stood {friend}, {a friendKind}, who had lost {fhis} [home|way|{treasure}].',
      ],
    ],
    fails: false,
    talk: [
      '"please help me," said {friend}. "I have nowhere to go."',
      '"who are you?" asked {hero}. "my name is {friend}," said the {friendKind}.',
      '"are you hurt?" asked {hero}. {friend} shook {fhis} head.',
      '{hero} did not think about it for long.',
    ],
    after: [
      [
        '{hero} [opened the door|lit the fire|held out a hand] and gave {fhim} {food}.',
        '"come in," said {hero}, "there is {food} and a warm bed."',
      ],
      [
        'when the sky was clear again, {friend} [mended the roof|swept the yard|brought {a treasure}] to say thank you.',
        'all night they told stories while the [wind|rain|storm] sang outside.',
      ],
    ],
  },
];

const failures = [
  '{he} tried once more, and once more it went wrong.',
  '{he} [pulled and pushed|asked everybody|turned in circles], but it was no use.',
  '"I shall never manage it," {he} [sighed|said|whispered].',
];

const dialogues = [
  'just then {friend} the {friendKind} came by. "why do you look so [sad|serious|thoughtful]?" {fhe} asked. "{lesson}," {fhe} said when {hero} had told {fhim} everything.',
  '"do not give up," said {friend} the {friendKind}. "remember: {lesson}."',
  '{friend} the {friendKind} looked at {him} and [nodded|smiled|laughed softly]. "let us try together," {fhe} said.',
  '"may I help?" asked a [small|deep|kind|friendly] voice. it was {friend} the {friendKind}. "yes, please," said {hero}.',
  '"listen," said {friend} the {friendKind}, "my [mother|grandfather|aunt] used to say that {lesson}."',
  '{hero} thought about it for a long time. then {friend}, {his} friend the {friendKind}, [sat down beside|walked up to|waved to] {him}. "two are better than one," said {friend}.',
];

const feelingsAfter = [
  '{hero} was {feeling}.',
  '{he} had never been so {feeling}.',
  'that evening {hero} was tired but {feeling}.',
  'they were both {feeling} and ate {food}.',
];

const endings = [
  'and so {hero} learned that {lesson}.',
  'from that day on, {hero} knew that {lesson}.',
  'and if you pass {way}, you may still see {hero} and {friend} there.',
  'then {hero} went home to {home} and slept until morning.',
  'and they stayed friends for the rest of their days.',
  '"{lesson}," said {hero}, and {friend} agreed.',
  'the end was better than the beginning, as it should be.',
];

// The nouns, names and traits of the tales: words of our own choosing, several hundred with those in the plots.

const girls = list('Mara, Tilda, Anya, Wren, Nell, Rosa, Juno, Edda, Lumi, Ivy');
const boys = list('Otto, Finn, Milo, Bram, Theo, Ravi, Emil, Hugo, Pim, Leo');

/** Who a tale can be about: kind, and a home that suits it. */
const kinds: readonly { readonly kind: string; readonly home: string; readonly animal: boolean }[] = [
  { kind: 'fox', home: 'a den under an old oak', animal: true },
  { kind: 'hedgehog', home: 'a heap of warm leaves', animal: true },
  { kind: 'mouse', home: 'a hole behind the mill', animal: true },
  { kind: 'owl', home: 'the hollow of a tall elm', animal: true },
  { kind: 'rabbit', home: 'a burrow beneath the hedge', animal: true },
  { kind: 'bear', home: 'a dry cave on the hill', animal: true },
  { kind: 'duck', home: 'a nest among the reeds', animal: true },
  { kind: 'baker', home: 'a narrow house above the bakery', animal: false },
  { kind: 'farmer', home: 'a red farm in the valley', animal: false },
  { kind: 'sailor', home: 'a blue boat in the harbour', animal: false },
  { kind: 'shepherd', home: 'a hut on the green hill', animal: false },
  { kind: 'gardener', home: 'a cottage behind the orchard', animal: false },
  { kind: 'miller', home: 'a windmill above the fields', animal: false },
];

const traits = list('small, young, clever, shy, brave, gentle, curious, quiet, lazy, proud, hungry, patient');

const friendKinds = list('crow, mole, toad, snail, swan, donkey, goose, turtle, sparrow, old cat');

const weather = list(
  'on a bright morning, on a cold evening, one rainy day, late in the summer, in the middle of winter, on a golden autumn day, one quiet night, early one morning',
);

/** When the plot begins, if the weather has been told. */
const nextTimes = list(
  'that very day, a little later, the next morning, after breakfast, before noon, one hour later',
);

const placesOnTheWay = list(
  'the old stone bridge, the dark wood, the long meadow, the sleepy village, the deep valley, the frozen lake, the broken gate, the silver stream, the green hill',
);

const treasures = list(
  'silver bell, wooden whistle, red scarf, old key, green hat, little drum, warm blanket, golden button, paper lantern, small spoon',
);

const hidingPlaces = list(
  'under a pile of leaves, in the pocket of an old coat, between two stones, at the bottom of the well, behind the door, in a basket of apples, under the kitchen table, in the tall grass, on the roof of the shed',
);

const foods = list(
  'a basket of plums, a pot of honey, some fine pears, a slice of cheese, a bowl of soup, an apple pie, fresh bread and butter, a bag of cherries, a cup of milk',
);

/** A journey: what is longed for, and what it is like to be there. */
const journeys: readonly { readonly goal: string; readonly target: string; readonly there: string }[] = [
  {
    goal: 'see the sea',
    target: 'the sea',
    there: 'the waves rolled in, blue and white, as far as the eye could see',
  },
  {
    goal: 'visit the moon garden',
    target: 'the moon garden',
    there: 'pale flowers opened one by one in the moonlight',
  },
  {
    goal: 'climb the white mountain',
    target: 'the white mountain',
    there: 'the whole land lay below like a painted map',
  },
  {
    goal: 'see the northern lights',
    target: 'the far north',
    there: 'green ribbons of light danced across the sky',
  },
  {
    goal: 'dance at the harvest fair',
    target: 'the fair',
    there: 'the fiddles played and the whole village danced',
  },
];

/** Something made: from what, and what it does when it works. */
const makings: readonly { readonly thing: string; readonly from: string; readonly works: string }[] = [
  { thing: 'kite', from: 'paper and string', works: 'rose above the roofs and tugged at the line' },
  { thing: 'boat', from: 'planks and tar', works: 'slid into the water and did not leak at all' },
  { thing: 'cake', from: 'flour, eggs and honey', works: 'came out of the oven tall and golden' },
  { thing: 'clock', from: 'wheels and springs', works: 'ticked softly and struck the hour' },
  { thing: 'tree house', from: 'boards and branches', works: 'stood safely between the leaves' },
];

/** Something grown with patience. */
const plantings: readonly { readonly seed: string; readonly grown: string }[] = [
  { seed: 'pumpkin seed', grown: 'a pumpkin as round as the moon' },
  { seed: 'acorn', grown: 'a little oak with five green leaves' },
  { seed: 'apple pip', grown: 'a thin tree with one red apple' },
  { seed: 'strange blue seed', grown: 'a flower that opened only at night' },
];

/** Something feared, where it waits, and what it turns out to be. */
const fears: readonly { readonly fear: string; readonly where: string; readonly truth: string }[] = [
  { fear: 'the dark', where: 'in the cellar', truth: 'there was nothing but potatoes and a sleepy spider' },
  { fear: 'the big dog', where: 'behind the gate', truth: 'the dog wagged its tail and wanted to play' },
  {
    fear: 'high places',
    where: 'on the tower',
    truth: 'the view was so wide that there was no time for fear',
  },
  { fear: 'the old well', where: 'in the yard', truth: 'the voice in the well was only an echo' },
];

const lessons = list(
  'a small step is still a step, friends are found on the way, the first try is not the last, kind words cost nothing, even the smallest can be strong, what is lost may yet be found, good work takes time',
);

const feelings = list('happy, proud, glad, calm, full of joy, warm inside');
const sorrows = list('sad, tired, lonely, cross, close to tears');
