/**
 * A run as bytes, from which it continues bit for bit: the packed parameters and optimiser states, the number of the next update (the
 * order of examples and every random draw follow from it and the seed), the curve so far, and hashes of what it was trained on.
 * The container is a safetensors file whose metadata holds the rest, so any safetensors reader can open it.
 */
import { readSafetensors, tensorFloats, writeSafetensors } from '../adapters/safetensors.ts';
import { fail } from '../lib/errors.ts';
import type { EvalMetric, RunRequest, StepMetric } from './protocol.ts';
import type { TrainingSettings } from './settings.ts';

const VERSION = 1;

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
  readonly steps: readonly StepMetric[];
  readonly evals: readonly EvalMetric[];
  /** Seconds of training so far. */
  readonly seconds: number;
  readonly states: ReadonlyMap<string, Float32Array>;
}

export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const { states, ...rest } = checkpoint;
  return writeSafetensors(
    new Map([...states].map(([name, data]) => [name, { shape: [data.length], data }])),
    { format: 'papilio-checkpoint', version: String(VERSION), run: JSON.stringify(rest) },
  );
}

/** @throws PapilioError('checkpoint') when it is none, or of another version */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const { tensors, metadata } = (() => {
    try {
      return readSafetensors(bytes);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return fail('checkpoint', `The checkpoint cannot be read, start a new run instead: ${why}`);
    }
  })();
  const run = metadata.get('run');
  if (metadata.get('format') !== 'papilio-checkpoint' || run === undefined) {
    fail('checkpoint', 'The file is no Papilio checkpoint; choose one that was saved from a run here.');
  }
  if (metadata.get('version') !== String(VERSION)) {
    fail(
      'checkpoint',
      `The checkpoint has version ${metadata.get('version')}, this program reads version ${VERSION}; start a new run.`,
    );
  }
  const rest = JSON.parse(run) as Omit<Checkpoint, 'states'>;
  return { ...rest, states: new Map([...tensors].map(([name, t]) => [name, tensorFloats(name, t)])) };
}

/** Settings that decide which examples come next and what the states mean; others, such as the learning rate, may change on the way. */
const FIXED_SETTINGS = [
  'optimizer',
  'batchSize',
  'gradientAccumulation',
  'sequenceLength',
  'seed',
] as const satisfies readonly (keyof TrainingSettings)[];

export type RunIdentity = Pick<Checkpoint, 'settings' | 'modelHash' | 'dataHash' | 'adapterHash'>;

/** Refuses a checkpoint of another run: other model, data, method, configuration or order of examples. @throws PapilioError('checkpoint') */
export function requireSameRun(checkpoint: RunIdentity, run: RunIdentity): void {
  const refuse = (what: string): never =>
    fail(
      'checkpoint',
      `The checkpoint was made with another ${what}; go on with the ${what} it was made with, or start a new run.`,
    );
  if (checkpoint.modelHash !== run.modelHash) refuse('model');
  if (checkpoint.dataHash !== run.dataHash) refuse('data');
  const [was, is] = [checkpoint.settings, run.settings];
  if (was.method !== is.method) {
    fail(
      'checkpoint',
      `The checkpoint is of a run with ${was.method}, not with ${is.method}; go on with ${was.method}, or start a new run.`,
    );
  }
  if ((checkpoint.adapterHash ?? null) !== run.adapterHash) refuse('adapter to go on from');
  const other = [
    ...differing(was.config, is.config, Object.keys({ ...was.config, ...is.config })),
    ...differing(was.training, is.training, FIXED_SETTINGS),
  ];
  if (other.length > 0) {
    fail(
      'checkpoint',
      `The checkpoint was made with other settings: ${other.join('; ')}. Go on with those it was made with, or start a new run.`,
    );
  }
}

/** `r was 8 and is 4`, for the fields that differ. */
function differing(was: object, is: object, fields: readonly string[]): string[] {
  const text = (from: object, field: string) =>
    JSON.stringify((from as Record<string, unknown>)[field] ?? null);
  return fields
    .filter((field) => text(was, field) !== text(is, field))
    .map((field) => `${field} was ${text(was, field)} and is ${text(is, field)}`);
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
