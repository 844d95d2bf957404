/**
 * Text from two sessions on the same prompt and seed, token by token in turns, so that both stream and neither's time holds the other's.
 */
import { chatFormat } from '../data/chat.ts';
import { promptIds, stopIds } from '../data/instructions.ts';
import { endOf } from '../data/tokenizer.ts';
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import { type Settings, type Side, shapeOf } from './answers.ts';
import { generate } from './generate.ts';
import { nextTokenLogits } from './languageModel.ts';
import type { OrtSession } from './session.ts';

export interface WriteOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  /** 0: always the likeliest token. */
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** What one file has written so far. */
export interface Writing {
  readonly text: string;
  readonly tokens: number;
  readonly promptTokens: number;
  /** Until the first token; null before it. */
  readonly promptSeconds: number | null;
  /** Tokens after the first, by the seconds that onnxruntime took for them; null before there are any. */
  readonly tokensPerSecond: number | null;
  /** The export keeps what it has read from token to token. */
  readonly isCached: boolean;
  readonly isDone: boolean;
}

/** The prompt's tokens as in training: a conversation's beginning where conversations were learnt, else the text itself; and what ends the answer. */
function asked(
  settings: Settings,
  prompt: string,
): { readonly ids: number[]; readonly stop: ReadonlySet<number> } {
  const { tokenizer } = settings;
  if (tokenizer === null) return fail('bad-data', 'Writing needs the tokenizer.json of the model.');
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

/** Goes on only as far as it is asked to. @throws PapilioError 'bad-argument' for a prompt that leaves no room */
export async function* writeBoth(
  sessions: Readonly<Record<Side, OrtSession>>,
  settings: Settings,
  options: WriteOptions,
  now: () => number = () => performance.now(),
): AsyncGenerator<Readonly<Record<Side, Writing>>, void> {
  const { ids, stop } = asked(settings, options.prompt);
  const tokenizer = settings.tokenizer!;
  const context = settings.positions ?? ids.length + options.maxTokens;
  if (ids.length >= context)
    fail('bad-argument', `The prompt has ${ids.length} tokens, but the model reads ${context}; shorten it.`);
  const maxNewTokens = Math.min(options.maxTokens, context - ids.length);
  // A conversation's answer stands alone, a text goes on.
  const head = settings.kind === 'instruction' ? [] : ids.slice(tokenizer.prefix.length);
  const writers = (['before', 'after'] as const).map((side) => {
    const session = sessions[side];
    const logits = nextTokenLogits(session, settings.feeds, shapeOf(settings));
    const times: number[] = [];
    const timed = async (so: readonly number[]): Promise<Float32Array> => {
      const from = now();
      const result = await logits(so);
      times.push((now() - from) / 1000);
      return result;
    };
    const tokens = generate({
      ids,
      maxNewTokens,
      logits: timed,
      temperature: options.temperature,
      topP: options.topP,
      rng: rng(options.seed),
      stop,
    });
    const made: number[] = [];
    let isDone = false;
    return {
      side,
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
          promptTokens: ids.length,
          promptSeconds: times[0] ?? null,
          tokensPerSecond: later.length > 0 ? later.length / later.reduce((a, b) => a + b, 0) : null,
          isCached: session.inputNames.some((name) => /^past/.test(name)),
          isDone,
        };
      },
    };
  });
  const [before, after] = writers as [(typeof writers)[0], (typeof writers)[0]];
  while (writers.some((writer) => !writer.isDone())) {
    for (const writer of writers) {
      if (writer.isDone()) continue;
      await writer.go();
      yield { before: before.writing(), after: after.writing() };
    }
  }
}
