/** Base and adapted model side by side on the same inputs: held-out examples, or text from the same prompt and seed. */
import { exampleCount, batch as loadBatch } from '../data/batches.ts';
import { fitted } from '../data/pictures.ts';
import { IGNORED_LABEL } from '../data/tensors.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type {
  ImageDataset,
  InstructionDataset,
  MaskedTextDataset,
  TextClassDataset,
  TextDataset,
  TextValueDataset,
  TokenClassDataset,
} from '../data/types.ts';
import { generate } from '../inference/generate.ts';
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import type { FullBatch } from './batchPlan.ts';
import type { Which } from './engine.ts';
import type { Comparison, TextValueComparison, TrainerApi } from './protocol.ts';
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

// Base and adapted model at single tokens of held-out texts: tags of words, and guesses of hidden tokens.

/** A position of a batch with a label, and both models' logits there. */
interface Position {
  readonly ids: Int32Array;
  readonly at: number;
  readonly label: number;
  readonly before: Float32Array;
  readonly after: Float32Array;
}

/** The first labelled positions of the chosen examples, at most `most`, the examples taking turns. */
async function positions(session: Session, options: CompareOptions): Promise<Position[]> {
  const found: Position[][] = [];
  for await (const { batch, base, adapted, members } of answers(session, draw(session, options))) {
    const length = batch.inputs.input_ids!.shape[1]!;
    const classes = base.length / batch.labels.length;
    const used = batch.inputs.attention_mask!.data;
    members.forEach((_, k) => {
      const row = k * length;
      const ids = (batch.inputs.input_ids!.data as Int32Array)
        .slice(row, row + length)
        .filter((_id, t) => used[row + t] === 1);
      const own: Position[] = [];
      for (let t = 0; t < ids.length; t++) {
        const label = batch.labels[row + t]!;
        const part = (logits: Float32Array) => logits.slice((row + t) * classes, (row + t + 1) * classes);
        if (label !== IGNORED_LABEL)
          own.push({ ids, at: t, label, before: part(base), after: part(adapted) });
      }
      found.push(own);
    });
  }
  const most = options.examples ?? DEFAULT_EXAMPLES;
  const longest = Math.max(0, ...found.map((own) => own.length));
  return Array.from({ length: longest }, (_, turn) => found.flatMap((own) => own[turn] ?? []))
    .flat()
    .slice(0, most);
}

/** The sentence with the token at `at` in brackets. */
const marked = (tokenizer: Tokenizer | null, { ids, at }: Position, shown?: string): string =>
  tokenizer === null
    ? ''
    : `${tokenizer.decode(ids.subarray(0, at))} [${(shown ?? tokenizer.decode(ids.subarray(at, at + 1))).trim()}] ${tokenizer.decode(ids.subarray(at + 1))}`.trim();

async function compareTags(
  session: Session,
  dataset: TokenClassDataset,
  options: CompareOptions,
): Promise<Comparison> {
  const { tokenizer } = session.opened;
  const examples = (await positions(session, options)).map((p) => ({
    text: marked(tokenizer, p),
    label: p.label,
    before: probabilities(p.before, dataset.labels.length)[0]!,
    after: probabilities(p.after, dataset.labels.length)[0]!,
  }));
  return { kind: 'text-class', labels: dataset.labels, examples };
}

const LIKELIEST = 3;

/** Hidden tokens; the classes shown are the true ones and what either model finds likeliest. */
async function compareHidden(
  session: Session,
  dataset: MaskedTextDataset,
  options: CompareOptions,
): Promise<Comparison> {
  const { tokenizer } = session.opened;
  const found = await positions(session, options);
  const likeliest = (p: Float32Array): number[] =>
    [...p.keys()].sort((a, b) => p[b]! - p[a]!).slice(0, LIKELIEST);
  const all = found.map((p) => {
    const [before] = probabilities(p.before, p.before.length);
    const [after] = probabilities(p.after, p.after.length);
    return { p, before: before!, after: after! };
  });
  const ids = [
    ...new Set(all.flatMap(({ p, before, after }) => [p.label, ...likeliest(before), ...likeliest(after)])),
  ];
  const pick = (values: Float32Array) => Float32Array.from(ids, (id) => values[id]!);
  const name = tokenizer?.token(dataset.masking.id) ?? '?';
  return {
    kind: 'text-class',
    labels: ids.map((id) => tokenizer?.decode([id], { specials: true }) ?? String(id)),
    examples: all.map(({ p, before, after }) => ({
      text: marked(tokenizer, p, name),
      label: ids.indexOf(p.label),
      before: pick(before),
      after: pick(after),
    })),
  };
}

// Held-out examples, drawn by seed, with both models' logits.

export type CompareOptions = Parameters<TrainerApi['compare']>[0];

const DEFAULT_EXAMPLES = 12;

/** Held-out examples drawn by seed. */
function draw(session: Session, options: CompareOptions): Uint32Array {
  const count = exampleCount(session.dataset, 'held', session.batches.options);
  const all = Array.from({ length: count }, (_, i) => i);
  const wanted = options.examples ?? DEFAULT_EXAMPLES;
  return Uint32Array.from(rng(options.seed, 0xc0).shuffle(all).slice(0, wanted));
}

interface Answered {
  readonly batch: FullBatch;
  readonly base: Float32Array;
  readonly adapted: Float32Array;
  /** Numbers of the batch's examples. */
  readonly members: Uint32Array;
}

/** Both models' logits on the chosen examples, batch by batch. */
async function* answers(session: Session, chosen: Uint32Array): AsyncGenerator<Answered> {
  const size = session.batches.batchSize;
  for (let at = 0; at < chosen.length; at += size) {
    const members = chosen.subarray(at, at + size);
    const batch = session.batches.load('held', members);
    const base = await session.logits('base', batch);
    yield { batch, members, base, adapted: await session.logits('adapted', batch) };
  }
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
