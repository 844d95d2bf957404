/** Embeddings by a model whose hidden states can be added up by hand. */
import { expect, it } from 'vitest';
import { cosine, embed } from '../../src/inference/languageModel.ts';
import { openSession } from '../../src/inference/session.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';

/** Token 0 is (3, 0), token 1 is (0, 4), token 2 is (-3, 0). */
function encoder(output: string): Uint8Array {
  const g = graphBuilder();
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  g.input('attention_mask', 'int64', ['batch', 'sequence']);
  const rows = g.op(
    'Gather',
    [g.weight('table', [3, 2], [3, 0, 0, 4, -3, 0]), ids],
    {},
    { outputs: [output] },
  );
  g.output(rows, 'float32', ['batch', 'sequence', 2]);
  return encodeModel(g.build());
}

it('is the mean of the hidden states at length 1', async () => {
  const session = await openSession(encoder('last_hidden_state'));
  const a = await embed(session, [0, 1]);
  expect(a[0]).toBeCloseTo(0.6, 6);
  expect(a[1]).toBeCloseTo(0.8, 6);
  expect(cosine(a, await embed(session, [0]))).toBeCloseTo(0.6, 6);
  expect(cosine(a, a)).toBeCloseTo(1, 6);
  await expect(embed(session, [])).rejects.toMatchObject({ kind: 'bad-argument' });
  await expect(embed(session, [0, 2])).rejects.toMatchObject({ kind: 'non-finite' });
  await session.release();
});

it('names what a model without hidden states gives', async () => {
  const session = await openSession(encoder('logits'));
  await expect(embed(session, [0])).rejects.toThrow(/gives logits and no hidden states/);
  await session.release();
});
