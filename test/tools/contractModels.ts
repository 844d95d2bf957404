/** Small text models with one trait each that a contract is read from, their tokenizer, and the way a run opens them. */
import type { InputFile } from '../../src/lib/bytes.ts';
import { rng } from '../../src/lib/rng.ts';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { makeTensor } from '../../src/onnx/tensor.ts';
import { type Host, openModel } from '../../src/training/openModel.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { prepareTask } from '../../src/training/task.ts';

const WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...'abcdefghijklmnopqrst'];
export const VOCABULARY = WORDS.length;

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const json = (name: string, value: unknown): InputFile => ({
  name,
  bytes: utf8(JSON.stringify(value)),
});
export const text = (name: string, content: string): InputFile => ({ name, bytes: utf8(content) });

/** A tokenizer's frame around one text or two, as BERT has it. @param vocabulary has [CLS] and [SEP] at their ids */
export function framedAsBert(vocabulary: readonly string[]) {
  const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
  const text = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
  const single = [special('[CLS]', 0), text('A', 0), special('[SEP]', 0)];
  const tokens = ['[CLS]', '[SEP]'].map((id) => [id, { id, ids: [vocabulary.indexOf(id)], tokens: [id] }]);
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, text('B', 1), special('[SEP]', 1)],
    special_tokens: Object.fromEntries(tokens),
  };
}

/** Words between spaces, framed as BERT does; `more` are further tokens with the next ids. */
export const tokenizer = (more: readonly string[] = [], changes: object = {}): InputFile =>
  json('tokenizer.json', {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...WORDS.slice(0, 5), ...more].map((content) => ({
      ...{ id: [...WORDS, ...more].indexOf(content), content },
      ...{ single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    })),
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: framedAsBert(WORDS),
    decoder: null,
    model: {
      type: 'WordLevel',
      vocab: Object.fromEntries([...WORDS, ...more].map((w, i) => [w, i])),
      unk_token: '[UNK]',
    },
    ...changes,
  });

export interface Traits {
  readonly width?: number;
  readonly rows?: number;
  /** How positions come into the hidden states, from a table of so many rows. */
  readonly positions?: { readonly by: 'slice' | 'look-up' | 'counted'; readonly rows: number };
  /** A causal buffer [1, 1, n, n] of this size: a decoder. */
  readonly causal?: number;
  readonly segments?: number;
  /** Names of the token input, and of the mask; null: none. */
  readonly names?: { readonly tokens?: string; readonly mask?: string | null };
  readonly ends: 'hidden' | 'classes' | 'words' | 'tags' | 'probabilities';
  readonly classes?: number;
  readonly output?: string;
  /** Sizes of the token input. */
  readonly dims?: readonly [number | string, number | string];
}

/** A sum of embeddings, one attention layer, a linear layer of the name q_proj, and an end. */
export function textModel(traits: Traits): InputFile {
  const { width = 12, rows = VOCABULARY, ends, classes = 3, causal, segments, positions } = traits;
  const { dims = ['batch', 'sequence'] } = traits;
  const { tokens: name = 'input_ids', mask: maskName = 'attention_mask' } = traits.names ?? {};
  const random = rng(width * 31 + rows, 5);
  const g = graphBuilder({ name: 'm' });
  const draw = (weight: string, shape: readonly number[]): string =>
    g.weight(
      weight,
      shape,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.4 * random.normal()),
    );
  const ids = g.input(name, 'int64', dims);
  const mask = maskName === null ? null : g.input(maskName, 'int64', dims);
  let x = g.op('Gather', [draw('emb.word.weight', [rows, width]), ids]);
  const length = g.op('Gather', [g.op('Shape', [ids]), g.ints([1], [])]);
  const upTo = g.op('Unsqueeze', [length, g.ints([0])]);
  if (segments !== undefined) {
    const types = g.input('token_type_ids', 'int64', dims);
    x = g.op('Add', [x, g.op('Gather', [draw('emb.type.weight', [segments, width]), types])]);
  }
  if (positions) {
    const table = draw('emb.position.weight', [positions.rows, width]);
    x = g.op('Add', [x, positionRows(g, positions.by, table, { ids, length, upTo })]);
  }
  x = attention(g, x, draw, { width, causal, upTo, mask });
  const q = draw('layer.q_proj.weight', [width, width]);
  x = g.op('Add', [x, g.op('Tanh', [g.op('MatMul', [x, g.op('Transpose', [q], { perm: [1, 0] })])])]);
  x = g.op('LayerNormalization', [
    x,
    g.weight('norm.weight', [width], new Float32Array(width).fill(1)),
    draw('norm.bias', [width]),
  ]);
  end(g, x, draw, { width, rows, classes, ends, output: traits.output, dims });
  return { name: 'model.onnx', bytes: encodeModel(g.build()) };
}

type Draw = (weight: string, shape: readonly number[]) => string;

function positionRows(
  g: GraphBuilder,
  by: NonNullable<Traits['positions']>['by'],
  table: string,
  { ids, length, upTo }: Readonly<Record<'ids' | 'length' | 'upTo', string>>,
): string {
  if (by === 'slice') return g.op('Slice', [table, g.ints([0]), upTo, g.ints([0])]);
  if (by === 'look-up')
    return g.op('Gather', [table, g.op('Range', [g.ints([0], []), length, g.ints([1], [])])]);
  // As RoBERTa: positions count what is not padding (id 0 here) and begin after the padding id.
  const real = g.op('Cast', [g.op('Not', [g.op('Equal', [ids, g.ints([0], [])])])], { to: 7 });
  const counted = g.op('Mul', [g.op('CumSum', [real, g.ints([1], [])]), real]);
  return g.op('Gather', [table, counted]);
}

function attention(
  g: GraphBuilder,
  x: string,
  draw: Draw,
  {
    width,
    causal,
    upTo,
    mask,
  }: { width: number; causal: number | undefined; upTo: string; mask: string | null },
): string {
  const heads = (of: string): string =>
    g.op('Transpose', [g.op('Reshape', [of, g.ints([0, 0, 2, width / 2])])], { perm: [0, 2, 1, 3] });
  const query = heads(g.op('MatMul', [x, draw('layer.query', [width, width])]));
  const keys = g.op('Transpose', [heads(x)], { perm: [0, 1, 3, 2] });
  const scores = g.op('Div', [g.op('MatMul', [query, keys]), g.scalar(Math.sqrt(width / 2))]);
  let weighed = scores;
  const low = g.scalar(-1e9);
  if (causal !== undefined) {
    const data = Array.from({ length: causal * causal }, (_, i) =>
      i % causal <= Math.floor(i / causal) ? 1 : 0,
    );
    const buffer = g.initializer(makeTensor('layer.bias', 'bool', [1, 1, causal, causal], data));
    const rows = g.op('Slice', [buffer, g.ints([0]), upTo, g.ints([2])]);
    weighed = g.op('Where', [g.op('Slice', [rows, g.ints([0]), upTo, g.ints([3])]), scores, low]);
  } else if (mask !== null) {
    const kept = g.op('Cast', [g.op('Unsqueeze', [mask, g.ints([1, 2])])], { to: 1 });
    weighed = g.op('Add', [scores, g.op('Mul', [g.op('Sub', [g.scalar(1), kept]), low])]);
  }
  const mixed = g.op('MatMul', [g.op('Softmax', [weighed], { axis: -1 }), heads(x)]);
  const back = g.op('Reshape', [g.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }), g.ints([0, 0, width])]);
  return g.op('Add', [x, back]);
}

function end(
  g: GraphBuilder,
  x: string,
  draw: Draw,
  at: {
    width: number;
    rows: number;
    classes: number;
    ends: Traits['ends'];
    output: string | undefined;
    dims: readonly (number | string)[];
  },
): void {
  const { width, ends, classes, dims } = at;
  if (ends === 'hidden') {
    g.output(x, 'float32', [...dims, width], at.output ?? 'last_hidden_state');
    return;
  }
  const isWhole = ends === 'classes' || ends === 'probabilities';
  const from = isWhole ? g.op('Gather', [x, g.ints([0], [])], { axis: 1 }) : x;
  const size = ends === 'words' ? at.rows : classes;
  const name = ends === 'words' ? 'lm_head' : 'classifier';
  const product = g.op('MatMul', [
    from,
    g.op('Transpose', [draw(`${name}.weight`, [size, width])], { perm: [1, 0] }),
  ]);
  const scores = g.op('Add', [product, draw(`${name}.bias`, [size])]);
  const out = ends === 'probabilities' ? g.op('Softmax', [scores], { axis: -1 }) : scores;
  g.output(out, 'float32', isWhole ? [dims[0]!, size] : [...dims, size], at.output ?? 'logits');
}

/** Rows of as many letters as wanted and a label, as CSV. */
export const labelled = (lengths: readonly number[], labels: readonly string[] = ['no', 'yes']): InputFile =>
  text(
    'rows.csv',
    `text,label\n${lengths
      .map(
        (n, i) =>
          `${Array.from({ length: n }, (_, k) => String.fromCharCode(97 + ((i + k) % 20))).join(' ')},${labels[i % labels.length]}`,
      )
      .join('\n')}\n`,
  );

/** What a run finds around it before a device is asked for. */
export const around = { decodeImage: async () => ({}) as never } as unknown as Host;

/** What a run is made of, before a device is asked for. */
export async function prepared(
  model: readonly InputFile[],
  data: readonly InputFile[],
  changes: Readonly<Record<string, unknown>> = {},
  options: Readonly<Record<string, unknown>> = {},
) {
  const training = trainingSchema.parse({ batchSize: 2, ...changes });
  const source = { kind: 'files', files: [...model] } as const;
  return prepareTask(source, { kind: 'files', files: [...data], options }, training, around);
}

export const opened = (model: readonly InputFile[]) =>
  openModel({ kind: 'files', files: [...model] }, around);
