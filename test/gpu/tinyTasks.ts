/** Models for the tests of tasks: small encoders with a vocabulary of whole words, and a decoder with a chat template. */
import type { InputFile } from '../../src/lib/bytes.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { DataOptions, DataSource, EvalMetric, ModelSource } from '../../src/training/protocol.ts';
import { reportData } from '../../src/training/reports.ts';
import type { Session } from '../../src/training/session.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';
import { talesGpt, talesGptConfig, talesGptDefaults } from '../../tools/pretrain/architectures/talesGpt.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';
import { framedAsBert } from '../tools/contractModels.ts';
import { encoder, VOCABULARY } from '../tools/graphs.ts';
import { openTiny } from './tinyRuns.ts';

const bytesOf = (content: string | Uint8Array): Uint8Array =>
  typeof content === 'string' ? new TextEncoder().encode(content) : content;

/** Files by name as a data source. */
export const dataFiles = (
  files: Readonly<Record<string, string | Uint8Array>>,
  options?: DataOptions,
): DataSource => ({
  kind: 'files',
  files: Object.entries(files).map(([name, content]): InputFile => ({ name, bytes: bytesOf(content) })),
  ...(options ? { options } : {}),
});

const SPECIALS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];

/** A WordPiece vocabulary of these words, each one token, framed by [CLS] and [SEP]. */
function wordTokenizer(words: readonly string[]): string {
  const vocabulary = [...SPECIALS, ...new Set(words)];
  if (vocabulary.length > VOCABULARY) throw new Error(`${vocabulary.length} words are too many.`);
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIALS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: framedAsBert(SPECIALS),
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocabulary.map((word, id) => [word, id])),
    },
  });
}

/** A BERT of two layers whose vocabulary is these words. */
export function tinyBert(
  head: 'sum' | 'masked-lm' | 'tagger',
  words: readonly string[],
  labels?: readonly string[],
): ModelSource {
  return {
    kind: 'files',
    files: [
      { name: 'model.onnx', bytes: encodeModel(encoder({ family: 'bert', head })) },
      {
        name: 'config.json',
        bytes: bytesOf(
          JSON.stringify({
            model_type: 'bert',
            ...(labels ? { id2label: Object.fromEntries(labels.map((l, i) => [i, l])) } : {}),
          }),
        ),
      },
      { name: 'tokenizer.json', bytes: bytesOf(wordTokenizer(words)) },
    ],
  };
}

const TEMPLATE =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** A decoder of one layer that knows a chat template; without `template` it has none. */
export function tinyChat(corpus: string, template: string | null = TEMPLATE): ModelSource {
  const specials = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
  const tokenizer = trainBpe([`user assistant\n${corpus}`.repeat(4)], { vocabSize: 330, specials });
  const o = {
    ...talesGptDefaults,
    vocabulary: Object.keys(tokenizer.model.vocab).length + 1,
    context: 64,
    width: 16,
    feedForward: 24,
    layers: 1,
    heads: 2,
    kvHeads: 1,
  };
  const json = (name: string, value: unknown): InputFile => ({ name, bytes: bytesOf(JSON.stringify(value)) });
  return {
    kind: 'files',
    files: [
      { name: 'model.onnx', bytes: encodeModel(talesGpt(o)) },
      json('config.json', talesGptConfig(o)),
      json('tokenizer.json', tokenizer),
      json('tokenizer_config.json', {
        eos_token: '<|im_end|>',
        ...(template === null ? {} : { chat_template: template }),
      }),
    ],
  };
}

const open: Session[] = [];
/** Ends the sessions of a test. */
export async function closeAll(): Promise<void> {
  for (const session of open.splice(0)) await session.close();
}

interface Trained {
  readonly session: Session;
  readonly before: EvalMetric;
  readonly after: EvalMetric;
  readonly notes: string;
}

/** The classifier alone is enough where its inputs tell words apart. */
export const head = { method: 'head', config: { modules_to_save: ['classifier'] } } as const;
export const every = { method: 'full', config: {} } as const;

/** Trains models that know nothing yet. */
export async function train(
  what: typeof head | typeof every,
  model: ModelSource,
  data: DataSource,
  training: Partial<TrainingSettings> = {},
): Promise<Trained> {
  const settings = {
    steps: 24,
    batchSize: 8,
    learningRate: what === head ? 0.05 : 0.01,
    sequenceLength: 16,
    ...training,
  };
  const session = await openTiny({ ...what, model, data, training: settings });
  open.push(session);
  const before = await session.evaluate('base');
  await session.play();
  const after = session.history.evals.at(-1)!;
  const notes = reportData(session.data, session.batches.options).notes.join('\n');
  return { session, before, after, notes };
}

const GOOD = ['lovely', 'bright', 'splendid'];
const BAD = ['dreary', 'awful', 'dull'];

/** Review i: good where i is odd. */
export const review = (i: number): string => `a ${(i % 2 === 1 ? GOOD : BAD)[i % 3]} day`;
export const reviewWords = ['a', 'day', 'and', 'long', 'night', ...GOOD, ...BAD];

export const range = (n: number) => Array.from({ length: n }, (_, i) => i);
