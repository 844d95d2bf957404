/** `papilio embed`: texts as vectors by an encoder, merged or not, in onnxruntime-web; how near they are to each other. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { cosine, embed } from '../inference/embeddings.ts';
import { openSession } from '../inference/session.ts';
import { fail } from '../lib/errors.ts';
import { encodeModel } from '../onnx/encode.ts';
import { openModel, tokenizerOf } from '../training/source.ts';
import { modelSource, surroundings } from './sources.ts';

export async function embedCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model: { type: 'string' },
      text: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.model === undefined || values.text.length === 0)
    return fail('bad-argument', 'embed needs --model and --text, the latter once for each text.');
  const opened = await openModel(await modelSource(values.model), surroundings);
  const tokenizer = tokenizerOf(opened);
  const session = await openSession(encodeModel(opened.model.onnx));
  const vectors: Float32Array[] = [];
  for (const text of values.text)
    vectors.push(await embed(session, tokenizer.encode(text, { specials: true })));
  await session.release();
  const cosines = vectors.map((a) => vectors.map((b) => cosine(a, b)));
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ vectors: vectors.map((v) => [...v]), cosines })}\n`);
    return 0;
  }
  for (const [i, row] of cosines.entries()) {
    process.stdout.write(`${row.map((c) => c.toFixed(4).padStart(7)).join(' ')}  ${values.text[i]}\n`);
  }
  return 0;
}
