/**
 * The process in which doors are opened: it takes jobs as lines of JSON and writes a line for each trial, at once, so that the last line
 * tells its parent at which trial it hangs or died.
 */
import { readFileSync, writeSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { readCases } from './cases.ts';
import type { Door } from './door.ts';
import { doorNamed } from './doors/index.ts';
import { inputOf, runTrial, type Trial, warmUp } from './trial.ts';

/** So many trials of a door from `from` on, or so many of the inputs that a file keeps. */
export interface Job {
  readonly door: string;
  readonly seed: number;
  readonly from: number;
  readonly count: number;
  readonly file?: string;
}

/** The pipe that results go through. */
const RESULTS = 3;

/** What the worker writes: that it is ready, that an input is made and its door about to open, how the trial ended, that the job is done. */
export type Line = Trial | { readonly ready: true } | { readonly made: number } | { readonly done: true };

function tell(value: Line): void {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(RESULTS, bytes, at);
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') throw error;
    }
  }
}

let escaped: unknown = null;

const warm = new Set<Door>();

async function work({ door: name, seed, from, count, file }: Job): Promise<void> {
  const door = doorNamed(name)!;
  if (!warm.has(door)) await warmUp(door);
  warm.add(door);
  const kept = file === undefined ? null : readCases(readFileSync(file, 'utf8'));
  tell({ ready: true });
  for (let index = from; index < from + count; index++) {
    const input = kept ? kept[index]!.input : inputOf(door, seed, index);
    escaped = null;
    tell({ made: index });
    const trial = await runTrial(door, input, index);
    tell(escaped === null ? trial : { ...trial, end: 'untyped', message: `escaped: ${String(escaped)}` });
  }
  tell({ done: true });
}

export async function startWorker(): Promise<void> {
  process.on('unhandledRejection', (reason) => {
    escaped = reason instanceof Error ? reason.stack : reason;
  });
  process.on('uncaughtException', (error) => {
    escaped = error.stack;
  });
  try {
    for await (const line of createInterface({ input: process.stdin })) await work(JSON.parse(line) as Job);
  } catch (error) {
    // A mutator's own fault.
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  }
}
