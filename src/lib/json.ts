/** JSON from elsewhere: its text read with a bound on its depth, and its values as words and numbers, whatever they are. */

/** Nobody writes deeper; what walks a value would run out of stack. */
const DEEPEST = 500;

/** @throws SyntaxError for text that is nested more deeply than {@link DEEPEST} */
function requireShallow(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      // To the end of the string; what is broken is JSON.parse's to say.
      for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++)
        if (text.charCodeAt(at) === 0x5c) at++;
    } else if (code === 0x5b || code === 0x7b) {
      if (++depth > DEEPEST) throw new SyntaxError(`it is nested more than ${DEEPEST} deep`);
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
}

/**
 * The value of a JSON text.
 * @throws SyntaxError for text that is none, or is nested too deeply to be walked
 */
export function jsonOf(text: string): unknown {
  requireShallow(text);
  return JSON.parse(text) as unknown;
}

/** A value of JSON as words: an object may bring a `toString` that is no function. */
export const plainWords = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);

/** A number, or the text of one; NaN for anything else. */
export const numberFrom = (value: unknown): number =>
  typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN;
