/**
 * Names that say which split a file, a folder or a part of a file is, as the Hugging Face Hub reads them: the word anywhere between
 * separators or digits (`my_train_file.csv`, `data/validation1.csv`, `train-00000-of-00002.parquet`), not inside another word
 * (`latest.csv`, `trainer.csv`).
 */
import type { SplitName } from '../types.ts';

type Named = 'train' | 'validation' | 'test';

const WORDS: Readonly<Record<string, Named>> = {
  train: 'train',
  training: 'train',
  validation: 'validation',
  valid: 'validation',
  val: 'validation',
  dev: 'validation',
  eval: 'test',
  evaluation: 'test',
  test: 'test',
  testing: 'test',
  held: 'validation',
};

const splitOf = (named: Named): SplitName => (named === 'train' ? 'train' : 'held');

/** The words of a name, between anything that is no letter: `valTest2` is one word, `my-test_2` has `test`. */
const wordsOf = (name: string): string[] => name.toLowerCase().split(/[^\p{L}]+/u);

/** What a file or folder name says: where it has several such words the last one counts (`train_test.csv` is a test of `train`). */
function namedIn(name: string): Named | undefined {
  return wordsOf(name)
    .map((word) => (Object.hasOwn(WORDS, word) ? WORDS[word] : undefined))
    .findLast((named) => named !== undefined);
}

/** What a path says: its file's name (or a text such as `held` alone) first, then its folders from the innermost outwards. */
function namedInPath(path: string): Named | undefined {
  const parts = path.split('/');
  const file = parts.at(-1)!.replace(/(\.\w{1,8})+$/, '');
  return [file, ...parts.slice(0, -1).reverse()].map(namedIn).find((named) => named !== undefined);
}

/** The split of a name that is nothing else. */
export function splitNamed(name: string): SplitName | undefined {
  const word = name.trim().toLowerCase();
  return Object.hasOwn(WORDS, word) ? splitOf(WORDS[word]!) : undefined;
}

/** The split that a path says by its file's name or one of its folders. */
export function splitOfPath(path: string): SplitName | undefined {
  const named = namedInPath(path);
  return named === undefined ? undefined : splitOf(named);
}

/** Whether the path says `test`: left out where there is a validation split too. */
export const isTest = (path: string): boolean => namedInPath(path) === 'test';
export const isValidation = (path: string): boolean => namedInPath(path) === 'validation';
