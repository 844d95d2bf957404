/** Lets faults strike until as many have as were wanted, and counts what came of them. */
import { type Rng, rng } from '../../src/lib/rng.ts';
import { KINDS, type Kind, type Trial, trial } from './kinds.ts';
import type { Scene } from './scene.ts';

export interface Count {
  struck: number;
  /** Came when the run had ended. */
  late: number;
  /** Steps lost beyond the part that was under way. */
  beyond: number;
  /** Runs that differ from the undisturbed one after this kind struck last. */
  wrong: number;
  complaints: number;
}

export interface Tally {
  readonly counts: Readonly<Record<Kind, Count>>;
  /** Everything that was not as it should be. */
  readonly failures: readonly string[];
}

/** With more it is broken. */
const MOST_FAILURES = 20;

export interface Wanted {
  readonly scene: Scene;
  /** The bundle of trainerHost.ts. */
  readonly host: string;
  readonly count: number;
  readonly seed: number;
  /** Runs at once. */
  readonly jobs: number;
  readonly kinds?: readonly Kind[];
  readonly say: (line: string) => void;
}

export async function letStrike({
  scene,
  host,
  count,
  seed,
  jobs,
  kinds = KINDS,
  say,
}: Wanted): Promise<Tally> {
  const counts = Object.fromEntries(
    KINDS.map((kind) => [kind, { struck: 0, late: 0, beyond: 0, wrong: 0, complaints: 0 }]),
  ) as Record<Kind, Count>;
  const failures: string[] = [];
  let struck = 0;
  let begun = 0;
  const note = (name: string, first: Kind, { faults, wrong }: Trial): void => {
    for (const { kind, beyond, complaints, at, ...fault } of faults) {
      const of = counts[kind];
      if (fault.struck) struck++;
      of[fault.struck ? 'struck' : 'late']++;
      of.beyond += beyond;
      of.complaints += complaints.length;
      const what = [...(beyond > 0 ? [`${beyond} steps lost beyond the part`] : []), ...complaints];
      for (const sentence of what) failures.push(`${name}, ${kind} (${at}): ${sentence}`);
      say(`${name}  ${kind}${fault.struck ? '' : ' (too late)'}: ${at}${what.length > 0 ? '  WRONG' : ''}`);
    }
    const last = faults.at(-1)?.kind ?? first;
    if (wrong.length === 0) return;
    counts[last].wrong++;
    failures.push(`${name}, after ${faults.map(({ kind }) => kind).join(', ')}: ${wrong.join('; ')}`);
    say(failures.at(-1)!);
  };
  const work = async (random: Rng): Promise<void> => {
    while (struck < count && failures.length < MOST_FAILURES) {
      const index = begun++;
      const kind = kinds[index % kinds.length]!;
      const name = `${seed}-${index}`;
      note(name, kind, await trial(scene, host, kind, random.fork(index), name, count - struck));
    }
  };
  await Promise.all(Array.from({ length: jobs }, () => work(rng(seed))));
  return { counts, failures };
}
