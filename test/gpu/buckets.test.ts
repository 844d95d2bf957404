/** Programs of several lengths over the same weights. The same rows at another length give the same numbers. */
import { afterEach, expect, test } from 'vitest';
import { closeAll, dataFiles, head, range, review, reviewWords, tinyBert, train } from './tinyTasks.ts';

afterEach(closeAll);

test('short rows do not pay for long ones: each length has its own program, and the curve is that of equal padding', async () => {
  const long = 'and a long night and a day '.repeat(4);
  const rows = range(64).map((i) => ({
    text: i % 4 === 0 ? `${review(i)} ${long}` : review(i),
    label: i % 2 === 1 ? 'positive' : 'negative',
  }));
  const jsonl = rows.map((r) => JSON.stringify(r)).join('\n');
  const settings = { sequenceLength: 40, steps: 40 };
  const bucketed = await train(head, tinyBert('sum', reviewWords), dataFiles({ 'r.jsonl': jsonl }), settings);
  const lengths = range(8).map((i) => bucketed.session.batches.update(i)[0]!.sequence);
  expect(new Set(lengths)).toEqual(new Set([8, 40]));
  expect(bucketed.notes).toContain('padded to 8, 40 tokens');
  expect(bucketed.after.value).toBeGreaterThanOrEqual(0.9);
  const steps = bucketed.session.history.steps.map((s) => s.step);
  expect(steps).toEqual(range(40).map((i) => i + 1));
  // The same examples at the longest length say the same.
  const { batches, engine } = bucketed.session;
  const short = range(8)
    .map((i) => batches.update(i)[0]!)
    .find((b) => b.sequence === 8)!;
  const padded = (tensor: { readonly data: Float32Array | Int32Array }) => {
    const data = new Int32Array(8 * 40);
    for (let r = 0; r < 8; r++) data.set(tensor.data.subarray(r * 8, r * 8 + 8) as Int32Array, r * 40);
    return { dtype: 'int32' as const, shape: [8, 40], data };
  };
  const wide = {
    ...short,
    sequence: 40,
    inputs: Object.fromEntries(Object.entries(short.inputs).map(([n, t]) => [n, padded(t)])),
  };
  const a = await engine.evaluate('adapted', short, true);
  const b = await engine.evaluate('adapted', wide, true);
  expect(Math.abs(a.loss - b.loss)).toBeLessThan(1e-4 * Math.max(1, Math.abs(b.loss)));
  a.logits!.forEach((v, i) => {
    expect(Math.abs(v - b.logits![i]!)).toBeLessThan(1e-4);
  });
});
