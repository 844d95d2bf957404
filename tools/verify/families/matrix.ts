/**
 * `papilio verify families [DIR]`: every combination of model, method and target in a folder of small models, by {@link runCombination}; exit code 1
 * on any failure. What is refused is counted with its sentence.
 */
import { join } from 'node:path';
import { METHODS, type MethodId } from '../../../src/adapters/registry.ts';
import { openEngine } from '../../../src/cli/engine.ts';
import { publicFolder } from '../../../src/cli/sources.ts';
import { print } from '../../../src/cli/terminal.ts';
import { fail } from '../../../src/lib/errors.ts';
import { type Combination, exists, type Outcome, runCombination } from './combination.ts';
import { interpreterEngines } from './interpreterEngine.ts';
import { openSubject, type Subject, subjectNames, TARGETS } from './subjects.ts';

export interface FamilyOptions {
  readonly json: boolean;
  readonly only: readonly string[];
  readonly pairs: boolean;
  readonly share: string | undefined;
  readonly engine: 'interpreter' | 'onnxruntime' | 'webgpu';
}

/** The repository's own models. */
export const ownModels = async (): Promise<string> =>
  join(await publicFolder(), '..', 'test', 'fixtures', 'models');

const methods = Object.keys(METHODS) as MethodId[];

/** Whether a combination has a value of this name, or a model whose name begins with it. */
const has = (c: Combination, word: string): boolean =>
  c.method === word || c.target === word || c.subject === word || c.subject.startsWith(`${word}-`);

/** Every combination that there is of these models. */
export function matrixOf(subjects: readonly Subject[]): Combination[] {
  return subjects.flatMap((subject) =>
    methods.flatMap((method) =>
      TARGETS.filter((target) => exists(subject, method, target)).map((target) => ({
        subject: subject.name,
        method,
        target,
      })),
    ),
  );
}

/** As few combinations as cover every pair of model, method, target and tie that there is. */
export function pairsOfMatrix(
  combinations: readonly Combination[],
  subjects: ReadonlyMap<string, Subject>,
): Combination[] {
  const points = combinations.map((c) => ({ ...c, tie: String(tieOf(subjects.get(c.subject)!)) }));
  return coverPairs<Combination & Point>(points);
}

/** What config.json says of the head and the table of words. */
export const tieOf = ({ opened }: Subject): string =>
  typeof opened.model.config.tie_word_embeddings === 'boolean'
    ? opened.model.config.tie_word_embeddings
      ? 'tied'
      : 'untied'
    : 'no tie';

function shareOf<T>(list: readonly T[], word: string | undefined): readonly T[] {
  if (word === undefined) return list;
  const [k = 0, n = 0] = word.split('/').map(Number);
  if (!(Number.isInteger(k) && Number.isInteger(n) && k >= 1 && k <= n))
    fail('bad-argument', `--share takes K/N such as 1/4, not "${word}".`);
  return list.filter((_, i) => i % n === k - 1);
}

/** What trains. */
export async function engineOf(engine: FamilyOptions['engine']) {
  if (engine === 'interpreter') return { engine: interpreterEngines, close: () => {} };
  return openEngine({ engine, 'engine-path': undefined, threads: undefined, tune: undefined });
}

interface Tally {
  passed: number;
  refused: number;
  failed: number;
  worst: { parity: number; where: string };
  readonly sentences: Map<string, string[]>;
  readonly failures: { where: string; sentence: string }[];
}

const whereOf = (c: Combination): string => `${c.subject} × ${c.method} × ${c.target}`;

/** One kind of sentence: names and numbers of the single model left out. */
function kindOfSentence(sentence: string, { opened }: Subject): string {
  const named = opened.model.targets.layers.map((l) => l.name).filter((name) => sentence.includes(name));
  const longest = named.sort((a, b) => b.length - a.length);
  return longest.reduce((s, name) => s.replaceAll(name, '…'), sentence).replace(/\b\d+\b/g, 'N');
}

function note(tally: Tally, where: string, outcome: Outcome, subject: Subject): void {
  tally[outcome.status]++;
  if (outcome.status === 'passed') {
    if (outcome.parity > tally.worst.parity) tally.worst = { parity: outcome.parity, where };
  } else if (outcome.status === 'refused') {
    const kind = kindOfSentence(outcome.sentence, subject);
    tally.sentences.set(kind, [...(tally.sentences.get(kind) ?? []), where]);
  } else tally.failures.push({ where, sentence: outcome.sentence });
}

/** @returns the exit code */
export async function verifyFamilies(folder: string | undefined, options: FamilyOptions): Promise<number> {
  const root = folder ?? (await ownModels());
  const say = (line: string): void => {
    if (!options.json) print(`${line}\n`);
  };
  const subjects = new Map<string, Subject>();
  const wanted = (name: string): boolean =>
    options.only.every((word) => !isModel(word) || name === word || name.startsWith(`${word}-`));
  const unread: { where: string; sentence: string }[] = [];
  for (const name of (await subjectNames(root)).filter(wanted)) {
    try {
      subjects.set(name, await openSubject(join(root, name)));
    } catch (error) {
      unread.push({ where: name, sentence: error instanceof Error ? error.message : String(error) });
      say(`FAIL ${name} cannot be opened: ${unread.at(-1)!.sentence}`);
    }
  }
  const all = matrixOf([...subjects.values()]).filter((c) => options.only.every((word) => has(c, word)));
  const chosen = shareOf(options.pairs ? pairsOfMatrix(all, subjects) : all, options.share);
  if (chosen.length === 0) fail('bad-argument', 'No combination is left; say less with --only.');
  const on = await engineOf(options.engine);
  const tally: Tally = {
    ...{ passed: 0, refused: 0, failed: unread.length, worst: { parity: 0, where: '' } },
    ...{ sentences: new Map(), failures: unread },
  };
  const started = performance.now();
  for (const c of chosen) {
    const subject = subjects.get(c.subject)!;
    const outcome = await runCombination(on, subject, c.method, c.target);
    note(tally, whereOf(c), outcome, subject);
    if (outcome.status === 'failed') say(`FAIL ${whereOf(c)}: ${outcome.sentence}`);
  }
  on.close();
  report(tally, chosen.length, all.length, subjects.size, (performance.now() - started) / 1000, options, say);
  return tally.failed > 0 ? 1 : 0;
}

/** Whether a word of --only names models, rather than a method or a target. */
const isModel = (word: string): boolean =>
  !Object.hasOwn(METHODS, word) && !(TARGETS as readonly string[]).includes(word);

function report(
  tally: Tally,
  ran: number,
  all: number,
  models: number,
  seconds: number,
  options: FamilyOptions,
  say: (line: string) => void,
): void {
  const { passed, refused, failed, worst, sentences, failures } = tally;
  if (options.json) {
    const refusals = Object.fromEntries(sentences);
    const figures = { models, all, ran, passed, refused, failed, worst, refusals, failures, seconds };
    print(`${JSON.stringify(figures)}\n`);
    return;
  }
  for (const [sentence, where] of sentences) say(`refused ${where.length}: ${sentence} (${where[0]})`);
  say(
    `${ran} of ${all} combinations of ${models} models in ${seconds.toFixed(0)} s: ${passed} passed, ${refused} refused with a sentence, ${failed} failed.`,
  );
  if (passed > 0) say(`Worst difference to onnxruntime: ${worst.parity.toExponential(1)} (${worst.where}).`);
}

// A share of a matrix in which every pair of values of two axes comes together wherever the matrix has it.

/** A point of the matrix: its value on every axis, by the axis's name. */
export type Point = Readonly<Record<string, string>>;

const pairsOf = (point: Point): string[] => {
  const values = Object.entries(point).map(([axis, value]) => `${axis}=${value}`);
  return values.flatMap((a, i) => values.slice(i + 1).map((b) => `${a} & ${b}`));
};

/** All pairs that occur. */
export const allPairs = (points: readonly Point[]): ReadonlySet<string> => new Set(points.flatMap(pairsOf));

/**
 * Greedy: always the point with the most pairs that none before it had. Points that do not count towards pairs of their own (what is refused) may
 * be taken all the same; callers who mind leave them out.
 */
export function coverPairs<P extends Point>(points: readonly P[]): P[] {
  const missing = new Set(allPairs(points));
  const left = points.map((point) => ({ point, pairs: pairsOf(point) }));
  const chosen: P[] = [];
  while (missing.size > 0) {
    let best = left[0]!;
    let gain = -1;
    for (const candidate of left) {
      const count = candidate.pairs.reduce((n, pair) => n + (missing.has(pair) ? 1 : 0), 0);
      if (count > gain) [best, gain] = [candidate, count];
    }
    for (const pair of best.pairs) missing.delete(pair);
    left.splice(left.indexOf(best), 1);
    chosen.push(best.point);
  }
  return chosen;
}
