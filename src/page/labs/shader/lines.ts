/** Lines of a text that is being edited: which of the original each is, so that what is known of a line stays with it, and which belong to functions that nothing runs. */

/** Beyond so many pairs of lines between the first and the last change, lines are counted from the top. */
const MOST_PAIRS = 1_000_000;

/** @returns for every line of `now` the index of the line of `before` that it is or that it took the place of; null for one that is new */
export function movedLines(before: readonly string[], now: readonly string[]): (number | null)[] {
  let head = 0;
  while (head < before.length && head < now.length && before[head] === now[head]) head++;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < now.length - head &&
    before[before.length - 1 - tail] === now[now.length - 1 - tail]
  )
    tail++;
  const middle = between(before.slice(head, before.length - tail), now.slice(head, now.length - tail));
  return now.map((_, i) => {
    if (i < head) return i;
    if (i >= now.length - tail) return i - now.length + before.length;
    const found = middle[i - head]!;
    return found === null ? null : found + head;
  });
}

/** By the longest common subsequence; where as many lines stand between two common ones as stood there before, each took the place of one. */
function between(before: readonly string[], now: readonly string[]): (number | null)[] {
  const [m, n] = [before.length, now.length];
  const out: (number | null)[] = new Array(n).fill(null);
  if (m * n > MOST_PAIRS) return out.map((_, i) => (i < m ? i : null));
  const width = n + 1;
  const longest = new Uint32Array((m + 1) * width);
  for (let i = m - 1; i >= 0; i--)
    for (let j = n - 1; j >= 0; j--)
      longest[i * width + j] =
        before[i] === now[j]
          ? longest[(i + 1) * width + j + 1]! + 1
          : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
  let [i, j] = [0, 0];
  let [fromI, fromJ] = [0, 0];
  const replace = (): void => {
    if (i - fromI === j - fromJ) for (let k = fromJ; k < j; k++) out[k] = fromI + k - fromJ;
  };
  while (i < m && j < n) {
    if (before[i] === now[j]) {
      replace();
      out[j++] = i++;
      [fromI, fromJ] = [i, j];
    } else if (longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!) i++;
    else j++;
  }
  [i, j] = [m, n];
  replace();
  return out;
}

/** Which lines stand in functions that are not among those that are run; attributes and comments right before a function are its own. */
export function idleLines(text: string, reached: readonly string[]): boolean[] {
  const lines = text.split('\n');
  const idle = lines.map(() => false);
  for (let first = 0; first < lines.length; first++) {
    const name = /^(?:@if\([^)]*\)\s*)?fn (\w+)\(/.exec(lines[first]!)?.[1];
    if (name === undefined) continue;
    let last = first;
    if (!lines[first]!.endsWith('}')) while (last < lines.length - 1 && !lines[last]!.startsWith('}')) last++;
    let start = first;
    while (start > 0 && /^(\/\/|@(compute|workgroup_size)\b)/.test(lines[start - 1]!)) start--;
    if (!reached.includes(name)) idle.fill(true, start, last + 1);
    first = last;
  }
  return idle;
}
