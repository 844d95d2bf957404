/**
 * What runs a merged file elsewhere, to copy: the file's own names, shapes and classes in a few lines for onnxruntime-web and for transformers.js.
 * A test runs both as they are.
 */
import type { DataReport, FileValue, ModelReport } from './protocol.ts';

export interface Exported {
  /** Of the folder that transformers.js opens. */
  readonly name: string;
  /** Where the merged file lies beside the script. */
  readonly file: string;
  readonly inputs: readonly FileValue[];
  readonly outputs: readonly FileValue[];
  /** Names of the files beside it. */
  readonly files: readonly string[];
  readonly data: Pick<DataReport, 'kind' | 'labels' | 'picture'>;
  readonly model: Pick<ModelReport, 'limit' | 'exactly' | 'feeds'>;
}

/** A snippet, or why there is none. */
export type Snippet = { readonly code: string } | { readonly reason: string };

const js = (value: unknown): string => JSON.stringify(value);

/** Element types of ONNX that the snippets write, with their arrays. */
const ARRAYS: Readonly<Record<string, string>> = {
  int64: 'BigInt64Array.from(values, BigInt)',
  int32: 'Int32Array.from(values)',
};

/** What the values of an input of a text are, by what it is for. */
const FILLS: Readonly<Record<string, string>> = {
  input_ids: 'ids',
  attention_mask: 'mask',
  token_type_ids: 'ids.map(() => 0)',
  position_ids: 'ids.map((_, i) => i)',
};

/** The feeds of a text, or the input that a few lines cannot make. */
function textFeeds({ inputs, model }: Exported): Fed | { readonly reason: string } {
  const feeds: string[] = [];
  const empty: Record<string, readonly number[]> = {};
  for (const { name, dtype, dims } of inputs) {
    if (/^past/.test(name) && dtype === 'float32' && dims !== null) {
      empty[name] = emptyCache(dims);
      continue;
    }
    const fill = FILLS[model.feeds[name] ?? name];
    if (fill === undefined || ARRAYS[dtype ?? ''] === undefined)
      return {
        reason: `The file asks for ${name} (${dtype ?? 'of no known type'}), which takes more than a few lines: open its folder with transformers.js.`,
      };
    feeds.push(`    ${js(name)}: tensor(${js(dtype)}, ${fill}),`);
  }
  if (Object.keys(empty).length > 0) feeds.push('    ...nothingBefore,');
  return { feeds, empty };
}

/** [batch, heads, past, head size]: one text, of which nothing has been read before. */
const emptyCache = (dims: readonly (number | string | null)[]): number[] =>
  dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : 0));

/** What a text is fed as. */
interface Fed {
  readonly feeds: readonly string[];
  /** Dims of the caches, by input. */
  readonly empty: Readonly<Record<string, readonly number[]>>;
}

/** The output that scores are read from. */
const scoresOf = ({ outputs }: Exported): string =>
  (outputs.find(({ name }) => name === 'logits') ?? outputs[0])?.name ?? 'logits';

const SOFTMAX = `function softmax(scores) {
  const most = scores.reduce((a, b) => Math.max(a, b));
  const parts = scores.map((x) => Math.exp(x - most));
  const sum = parts.reduce((a, b) => a + b);
  return parts.map((x) => x / sum);
}`;

const RANKED = `const ranked = (scores, count = 3) =>
  softmax(scores)
    .map((score, i) => ({ label: labels[i] ?? i, score }))
    .sort((a, b) => b.score - a.score)
    .slice(0, count);`;

function pictureCode(exported: Exported): Snippet {
  const { file, inputs, data } = exported;
  const [input] = inputs;
  const { picture } = data;
  if (input === undefined || inputs.length > 1 || input.dtype !== 'float32' || picture === undefined)
    return {
      reason:
        'The file asks for more than one picture of 32-bit numbers: open its folder with transformers.js.',
    };
  const { width, height, channels, mean, std } = picture;
  return {
    code: `// npm install onnxruntime-web
import * as ort from 'onnxruntime-web';

const labels = ${js(data.labels)};
const session = await ort.InferenceSession.create(${js(file)});

${SOFTMAX}

${RANKED}

const [channels, height, width] = [${channels}, ${height}, ${width}];
const mean = ${js(mean)};
const std = ${js(std)};

/** @param pixels numbers from 0 to 1, [channels, height, width] one after the other */
export async function classify(pixels) {
  const values = Float32Array.from(pixels, (x, i) => {
    const c = Math.floor(i / (height * width));
    return (x - mean[c]) / std[c];
  });
  const picture = new ort.Tensor('float32', values, [1, channels, height, width]);
  const out = await session.run({ ${js(input.name)}: picture });
  return ranked(Array.from(out[${js(scoresOf(exported))}].data));
}

// A black picture, to see that it runs.
console.log(await classify(new Float32Array(channels * height * width)));
`,
  };
}

/**
 * What opens tokenizer and file, and turns a text into tensors.
 *
 * @param most tokens of a text that are read, from its beginning; null: all
 */
function textHead({ file, model }: Exported, { feeds, empty }: Fed, most: number | null): string {
  const { exactly } = model;
  return `// npm install onnxruntime-web @huggingface/tokenizers
import { Tokenizer } from '@huggingface/tokenizers';
import * as ort from 'onnxruntime-web';

const read = async (name) => (await fetch(name)).json();
const tokenizer = new Tokenizer(await read('tokenizer.json'), await read('tokenizer_config.json'));
const session = await ort.InferenceSession.create(${js(file)});
${
  Object.keys(empty).length === 0
    ? ''
    : `
// The file's cache, empty: every run reads the whole text.
const caches = ${js(empty)};
const nothingBefore = Object.fromEntries(
  Object.entries(caches).map(([name, dims]) => [name, new ort.Tensor('float32', new Float32Array(0), dims)]),
);
`
}
/** One text of so many tokens as the file's inputs. */
function feedsOf(${exactly === null ? 'ids' : 'own'}) {
${
  exactly === null
    ? '  const mask = ids.map(() => 1);'
    : `  // The file takes ${exactly} tokens, no more and no fewer.
  const ids = [...own, ...new Array(${exactly} - own.length).fill(0)];
  const mask = ids.map((_, i) => (i < own.length ? 1 : 0));`
}
  const arrays = { int64: (values) => ${ARRAYS.int64}, int32: (values) => ${ARRAYS.int32} };
  const tensor = (type, values) => new ort.Tensor(type, arrays[type](values), [1, values.length]);
  return {
${feeds.join('\n')}
  };
}

const idsOf = (text) => tokenizer.encode(text).ids${most === null ? '' : `.slice(0, ${most})`};
`;
}

const WRITES = (scores: string, most: number | null): string => `
/** The likeliest token, again and again. */
export async function write(prompt, count = 20) {
  const ids = [...idsOf(prompt)];
  for (let i = 0; i < count; i++) {
    const out = await session.run(feedsOf(ids${most === null ? '' : `.slice(-${most})`}));
    const { data, dims } = out[${js(scores)}];
    const last = data.subarray(data.length - dims.at(-1));
    ids.push(last.reduce((best, x, k) => (x > last[best] ? k : best), 0));
  }
  return tokenizer.decode(ids, { skip_special_tokens: true });
}

console.log(await write('Once'));
`;

const CLASSIFIES = (scores: string): string => `
export async function classify(text) {
  const out = await session.run(feedsOf(idsOf(text)));
  return ranked(Array.from(out[${js(scores)}].data));
}

console.log(await classify('Once'));
`;

const TAGS = (scores: string): string => `
/** The likeliest label of every token. */
export async function tag(text) {
  const ids = idsOf(text);
  const { data, dims } = (await session.run(feedsOf(ids)))[${js(scores)}];
  const size = dims.at(-1);
  return ids.map((id, i) => ({
    token: tokenizer.id_to_token(id),
    ...ranked(Array.from(data.subarray(i * size, (i + 1) * size)), 1)[0],
  }));
}

console.log(await tag('Once'));
`;

const VALUES = (scores: string): string => `
export async function value(text) {
  return (await session.run(feedsOf(idsOf(text))))[${js(scores)}].data[0];
}

console.log(await value('Once'));
`;

function textCode(exported: Exported): Snippet {
  const { data, model, files } = exported;
  const fed = textFeeds(exported);
  if ('reason' in fed) return fed;
  if (!files.includes('tokenizer.json') || !files.includes('tokenizer_config.json'))
    return {
      reason:
        'The model came without tokenizer.json or tokenizer_config.json: what turns texts into tokens is not known.',
    };
  const most = model.exactly ?? model.limit?.tokens ?? null;
  // What is written on goes on from the end of a text, which is cut where that is run.
  const isWritten = data.kind === 'text' || data.kind === 'instruction';
  const head = textHead(exported, fed, isWritten ? null : most);
  const scores = scoresOf(exported);
  const withLabels = (rest: string) =>
    `${head}\nconst labels = ${js(data.labels)};\n\n${SOFTMAX}\n\n${RANKED}\n${rest}`;
  switch (data.kind) {
    case 'text':
    case 'instruction':
      return model.exactly === null
        ? { code: `${head}${WRITES(scores, most)}` }
        : { reason: `The file takes ${model.exactly} tokens, no more and no fewer: it cannot write on.` };
    case 'text-class':
      return { code: withLabels(CLASSIFIES(scores)) };
    case 'text-value':
      return { code: `${head}${VALUES(scores)}` };
    case 'token-class':
      return { code: withLabels(TAGS(scores)) };
    default:
      return {
        reason: 'What this file answers takes more than a few lines: open its folder with transformers.js.',
      };
  }
}

/** Beside the merged file and, for texts, the tokenizer's files; in a page or in Node. */
export const onnxruntimeSnippet = (exported: Exported): Snippet =>
  exported.data.kind === 'image' ? pictureCode(exported) : textCode(exported);

/** The pipeline of transformers.js for each kind of data; for numbers there is none. */
const PIPELINES: Readonly<Record<Exported['data']['kind'], string | null>> = {
  image: 'image-classification',
  text: 'text-generation',
  instruction: 'text-generation',
  'masked-text': 'fill-mask',
  'text-class': 'text-classification',
  'text-value': null,
  'token-class': 'token-classification',
};

/** What transformers.js and the Hub call what is done with such data. */
export const pipelineTask = ({ kind }: Pick<Exported['data'], 'kind'>): string | null => PIPELINES[kind];

/** Beside the folder, in a page or in Node. */
export function transformersSnippet({ name, data }: Pick<Exported, 'name' | 'data'>): Snippet {
  const task = pipelineTask(data);
  if (task === null) return { reason: 'transformers.js has no pipeline for numbers: take onnxruntime-web.' };
  const options =
    task === 'text-generation'
      ? ', { max_new_tokens: 20, do_sample: false }'
      : task === 'image-classification'
        ? ', { top_k: 3 }'
        : '';
  // It reads no "do_convert_grayscale" of preprocessor_config.json: what is shown to a model of one colour is made grey here.
  const isGrey = task === 'image-classification' && data.picture?.channels === 1;
  const asked = isGrey
    ? `(await RawImage.read('picture.png')).grayscale()`
    : task === 'image-classification'
      ? js('picture.png')
      : task === 'fill-mask'
        ? `\`\${run.tokenizer.mask_token} Once\``
        : js('Once');
  return {
    code: `// npm install @huggingface/transformers; the folder ${name} lies beside this file
import { env, pipeline${isGrey ? ', RawImage' : ''} } from '@huggingface/transformers';

env.allowRemoteModels = false;
env.localModelPath = './';

const run = await pipeline(${js(task)}, ${js(name)}, { dtype: 'fp32' });
console.log(await run(${asked}${options}));
`,
  };
}
