/**
 * A merged model on its way to the disk: under its own name only if it was seen to compute what was trained. One that was not is kept beside,
 * as NAME.failed.onnx or NAME.unchecked.onnx, and the exit code is 1.
 */
import { basename, dirname } from 'node:path';
import { openSession } from '../inference.ts';
import type { OpenFile, ParityReport } from '../merged.ts';
import type { WrittenWeight } from '../trainer.ts';
import { removeFile, writeBytes, writeInto } from './runtime.ts';

/** onnxruntime-web in this process; the wasm provider is the exact one. */
export const openMerged: OpenFile<Uint8Array> = (file) => openSession(file, { providers: ['wasm'] });

/** The exit code that goes with it. */
export const exitCodeOf = ({ verdict }: Pick<ParityReport, 'verdict'>): number =>
  verdict === 'passed' ? 0 : 1;

const MARKS = ['failed', 'unchecked'] as const;

const marked = (path: string, mark: string): string => path.replace(/(\.onnx)?$/, `.${mark}.onnx`);

/** The names under which a file at `path` may come to lie, its own first. */
export const placesOfMerged = (path: string): string[] => [path, ...MARKS.map((mark) => marked(path, mark))];

/**
 * Writes the file; then those of an earlier result, which would be taken for this one's, are removed.
 * @param isNamed somebody gave this very path; otherwise the name is the program's own, and no link there is followed
 * @returns where it lies
 */
export async function writeMerged(
  path: string,
  bytes: Uint8Array,
  { verdict }: Pick<ParityReport, 'verdict'>,
  isNamed = false,
): Promise<string> {
  const place = verdict === 'passed' ? path : marked(path, verdict);
  if (isNamed && place === path) await writeBytes(place, bytes);
  else await writeInto(dirname(place), basename(place), bytes);
  for (const other of placesOfMerged(path)) if (other !== place) await removeFile(other);
  return place;
}

const WORDS: Readonly<Record<string, string>> = {
  requantised: 'rounded to codes again',
  float: 'written as floats in place of codes',
};

/** What rounding did to the merged weights, kind by kind; nothing where they were written exactly. */
export function describeWritten(written: readonly WrittenWeight[]): string[] {
  const rounded = written.filter((w) => w.relativeError > 0);
  return [...new Set(rounded.map(({ how }) => how))].map((how) => {
    const own = rounded.filter((w) => w.how === how);
    const worst = own.reduce((most, w) => (w.relativeError > most.relativeError ? w : most));
    const what = WORDS[how] ?? `rounded to ${how}`;
    return `${own.length} merged ${own.length === 1 ? 'weight was' : 'weights were'} ${what}; the worst is ${worst.name}: max ${worst.maxError.toExponential(1)}, relative ${worst.relativeError.toExponential(1)}`;
  });
}
