/** The nouns, names and traits of the tales: words of our own choosing, several hundred with those in the plots. */
const list = (text: string): readonly string[] => text.split(',').map((word) => word.trim());

export const girls = list(
  'Mara, Tilda, Anya, Posy, Wren, Isla, Nell, Rosa, Juno, Edda, Hattie, Lumi, Petra, Zora, Ivy, Dora, Saskia, Bea',
);
export const boys = list(
  'Otto, Finn, Milo, Jasper, Bram, Theo, Ravi, Emil, Hugo, Nico, Tobin, Arlo, Kasper, Pim, Leo, Sami, Gus, Anton',
);

/** Who a tale can be about: kind, and a home that suits it. */
export const kinds: readonly { readonly kind: string; readonly home: string; readonly animal: boolean }[] = [
  { kind: 'fox', home: 'a den under an old oak', animal: true },
  { kind: 'hedgehog', home: 'a heap of warm leaves', animal: true },
  { kind: 'mouse', home: 'a hole behind the mill', animal: true },
  { kind: 'owl', home: 'the hollow of a tall elm', animal: true },
  { kind: 'badger', home: 'a burrow at the edge of the wood', animal: true },
  { kind: 'otter', home: 'a cosy bank beside the river', animal: true },
  { kind: 'rabbit', home: 'a burrow beneath the hedge', animal: true },
  { kind: 'squirrel', home: 'a nest high in a pine', animal: true },
  { kind: 'bear', home: 'a dry cave on the hill', animal: true },
  { kind: 'goat', home: 'a stone shed on the mountain', animal: true },
  { kind: 'duck', home: 'a nest among the reeds', animal: true },
  { kind: 'frog', home: 'a mossy corner of the pond', animal: true },
  { kind: 'baker', home: 'a narrow house above the bakery', animal: false },
  { kind: 'farmer', home: 'a red farm in the valley', animal: false },
  { kind: 'tailor', home: 'a crooked house near the market', animal: false },
  { kind: 'sailor', home: 'a blue boat in the harbour', animal: false },
  { kind: 'shepherd', home: 'a hut on the green hill', animal: false },
  { kind: 'clockmaker', home: 'a tower full of clocks', animal: false },
  { kind: 'gardener', home: 'a cottage behind the orchard', animal: false },
  { kind: 'fiddler', home: 'a painted wagon by the road', animal: false },
  { kind: 'miller', home: 'a windmill above the fields', animal: false },
  { kind: 'painter', home: 'an attic with a round window', animal: false },
];

export const traits = list(
  'small, young, clever, shy, brave, gentle, curious, cheerful, stubborn, quiet, lazy, proud, careful, hungry, kind, noisy, patient, dreamy, tidy, forgetful',
);

export const friendKinds = list(
  'crow, heron, mole, toad, beaver, snail, swan, donkey, goose, hare, turtle, cricket, sparrow, old cat, sheepdog, grey wolf',
);

export const weather = list(
  'on a bright morning, on a cold evening, one rainy day, one windy afternoon, in the first days of spring, late in the summer, one misty morning, in the middle of winter, on a golden autumn day, one quiet night, early one morning, one snowy day',
);

/** When the plot begins, if the weather has been told. */
export const nextTimes = list(
  'that very day, a little later, the next morning, after breakfast, before noon, one hour later',
);

export const placesOnTheWay = list(
  'the old stone bridge, the dark wood, the long meadow, the sleepy village, the rocky path, the deep valley, the bramble hedge, the frozen lake, the sandy shore, the tall corn, the muddy lane, the broken gate, the silver stream, the windy hill',
);

export const treasures = list(
  'silver bell, wooden whistle, red scarf, brass key, glass marble, green hat, little drum, warm blanket, golden button, leather purse, copper spoon, painted top, woollen glove, paper lantern, shiny compass, tin soldier, straw basket, pearl ring',
);

export const hidingPlaces = list(
  'under a pile of leaves, behind the water barrel, in the pocket of an old coat, beneath a loose board, inside an empty nest, between two stones, at the bottom of the well, behind the curtain, in a basket of apples, under the kitchen table, in the tall grass, on the roof of the shed',
);

export const foods = list(
  'a warm loaf, a basket of plums, a pot of honey, some ripe pears, a slice of cheese, a bowl of soup, a handful of nuts, a blueberry pie, fresh bread and butter, a bag of cherries, two sweet buns, a jug of milk',
);

/** A journey: what is longed for, and what it is like to be there. */
export const journeys: readonly { readonly goal: string; readonly target: string; readonly there: string }[] =
  [
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
      goal: 'hear the great organ',
      target: 'the great church',
      there: 'the deep notes shook the floor and filled the air',
    },
    {
      goal: 'climb the white mountain',
      target: 'the white mountain',
      there: 'the whole land lay below like a painted map',
    },
    {
      goal: 'meet the old king',
      target: 'the castle',
      there: 'the king laughed and let everybody try on his crown',
    },
    {
      goal: 'find the singing spring',
      target: 'the singing spring',
      there: 'the water hummed a soft tune over the stones',
    },
    {
      goal: 'ride the night train',
      target: 'the station',
      there: 'the windows glowed and the wheels sang on the rails',
    },
    {
      goal: 'see the northern lights',
      target: 'the far north',
      there: 'green ribbons of light danced across the sky',
    },
    {
      goal: 'reach the end of the rainbow',
      target: 'the rainbow',
      there: 'all the colours lay in the grass like fallen petals',
    },
    {
      goal: 'taste the winter honey',
      target: 'the bee tree',
      there: 'the honey was as sweet as a summer morning',
    },
    {
      goal: 'watch the lanterns float',
      target: 'the lantern lake',
      there: 'a hundred lanterns drifted over the dark water',
    },
    {
      goal: 'dance at the harvest fair',
      target: 'the fair',
      there: 'the fiddles played and the whole village danced',
    },
  ];

/** Something made: from what, and what it does when it works. */
export const makings: readonly { readonly thing: string; readonly from: string; readonly works: string }[] = [
  { thing: 'kite', from: 'paper and string', works: 'rose above the roofs and tugged at the line' },
  { thing: 'boat', from: 'planks and tar', works: 'slid into the water and did not leak at all' },
  { thing: 'swing', from: 'rope and an old plank', works: 'flew up so high that it touched the leaves' },
  { thing: 'flute', from: 'a hollow reed', works: 'sang as clear as a thrush in May' },
  { thing: 'sledge', from: 'birch wood and nails', works: 'raced down the hill and threw up the snow' },
  { thing: 'lamp', from: 'a jar and a candle', works: 'threw warm stars on every wall' },
  { thing: 'cake', from: 'flour, eggs and honey', works: 'came out of the oven tall and golden' },
  { thing: 'clock', from: 'wheels and springs', works: 'ticked softly and struck the hour' },
  { thing: 'quilt', from: 'scraps of cloth', works: 'was soft and bright and big enough for two' },
  { thing: 'bridge', from: 'logs and rope', works: 'held firm, even when everybody stood on it' },
  { thing: 'tree house', from: 'boards and branches', works: 'stood safely between the leaves' },
  { thing: 'puppet', from: 'socks and buttons', works: 'bowed, waved and made everybody laugh' },
];

/** Something grown with patience. */
export const plantings: readonly { readonly seed: string; readonly grown: string }[] = [
  { seed: 'pumpkin seed', grown: 'a pumpkin as round as the moon' },
  { seed: 'acorn', grown: 'a little oak with five green leaves' },
  { seed: 'bean', grown: 'a vine that climbed over the roof' },
  { seed: 'sunflower seed', grown: 'a sunflower taller than the door' },
  { seed: 'apple pip', grown: 'a thin tree with one red apple' },
  { seed: 'tulip bulb', grown: 'a tulip the colour of fire' },
  { seed: 'strange blue seed', grown: 'a flower that opened only at night' },
];

/** Something feared, where it waits, and what it turns out to be. */
export const fears: readonly { readonly fear: string; readonly where: string; readonly truth: string }[] = [
  { fear: 'the dark', where: 'in the cellar', truth: 'there was nothing but potatoes and a sleepy spider' },
  { fear: 'the thunder', where: 'above the roof', truth: 'the thunder was only the sky moving its chairs' },
  { fear: 'deep water', where: 'at the river', truth: 'the water carried whoever lay still and breathed' },
  {
    fear: 'the attic',
    where: 'up the steep stairs',
    truth: 'the groaning ghost was a loose shutter in the wind',
  },
  { fear: 'the big dog', where: 'behind the gate', truth: 'the dog wagged its tail and wanted to play' },
  {
    fear: 'high places',
    where: 'on the tower',
    truth: 'the view was so wide that there was no time for fear',
  },
  {
    fear: 'strangers',
    where: 'at the market',
    truth: 'every stranger was a friend who had not said hello yet',
  },
  { fear: 'the old well', where: 'in the yard', truth: 'the voice in the well was only an echo' },
];

export const lessons = list(
  'a small step is still a step, asking for help is not a weakness, a shared meal tastes better, patience is a kind of courage, friends are found on the way, the first try is seldom the last, kind words cost nothing, even the smallest can be strong, what is lost may yet be found, listening is half of knowing, good work takes time, home is sweetest after a journey',
);

export const feelings = list('happy, proud, glad, thankful, calm, merry, full of joy, warm inside');
export const sorrows = list('sad, tired, worried, lonely, cross, ashamed, disappointed, close to tears');
