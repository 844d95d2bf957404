import { describe, expect, it } from 'vitest';
import { generate, nextTokenLogits, sample } from '../../src/inference/languageModel.ts';
import { openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';

/** Counts how often each token is drawn, as shares. */
function shares(logits: number[], options: Parameters<typeof sample>[1], draws = 4000): number[] {
  const random = rng(7);
  const counts = logits.map(() => 0);
  for (let i = 0; i < draws; i++) {
    const token = sample(Float32Array.from(logits), { ...options, rng: random });
    counts[token] = counts[token]! + 1;
  }
  return counts.map((count) => count / draws);
}

const logits = [Math.log(0.1), Math.log(0.4), Math.log(0.2), Math.log(0.3)];

describe('sample', () => {
  it('takes the first of the likeliest tokens at temperature 0', () => {
    expect(sample(Float32Array.of(1, 5, 5, 2))).toBe(1);
    expect(sample(Float32Array.of(-3, -1, -2))).toBe(1);
  });

  it('draws in proportion to the softmax', () => {
    for (const [i, share] of shares(logits, { temperature: 1 }).entries()) {
      expect(share).toBeCloseTo(Math.exp(logits[i]!), 1);
    }
    // Temperature 1/2 squares the probabilities: 0.01, 0.16, 0.04, 0.09 of 0.3.
    expect(shares(logits, { temperature: 0.5 })[1]).toBeCloseTo(0.16 / 0.3, 1);
  });

  it('keeps the fewest that reach p', () => {
    // 0.4 + 0.3 is not yet 0.75, so the third is kept as well.
    const three = shares(logits, { temperature: 1, topP: 0.75 });
    expect(three[0]).toBe(0);
    expect(three[2]).toBeCloseTo(2 / 9, 1);
    expect(shares(logits, { temperature: 1, topP: 1e-9 })[1]).toBe(1);
  });

  it('refuses NaN and senseless settings', () => {
    expect(() => sample(Float32Array.of(0, Number.NaN))).toThrowError(
      expect.objectContaining({ kind: 'non-finite' }),
    );
    const bad = { kind: 'bad-argument' };
    expect(() => sample(Float32Array.of(0), { temperature: 1 })).toThrowError(expect.objectContaining(bad));
    expect(() => sample(Float32Array.of(0), { temperature: -1 })).toThrowError(expect.objectContaining(bad));
    expect(() => sample(Float32Array.of(0), { temperature: 1, topP: 0 })).toThrowError(
      expect.objectContaining(bad),
    );
  });
});

/** A model whose next token is always the last one plus 1, modulo 8. */
function successor(ids: readonly number[]): Float32Array {
  const next = new Float32Array(8);
  next[(ids.at(-1)! + 1) % 8] = 1;
  return next;
}

async function collect(options: Parameters<typeof generate>[0]): Promise<number[]> {
  const tokens: number[] = [];
  for await (const token of generate(options)) tokens.push(token);
  return tokens;
}

describe('generate', () => {
  it('ends at the count and at a stop token', async () => {
    expect(await collect({ ids: [3], maxNewTokens: 4, logits: successor })).toEqual([4, 5, 6, 7]);
    expect(await collect({ ids: [3], maxNewTokens: 9, logits: successor, stop: new Set([6]) })).toEqual([
      4, 5,
    ]);
  });

  it('gives the same text for the same seed and another for another', async () => {
    const flat = () => new Float32Array(50);
    const draw = (seed: number) =>
      collect({ ids: [0], maxNewTokens: 20, logits: flat, temperature: 1, rng: rng(seed) });
    expect(await draw(1)).toEqual(await draw(1));
    expect(await draw(1)).not.toEqual(await draw(2));
  });
});

describe('nextTokenLogits', () => {
  it('feeds what a decoder export asks for and returns the last position', async () => {
    const g = graphBuilder();
    const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
    const mask = g.input('attention_mask', 'int64', ['batch', 'total']);
    const past = g.input('past_key_values.0.key', 'float32', ['batch', 2, 'past', 4]);
    const table = Float32Array.from({ length: 64 }, (_, i) => successor([Math.floor(i / 8)])[i % 8]!);
    const rows = g.op('Gather', [g.weight('table', [8, 8], table), ids]);
    const total = g.op('Cast', [g.op('ReduceSum', [mask], { keepdims: 0 })], { to: 1 });
    g.output(g.op('Mul', [rows, total], {}, { outputs: ['logits'] }), 'float32', ['batch', 'sequence', 8]);
    g.output(g.op('Identity', [past], {}, { outputs: ['present'] }), 'float32', ['batch', 2, 'past', 4]);
    const session = await openSession(encodeModel(g.build()));
    const next = nextTokenLogits(session);
    expect(await next([5, 1, 2])).toEqual(Float32Array.of(0, 0, 0, 3, 0, 0, 0, 0));
    expect(await collect({ ids: [6], maxNewTokens: 3, logits: next })).toEqual([7, 0, 1]);
    await session.release();
  });

  /** Next token: the sum of all tokens so far modulo 16, known only from the cache, which holds every token read. */
  function summing(past: string, present: string, dims: readonly (number | string)[]) {
    const g = graphBuilder();
    const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
    const cache = g.input(past, 'float32', [...dims]);
    const isGpt2 = dims.length === 5;
    const read = g.op('Unsqueeze', [g.op('Cast', [ids], { to: 1 }), g.ints(isGpt2 ? [0, 2, 4] : [1, 3])]);
    const both = isGpt2 ? g.op('Concat', [read, read], { axis: 0 }) : read;
    const now = g.op('Concat', [cache, both], { axis: dims.length - 2 }, { outputs: [present] });
    const all = g.op('ReduceSum', [isGpt2 ? g.op('ReduceMean', [now], { axes: [0], keepdims: 0 }) : now], {
      keepdims: 0,
    });
    const rest = g.op('Mod', [all, g.weight('sixteen', [], [16])], { fmod: 1 });
    const away = g.op('Abs', [
      g.op('Sub', [
        g.weight(
          'tokens',
          [1, 1, 16],
          Array.from({ length: 16 }, (_, i) => i),
        ),
        rest,
      ]),
    ]);
    g.output(g.op('Neg', [away], {}, { outputs: ['logits'] }), 'float32', ['batch', 1, 16]);
    g.output(present, 'float32', [...dims.map((d) => (d === 'past' ? 'total' : d))]);
    return encodeModel(g.build());
  }

  it.each([
    ['past_key_values.0.key', 'present.0.key', ['batch', 1, 'past', 1]],
    ['past_0', 'present_0', [2, 'batch', 1, 'past', 1]],
  ] as const)('keeps the cache %s from token to token', async (past, present, dims) => {
    const session = await openSession(summing(past, present, dims));
    const lengths: number[] = [];
    const watched: typeof session = {
      ...session,
      run: (feeds, outputs) => {
        lengths.push(feeds.input_ids!.dims[1]!);
        return session.run(feeds, outputs);
      },
    };
    const next = nextTokenLogits(watched);
    // 1+2 = 3, then 6, 12, 24 mod 16 = 8, 16 mod 16 = 0.
    expect(await collect({ ids: [1, 2], maxNewTokens: 5, logits: next })).toEqual([3, 6, 12, 8, 0]);
    expect(lengths).toEqual([2, 1, 1, 1, 1]);
    // Another text starts afresh; the same one again too, since its last token's logits are wanted.
    expect(await collect({ ids: [5], maxNewTokens: 2, logits: next })).toEqual([5, 10]);
    expect(await collect({ ids: [5], maxNewTokens: 2, logits: next })).toEqual([5, 10]);
    expect(lengths.slice(5)).toEqual([1, 1, 1, 1]);
    await session.release();
  });

  it('names an input that it does not know', async () => {
    const g = graphBuilder();
    g.output(g.op('Identity', [g.input('pixel_values', 'float32', [1])]), 'float32', [1]);
    const session = await openSession(encodeModel(g.build()));
    await expect(nextTokenLogits(session)([1])).rejects.toThrowError(/pixel_values/);
    await session.release();
  });
});
