/**
 * Short tales from a grammar: someone wants something, something is in the way, somebody helps, and it ends well or
 * nearly. A tale is a function of its generator, some 60 to 150 words in one paragraph.
 */
import type { Rng } from '../../lib/rng.ts';
import { expand, paragraph, type Slots } from './grammar.ts';
import { beginnings, dialogues, endings, failures, feelingsAfter, habits, plots } from './plots.ts';
import * as words from './words.ts';

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

function person(r: Rng, not?: Person): Person {
  const girl = r.chance(0.5);
  const names = (girl ? words.girls : words.boys).filter((name) => name !== not?.name);
  const { kind, home } = r.pick(words.kinds.filter((k) => k.kind !== not?.kind));
  return { name: r.pick(names), kind, home, ...pronouns[girl ? 'girl' : 'boy'] };
}

/** One tale, without a line break. */
export function tale(r: Rng): string {
  const hero = person(r);
  const friend = person(r, hero);
  const journey = r.pick(words.journeys);
  const making = r.pick(words.makings);
  const planting = r.pick(words.plantings);
  const fear = r.pick(words.fears);
  const friendKind = r.chance(0.5) ? friend.kind : r.pick(words.friendKinds);
  const weather = r.pick(words.weather);
  const beginning = r.pick(beginnings);
  const slots: Slots = {
    hero: hero.name,
    kind: hero.kind,
    home: hero.home,
    he: hero.he,
    him: hero.him,
    his: hero.his,
    himself: hero.himself,
    trait: r.pick(words.traits),
    friend: friend.name,
    friendKind,
    fhe: friend.he,
    fhim: friend.him,
    fhis: friend.his,
    weather,
    when: beginning.includes('{weather}') ? r.pick(words.nextTimes) : weather,
    way: r.pick(words.placesOnTheWay),
    treasure: r.pick(words.treasures),
    hidden: r.pick(words.hidingPlaces),
    elsewhere: r.pick(words.hidingPlaces),
    food: r.pick(words.foods),
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
    lesson: r.pick(words.lessons),
    feeling: r.pick(words.feelings),
    sorrow: r.pick(words.sorrows),
  };
  const plot = r.pick(plots);
  const beats = [
    beginning,
    r.chance(0.6) ? r.pick(habits) : '',
    ...plot.beats.map((choices) => r.pick(choices)),
    ...(plot.fails && r.chance(0.6) ? [r.pick(failures)] : []),
    r.pick(plot.talk ?? dialogues),
    ...plot.after.map((choices) => r.pick(choices)),
    r.chance(0.7) ? r.pick(feelingsAfter) : '',
    r.pick(endings),
  ];
  return paragraph(beats.map((beat) => expand(beat, slots, r)));
}
