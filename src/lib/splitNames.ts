/**
 * Which split a name says, as the Hub reads names: one of its words anywhere between separators, digits or a change to capitals
 * (`my_train_file.csv`, `validation1.csv`, `testData.csv`). A word inside another one (`latest`, `contest`, `trainer`) says nothing.
 */

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
