/**
 * Whether a merged file computes what the trainer computes: the one place that decides. Trainer and onnxruntime answer the same inputs; how
 * far they may be apart follows from the file's precision. A file of 32 bits gets {@link FLOAT_BOUND}; where weights are kept or activations
 * computed in fewer, the unadapted file is measured in the same run, as it stands and with the last bits of the rounded weights moved, and
 * the merged one may be {@link ROUNDING_FACTOR} times as far off.
 */

import type { Dataset, FloatTensor, IntTensor } from '../data/types.ts';
import type { Graph, Value } from '../graph/types.ts';
import { completeFeeds, type FeedNames, rowsOf } from '../inference/feeds.ts';
import type { FeedTensor, OrtSession } from '../inference/session.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { greatest, least, sizeOf } from '../lib/numbers.ts';
import { rng } from '../lib/rng.ts';
import { clause, inEnglish, local, paragraph, say } from '../lib/say.ts';
import type { ActivationRounding } from '../models/import/operators/quant.ts';
import type { LoadedModel } from '../models/load.ts';
import type { BatchPlan, FullBatch } from './batchPlan.ts';
import type { Engine } from './engine.ts';

/** Largest max|a−b| / max|b| where nothing is rounded to fewer than 32 bits. */
const FLOAT_BOUND = 1e-4;
/** How many times the rounding's own effect the merged file may be off. */
const ROUNDING_FACTOR = 4;
/** Differences up to this count as none: outputs that are all but 0 have no scale of their own. */
const ABSOLUTE_FLOOR = 1e-6;
/** With fewer compared numbers one draw of moved bits says too little. */
const FEW_VALUES = 4096;
const DRAWS = 3;

/** Inputs, and what the trainer answers to them. */
export interface ParitySample {
  /** Which inputs these are, for a sentence: "held-out examples of 24 tokens". */
  readonly what: string;
  readonly inputs: Readonly<Record<string, FeedTensor>>;
  /** Inputs that the file calls otherwise. */
  readonly names: FeedNames;
  /** Name of the compared output. */
  readonly output: string;
  readonly adapted: Float32Array;
  /** Of the unadapted model; null where nothing is rounded. */
  readonly base: Float32Array | null;
  /** One number per row of the output, 0 for padding; null: all rows count. */
  readonly counts: Uint8Array | null;
}

/** Files to be compared; those that are not needed are not made. */
export interface ParityFiles<File> {
  readonly merged: File;
  /** The file as it would be with nothing adapted. */
  base(): Promise<File>;
  /** The same with last bits of the rounded weights moved, drawn by `seed`; null where no weight was rounded. */
  moved(seed: number): Promise<File | null>;
  /** Whether anything is kept or computed in fewer than 32 bits, so that the bound must be measured. */
  readonly rounds: boolean;
  /** When onnxruntime rounds activations to 8 bits, which the trainer never does; what that costs is said then. */
  readonly activations?: ActivationRounding;
}

export interface ParityReport extends Parity {
  /** `unchecked`: onnxruntime cannot run this model, merged or not. */
  readonly verdict: 'passed' | 'failed' | 'unchecked';
  /** What {@link Parity.maxRel} may be. */
  readonly bound: number;
  /** maxRel of the unadapted file, as it stands and with last bits moved, where they were measured. */
  readonly base: number | null;
  readonly rounding: number | null;
  readonly output: string;
  /** Inputs with the largest difference. */
  readonly worst: string;
  readonly samples: number;
  /** Compared numbers. */
  readonly values: number;
  readonly provider: string | null;
  /** One sentence: which output, how far, against which bound. */
  readonly sentence: string;
  /** The same in English, for files that others read. */
  readonly english: string;
}

/** Opens a file in onnxruntime; released sessions are not used again. */
export type OpenFile<File> = (file: File) => Promise<OrtSession>;

/** Compares every sample and decides. Samples must not be empty. */
export async function checkParity<File>(
  samples: readonly ParitySample[],
  files: ParityFiles<File>,
  open: OpenFile<File>,
): Promise<ParityReport> {
  const tried = await attempt(() => measure(samples, 'adapted', files.merged, open));
  if (tried instanceof PapilioError) return couldNotRun(samples, files, open, tried);
  const { worst, provider, values } = tried;
  const own = files.rounds ? await roundingOf(samples, files, open, values) : { base: null, rounding: null };
  const allowed = Math.max(own.base ?? 0, own.rounding ?? 0);
  const bound =
    files.rounds && Number.isFinite(allowed) ? Math.max(FLOAT_BOUND, ROUNDING_FACTOR * allowed) : FLOAT_BOUND;
  const passed = isNothing(worst) || worst.maxRel <= bound;
  const measured = {
    ...{ maxAbs: worst.maxAbs, maxRel: worst.maxRel, bound, ...own },
    ...{ output: samples[0]!.output, worst: worst.what, samples: samples.length, values, provider },
  };
  return {
    verdict: passed ? 'passed' : 'failed',
    ...measured,
    ...saidTwice(() =>
      paragraph([
        passed ? passedSentence(measured) : failedSentence(measured),
        ...costOfActivations(files.activations ?? null, measured),
      ]),
    ),
  };
}

interface Worst extends Parity {
  readonly what: string;
}

const isNothing = ({ maxAbs }: Parity): boolean => maxAbs <= ABSOLUTE_FLOOR;

/** Relative to what counts: a difference that counts as none is 0. */
const shareOf = (found: Parity): number => (isNothing(found) ? 0 : found.maxRel);

async function measure<File>(
  samples: readonly ParitySample[],
  which: 'adapted' | 'base',
  file: File,
  open: OpenFile<File>,
): Promise<{ readonly worst: Worst; readonly provider: string; readonly values: number }> {
  const session = await open(file);
  try {
    let worst: Worst | null = null;
    let values = 0;
    for (const sample of samples) {
      const answered = await answersOf(sample, session);
      const found = parity(sample[which]!, answered, sample.counts);
      values += comparedOf(sample);
      if (
        worst === null ||
        shareOf(found) > shareOf(worst) ||
        (shareOf(worst) === 0 && found.maxAbs > worst.maxAbs)
      )
        worst = { ...found, what: sample.what };
    }
    return { worst: worst!, provider: session.provider, values };
  } finally {
    await session.release();
  }
}

function comparedOf({ adapted, counts }: ParitySample): number {
  if (!counts) return adapted.length;
  return (adapted.length / counts.length) * counts.reduce((n, c) => n + (c === 0 ? 0 : 1), 0);
}

/** What onnxruntime answers; a file made for so many examples at a time gets them so. */
async function answersOf(
  { inputs, names, output }: ParitySample,
  session: OrtSession,
): Promise<ArrayLike<number>> {
  const rows = Object.values(inputs)[0]?.dims[0] ?? 1;
  const fixed = session.inputs.find(({ name }) =>
    Object.hasOwn(inputs, Object.hasOwn(names, name) ? names[name]! : name),
  )?.dims[0];
  const size = typeof fixed === 'number' && fixed > 0 ? fixed : rows;
  const parts: ArrayLike<number>[] = [];
  for (let from = 0; from < rows; from += size) {
    const part = Object.fromEntries(
      Object.entries(inputs).map(([name, tensor]) => [name, rowsOf(tensor, from, size)]),
    );
    const outputs = await session.run(completeFeeds(session.inputs, part, undefined, names), [output]);
    const { data } = outputs[output]!;
    const perRow = data.length / size;
    parts.push(
      size === rows ? data : Array.prototype.slice.call(data, 0, Math.min(size, rows - from) * perRow),
    );
  }
  return parts.length === 1 ? parts[0]! : parts.flatMap((part) => Array.from(part));
}

/** How far the unadapted file is off: by its own precision, and by moved bits. */
async function roundingOf<File>(
  samples: readonly ParitySample[],
  files: ParityFiles<File>,
  open: OpenFile<File>,
  values: number,
): Promise<{ readonly base: number | null; readonly rounding: number | null }> {
  const of = async (file: File): Promise<number> =>
    shareOf((await measure(samples, 'base', file, open)).worst);
  const base = await of(await files.base());
  let rounding: number | null = null;
  for (let seed = 1; seed <= (values < FEW_VALUES ? DRAWS : 1); seed++) {
    const moved = await files.moved(seed);
    if (moved === null) break;
    rounding = Math.max(rounding ?? 0, await of(moved));
  }
  return { base, rounding };
}

async function attempt<T>(task: () => Promise<T>): Promise<T | PapilioError> {
  try {
    return await task();
  } catch (error) {
    if (error instanceof PapilioError && error.kind !== 'internal') return error;
    throw error;
  }
}

/** onnxruntime refused the merged file: is that the file's fault or the model's? */
async function couldNotRun<File>(
  samples: readonly ParitySample[],
  files: ParityFiles<File>,
  open: OpenFile<File>,
  error: PapilioError,
): Promise<ParityReport> {
  const infinite = Number.POSITIVE_INFINITY;
  const base = await attempt(async () => {
    const session = await open(await files.base());
    try {
      for (const sample of samples) await answersOf(sample, session);
    } finally {
      await session.release();
    }
  });
  const isModel = base instanceof PapilioError;
  return {
    ...{ verdict: isModel ? 'unchecked' : 'failed', maxAbs: infinite, maxRel: infinite, bound: FLOAT_BOUND },
    ...{ base: null, rounding: null, output: samples[0]!.output, worst: samples[0]!.what },
    ...{ samples: 0, values: 0, provider: null },
    ...saidTwice(() =>
      isModel
        ? say`The merged file was not checked: this model does not run here even without the adapter (${reasonOf(error)}). Run it where it is used, and compare, before relying on it.`
        : say`The merged file does not run although the model without the adapter does: ${reasonOf(error)}.`,
    ),
  };
}

const saidTwice = (make: () => string): Pick<ParityReport, 'sentence' | 'english'> => ({
  sentence: make(),
  english: inEnglish(make),
});

const reasonOf = ({ message }: PapilioError): string => clause(message);

type Measured = Omit<ParityReport, 'verdict' | 'sentence' | 'english'>;

const scientific = (value: number): string =>
  Number.isFinite(value) ? local(value.toExponential(1)) : say`infinity`;

function boundSentence({ bound, base, rounding }: Measured): string {
  if (base === null || bound === FLOAT_BOUND) return scientific(bound);
  const own =
    rounding !== null && rounding > base
      ? say`${scientific(rounding)}, which rounding the same weights does to the unadapted model`
      : say`${scientific(base)}, which the file's own precision does to the unadapted model`;
  return say`${scientific(bound)}, ${ROUNDING_FACTOR} times ${own}`;
}

function passedSentence(measured: Measured): string {
  const { maxAbs, maxRel, output, samples, values } = measured;
  const [by, allowed] = [String(measured.provider), boundSentence(measured)];
  const [far, relative] = [scientific(maxAbs), scientific(maxRel)];
  return samples === 1
    ? say`The merged file answers as the trained model does: ${output} max|a−b| ${far}, relative ${relative}; allowed: ${allowed} (${values} numbers of 1 batch, onnxruntime ${by}).`
    : say`The merged file answers as the trained model does: ${output} max|a−b| ${far}, relative ${relative}; allowed: ${allowed} (${values} numbers of ${samples} batches, onnxruntime ${by}).`;
}

const ranges = () => ({ static: say`by the scales in the file`, dynamic: say`by the range of each run` });

/** What rounding activations costs, in the unadapted model and in the merged one: measured, since the trainer's stay float. */
function costOfActivations(activations: ActivationRounding, { base, maxRel }: Measured): readonly string[] {
  if (activations === null || base === null) return [];
  return [
    say`onnxruntime rounds this file's activations to 8 bits (${ranges()[activations]}) and the trainer does not: that moves the answers by ${scientific(base)} of the largest in the unadapted model, and by ${scientific(maxRel)} in the merged one.`,
  ];
}

function failedSentence(measured: Measured): string {
  const { maxAbs, maxRel, output, worst } = measured;
  const allowed = boundSentence(measured);
  return Number.isFinite(maxAbs)
    ? say`The merged file does not compute what was trained: its output ${output} differs by up to ${scientific(maxAbs)}, ${scientific(maxRel)} of its largest value, on ${worst}; allowed: ${allowed}. Do not use the file; the adapter is kept.`
    : say`The merged file does not compute what was trained: its output ${output} holds values that are not numbers, or infinities on one side only, on ${worst}; allowed: ${allowed}. Do not use the file; the adapter is kept.`;
}

// What a merged file is compared on: held-out examples, the shortest and the longest of them, with their padding; and the trainer's answers
// to them.

/** More numbers than these of one batch's answers are not kept: whole examples are left out, all but one. */
const MOST_NUMBERS = 1 << 22;

interface Chosen {
  readonly what: string;
  readonly batch: FullBatch;
}

/** What is asked: a model's forward pass, adapted or not. */
export interface ParitySource {
  readonly engine: Pick<Engine, 'evaluate'>;
  readonly dataset: Dataset;
  readonly batches: BatchPlan;
  readonly model: Pick<LoadedModel, 'output' | 'feeds' | 'contract'>;
}

/** @param withBase also asks the unadapted model, which files of fewer bits are measured by */
export async function paritySamples(
  { engine, dataset, batches, model }: ParitySource,
  withBase: boolean,
): Promise<ParitySample[]> {
  const samples: ParitySample[] = [];
  for (const { what, batch } of chosenBatches(dataset, batches, model.contract.exactly)) {
    const adapted = (await engine.evaluate('adapted', batch, true)).logits!;
    const base = withBase ? (await engine.evaluate('base', batch, true)).logits! : null;
    samples.push(sampleOf(what, batch, model, adapted, base, batches.batchSize));
  }
  return samples;
}

/** Real examples alone, as many as {@link MOST_NUMBERS} lets be, and of their positions those that are no padding. */
function sampleOf(
  what: string,
  { inputs, count, labels }: FullBatch,
  { output, feeds: names }: ParitySource['model'],
  adapted: Float32Array,
  base: Float32Array | null,
  batchSize: number,
): ParitySample {
  const perExample = adapted.length / batchSize;
  const kept = Math.max(1, Math.min(count, Math.floor(MOST_NUMBERS / perExample)));
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => [name, firstExamples(tensor, kept)]),
  );
  const part = (all: Float32Array): Float32Array => all.slice(0, kept * perExample);
  return {
    ...{ what, inputs: feeds, names, output, adapted: part(adapted), base: base && part(base) },
    counts: countsOf(feeds, labels, batchSize),
  };
}

function firstExamples(tensor: FloatTensor | IntTensor, count: number): FeedTensor {
  const [rows = 1, ...rest] = tensor.shape;
  const width = tensor.data.length / rows;
  return { dtype: tensor.dtype, dims: [count, ...rest], data: tensor.data.slice(0, count * width) };
}

/** The mask, where every position has a label of its own; an answer for the whole example counts always. */
function countsOf(
  feeds: Readonly<Record<string, FeedTensor>>,
  labels: FullBatch['labels'],
  batchSize: number,
): Uint8Array | null {
  const mask = feeds.attention_mask;
  const isPerPosition = labels instanceof Int32Array && labels.length / batchSize === mask?.dims[1];
  return mask && isPerPosition ? Uint8Array.from(mask.data) : null;
}

/** @param exactly the only length that the file takes */
function chosenBatches(dataset: Dataset, batches: BatchPlan, exactly: number | null): Chosen[] {
  const held = batches.held(0);
  if (held.length === 0) fail('bad-data', say`There is no held-out example to compare the merged file on.`);
  if (dataset.kind === 'text' || dataset.kind === 'masked-text')
    return ofText(batches.load('held', held[0]!), exactly === null);
  if (!('ids' in dataset.held))
    return [...new Set([0, held.length - 1])].map((i) => ({
      what: say`held-out pictures, batch ${i + 1}`,
      batch: batches.load('held', held[i]!),
    }));
  // Rows of text: the batch with the shortest one and that with the longest.
  const { ids } = dataset.held;
  const lengths = held.map((members) => Array.from(members, (i) => ids(i).length));
  const at = (
    best: (own: readonly number[]) => number,
    isBetter: (a: number, b: number) => boolean,
  ): number => lengths.reduce((k, own, i) => (isBetter(best(own), best(lengths[k]!)) ? i : k), 0);
  const shortest = at(least, (a, b) => a < b);
  const longest = at(greatest, (a, b) => a > b);
  return [...new Set([shortest, longest])].map((i) => {
    const batch = batches.load('held', held[i]!);
    return { what: say`held-out examples of up to ${batch.sequence ?? greatest(lengths[i]!)} tokens`, batch };
  });
}

/** Running text is never padded in training: the same passage whole, and cut to several lengths, as a user's texts will be. */
function ofText(batch: FullBatch, isFree: boolean): Chosen[] {
  const ids = batch.inputs.input_ids!;
  const [rows, length] = ids.shape as [number, number];
  const whole = { what: say`a held-out passage of ${length} tokens`, batch };
  const half = length >> 1;
  if (half < 2 || !isFree) return [whole];
  const mask = new Int32Array(rows * half);
  for (let r = 0; r < rows; r++) mask.fill(1, r * half, r * half + Math.max(1, half - r));
  const cut = (tensor: FloatTensor | IntTensor): FloatTensor | IntTensor => {
    if (tensor.shape[1] !== length || tensor.shape.length !== 2) return tensor;
    const data = tensor.dtype === 'float32' ? new Float32Array(rows * half) : new Int32Array(rows * half);
    for (let r = 0; r < rows; r++) data.set(tensor.data.subarray(r * length, r * length + half), r * half);
    return { ...tensor, shape: [rows, half], data } as FloatTensor | IntTensor;
  };
  const inputs = Object.fromEntries(Object.entries(batch.inputs).map(([name, t]) => [name, cut(t)]));
  const labels = batch.labels.slice(0, rows * half);
  return [
    whole,
    {
      what: say`held-out passages of up to ${half} tokens`,
      batch: {
        ...batch,
        labels,
        sequence: half,
        inputs: { ...inputs, attention_mask: { dtype: 'int32', shape: [rows, half], data: mask } },
      },
    },
  ];
}

// Inputs made up for a model of which no data is at hand: ids within its tables, pictures and sound of normal numbers, texts of several lengths.

/** What an input takes, by name, as the graph wants it. */
export interface MadeInputs {
  readonly data: Readonly<Record<string, Float32Array | Int32Array>>;
  /** Positions of each example that are no padding [batch, sequence]; null without token ids. */
  readonly mask: Int32Array | null;
}

const isMask = (name: string): boolean => /mask/i.test(name);

/**
 * @param graph at fixed sizes; every input gets data
 * @param padded masks end before the example does, in every example but the first
 */
export function madeInputs(graph: Graph, seed: number, padded: boolean): MadeInputs {
  const data: Record<string, Float32Array | Int32Array> = {};
  let mask: Int32Array | null = null;
  for (const input of graph.inputs) {
    const size = sizeOf(input.shape);
    const random = rng(seed, 0x3ade).fork(size + input.name.length);
    if (input.dtype !== 'i32') {
      data[input.name] = Float32Array.from({ length: size }, () => random.normal());
      continue;
    }
    const [batch = 1, sequence = 1] = input.shape;
    const own = raggedMask(batch, sequence, padded);
    if (isMask(input.name)) data[input.name] = own;
    else {
      const rows = rowsRead(graph, input);
      data[input.name] = Int32Array.from({ length: size }, () => random.int(rows));
      if (!/^decoder_/.test(input.name)) mask ??= own;
    }
  }
  return { data, mask };
}

function raggedMask(batch: number, sequence: number, padded: boolean): Int32Array {
  const mask = new Int32Array(batch * sequence);
  for (let b = 0; b < batch; b++) {
    const length = padded ? Math.max(1, sequence - 2 * b) : sequence;
    mask.fill(1, b * sequence, b * sequence + length);
  }
  return mask;
}

/** Rows of the smallest table that these ids look into; without one they are flags. */
function rowsRead({ nodes }: Graph, input: Value): number {
  const rows = nodes
    .filter(({ op, inputs }) => op.name === 'gather' && rootOf(inputs[1]!) === input)
    .map(({ inputs }) => inputs[0]!.shape[0]!);
  return rows.length > 0 ? least(rows) : 2;
}

/** The input that a value only views or casts. */
function rootOf(value: Value): Value {
  const from = value.producer;
  return from && (from.op.name === 'view' || from.op.name === 'cast') ? rootOf(from.inputs[0]!) : value;
}

// How far two results are apart, in the two figures used everywhere: maxAbs = max|a−b| and maxRel = max|a−b| / max|b|.

export interface Parity {
  /** max|a−b|, in the tensor's own unit. */
  readonly maxAbs: number;
  /** max|a−b| / max|b|, b being the reference; 0 when both are all zero. */
  readonly maxRel: number;
}

/**
 * Parity of `a` against the reference `b`. A NaN on either side, or an infinity that the other side does not have at the same place,
 * makes both figures infinite, so no tolerance lets it pass. Throws 'shape' when the lengths differ.
 *
 * @param counts of rows of equal length, which ones count; all of them unless given
 */
export function parity(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  counts: ArrayLike<number> | null = null,
): Parity {
  if (a.length !== b.length)
    fail('shape', say`Results of ${a.length} and ${b.length} values cannot be compared.`);
  const width = counts ? a.length / counts.length : 1;
  let maxAbs = 0;
  let maxB = 0;
  for (let i = 0; i < a.length; i++) {
    if (counts && counts[Math.floor(i / width)] === 0) continue;
    const x = a[i]!;
    const y = b[i]!;
    if (Number.isFinite(y)) maxB = Math.max(maxB, Math.abs(y));
    if (x === y) continue;
    const difference = Math.abs(x - y);
    maxAbs = Math.max(maxAbs, Number.isFinite(difference) ? difference : Number.POSITIVE_INFINITY);
  }
  if (maxAbs === 0) return { maxAbs: 0, maxRel: 0 };
  return { maxAbs, maxRel: maxAbs / maxB };
}
