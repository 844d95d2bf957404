/** `papilio embed`: texts as vectors by an encoder, merged or not, in onnxruntime-web; how near they are to each other. */
import { frame } from '../data.ts';
import { cosine, embed, openSession } from '../inference.ts';
import { encodeModel } from '../onnx.ts';
import { checkText, mostTokens, openModel, tokenizerOf } from '../trainer.ts';
import { command, type OptionTable, type Values } from './options.ts';
import { cliHost, modelSource } from './sources.ts';
import { note, print } from './terminal.ts';

const options = {
  model: {
    type: 'string',
    required: true,
    value: 'ENCODER',
    about: 'an .onnx file, a folder with one, hub:OWNER/NAME or an https address',
  },
  text: { type: 'string', required: true, multiple: true, about: 'a text' },
  json: { type: 'boolean', about: 'vectors and cosines as JSON' },
} as const satisfies OptionTable;

export const embedCommand = command(
  {
    name: 'embed',
    about:
      'Texts as unit vectors, the mean of the last hidden states, by onnxruntime-web; and how near they are to each other.',
    options,
  },
  embedTexts,
);

async function embedTexts(values: Values<typeof options>): Promise<number> {
  const opened = await openModel(await modelSource(values.model), cliHost);
  const tokenizer = tokenizerOf(opened);
  const session = await openSession(encodeModel(opened.model.onnx));
  const vectors: Float32Array[] = [];
  const limit = mostTokens(opened);
  const { exactly } = opened.model.contract;
  for (const text of values.text) {
    const { ids, isCut } = frame(
      tokenizer,
      text,
      undefined,
      exactly ?? limit?.tokens ?? Number.POSITIVE_INFINITY,
    );
    checkText(opened, ids, `of "${text.slice(0, 40)}"`);
    if (isCut && exactly !== null)
      note(`"${text.slice(0, 40)}…" is cut at ${exactly} tokens: the file takes no other length.\n`);
    else if (isCut && limit)
      note(`"${text.slice(0, 40)}…" is cut at ${limit.tokens} tokens: ${limit.because}.\n`);
    vectors.push(await embed(session, [...ids], opened.model.feeds, { exactly, padId: tokenizer.pad }));
  }
  await session.release();
  const cosines = vectors.map((a) => vectors.map((b) => cosine(a, b)));
  if (values.json) {
    print(`${JSON.stringify({ vectors: vectors.map((v) => [...v]), cosines })}\n`);
    return 0;
  }
  for (const [i, row] of cosines.entries()) {
    print(`${row.map((c) => c.toFixed(4).padStart(7)).join(' ')}  ${values.text[i]}\n`);
  }
  return 0;
}
