/** What a language model writes when it is left alone, and how much of it is in the voice that it was to learn. */
import { cliHost, modelSource } from '../../src/cli/sources.ts';
import { sample } from '../../src/inference/languageModel.ts';
import { type FeedTensor, type OrtSession, openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { openModel, tokenizerOf } from '../../src/training/openModel.ts';
import { recipeSentence, sentencesOf } from './recogniser.ts';

export const TEMPERATURE = 0.8;
const MOST_TOKENS = 127;
/** Texts that are written side by side. */
const TOGETHER = 50;

/**
 * The first `count` texts that a model with a key-value cache writes from nothing, in onnxruntime-web; text i is drawn with seed i.
 * @param model as the command line names it: `embedded:NAME` or a file
 */
export async function textsBy(model: string, count: number): Promise<string[]> {
  const opened = await openModel(await modelSource(model), cliHost);
  const tokenizer = tokenizerOf(opened);
  const session = await openSession(encodeModel(opened.model.onnx), { providers: ['wasm'] });
  const texts: string[] = [];
  for (let first = 0; first < count; first += TOGETHER) {
    const seeds = Array.from({ length: Math.min(TOGETHER, count - first) }, (_, k) => first + k);
    for (const ids of await writeTogether(session, tokenizer.eos ?? 0, seeds))
      texts.push(tokenizer.decode(ids));
  }
  await session.release();
  return texts;
}

/** The tokens of one text for each seed, from the token `end` to the next, which is not among them. */
async function writeTogether(
  session: OrtSession,
  end: number,
  seeds: readonly number[],
): Promise<number[][]> {
  const size = seeds.length;
  const draws = seeds.map((seed) => rng(seed, 0x7e));
  const texts = seeds.map((): number[] => []);
  const isDone = seeds.map(() => false);
  let last = seeds.map(() => end);
  const pasts = session.inputs.filter(({ name }) => name.startsWith('past_key_values'));
  let cache: Record<string, FeedTensor> = Object.fromEntries(
    pasts.map(({ name, dims }) => {
      const [, heads, , width] = dims as readonly number[];
      return [name, { dtype: 'float32', dims: [size, heads!, 0, width!], data: new Float32Array(0) }];
    }),
  );
  for (let at = 0; at < MOST_TOKENS && isDone.includes(false); at++) {
    const whole = (length: number, data: readonly number[]): FeedTensor => ({
      dtype: 'int64',
      dims: [size, length],
      data,
    });
    const found = await session.run({
      input_ids: whole(1, last),
      attention_mask: whole(at + 1, new Array(size * (at + 1)).fill(1)),
      position_ids: whole(1, new Array(size).fill(at)),
      ...cache,
    });
    cache = Object.fromEntries(
      pasts.map(({ name }) => [name, found[name.replace('past_key_values', 'present')]!]),
    );
    const { data } = found.logits!;
    const width = data.length / size;
    last = draws.map((draw, k) => {
      const logits = Float32Array.from(data.subarray(k * width, (k + 1) * width));
      const token = isDone[k] ? end : sample(logits, { temperature: TEMPERATURE, rng: draw });
      isDone[k] ||= token === end;
      if (!isDone[k]) texts[k]!.push(token);
      return token;
    });
  }
  return texts;
}

/** Counts of texts and of their sentences. */
export interface Voice {
  readonly texts: number;
  readonly distinctTexts: number;
  /** Texts that stand in the training text word for word. */
  readonly learntTexts: number;
  readonly sentences: number;
  /** Sentences that the recogniser takes for a recipe's. */
  readonly accepted: number;
  readonly distinctSentences: number;
  readonly learntSentences: number;
}

/** What is to be said of `texts` by a model that was trained on the texts `learnt`. */
export function voiceOf(texts: readonly string[], learnt: readonly string[]): Voice {
  const sentences = texts.flatMap(sentencesOf);
  const known = new Set(learnt);
  const knownSentences = new Set(learnt.flatMap(sentencesOf));
  return {
    texts: texts.length,
    distinctTexts: new Set(texts).size,
    learntTexts: texts.filter((text) => known.has(text)).length,
    sentences: sentences.length,
    accepted: sentences.filter((sentence) => recipeSentence(sentence) !== null).length,
    distinctSentences: new Set(sentences).size,
    learntSentences: sentences.filter((sentence) => knownSentences.has(sentence)).length,
  };
}
