/**
 * A run as bytes, from which it continues bit for bit: the packed parameters and optimiser states, the number of the next update (the
 * order of examples and every random draw follow from it and the seed), the curve so far, and hashes of what it was trained on.
 * The container is a safetensors file whose metadata holds the rest, so any safetensors reader can open it. A SHA-256 of all that stands
 * in the metadata too: what a disk gave back with another bit is refused, and never trained on.
 */

import { givenFields } from '../adapters/fields.ts';
import { METHODS, type MethodId } from '../adapters/registry.ts';
import {
  readSafetensors,
  type StoredTensor,
  tensorFloats,
  writeSafetensors,
} from '../adapters/safetensors.ts';
import { nameOf } from '../hub/names.ts';
import { fail, passOn } from '../lib/errors.ts';
import { jsonOf } from '../lib/json.ts';
import { paragraph, say } from '../lib/say.ts';
import { z } from '../lib/schema.ts';
import type {
  DataSource,
  EngineName,
  EvalMetric,
  ModelSource,
  RunRequest,
  SourceName,
  StepMetric,
} from './protocol.ts';
import { FIXED_SETTINGS, trainingSchema } from './settings.ts';
import { ENGINES, METRICS } from './words.ts';

const VERSION = 2;
/** Has no checksum. */
const FIRST_VERSION = 1;
/** The longest name of a source. */
const NAME_LETTERS = 200;

export interface Checkpoint {
  /** The next update. */
  readonly step: number;
  /** What was asked for, without the bytes of dropped files; the configuration with every field filled in. */
  readonly settings: Pick<RunRequest, 'method' | 'config' | 'training'>;
  /** SHA-256 of the model file and of the data, in hex. */
  readonly modelHash: string;
  readonly dataHash: string;
  /** Of the adapter that the run went on from, or null. */
  readonly adapterHash: string | null;
  /** What computed it; absent in checkpoints of before, which WebGPU made. */
  readonly engine?: EngineName | undefined;
  /** What its model and data are called; absent in checkpoints of before. The hashes say whether others are the same. */
  readonly sources?: { readonly model: SourceName; readonly data: SourceName } | undefined;
  readonly steps: readonly StepMetric[];
  readonly evals: readonly EvalMetric[];
  /** Seconds of training so far. */
  readonly seconds: number;
  readonly states: ReadonlyMap<string, Float32Array>;
}

/** What a source is called, without secrets of an address. */
export function sourceNameOf(source: ModelSource | DataSource): SourceName {
  const { kind } = source;
  const name =
    kind === 'embedded'
      ? source.name
      : kind === 'files'
        ? (source.files.find((file) => file.name.endsWith('.onnx')) ?? source.files[0])?.name
        : kind === 'hub' || kind === 'url'
          ? nameOf(source)
          : '';
  return { kind, name: (name ?? '').slice(0, NAME_LETTERS) };
}

export async function encodeCheckpoint(checkpoint: Checkpoint): Promise<Uint8Array> {
  const { states, ...rest } = checkpoint;
  const run = JSON.stringify(rest, withNonFinite);
  return writeSafetensors(
    new Map([...states].map(([name, data]) => [name, { shape: [data.length], data }])),
    {
      format: 'papilio-checkpoint',
      version: String(VERSION),
      run,
      sha256: await contentHash(run, states),
    },
  );
}

/** SHA-256 of what a checkpoint says of its run, of the names and sizes of its states, and of their numbers to the bit. */
async function contentHash(run: string, states: ReadonlyMap<string, Float32Array>): Promise<string> {
  const sorted = [...states].sort(([a], [b]) => (a < b ? -1 : 1));
  const sizes = sorted.map(([name, data]) => [name, data.length]);
  const utf8 = new TextEncoder();
  const parts = await hashOf([
    utf8.encode(JSON.stringify([run, sizes])),
    ...sorted.map(([, data]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ]);
  return hashOf([utf8.encode(parts)]);
}

const hash = z.string().regex(/^[0-9a-f]{64}(-[0-9a-f]{64})*$/, { error: () => say`no SHA-256 in hex` });

/** Of entries that are read one by one: a schema would keep something of each. */
export const entryList = z.custom<readonly unknown[]>(Array.isArray, { error: () => say`expected a list` });

const sourceName = z.object({
  kind: z.enum(['embedded', 'files', 'hub', 'url', 'text', 'drawings']),
  name: z.string().max(NAME_LETTERS),
});

/** The metadata but for the entries of the curve, which {@link stepsOf} and {@link evalsOf} read. */
const runSchema = z.object({
  step: z.int().min(0),
  settings: z.object({
    method: z.enum(Object.keys(METHODS) as [MethodId, ...MethodId[]]),
    config: givenFields,
    training: trainingSchema,
  }),
  modelHash: hash,
  dataHash: hash,
  adapterHash: hash.nullable().default(null),
  engine: z.enum(ENGINES).optional(),
  sources: z.object({ model: sourceName, data: sourceName }).optional(),
  steps: entryList,
  evals: entryList,
  seconds: z.number().min(0),
});

/** Refuses a checkpoint that is not as it was written; `name` is its file's. */
type Refusal = (what: string) => never;

const damagedIn =
  (name = say`The checkpoint`): Refusal =>
  (what) =>
    fail(
      'checkpoint',
      say`${name} is damaged (${what}): take another copy of it or an earlier checkpoint, or start a new run.`,
    );

/** The metadata of a run. @throws PapilioError('checkpoint') */
function runOf(text: string, damaged: Refusal): Omit<Checkpoint, 'states'> {
  let json: unknown;
  try {
    json = jsonOf(text, say`What the checkpoint says of its run`);
  } catch (cause) {
    passOn(cause);
    return damaged(say`what it says of its run is no JSON`);
  }
  const parsed = runSchema.safeParse(json);
  if (!parsed.success) return damaged(issueOf(parsed.error));
  const { data } = parsed;
  try {
    const [steps, evals] = [stepsOf(data.steps), evalsOf(data.evals)];
    if (steps.length !== data.step || steps.some(({ step }, i) => step !== i + 1))
      return damaged(say`its curve has ${steps.length} steps, not each of the ${data.step} that it is after`);
    const later = evals.find(({ step }) => step > data.step);
    if (later) return damaged(say`it holds an evaluation of step ${later.step} and is after ${data.step}`);
    return { ...data, steps, evals };
  } catch (error) {
    if (error instanceof UnfitRecord) return damaged(error.message);
    throw error;
  }
}

/** A name from a file, for a sentence. */
const quoted = (name: string): string => JSON.stringify(name.slice(0, 80));

function stateOf(name: string, tensor: StoredTensor, damaged: Refusal): Float32Array {
  if (tensor.dtype !== 'F32' || tensor.shape.length !== 1)
    damaged(
      say`its state ${quoted(name)} is ${tensor.dtype} with ${tensor.shape.length} axes, not a list of F32`,
    );
  return tensorFloats(name, tensor);
}

/**
 * @param name of its file, for what is said of it
 * @throws PapilioError('checkpoint') when it is none, of another version, is not as it was written, or holds what no run writes
 */
export async function decodeCheckpoint(bytes: Uint8Array, name?: string): Promise<Checkpoint> {
  const damaged = damagedIn(name);
  const notOne = say`${name ?? say`The file`} is no checkpoint, or only part of one: choose the .safetensors file that was saved from a run.`;
  const { tensors, metadata } = (() => {
    try {
      return readSafetensors(bytes);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return fail('checkpoint', paragraph([notOne, why]));
    }
  })();
  const run = metadata.get('run');
  if (metadata.get('format') !== 'papilio-checkpoint' || run === undefined) fail('checkpoint', notOne);
  const version = metadata.get('version') ?? '';
  if (version !== String(VERSION) && version !== String(FIRST_VERSION)) {
    fail(
      'checkpoint',
      say`The checkpoint has version ${/^\d{1,9}$/.test(version) ? version : quoted(version)}, this program reads versions ${FIRST_VERSION} and ${VERSION}; start a new run.`,
    );
  }
  const states = new Map([...tensors].map(([state, t]) => [state, stateOf(state, t, damaged)]));
  if (version === String(VERSION) && metadata.get('sha256') !== (await contentHash(run, states)))
    damaged(say`its content does not give its checksum, so it is not what was written`);
  return { ...runOf(run, damaged), states };
}

/**
 * Refuses states that are not those of the run's engine, each with its size.
 *
 * @param wanted how many numbers each state has
 * @throws PapilioError('checkpoint')
 */
export function requireStates(
  { states }: Pick<Checkpoint, 'states'>,
  wanted: ReadonlyMap<string, number>,
): void {
  const damaged = damagedIn();
  for (const [name, size] of wanted) {
    const state = states.get(name) ?? damaged(say`it lacks the state ${name}`);
    if (state.length !== size)
      damaged(say`its state ${name} has ${state.length} numbers, and the run has ${size}`);
  }
  for (const name of states.keys())
    if (!wanted.has(name)) damaged(say`it has a state ${quoted(name)}, which the run has not`);
}

/** Refuses a position beyond the run's end. @throws PapilioError('checkpoint') */
export function requireWithin({ step }: Pick<Checkpoint, 'step'>, total: number): void {
  if (step > total)
    fail(
      'checkpoint',
      say`The checkpoint is after ${step} steps, and the run has ${total} in all; give it ${step} or more, or start a new run.`,
    );
}

export type RunIdentity = Pick<Checkpoint, 'settings' | 'modelHash' | 'dataHash' | 'adapterHash' | 'sources'>;

/** Refuses a checkpoint of another run: other model, data, method, configuration or order of examples. @throws PapilioError('checkpoint') */
export function requireSameRun(checkpoint: RunIdentity, run: RunIdentity): void {
  const refuse = (what: string, name = ''): never =>
    fail(
      'checkpoint',
      name === ''
        ? say`The checkpoint was made with another ${what}; go on with the ${what} it was made with, or start a new run.`
        : say`The checkpoint was made with another ${what}, called ${quoted(name)}; go on with the ${what} it was made with, or start a new run.`,
    );
  const { sources } = checkpoint;
  if (checkpoint.modelHash !== run.modelHash) refuse(say`model`, sources?.model.name);
  if (checkpoint.dataHash !== run.dataHash) refuse(say`data`, sources?.data.name);
  const [was, is] = [checkpoint.settings, run.settings];
  if (was.method !== is.method) {
    fail(
      'checkpoint',
      say`The checkpoint is of a run with ${was.method}, not with ${is.method}; go on with ${was.method}, or start a new run.`,
    );
  }
  if (checkpoint.adapterHash !== run.adapterHash) refuse(say`adapter to go on from`);
  const other = [
    ...differing(was.config, is.config, Object.keys({ ...was.config, ...is.config })),
    ...differing(was.training, is.training, FIXED_SETTINGS),
  ];
  if (other.length > 0) {
    fail(
      'checkpoint',
      say`The checkpoint was made with other settings: ${other.join('; ')}. Go on with those it was made with, or start a new run.`,
    );
  }
}

/** `r was 8 and is 4`, for the fields that differ. */
function differing(was: object, is: object, fields: readonly string[]): string[] {
  const text = (from: object, field: string) =>
    JSON.stringify((Object.hasOwn(from, field) ? (from as Record<string, unknown>)[field] : null) ?? null);
  const short = (from: object, field: string) => text(from, field).slice(0, 80);
  return fields
    .filter((field) => text(was, field) !== text(is, field))
    .slice(0, 8)
    .map((field) => say`${field.slice(0, 80)} was ${short(was, field)} and is ${short(is, field)}`);
}

const HASH_PIECE = 1 << 25;

/** SHA-256 in hex, of each part; of parts beyond 32 MiB, of each piece of that size. */
export async function hashOf(parts: readonly Uint8Array[]): Promise<string> {
  const digests: string[] = [];
  // A digest copies what it is given, so large files are taken piece by piece.
  const pieces = parts.flatMap((part) =>
    Array.from({ length: Math.max(1, Math.ceil(part.length / HASH_PIECE)) }, (_, i) =>
      part.subarray(i * HASH_PIECE, (i + 1) * HASH_PIECE),
    ),
  );
  for (const piece of pieces) {
    const digest = await crypto.subtle.digest('SHA-256', piece as Uint8Array<ArrayBuffer>);
    digests.push([...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, '0')).join(''));
  }
  return digests.join('-');
}

// The figures of a run as files keep them: schemas for what comes back, so that a cell of the curve is a number or a name from a fixed set
// whatever the file says.

const whole = z.int().min(0);

const stepSchema = z.object({
  step: whole.min(1),
  loss: z.number(),
  learningRate: z.number(),
  gradNorm: z.number(),
  examples: whole,
  tokens: whole,
  seconds: z.number().min(0),
}) satisfies z.ZodType<StepMetric>;

/** JSON has no infinity: {@link withNonFinite} writes its name, older files have null. */
const score = z.union([
  z.number(),
  z.enum(['Infinity', '-Infinity', 'NaN']).transform(Number),
  z.null().transform(() => Number.NaN),
]);

const evalSchema = z.object({
  step: whole,
  metric: z.enum(METRICS),
  value: score,
  words: whole.optional(),
  others: z
    .object({
      macroF1: score.optional(),
      accuracy: score.optional(),
      r2: score.optional(),
      pearson: score.optional(),
    })
    .optional(),
  loss: score,
  examples: whole,
});

/** A number that JSON cannot hold, by its name; for JSON.stringify. */
const withNonFinite = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;

/** What does not fit a schema: `steps.3.loss: it must be a finite number`. Never longer than a line. */
export function issueOf({ issues }: z.ZodError, ...at: readonly (string | number)[]): string {
  const { path, message } = issues[0]!;
  const where = [...at, ...path].map(String).join('.');
  return `${where === '' ? '' : `${where}: `}${message}`.slice(0, 200);
}

/** The first entry that does not fit ends it, so that a list of a million wrong entries costs one. */
function listOf<T>(list: readonly unknown[], schema: z.ZodType<T>, name: string): T[] {
  return list.map((entry, i) => {
    const parsed = schema.safeParse(entry);
    if (!parsed.success) throw new UnfitRecord(issueOf(parsed.error, name, i));
    return parsed.data;
  });
}

/** The message says which field is what; the reader of a file makes a sentence of it. */
export class UnfitRecord extends Error {}

/** @throws UnfitRecord */
const stepsOf = (list: readonly unknown[]): StepMetric[] => listOf(list, stepSchema, 'steps');

/** @throws UnfitRecord */
export const evalsOf = (list: readonly unknown[], name = 'evals'): EvalMetric[] =>
  listOf(list, evalSchema as z.ZodType<EvalMetric>, name);
