/** What files are, in words: for the sentence to someone whose files are other data than the model reads. */
import { fail } from '../../lib/errors.ts';
import { type DataFile, extension } from './bytes.ts';
import { CONLL, PICTURES, TABLES, TEXTS } from './endings.ts';
import { isIdxName } from './idx.ts';

/** What a dataset is opened for. `text` is a language model's: running text, documents, or prompts with answers, whichever the columns say. */
export type DataTask = 'text' | 'masked-text' | 'text-class' | 'text-value' | 'token-class' | 'image';

const TEXT = 'text: .txt, or a table (.csv, .jsonl, .parquet) with a text column';
const READS: Readonly<Record<DataTask, string>> = {
  text: TEXT,
  'masked-text': TEXT,
  'text-class':
    'texts with labels: a table (.csv, .jsonl, .parquet), text with a label in each line, or folders of classes',
  'text-value': 'texts with numbers: a table (.csv, .jsonl, .parquet)',
  'token-class': 'words with tags: .conll, or a table (.csv, .jsonl, .parquet) of tokens and tags',
  image: 'pictures: a folder or .zip with one folder per class, a table of pictures, or IDX files',
};

function kindOf({ path }: DataFile): string {
  const ending = extension(path);
  if (isIdxName(path)) return 'pictures as IDX files';
  if (PICTURES.includes(ending)) return 'pictures';
  if (CONLL.includes(ending)) return 'words with tags';
  if (TABLES.includes(ending)) return 'tables';
  if (TEXTS.includes(ending)) return 'texts';
  return ending === '' ? 'files without an extension' : `files of the kind .${ending}`;
}

const SHOWN = 2;

/** `pictures (blue/0.png, blue/1.png and 38 more) and texts (about.txt)` */
function described(files: readonly DataFile[]): string {
  const groups = new Map<string, string[]>();
  for (const file of files) {
    const kind = kindOf(file);
    const paths = groups.get(kind);
    if (paths) paths.push(file.path);
    else groups.set(kind, [file.path]);
  }
  const shown = [...groups].map(([kind, paths]) => {
    const more = paths.length - SHOWN;
    return `${kind} (${paths.slice(0, SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''})`;
  });
  return shown.join(' and ');
}

/** @throws PapilioError 'bad-data' that says what the files are and what is read for the task */
export function refuseKind(files: readonly DataFile[], task: DataTask): never {
  return fail('bad-data', `The data are ${described(files)}, and the model reads ${READS[task]}.`);
}
