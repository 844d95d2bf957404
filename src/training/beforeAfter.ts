/** Base and adapted weights of a run side by side on the same inputs: held-out examples, a drawing, or text from the same prompt and seed. */
import { exampleCount } from '../data/batches.ts';
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
import {
  askBoth,
  type Both,
  drawingTensor,
  likeliest,
  type Predictor,
  pick,
  probabilities,
  type Scores,
  type Writing,
  writeInTurns,
} from '../inference/beforeAfter.ts';
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import type { FullBatch } from './batchPlan.ts';
import type { Which } from './engine.ts';
import type { BeforeAfter, BeforeAfterOptions, TextValueBeforeAfter } from './protocol.ts';
import type { Session } from './session.ts';
import { oddsOf } from './tokenOdds.ts';

const DEFAULT_TOKENS = 80;
const DEFAULT_TEMPERATURE = 0.7;

export async function beforeAfter(session: Session, options: BeforeAfterOptions): Promise<BeforeAfter> {
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

/** The run's weights without and with the adapter. */
function predictorsOf(session: Session): Both<Predictor<FullBatch>> {
  const predictor = (which: Which): Predictor<FullBatch> => ({
    async scores(batch) {
      const data = await session.logits(which, batch);
      // Numbers to be predicted stand above their weights.
      const rows = batch.labels instanceof Int32Array ? batch.labels.length : batch.labels.length / 2;
      return { data, width: data.length / rows };
    },
    async nextToken(ids) {
      const logits = await session.engine.logits(which, ids);
      const vocabulary = logits.length / contextOf(session);
      return logits.subarray((ids.length - 1) * vocabulary, ids.length * vocabulary);
    },
    isCached: false,
  });
  return { before: predictor('base'), after: predictor('adapted') };
}

const NOTHING: Pick<Writing, 'text' | 'made'> = { text: '', made: [] };

/** Tokens of the run's sequences. */
const contextOf = ({ batches }: Session): number => batches.options.sequenceLength ?? 128;

async function compareClasses(
  session: Session,
  dataset: ImageDataset | TextClassDataset,
  options: BeforeAfterOptions,
): Promise<BeforeAfter> {
  const found: { index: number; before: Float32Array; after: Float32Array }[] = [];
  for await (const { both, members } of answers(session, options)) {
    const [before, after] = [probabilities(both.before), probabilities(both.after)];
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
  options: BeforeAfterOptions,
): Promise<BeforeAfter> {
  const { tokenizer } = session.opened;
  const examples: TextValueBeforeAfter['examples'][number][] = [];
  for await (const { both, members } of answers(session, options)) {
    members.forEach((index, i) => {
      const text = tokenizer?.decode(dataset.held.ids(index)) ?? '';
      examples.push({
        text,
        value: dataset.held.value(index),
        before: both.before.data[i]!,
        after: both.after.data[i]!,
      });
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
  options: BeforeAfterOptions,
): Promise<BeforeAfter> {
  const { tokenizer } = session.opened;
  if (!tokenizer) return fail('bad-data', say`Text needs the model's tokenizer.json.`);
  const { prompt, seed, temperature = DEFAULT_TEMPERATURE, maxTokens = DEFAULT_TOKENS } = options;
  const context = contextOf(session);
  // Without a prompt both continue the same held-out beginning.
  const ids =
    prompt === undefined || prompt === ''
      ? heldPrompt(dataset)
      : dataset.kind === 'text'
        ? [...dataset.prefix, ...tokenizer.encode(prompt)]
        : dataset.prompt(prompt);
  if (ids.length >= context)
    fail(
      'bad-data',
      say`The prompt has ${ids.length} tokens, but the run's sequences have ${context}; shorten it.`,
    );
  // A chat's answer stands alone, a text goes on.
  const head = dataset.kind === 'text' ? ids.slice(dataset.prefix.length) : [];
  const writing = writeInTurns(predictorsOf(session), tokenizer, {
    ...{ ids, head },
    stop:
      dataset.kind === 'instruction'
        ? dataset.stop
        : new Set(tokenizer.eos === undefined ? [] : [tokenizer.eos]),
    maxNewTokens: Math.max(1, Math.min(maxTokens, context - ids.length)),
    temperature,
    random: () => rng(seed, 0x7e),
  });
  let [before, after] = [NOTHING, NOTHING];
  for await (const now of writing) ({ before, after } = now);
  const logits = {
    before: (all: readonly number[]) => session.engine.logits('base', all),
    after: (all: readonly number[]) => session.engine.logits('adapted', all),
  };
  const odds = async ({ made }: Pick<Writing, 'made'>) =>
    oddsOf({ ids, head, made }, logits, context, tokenizer);
  return {
    ...{ kind: 'text', prompt: tokenizer.decode(ids), seed, temperature },
    ...{ before: before.text, after: after.text },
    odds: { before: await odds(before), after: await odds(after) },
  };
}

/** Probabilities of one grey square drawing [side·side] in 0 … 1, at whatever size it was drawn. */
export async function classifyPixels(session: Session, pixels: Float32Array): Promise<Both<Float32Array>> {
  const { dataset, batches } = session;
  if (dataset.kind !== 'image') return fail('bad-data', say`This run has no pictures to classify.`);
  const side = Math.sqrt(pixels.length);
  if (!Number.isInteger(side) || side === 0)
    fail('shape', say`A drawing is square, but this one has ${pixels.length} values.`);
  const batch = batches.fill({
    size: 1,
    inputs: { pixel_values: drawingTensor(pixels, side, dataset, batches.options) },
    labels: { dtype: 'int32', shape: [1], data: Int32Array.of(0) },
  });
  const { before, after } = await askBoth(predictorsOf(session), batch);
  return { before: probabilities(before)[0]!, after: probabilities(after)[0]! };
}

// Base and adapted model at single tokens of held-out texts: tags of words, and guesses of hidden tokens.

/** A position of a batch with a label, and both models' probabilities there. */
interface Position {
  readonly ids: Int32Array;
  readonly at: number;
  readonly label: number;
  readonly before: Float32Array;
  readonly after: Float32Array;
}

/** The first labelled positions of the chosen examples, at most `most`, the examples taking turns. */
async function positions(session: Session, options: BeforeAfterOptions): Promise<Position[]> {
  const found: Position[][] = [];
  for await (const { batch, both, members } of answers(session, options)) {
    const length = batch.inputs.input_ids!.shape[1]!;
    const used = batch.inputs.attention_mask!.data;
    members.forEach((_, k) => {
      const row = k * length;
      const ids = (batch.inputs.input_ids!.data as Int32Array)
        .slice(row, row + length)
        .filter((_id, t) => used[row + t] === 1);
      const own: Position[] = [];
      for (let t = 0; t < ids.length; t++) {
        const label = batch.labels[row + t]!;
        const part = ({ data, width }: Scores): Float32Array =>
          probabilities({ data: data.subarray((row + t) * width, (row + t + 1) * width), width })[0]!;
        if (label !== IGNORED_LABEL)
          own.push({ ids, at: t, label, before: part(both.before), after: part(both.after) });
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
  options: BeforeAfterOptions,
): Promise<BeforeAfter> {
  const { tokenizer } = session.opened;
  const examples = (await positions(session, options)).map((p) => ({
    text: marked(tokenizer, p),
    label: p.label,
    before: p.before,
    after: p.after,
  }));
  return { kind: 'text-class', labels: dataset.labels, examples };
}

/** Hidden tokens; the classes shown are the true ones and what either model finds likeliest. */
async function compareHidden(
  session: Session,
  dataset: MaskedTextDataset,
  options: BeforeAfterOptions,
): Promise<BeforeAfter> {
  const { tokenizer } = session.opened;
  const found = await positions(session, options);
  const ids = [
    ...new Set(
      found.flatMap(({ label, before, after }) => [label, ...likeliest(before), ...likeliest(after)]),
    ),
  ];
  const name = tokenizer?.token(dataset.masking.id) ?? '?';
  return {
    kind: 'text-class',
    labels: ids.map((id) => tokenizer?.decode([id], { specials: true }) ?? String(id)),
    examples: found.map((p) => ({
      text: marked(tokenizer, p, name),
      label: ids.indexOf(p.label),
      before: pick(p.before, ids),
      after: pick(p.after, ids),
    })),
  };
}

// Held-out examples, drawn by seed, with both models' logits.

const DEFAULT_EXAMPLES = 12;

interface Answered {
  readonly batch: FullBatch;
  readonly both: Both<Scores>;
  /** Numbers of the batch's examples. */
  readonly members: Uint32Array;
}

/** Both models' logits on held-out examples that are drawn by seed, batch by batch. */
async function* answers(session: Session, options: BeforeAfterOptions): AsyncGenerator<Answered> {
  const { dataset, batches } = session;
  const predictors = predictorsOf(session);
  const count = exampleCount(dataset, 'held', batches.options);
  const all = rng(options.seed, 0xc0).shuffle(Array.from({ length: count }, (_, i) => i));
  const chosen = Uint32Array.from(all.slice(0, options.examples ?? DEFAULT_EXAMPLES));
  for (let at = 0; at < chosen.length; at += batches.batchSize) {
    const members = chosen.subarray(at, at + batches.batchSize);
    const batch = batches.load('held', members);
    yield { batch, members, both: await askBoth(predictors, batch) };
  }
}
