/** Names and words: the nearest to a mistyped one, as they may be shown, and which split they say. */

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

// Text from elsewhere as it may be shown: what would steer a terminal, or turn the direction of what stands beside it, is written out. The form is
// JSON's, so that JSON stays what it was.

/** Escapes and other controls but for tabs and line breaks; separators of lines; marks, embeddings, overrides and isolates of direction. */
const STEERS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export const visible = (text: string): string =>
  text.replace(STEERS, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);

// Which split a name says, as the Hub reads names: one of its words anywhere between separators, digits or a change to capitals
// (`my_train_file.csv`, `validation1.csv`, `testData.csv`). A word inside another one (`latest`, `contest`, `trainer`) says nothing.

export type NamedSplit = 'train' | 'validation' | 'test';

const WORDS: Readonly<Record<NamedSplit, readonly string[]>> = {
  train: ['train', 'training'],
  // testa and testb are what CoNLL's shared tasks call theirs.
  validation: ['validation', 'valid', 'val', 'dev', 'held', 'heldout', 'holdout', 'testa'],
  test: ['test', 'testing', 'eval', 'evaluation', 'testb'],
};

const SPLITS = Object.entries(WORDS) as [NamedSplit, readonly string[]][];

/** The split that a name says; null where it says none, or several. */
export function splitInName(name: string): NamedSplit | null {
  const words = name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}]+/u);
  const said = SPLITS.filter(([, known]) => known.some((word) => words.includes(word)));
  return said.length === 1 ? said[0]![0] : null;
}

/** The split that the file's name says, else the nearest of its folders that says one. */
export function splitInPath(path: string): NamedSplit | null {
  for (const part of path.split('/').reverse()) {
    const said = splitInName(part);
    if (said !== null) return said;
  }
  return null;
}
