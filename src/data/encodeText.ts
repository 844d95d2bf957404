/**
 * Running texts as ids. What encoding takes in memory grows with the text, some 70 bytes a letter, so a long text is encoded in parts; it is cut
 * only where the tokens around are seen to be those of the uncut text. A text that can be cut nowhere is encoded as a whole.
 */
import { within } from '../lib/budget.ts';
import type { Tokenizer } from './tokenizer.ts';

const PART = 2 ** 17;
/** Letters on either side of a cut that are looked at: no token depends on what is further away. */
const NEAR = 1024;
const MOST_TRIES = 16;

/**
 * @param part letters of a part, about
 * @throws PapilioError 'too-large' for more letters without white space than any text has; it would be one word, whatever it is
 */
export function encodeText(tokenizer: Tokenizer, text: string, name: string, part = PART): Int32Array {
  requireWords(text, name);
  const parts: Int32Array[] = [];
  for (let at = 0; at < text.length || at === 0; ) {
    const end = text.length - at <= part ? text.length : cutFrom(tokenizer, text, at + part);
    parts.push(Int32Array.from(tokenizer.encode(text.slice(at, end))));
    at = Math.max(end, 1);
  }
  return joined(parts);
}

export function joined(parts: readonly Int32Array[]): Int32Array {
  if (parts.length === 1) return parts[0]!;
  const out = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The first place from `from` on, between a word and the white space after it, where a cut changes no token; the end where none is near. */
function cutFrom(tokenizer: Tokenizer, text: string, from: number): number {
  const ends = /\S(?=\s)/g;
  ends.lastIndex = from;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const found = ends.exec(text);
    if (found === null) break;
    const cut = found.index + 1;
    const [before, after] = [text.slice(cut - NEAR, cut), text.slice(cut, cut + NEAR)];
    const apart = [...tokenizer.encode(before), ...tokenizer.encode(after)];
    const whole = tokenizer.encode(before + after);
    if (apart.length === whole.length && apart.every((id, i) => id === whole[i])) return cut;
  }
  return text.length;
}

function requireWords(text: string, name: string): void {
  let from = 0;
  for (const { index } of text.matchAll(/\s/g)) {
    within('unbrokenLetters', index - from, name);
    from = index + 1;
  }
  within('unbrokenLetters', text.length - from, name);
}
