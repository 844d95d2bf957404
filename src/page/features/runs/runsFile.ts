/** All kept runs as one file, and read again: JSON with a version, held against a schema before anything of it is taken. */

import { fail, jsonOf, say, within } from '../../../common.ts';
import { z } from '../../../schema.ts';
import { type KeptCurve, type KeptRun, keptCurveSchema, keptRunSchema } from './kept.ts';

/** A kept run with its curve; without one where it was lost. */
export interface WholeRun {
  readonly run: KeptRun;
  readonly curve: KeptCurve | null;
}

const VERSION = 1;
/** Kept at once. The page can have more, where the browser has no room, and its file too. */
export const MOST_RUNS = 200;

const head = z.object({ papilio: z.literal('runs'), version: z.number() });
const whole = z.object({
  runs: z.array(z.object({ run: keptRunSchema, curve: keptCurveSchema.nullable() })),
});

export const runsFile = (runs: readonly WholeRun[]): string =>
  `${JSON.stringify({ papilio: 'runs', version: VERSION, runs })}\n`;

/**
 * The runs in a file that {@link runsFile} wrote.
 *
 * @throws PapilioError 'malformed-file' that says what does not fit; 'too-large'
 */
export function readRunsFile(bytes: Uint8Array, name: string): WholeRun[] {
  within('runsFileBytes', bytes.byteLength, name);
  const said = valueIn(bytes, name);
  const { data: begins } = head.safeParse(said);
  if (begins === undefined)
    return fail(
      'malformed-file',
      say`${name} is no file of runs; choose one that “Save all runs” has written.`,
    );
  if (begins.version !== VERSION)
    return fail(
      'malformed-file',
      say`${name} is of version ${begins.version}, and this page reads version ${VERSION}; open it in the page that wrote it.`,
    );
  const { data, error } = whole.safeParse(said);
  if (error !== undefined) {
    const { path, message } = error.issues[0]!;
    return fail(
      'malformed-file',
      say`${name} is damaged at ${path.join('.') || say`its beginning`}: ${message}; take another copy of it.`,
    );
  }
  return data.runs;
}

function valueIn(bytes: Uint8Array, name: string): unknown {
  const text = new TextDecoder().decode(bytes);
  try {
    return jsonOf(text, name);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail('malformed-file', say`${name} is no JSON; choose a file that “Save all runs” has written.`);
  }
}
