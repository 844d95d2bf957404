/** Base and adapted model side by side on the same inputs: held-out examples, or text from the same prompt and seed. */
import { batch as loadBatch } from '../data/batches.ts';
import { generate } from '../inference/generate.ts';
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import type { FullBatch } from './batchPlan.ts';
import type { Which } from './engine.ts';
import type { Comparison, TrainerApi } from './protocol.ts';
import type { Session } from './session.ts';

type Options = Parameters<TrainerApi['compare']>[0];

const DEFAULT_EXAMPLES = 12;
const DEFAULT_TOKENS = 80;
const DEFAULT_TEMPERATURE = 0.7;

export async function compare(session: Session, options: Options): Promise<Comparison> {
  return session.dataset.kind === 'text' ? compareText(session, options) : compareClasses(session, options);
}

/** Softmax of each row. */
function probabilities(logits: Float32Array, classes: number): Float32Array[] {
  return Array.from({ length: logits.length / classes }, (_, row) => {
    const part = logits.subarray(row * classes, (row + 1) * classes);
    const top = part.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const weights = part.map((v) => Math.exp(v - top));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((w) => w / sum);
  });
}

async function compareClasses(session: Session, options: Options): Promise<Comparison> {
  const { dataset, batches } = session;
  if (dataset.kind === 'text') return fail('internal', 'A text has no classes to compare.');
  const wanted = options.examples ?? DEFAULT_EXAMPLES;
  const random = rng(options.seed, 0xc0);
  const count = dataset.held.count;
  const chosen = Uint32Array.from(
    random.shuffle(Array.from({ length: count }, (_, i) => i)).slice(0, wanted),
  );
  const classes = dataset.labels.length;
  const both = { base: [] as Float32Array[], adapted: [] as Float32Array[] };
  const size = batches.batchSize;
  for (let at = 0; at < chosen.length; at += size) {
    const batch = batches.load('held', chosen.subarray(at, at + size));
    for (const which of ['base', 'adapted'] as const) {
      both[which].push(...probabilities(await session.logits(which, batch), classes).slice(0, batch.count));
    }
  }
  const at = (i: number) => ({ before: both.base[i]!, after: both.adapted[i]! });
  if (dataset.kind === 'image') {
    const examples = [...chosen].map((index, i) => ({
      width: dataset.width,
      height: dataset.height,
      pixels: Uint8Array.from(dataset.held.pixels(index).subarray(0, dataset.width * dataset.height), (v) =>
        Math.round(v * 255),
      ),
      label: dataset.held.label(index),
      ...at(i),
    }));
    return { kind: 'image', labels: dataset.labels, examples };
  }
  const { tokenizer } = session.opened;
  const examples = [...chosen].map((index, i) => ({
    text: tokenizer?.decode(dataset.held.ids(index)) ?? '',
    label: dataset.held.label(index),
    ...at(i),
  }));
  return { kind: 'text-class', labels: dataset.labels, examples };
}

async function compareText(session: Session, options: Options): Promise<Comparison> {
  const { dataset, opened, batches } = session;
  const tokenizer = opened.tokenizer;
  if (dataset.kind !== 'text' || !tokenizer)
    return fail('bad-data', "Text needs the model's tokenizer.json.");
  const temperature = options.temperature ?? DEFAULT_TEMPERATURE;
  const context = batches.options.sequenceLength ?? 128;
  // Without a prompt both continue the same held-out beginning.
  const prompt =
    options.prompt === undefined || options.prompt === ''
      ? [...dataset.held.tokens.subarray(0, 8)]
      : tokenizer.encode(options.prompt);
  const start = [...dataset.prefix, ...prompt];
  const limit = Math.max(1, Math.min(options.maxTokens ?? DEFAULT_TOKENS, context - start.length));
  if (start.length >= context)
    fail(
      'bad-data',
      `The prompt has ${start.length} tokens, but the run's sequences have ${context}; shorten it.`,
    );
  const write = async (which: Which): Promise<string> => {
    const random = rng(options.seed, 0x7e);
    const ids = [...start];
    const next = async (so: readonly number[]): Promise<Float32Array> => {
      const logits = await session.engine.logits(which, so);
      const vocabulary = logits.length / context;
      return logits.subarray((so.length - 1) * vocabulary, so.length * vocabulary);
    };
    for await (const id of generate({
      ids: start,
      logits: next,
      maxNewTokens: limit,
      temperature,
      rng: random,
      ...(tokenizer.eos === undefined ? {} : { stop: new Set([tokenizer.eos]) }),
    })) {
      ids.push(id);
    }
    return tokenizer.decode(ids.slice(dataset.prefix.length));
  };
  return {
    kind: 'text',
    prompt: tokenizer.decode(prompt),
    before: await write('base'),
    after: await write('adapted'),
    seed: options.seed,
    temperature,
  };
}

/** Probabilities of one picture [C·H·W] in 0 … 1. */
export async function classifyPixels(
  session: Session,
  pixels: Float32Array,
): Promise<{ before: Float32Array; after: Float32Array }> {
  const { dataset, batches } = session;
  if (dataset.kind !== 'image') return fail('bad-data', 'This run has no pictures to classify.');
  if (pixels.length !== dataset.channels * dataset.width * dataset.height) {
    fail(
      'shape',
      `A picture here has ${dataset.channels}×${dataset.height}×${dataset.width} values, not ${pixels.length}.`,
    );
  }
  const one = { ...dataset, held: { count: 1, pixels: () => pixels, label: () => 0 } };
  const { inputs } = loadBatch(one, 'held', [0], batches.options);
  const batch: FullBatch = batches.fill({
    size: 1,
    inputs,
    labels: { dtype: 'int32', shape: [1], data: Int32Array.of(0) },
  });
  const classes = dataset.labels.length;
  const [before] = probabilities(await session.logits('base', batch), classes);
  const [after] = probabilities(await session.logits('adapted', batch), classes);
  return { before: before!, after: after! };
}
