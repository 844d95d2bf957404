/** How likely both models hold each token of a text that one of them wrote: read off one forward pass of each over the whole text. */
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Both } from '../inference/beforeAfter.ts';
import type { TokenOdds } from './views.ts';

/** What of a text each new token adds: letters that several tokens make together are the last one's. */
export function piecesOf(
  tokenizer: Pick<Tokenizer, 'decode'>,
  head: readonly number[],
  made: readonly number[],
): string[] {
  const whole = tokenizer.decode([...head, ...made]);
  const upTo = (count: number): number =>
    Math.min(whole.length, completeIn(tokenizer.decode([...head, ...made.slice(0, count)])));
  const ends = made.map((_, i) => (i === made.length - 1 ? whole.length : upTo(i + 1)));
  return ends.map((end, i) => whole.slice(i === 0 ? upTo(0) : ends[i - 1]!, end));
}

/** How long a text is without the letters at its end of which only a part is there yet. */
function completeIn(text: string): number {
  let end = text.length;
  while (text[end - 1] === '\ufffd') end--;
  return end;
}

/** Softmax of one row of logits [rows, width], of one class. */
export function probabilityAt(logits: Float32Array, width: number, row: number, id: number): number {
  const part = logits.subarray(row * width, (row + 1) * width);
  let top = Number.NEGATIVE_INFINITY;
  for (const value of part) top = Math.max(top, value);
  let sum = 0;
  for (const value of part) sum += Math.exp(value - top);
  return Math.exp(part[id]! - top) / sum;
}

/**
 * @param ids the tokens before the new ones, at least one
 * @param logits of a whole sequence [rows, vocabulary], by each model
 * @param rows of those logits
 */
export async function oddsOf(
  { ids, head, made }: Readonly<Record<'ids' | 'head' | 'made', readonly number[]>>,
  logits: Both<(ids: readonly number[]) => Promise<Float32Array>>,
  rows: number,
  tokenizer: Pick<Tokenizer, 'decode'>,
): Promise<TokenOdds[]> {
  if (made.length === 0) return [];
  // The last token is followed by nothing.
  const read = [...ids, ...made.slice(0, -1)];
  const before = await logits.before(read);
  const after = await logits.after(read);
  const width = before.length / rows;
  const texts = piecesOf(tokenizer, head, made);
  return made.map((id, i) => {
    const row = ids.length - 1 + i;
    return {
      text: texts[i]!,
      before: probabilityAt(before, width, row, id),
      after: probabilityAt(after, width, row, id),
    };
  });
}
