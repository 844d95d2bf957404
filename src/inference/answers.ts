/** Both files' answers to one text or drawing: probabilities of classes, a number, tags of tokens, guesses of hidden tokens. */
import { fitted } from '../data/pictures.ts';
import { frame } from '../data/rows.ts';
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.ts';
import { tokenizerSettings } from '../data/tokenizerSettings.ts';
import type { Dataset } from '../data/types.ts';
import { fail } from '../lib/errors.ts';
import { completeFeeds, type FeedNames, type TextShape, textFeeds } from './feeds.ts';
import type { OrtSession } from './session.ts';
import type { FeedTensor } from './tensor.ts';

export type Side = 'before' | 'after';

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
    readonly exactly: number | null;
    readonly feeds: FeedNames;
  };
}

/** What the small files beside a model say, and what data it was trained on. */
export interface Settings {
  readonly kind: Dataset['kind'];
  readonly labels: readonly string[];
  readonly tokenizer: Tokenizer | null;
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
  readonly chatTemplate: string | null;
  /** Tokens that the model can read at once; null where nothing says so. */
  readonly positions: number | null;
  /** Tokens of each text, where the files take no other number. */
  readonly exactly: number | null;
  /** Inputs that the file calls otherwise. */
  readonly feeds: FeedNames;
  /** What the run fed the model with, where it was pictures. */
  readonly picture: Picture | null;
}

export type Question =
  | { readonly text: string; readonly pair?: string }
  /** A square drawing, 0 … 1. */
  | { readonly pixels: Float32Array; readonly size: number };

export type Answer =
  | {
      readonly kind: 'classes';
      /** One for the whole input, or one a token. */
      readonly rows: readonly {
        readonly title: string;
        readonly labels: readonly string[];
        readonly before: Float32Array;
        readonly after: Float32Array;
      }[];
    }
  | { readonly kind: 'number'; readonly before: number; readonly after: number };

const LIKELIEST = 3;

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

/** Softmax. */
function probabilities(logits: Float32Array): Float32Array {
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = logits.map((v) => Math.exp(v - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

/** How both files take texts. */
export const shapeOf = ({ exactly, tokenizer }: Settings): TextShape => ({
  exactly,
  padId: tokenizer?.pad ?? 0,
});

/** Scores of the one input that was asked about, and how many there are for each token. */
interface Scores {
  readonly data: Float32Array;
  readonly width: number;
}

async function scoresOf(
  session: OrtSession,
  given: Readonly<Record<string, FeedTensor>>,
  names: FeedNames,
): Promise<Scores> {
  const output = session.outputNames.includes('logits') ? 'logits' : session.outputNames[0]!;
  const feeds = completeFeeds(session.inputs, given, undefined, names);
  const { [output]: found } = await session.run(feeds, [output]);
  const { data, dims } = found!;
  // A file that takes several at a time is given the same one again.
  return { data: Float32Array.from(data.subarray(0, data.length / (dims[0] ?? 1))), width: dims.at(-1) ?? 1 };
}

/** One grey drawing [size, size] as the run fed the model: at its size, the same in every channel, normalised. */
function drawing({ picture }: Settings, pixels: Float32Array, size: number): FeedTensor {
  if (!picture) return fail('internal', 'A drawing was asked about, but the run was not on pictures.');
  const { width, height, channels, mean, std } = picture;
  const bytes = fitted(pixels, { width: size, height: size, channels: 1 }, picture);
  const area = width * height;
  const data = Float32Array.from(bytes, (v, i) => {
    const c = Math.floor(i / area);
    return (v / 255 - mean[c]!) / std[c]!;
  });
  return { dtype: 'float32', dims: [1, channels, height, width], data };
}

/** @throws PapilioError 'bad-data' where a text cannot be read */
export async function answerOf(
  sessions: Readonly<Record<Side, OrtSession>>,
  settings: Settings,
  question: Question,
): Promise<Answer> {
  const { labels, tokenizer } = settings;
  if ('pixels' in question) {
    const feed = drawing(settings, question.pixels, question.size);
    const ask = async (session: OrtSession) =>
      probabilities((await scoresOf(session, { pixel_values: feed }, settings.feeds)).data);
    const rows = [
      { title: 'drawing', labels, before: await ask(sessions.before), after: await ask(sessions.after) },
    ];
    return { kind: 'classes', rows };
  }
  if (tokenizer === null) return fail('bad-data', 'Reading text needs the tokenizer.json of the model.');
  const most = settings.positions ?? Number.POSITIVE_INFINITY;
  const { ids, segments } = frame(tokenizer, question.text, question.pair, most);
  const row = question.pair === undefined ? { ids } : { ids, segments };
  const feeds = textFeeds(row, shapeOf(settings));
  const before = await scoresOf(sessions.before, feeds, settings.feeds);
  const after = await scoresOf(sessions.after, feeds, settings.feeds);
  if (settings.kind === 'text-value')
    return { kind: 'number', before: before.data[0]!, after: after.data[0]! };
  if (settings.kind === 'text-class') {
    const [b, a] = [probabilities(before.data), probabilities(after.data)];
    return { kind: 'classes', rows: [{ title: 'text', labels, before: b, after: a }] };
  }
  return { kind: 'classes', rows: tokenRows(settings, tokenizer, ids, before, after) };
}

/** A row for every token that is tagged, or for every hidden one. */
function tokenRows(
  settings: Settings,
  tokenizer: Tokenizer,
  ids: Int32Array,
  before: Scores,
  after: Scores,
): Extract<Answer, { kind: 'classes' }>['rows'] {
  const isTagged = settings.kind === 'token-class';
  const at = ({ data, width }: Scores, t: number): Float32Array =>
    probabilities(data.subarray(t * width, (t + 1) * width));
  const wanted = [...ids.keys()].filter((t) =>
    isTagged ? !tokenizer.specials.has(ids[t]!) : ids[t] === tokenizer.mask,
  );
  if (wanted.length === 0 && !isTagged)
    fail(
      'bad-data',
      `Hide a word: write ${tokenizer.mask === undefined ? 'the mask token' : tokenizer.token(tokenizer.mask)} in its place.`,
    );
  return wanted.map((t) => {
    const [b, a] = [at(before, t), at(after, t)];
    const title = tokenizer.decode([ids[t]!], { specials: true }).trim();
    if (isTagged) return { title, labels: settings.labels, before: b, after: a };
    const likeliest = (p: Float32Array) => [...p.keys()].sort((x, y) => p[y]! - p[x]!).slice(0, LIKELIEST);
    const shown = [...new Set([...likeliest(a), ...likeliest(b)])];
    const pick = (p: Float32Array) => Float32Array.from(shown, (id) => p[id]!);
    return { title, labels: shown.map((id) => tokenizer.decode([id])), before: pick(b), after: pick(a) };
  });
}
