/**
 * Two models asked the same, side by side: probabilities of classes, a number, tags of tokens, guesses of hidden tokens, or text. They are the
 * trainer's base and adapted weights, or two files in onnxruntime.
 */

import { type BatchOptions, pictureTensor } from '../data/batches.ts';
import { chatFormat } from '../data/chat.ts';
import { promptIds, stopIds } from '../data/instructions.ts';
import { fitted, type PictureSize } from '../data/pictures.ts';
import { frame } from '../data/rows.ts';
import { endOf, loadTokenizer, type Tokenizer, tokenizerSettings } from '../data/tokenizer.ts';
import type { Dataset, FloatTensor } from '../data/types.ts';
import { fail } from '../lib/errors.ts';
import { type Rng, rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import { completeFeeds, type FeedNames, type TextShape, textFeeds } from './feeds.ts';
import { generate, nextTokenLogits } from './languageModel.ts';
import type { FeedTensor, OrtSession } from './session.ts';

export type Side = 'before' | 'after';

export type Both<T> = Readonly<Record<Side, T>>;

/** Logits, a row of `width` for each example or token. */
export interface Scores {
  readonly data: Float32Array;
  readonly width: number;
}

/** One of two models that are asked the same. `Input` is the form in which it takes examples. */
export interface Predictor<Input> {
  scores(input: Input): Promise<Scores>;
  /** Logits [vocabulary] of the token after `ids`. */
  nextToken(ids: readonly number[]): Promise<Float32Array>;
  /** Whether it keeps what it has read from token to token. */
  readonly isCached: boolean;
}

export const askBoth = async <Input>(
  { before, after }: Both<Predictor<Input>>,
  input: Input,
): Promise<Both<Scores>> => ({ before: await before.scores(input), after: await after.scores(input) });

/** Softmax of each row. */
export const probabilities = ({ data, width }: Scores): Float32Array[] =>
  Array.from({ length: data.length / width }, (_, row) => {
    const part = data.subarray(row * width, (row + 1) * width);
    const top = part.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const weights = part.map((v) => Math.exp(v - top));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((w) => w / sum);
  });

/** Tokens that are shown of those that either model may take. */
const LIKELIEST = 3;

/** The numbers of the likeliest classes, the likeliest first. */
export const likeliest = (p: Float32Array): number[] =>
  [...p.keys()].sort((a, b) => p[b]! - p[a]!).slice(0, LIKELIEST);

export const pick = (values: Float32Array, ids: readonly number[]): Float32Array =>
  Float32Array.from(ids, (id) => values[id]!);

/** A grey square drawing [side · side], 0 … 1, as a model of pictures is fed it: at its size, the same in every channel, normalised. */
export function drawingTensor(
  pixels: Float32Array,
  side: number,
  size: PictureSize,
  how: Pick<BatchOptions, 'mean' | 'std'>,
): FloatTensor {
  const bytes = fitted(pixels, { width: side, height: side, channels: 1 }, size);
  return pictureTensor([Float32Array.from(bytes, (v) => v / 255)], size, how);
}

/** What a run fed a model with, where it was pictures. */
interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** What both files were trained on and how they take it, as the page knows it: nothing of it has been read yet. */
export interface About {
  /** The small files beside the model. */
  readonly sidecars: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  readonly data: {
    readonly kind: Dataset['kind'];
    readonly labels: readonly string[];
    readonly picture?: Picture;
  };
  readonly model: {
    readonly limit: { readonly tokens: number } | null;
    /** Tokens of each text, where the files take no other number. */
    readonly exactly: number | null;
    /** Inputs that the files call otherwise. */
    readonly feeds: FeedNames;
  };
}

/** What the small files beside a model say, and what data it was trained on. */
export interface Settings
  extends Pick<About['data'], 'kind' | 'labels'>,
    Pick<About['model'], 'exactly' | 'feeds'> {
  readonly tokenizer: Tokenizer | null;
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
  readonly chatTemplate: string | null;
  /** Tokens that the model can read at once; null where nothing says so. */
  readonly positions: number | null;
  readonly picture: Picture | null;
}

export type Question =
  | { readonly text: string; readonly pair?: string }
  /** A square drawing, 0 … 1. */
  | { readonly pixels: Float32Array; readonly size: number };

interface ClassesAnswer {
  readonly kind: 'classes';
  /** One for the whole input, or one a token. */
  readonly rows: readonly ({
    readonly title: string;
    readonly labels: readonly string[];
  } & Both<Float32Array>)[];
}

export type Answer = ClassesAnswer | ({ readonly kind: 'number' } & Both<number>);

export function settingsOf({
  sidecars,
  data: { kind, labels, picture },
  model: { limit, exactly, feeds },
}: About): Settings {
  const text = (name: string): string | null => {
    const file = sidecars.find((f) => f.name === name);
    return file ? new TextDecoder().decode(file.bytes) : null;
  };
  const tokenizer = text('tokenizer.json');
  const { config: tokenizerConfig, template } = tokenizerSettings(text);
  return {
    kind,
    labels,
    tokenizer: tokenizer === null ? null : loadTokenizer(tokenizer, tokenizerConfig),
    tokenizerConfig,
    chatTemplate: template,
    positions: exactly ?? limit?.tokens ?? null,
    exactly,
    feeds,
    picture: picture ?? null,
  };
}

/** How both files take texts. */
const shapeOf = ({ exactly, tokenizer }: Settings): TextShape => ({
  exactly,
  padId: tokenizer?.pad ?? 0,
});

/** Two files in onnxruntime, which take one example at a time. */
function predictorsOf(sessions: Both<OrtSession>, settings: Settings): Both<Predictor<Feeds>> {
  const { feeds: names } = settings;
  const predictor = (session: OrtSession): Predictor<Feeds> => ({
    async scores(input) {
      const output = session.outputNames.includes('logits') ? 'logits' : session.outputNames[0]!;
      const feeds = completeFeeds(session.inputs, input, undefined, names);
      const { [output]: found } = await session.run(feeds, [output]);
      const { data, dims } = found!;
      // A file that takes several at a time is given the same one again.
      const own = data.subarray(0, data.length / (dims[0] ?? 1));
      return { data: Float32Array.from(own), width: dims.at(-1) ?? 1 };
    },
    nextToken: nextTokenLogits(session, names, shapeOf(settings)),
    isCached: session.inputNames.some((name) => /^past/.test(name)),
  });
  return { before: predictor(sessions.before), after: predictor(sessions.after) };
}

type Feeds = Readonly<Record<string, FeedTensor>>;

/** @throws PapilioError 'bad-data' where a text cannot be read */
export async function answerOf(
  sessions: Both<OrtSession>,
  settings: Settings,
  question: Question,
): Promise<Answer> {
  const { labels, tokenizer, picture } = settings;
  const predictors = predictorsOf(sessions, settings);
  const oneRow = (title: string, { before, after }: Both<Scores>): Answer => {
    const [b, a] = [probabilities(before)[0]!, probabilities(after)[0]!];
    return { kind: 'classes', rows: [{ title, labels, before: b, after: a }] };
  };
  if ('pixels' in question) {
    if (!picture) return fail('internal', 'A drawing was asked about, but the run was not on pictures.');
    const { shape: dims, ...tensor } = drawingTensor(question.pixels, question.size, picture, picture);
    return oneRow('drawing', await askBoth(predictors, { pixel_values: { ...tensor, dims } }));
  }
  if (tokenizer === null) return fail('bad-data', say`Reading text needs the tokenizer.json of the model.`);
  const most = settings.positions ?? Number.POSITIVE_INFINITY;
  const { ids, segments } = frame(tokenizer, question.text, question.pair, most);
  const row = question.pair === undefined ? { ids } : { ids, segments };
  const both = await askBoth(predictors, textFeeds(row, shapeOf(settings)));
  if (settings.kind === 'text-value')
    return { kind: 'number', before: both.before.data[0]!, after: both.after.data[0]! };
  if (settings.kind === 'text-class') return oneRow('text', both);
  return { kind: 'classes', rows: tokenRows(settings, tokenizer, ids, both) };
}

/** A row for every token that is tagged, or for every hidden one. */
function tokenRows(
  { kind, labels }: Settings,
  tokenizer: Tokenizer,
  ids: readonly number[],
  both: Both<Scores>,
): ClassesAnswer['rows'] {
  const isTagged = kind === 'token-class';
  const at = ({ data, width }: Scores, t: number): Float32Array =>
    probabilities({ data: data.subarray(t * width, (t + 1) * width), width })[0]!;
  const wanted = [...ids.keys()].filter((t) =>
    isTagged ? !tokenizer.specials.has(ids[t]!) : ids[t] === tokenizer.mask,
  );
  if (wanted.length === 0 && !isTagged)
    fail(
      'bad-data',
      tokenizer.mask === undefined
        ? say`Hide a word: write the mask token in its place.`
        : say`Hide a word: write ${tokenizer.token(tokenizer.mask)!} in its place.`,
    );
  return wanted.map((t) => {
    const [before, after] = [at(both.before, t), at(both.after, t)];
    const title = tokenizer.decode([ids[t]!], { specials: true }).trim();
    if (isTagged) return { title, labels, before, after };
    const shown = [...new Set([...likeliest(after), ...likeliest(before)])];
    return {
      title,
      labels: shown.map((id) => tokenizer.decode([id])),
      before: pick(before, shown),
      after: pick(after, shown),
    };
  });
}

// Text from two models on the same prompt and seed, token by token in turns, so that both stream and neither's time holds the other's.

export interface WriteOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  /** 0: always the likeliest token. */
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** What one model has written so far. */
export interface Writing {
  readonly text: string;
  readonly tokens: number;
  /** The tokens themselves. */
  readonly made: readonly number[];
  readonly promptTokens: number;
  /** Until the first token; null before it. */
  readonly promptSeconds: number | null;
  /** Tokens after the first, by the seconds that the model took for them; null before there are any. */
  readonly tokensPerSecond: number | null;
  readonly isCached: boolean;
  readonly isDone: boolean;
}

/** The prompt's tokens as in training: a conversation's beginning where conversations were learnt, else the text itself; and what ends the answer. */
function asked(
  settings: Settings,
  prompt: string,
): { readonly ids: number[]; readonly stop: ReadonlySet<number> } {
  const { tokenizer } = settings;
  if (tokenizer === null) return fail('bad-data', say`Writing needs the tokenizer.json of the model.`);
  if (settings.kind !== 'instruction') {
    const ids = [...tokenizer.prefix, ...tokenizer.encode(prompt)];
    return {
      ids: ids.length > 0 ? ids : [tokenizer.eos ?? 0],
      stop: new Set(tokenizer.eos === undefined ? [] : [tokenizer.eos]),
    };
  }
  const format = chatFormat(settings.tokenizerConfig, settings.chatTemplate, endOf(tokenizer));
  return { ids: promptIds(format, tokenizer, prompt), stop: stopIds(format, tokenizer) };
}

/** How two texts begin and are drawn, the same for both. */
export interface TextStart {
  readonly ids: readonly number[];
  /** What is shown before the new tokens. */
  readonly head: readonly number[];
  readonly stop: ReadonlySet<number>;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topP?: number;
  /** Draws that begin anew for each text. */
  readonly random: () => Rng;
}

/** Goes on only as far as it is asked to. */
export async function* writeInTurns(
  predictors: Both<Pick<Predictor<never>, 'nextToken' | 'isCached'>>,
  tokenizer: Tokenizer,
  { head, random, ...start }: TextStart,
  now: () => number = () => performance.now(),
): AsyncGenerator<BothWriting, void> {
  const writer = ({ nextToken, isCached }: Pick<Predictor<never>, 'nextToken' | 'isCached'>) => {
    const times: number[] = [];
    const logits = async (ids: readonly number[]): Promise<Float32Array> => {
      const from = now();
      const result = await nextToken(ids);
      times.push((now() - from) / 1000);
      return result;
    };
    const tokens = generate({ ...start, ids: [...start.ids], logits, rng: random() });
    const made: number[] = [];
    let isDone = false;
    return {
      isDone: () => isDone,
      async go() {
        const next = await tokens.next();
        if (next.done) isDone = true;
        else made.push(next.value);
      },
      writing(): Writing {
        const later = times.slice(1);
        return {
          text: tokenizer.decode([...head, ...made]),
          tokens: made.length,
          made: [...made],
          promptTokens: start.ids.length,
          promptSeconds: times[0] ?? null,
          tokensPerSecond: later.length > 0 ? later.length / later.reduce((a, b) => a + b, 0) : null,
          isCached,
          isDone,
        };
      },
    };
  };
  const [before, after] = [writer(predictors.before), writer(predictors.after)];
  while (!before.isDone() || !after.isDone()) {
    for (const one of [before, after]) {
      if (one.isDone()) continue;
      await one.go();
      yield { before: before.writing(), after: after.writing() };
    }
  }
}

/** Two files, as {@link writeInTurns}. @throws PapilioError 'bad-argument' for a prompt that leaves no room */
export async function* writeBoth(
  sessions: Both<OrtSession>,
  settings: Settings,
  { prompt, maxTokens, temperature, topP, seed }: WriteOptions,
  now?: () => number,
): AsyncGenerator<BothWriting, void> {
  const { ids, stop } = asked(settings, prompt);
  const tokenizer = settings.tokenizer!;
  const context = settings.positions ?? ids.length + maxTokens;
  if (ids.length >= context)
    fail(
      'bad-argument',
      say`The prompt has ${ids.length} tokens, but the model reads ${context}; shorten it.`,
    );
  const start: TextStart = {
    ids,
    stop,
    // A conversation's answer stands alone, a text goes on.
    head: settings.kind === 'instruction' ? [] : ids.slice(tokenizer.prefix.length),
    maxNewTokens: Math.min(maxTokens, context - ids.length),
    random: () => rng(seed),
    ...{ temperature, topP },
  };
  yield* writeInTurns(predictorsOf(sessions, settings), tokenizer, start, now);
}

// Two files side by side in the inference worker, with the tokenizer and the chat template that came with them: what a stranger's files say
// is read here, where it can be ended, and never in the page.

export type BothWriting = Both<Writing>;

/** @throws PapilioError where the small files cannot be read */
export function pairWork(sessions: Both<OrtSession>, about: About) {
  const settings = settingsOf(about);
  let text: AsyncGenerator<BothWriting, void> | null = null;
  return {
    answer: (question: Question) => answerOf(sessions, settings, question),
    /** Begins a text; the one before it is left where it is. */
    write(options: WriteOptions): void {
      text = writeBoth(sessions, settings, options);
    },
    /** How far both are after one more token of one of them; null at the end. */
    async next(): Promise<BothWriting | null> {
      const now = await text?.next();
      return now?.value ?? null;
    },
  };
}
