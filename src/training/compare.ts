/** Base and adapted model side by side on the same inputs: held-out examples, or text from the same prompt and seed. */
import { batch as loadBatch } from '../data/batches.ts';
import { fitted } from '../data/pictures.ts';
import type {
  ImageDataset,
  InstructionDataset,
  TextClassDataset,
  TextDataset,
  TextValueDataset,
} from '../data/types.ts';
import { generate } from '../inference/generate.ts';
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import type { FullBatch } from './batchPlan.ts';
import { answers, type CompareOptions, draw, probabilities } from './compareDraw.ts';
import { compareHidden, compareTags } from './compareTokens.ts';
import type { Which } from './engine.ts';
import type { Comparison, TextValueComparison } from './protocol.ts';
import type { Session } from './session.ts';

const DEFAULT_TOKENS = 80;
const DEFAULT_TEMPERATURE = 0.7;

export async function compare(session: Session, options: CompareOptions): Promise<Comparison> {
  const { dataset } = session;
  switch (dataset.kind) {
    case 'text':
    case 'instruction':
      return compareText(session, dataset, options);
    case 'masked-text':
      return compareHidden(session, dataset, options);
    case 'token-class':
      return compareTags(session, dataset, options);
    case 'text-value':
      return compareValues(session, dataset, options);
    default:
      return compareClasses(session, dataset, options);
  }
}

async function compareClasses(
  session: Session,
  dataset: ImageDataset | TextClassDataset,
  options: CompareOptions,
): Promise<Comparison> {
  const classes = dataset.labels.length;
  const found: { index: number; before: Float32Array; after: Float32Array }[] = [];
  for await (const { base, adapted, members } of answers(session, draw(session, options))) {
    const [before, after] = [probabilities(base, classes), probabilities(adapted, classes)];
    members.forEach((index, i) => {
      found.push({ index, before: before[i]!, after: after[i]! });
    });
  }
  const { labels } = dataset;
  if (dataset.kind === 'image') {
    const examples = found.map(({ index, ...both }) => ({
      width: dataset.width,
      height: dataset.height,
      pixels: Uint8Array.from(dataset.held.pixels(index).subarray(0, dataset.width * dataset.height), (v) =>
        Math.round(v * 255),
      ),
      label: dataset.held.label(index),
      ...both,
    }));
    return { kind: 'image', labels, examples };
  }
  const { tokenizer } = session.opened;
  const examples = found.map(({ index, ...both }) => ({
    text: tokenizer?.decode(dataset.held.ids(index)) ?? '',
    label: dataset.held.label(index),
    ...both,
  }));
  return { kind: 'text-class', labels, examples };
}

async function compareValues(
  session: Session,
  dataset: TextValueDataset,
  options: CompareOptions,
): Promise<Comparison> {
  const { tokenizer } = session.opened;
  const examples: TextValueComparison['examples'][number][] = [];
  for await (const { base, adapted, members } of answers(session, draw(session, options))) {
    members.forEach((index, i) => {
      const text = tokenizer?.decode(dataset.held.ids(index)) ?? '';
      examples.push({ text, value: dataset.held.value(index), before: base[i]!, after: adapted[i]! });
    });
  }
  return { kind: 'text-value', examples };
}

/** The ids of a held-out beginning: of the text, or the first prompt. */
function heldPrompt(dataset: TextDataset | InstructionDataset): number[] {
  if (dataset.kind === 'text') return [...dataset.prefix, ...dataset.held.tokens.subarray(0, 8)];
  const begins = dataset.held.learnt(0).indexOf(1);
  return [...dataset.held.ids(0).subarray(0, begins)];
}

async function compareText(
  session: Session,
  dataset: TextDataset | InstructionDataset,
  options: CompareOptions,
): Promise<Comparison> {
  const { opened, batches } = session;
  const { tokenizer } = opened;
  if (!tokenizer) return fail('bad-data', "Text needs the model's tokenizer.json.");
  const temperature = options.temperature ?? DEFAULT_TEMPERATURE;
  const context = batches.options.sequenceLength ?? 128;
  const { prompt } = options;
  // Without a prompt both continue the same held-out beginning.
  const start =
    prompt === undefined || prompt === ''
      ? heldPrompt(dataset)
      : dataset.kind === 'text'
        ? [...dataset.prefix, ...tokenizer.encode(prompt)]
        : dataset.prompt(prompt);
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
      stop:
        dataset.kind === 'instruction'
          ? dataset.stop
          : new Set(tokenizer.eos === undefined ? [] : [tokenizer.eos]),
    })) {
      ids.push(id);
    }
    // A chat's answer stands alone, a text goes on.
    return tokenizer.decode(ids.slice(dataset.kind === 'text' ? dataset.prefix.length : start.length));
  };
  return {
    kind: 'text',
    prompt: tokenizer.decode(start),
    before: await write('base'),
    after: await write('adapted'),
    seed: options.seed,
    temperature,
  };
}

/** Probabilities of one grey square drawing [side·side] in 0 … 1, at whatever size it was drawn. */
export async function classifyPixels(
  session: Session,
  pixels: Float32Array,
): Promise<{ before: Float32Array; after: Float32Array }> {
  const { dataset, batches } = session;
  if (dataset.kind !== 'image') return fail('bad-data', 'This run has no pictures to classify.');
  const side = Math.sqrt(pixels.length);
  if (!Number.isInteger(side) || side === 0)
    fail('shape', `A drawing is square, but this one has ${pixels.length} values.`);
  const bytes = fitted(pixels, { width: side, height: side, channels: 1 }, dataset);
  const asFed = Float32Array.from(bytes, (v) => v / 255);
  const one = { ...dataset, held: { count: 1, pixels: () => asFed, label: () => 0 } };
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
