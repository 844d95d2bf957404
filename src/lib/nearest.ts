/** "Did you mean": the names nearest to a mistyped one. */

/** Levenshtein distance: insertions, deletions and replacements from one text to the other. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row.push(
        Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)),
      );
    }
    previous = row;
  }
  return previous[b.length]!;
}

/** Up to `limit` candidates within half the length of the name, nearest first, ties in the given order. */
export function closest(name: string, candidates: Iterable<string>, limit = 3): string[] {
  // A text far longer than any module name is no typing error, and the distance costs length times length.
  if (name.length > 200) return [];
  const near: { candidate: string; distance: number }[] = [];
  for (const candidate of new Set(candidates)) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance <= Math.max(1, Math.floor(Math.max(name.length, candidate.length) / 2)))
      near.push({ candidate, distance });
  }
  return near
    .sort((a, b) => a.distance - b.distance)
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}
