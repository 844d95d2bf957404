/** One trial: the input that door, seed and number stand for, and how the door takes it. */
import { BOUNDS } from '../../src/lib/budget.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { type Rng, rng } from '../../src/lib/rng.ts';
import type { Door, Input } from './door.ts';
import { measured } from './measure.ts';

/** How a trial ended, and what it cost. */
export interface Trial {
  readonly index: number;
  /** 'read', the kind of the PapilioError, or one of {@link FAILURES}. */
  readonly end: string;
  readonly ms: number;
  /** Bytes of the input, and by how many more the process grew while it was open. */
  readonly bytes: number;
  readonly memory: number;
  /** Of a failure. */
  readonly message?: string;
}

/** Ends that nobody may see. */
const FAILURES = ['untyped', 'slow', 'memory', 'hang', 'abort'] as const;
export const isFailure = (end: string): boolean => (FAILURES as readonly string[]).includes(end);

export const MOST_MS = 5000;
/** By the clock, for what waits and computes nothing; long, since a busy machine makes everything wait. */
const PATIENCE_MS = 12 * MOST_MS;
/** Beyond four times the input. */
const SPARE_MEMORY = 64 * 2 ** 20;

const seedsOf = new Map<Door, readonly Input[]>();

function seedInputs(door: Door): readonly Input[] {
  let seeds = seedsOf.get(door);
  if (!seeds) seedsOf.set(door, (seeds = door.seeds()));
  return seeds;
}

const streamOf = (name: string): number =>
  [...name].reduce((hash, letter) => (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0, 7);

/** One in so many is left as it is: a door that reads nothing any more is seen. */
const PLAIN_EVERY = 100;
/** One in so many is made large, beginning with this one. */
const LARGE_EVERY = 200;
const FIRST_LARGE = 137;

export function inputOf(door: Door, seed: number, index: number): Input {
  const random: Rng = rng(seed, streamOf(door.name)).fork(index);
  const seeds = seedInputs(door);
  if (index % PLAIN_EVERY === 0) return seeds[(index / PLAIN_EVERY) % seeds.length]!;
  let input = random.pick(seeds);
  if (door.enlarge && index % LARGE_EVERY === FIRST_LARGE) return door.enlarge(input, random);
  for (let times = random.chance(0.12) ? 2 : 1; times > 0; times--)
    try {
      input = door.mutate(input, random);
    } catch {
      // What has been spoiled once may have no structure left to spoil.
    }
  return input;
}

/** Opens inputs that are as they should be, so that what is made once is not counted later. */
export async function warmUp(door: Door): Promise<void> {
  for (const input of seedInputs(door).slice(0, 3)) await endOf(door, input);
}

/** What an archive says that it unpacks to; 0 for what is none. No more counts than may be unpacked. */
function unpackedSize(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { most, perByte } = BOUNDS.unpackedBytes;
  const bound = Math.max(most, perByte * bytes.length);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b && bytes.length > 18)
    return Math.min(bound, view.getUint32(bytes.length - 4, true));
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) return 0;
  let sum = 0;
  for (let at = 0; at + 28 < bytes.length; at++)
    if (bytes[at] === 0x50 && view.getUint32(at, true) === 0x02014b50) sum += view.getUint32(at + 24, true);
  return Math.min(bound, sum);
}

/** An archive counts as what it unpacks to, as far as it may. */
const sizeOf = ({ files }: Input): number =>
  files.reduce((sum, { bytes }) => sum + Math.max(bytes.length, unpackedSize(bytes)), 0);

const wordsOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 7).join('\n') : String(error);

/** What a door ends in; an error of the program's own is told from one that escaped. */
async function endOf(door: Door, input: Input): Promise<{ end: string; message?: string }> {
  try {
    await door.open(input);
    return { end: 'read' };
  } catch (error) {
    if (error instanceof PapilioError && error.kind !== 'internal') return { end: error.kind };
    return { end: 'untyped', message: wordsOf(error) };
  }
}

export async function runTrial(door: Door, input: Input, index: number): Promise<Trial> {
  const bytes = sizeOf(input);
  const { result, ms, memory } = await measured(() => settled(endOf(door, input)));
  const cost = { index, ms: Math.round(ms * 100) / 100, bytes, memory };
  if (result.end === 'untyped') return { ...cost, ...result };
  if (ms > MOST_MS)
    return { ...cost, end: 'slow', message: `ended as ${result.end} after ${Math.round(ms)} ms` };
  if (memory > 4 * bytes + SPARE_MEMORY)
    return { ...cost, end: 'memory', message: `ended as ${result.end}; the process grew by ${memory} bytes` };
  return { ...cost, ...result };
}

/** A promise that nobody keeps is a hang too. */
async function settled(task: Promise<{ end: string; message?: string }>) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const never = new Promise<{ end: string; message?: string }>((resolve) => {
    timer = setTimeout(() => resolve({ end: 'untyped', message: 'it never settled' }), PATIENCE_MS);
  });
  try {
    return await Promise.race([task, never]);
  } finally {
    clearTimeout(timer);
  }
}
