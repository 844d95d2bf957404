/** The sentences of the tales: how they begin, seven plots, what people say, how they end. */

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

export const beginnings = [
  'once upon a time there was {a trait} {kind} named {hero} who lived in {home}.',
  'long ago, in {home}, there lived {a trait} {kind} called {hero}.',
  '{hero} was {a trait} {kind}. {he} lived in {home}.',
  'there once was {a kind} whose name was {hero}, and {he} was very {trait}.',
  'in {home} lived {hero}, {a trait} little {kind}.',
  'everybody knew {hero} the {kind}, for nobody was as {trait} as {he} was.',
  '{weather}, {a trait} {kind} named {hero} looked out of {home}.',
];

export const habits = [
  'every day {he} [swept the floor|sang a song|counted the clouds|fed the birds|read an old book] and [drank a cup of tea|went for a walk|watched the road|waited for the evening].',
  '{he} liked [rain and thunder|warm bread|long stories|quiet mornings|loud music|bright colours], but most of all {he} liked [to laugh|to dream|to sleep|good company].',
  '{his} neighbours often [smiled at|wondered about|waved to|talked about] {him}.',
  'in the [morning|evening] {he} [sat by the window|walked around the pond|lit a small fire] and [hummed|thought|whistled] to {himself}.',
  '{he} had [few friends|a good heart|a big secret|no brothers or sisters], and that was [enough|fine|how {he} liked it].',
];

export const plots: readonly Plot[] = [
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

export const failures = [
  '{he} tried once more, and once more it went wrong.',
  '{he} [pulled and pushed|asked everybody|turned in circles], but it was no use.',
  '"I shall never manage it," {he} [sighed|said|whispered].',
];

export const dialogues = [
  'just then {friend} the {friendKind} came by. "why do you look so [sad|serious|thoughtful]?" {fhe} asked. "{lesson}," {fhe} said when {hero} had told {fhim} everything.',
  '"do not give up," said {friend} the {friendKind}. "remember: {lesson}."',
  '{friend} the {friendKind} looked at {him} and [nodded|smiled|laughed softly]. "let us try together," {fhe} said.',
  '"may I help?" asked a [small|deep|kind|friendly] voice. it was {friend} the {friendKind}. "yes, please," said {hero}.',
  '"listen," said {friend} the {friendKind}, "my [mother|grandfather|aunt] used to say that {lesson}."',
  '{hero} thought about it for a long time. then {friend}, {his} friend the {friendKind}, [sat down beside|walked up to|waved to] {him}. "two are better than one," said {friend}.',
];

export const feelingsAfter = [
  '{hero} was {feeling}.',
  '{he} had never been so {feeling}.',
  'that evening {hero} was tired but {feeling}.',
  'they were both {feeling} and ate {food}.',
];

export const endings = [
  'and so {hero} learned that {lesson}.',
  'from that day on, {hero} knew that {lesson}.',
  'and if you pass {way}, you may still see {hero} and {friend} there.',
  'then {hero} went home to {home} and slept until morning.',
  'and they stayed friends for the rest of their days.',
  '"{lesson}," said {hero}, and {friend} agreed.',
  'the end was better than the beginning, as it should be.',
];
