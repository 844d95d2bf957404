/** docs/texts.md: texts before and after the preset of the language model, and how much of them is a recipe's, by method. */
import { embeddedTexts } from '../../src/data/catalogue.ts';
import { TEMPERATURE, textsBy, type Voice, voiceOf } from './samples.ts';

/** Texts of the base, and of a run, that figures are of; and how many are shown of a preset. */
const TEXTS = 200;
const SHOWN = 10;

export interface VoiceFigure {
  readonly before: Voice;
  readonly after: Voice;
  /** The first texts of either, where they are to be shown. */
  readonly shown?: { readonly before: readonly string[]; readonly after: readonly string[] };
}

/** Base models by name: what they write is drawn once. */
const bases = new Map<string, Promise<string[]>>();

/** What the base `model` and the file at `merged` write, which was trained on recipes; with some of their texts if they are `shown`. */
export async function voiceFigure(model: string, merged: string, isShown: boolean): Promise<VoiceFigure> {
  const base = bases.get(model) ?? textsBy(model, TEXTS);
  bases.set(model, base);
  const [before, after] = [await base, await textsBy(merged, TEXTS)];
  const learnt = embeddedTexts('recipes', 'train');
  return {
    before: voiceOf(before, learnt),
    after: voiceOf(after, learnt),
    ...(isShown ? { shown: { before: before.slice(0, SHOWN), after: after.slice(0, SHOWN) } } : {}),
  };
}

/** A score on held-out texts, after a step. */
export interface Point {
  readonly step: number;
  readonly value: number;
}

interface Run {
  readonly name: string;
  readonly method: string;
  readonly steps: number;
  /** What ran the program that trained. */
  readonly runtime: string;
  readonly voice?: VoiceFigure;
  /** Of several seeds: each. */
  readonly runs?: readonly { readonly seed: number; readonly voice?: VoiceFigure }[];
  /** Perplexity as the run went on. */
  readonly curve?: readonly Point[];
}

const share = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

/** A row for each run that has written. */
const rowsOf = ({ name, method, steps, runtime, voice, runs }: Run): string[] =>
  (runs ?? [{ seed: null, voice }]).flatMap(({ seed, voice }) => {
    if (voice === undefined) return [];
    const { before, after } = voice;
    const run = seed === null ? name : `${name}, seed ${seed}`;
    return [
      `| ${run} | ${method} | ${steps} | ${runtime} | ${share(before.accepted, before.sentences)} of ${before.sentences} | ${share(after.accepted, after.sentences)} of ${after.sentences} | ${after.distinctTexts} | ${after.learntTexts} | ${share(after.distinctSentences, after.sentences)} | ${share(after.learntSentences, after.sentences)} |`,
    ];
  });

/** The page, from the runs that have written; the texts are those of `preset`. */
export function textsPage(runs: readonly Run[], preset: string): string {
  const { voice: { shown } = {}, curve = [] } = runs.find((run) => run.name === preset && run.voice) ?? {};
  const texts = (title: string, list: readonly string[]): string[] => [
    `## ${title}`,
    '',
    ...list.map((text, i) => `${i + 1}. ${text}`),
    '',
  ];
  return [
    '# Texts before and after',
    '',
    `Written by \`npm run -s papilio -- reproduce\`. The base model tales-gpt writes ${TEXTS} texts from nothing, and so does the merged file of each run, at temperature ${TEMPERATURE}, text i with seed i, in onnxruntime-web. A recogniser (tools/voice/recogniser.ts), which shares nothing with the grammar of the recipes, says of every sentence whether it is one of a recipe; what was cut off at the longest length counts as a sentence that is none. "Learnt" are those that stand in the training text word for word.`,
    '',
    '| run | method | steps | trained by | recipe sentences before | after | distinct texts | learnt texts | distinct sentences | learnt sentences |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...runs.flatMap(rowsOf),
    '',
    `How soon: perplexity on held-out recipes in the run ${preset} was ${curve.map(({ step, value }) => `${value.toFixed(2)} at step ${step}`).join(', ')}.`,
    '',
    ...(shown === undefined
      ? []
      : [...texts(`Before (${preset})`, shown.before), ...texts(`After (${preset})`, shown.after)]),
  ].join('\n');
}
