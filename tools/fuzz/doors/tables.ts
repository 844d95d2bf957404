/** Tables and texts of every form, Parquet, and zips of data, opened for every task as dropped files are. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'fflate';
import { type DataTask, type OpenOptions, openDataset } from '../../../src/data/files/open.ts';
import { preprocessingOf } from '../../../src/data/preprocessing.ts';
import { loadTokenizer, type Tokenizer } from '../../../src/data/tokenizer.ts';
import type { Dataset } from '../../../src/data/types.ts';
import type { InputFile } from '../../../src/lib/bytes.ts';
import { readable } from '../../../src/lib/errors.ts';
import { jsonOf } from '../../../src/lib/json.ts';
import { type Rng, rng } from '../../../src/lib/rng.ts';
import { tokenizer as wordLevel } from '../../../test/tools/contractModels.ts';
import { trainBpe } from '../../pretrain/bpe.ts';
import { type Door, fuzzFile, type Input, textOf, utf8, withFile } from '../door.ts';
import { joined, mutateBytes } from '../mutate/bytes.ts';
import { mutateJson, ODD_NAMES } from '../mutate/json.ts';
import { enlargeJson, enlargeText, largeSize } from '../mutate/large.ts';
import { mutateText } from '../mutate/text.ts';
import { mutateStruct } from '../mutate/thrift.ts';
import { mutateZip } from '../mutate/zip.ts';
import { FIXTURES } from '../place.ts';

/** Of texts that go on, and of a model that guesses hidden words. */
let tokenizers: { readonly plain: Tokenizer; readonly masked: Tokenizer } | null = null;
const size = { width: 4, height: 4, channels: 1 };

const optionsOf = (task: DataTask): OpenOptions => {
  tokenizers ??= {
    plain: loadTokenizer(trainBpe(['a tale of words and more words'], { vocabSize: 300 })),
    masked: loadTokenizer(textOf(wordLevel().bytes)),
  };
  const tokenizer = task === 'masked-text' ? tokenizers.masked : tokenizers.plain;
  return { task, tokenizer, sequenceLength: 64, preprocessing: preprocessingOf({}, {}, size) };
};

/** Reads some of what a dataset promises. */
function look(dataset: Dataset): void {
  if (dataset.kind === 'image') dataset.train.pixels(0);
  else if ('ids' in dataset.train) {
    dataset.train.ids(0);
    dataset.train.origin(0);
  }
}

export async function openData({ files, told }: Input): Promise<void> {
  const { preprocessor } = told ?? {};
  const options = optionsOf((told?.task as DataTask | undefined) ?? 'text-class');
  if (typeof preprocessor !== 'string') return look(await openDataset(files, options));
  const json = readable(
    'malformed-file',
    () => 'preprocessor_config.json',
    () => jsonOf(preprocessor),
  );
  // The model's reader has seen that it is an object.
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return;
  const wanted = { channels: 3, height: null, width: null };
  const preprocessing = preprocessingOf(json as Record<string, unknown>, {}, wanted);
  look(await openDataset(files, { ...options, preprocessing }));
}

const TASKS: readonly DataTask[] = [
  'text',
  'masked-text',
  'text-class',
  'text-value',
  'token-class',
  'image',
];

/** Mostly the task that the files are for. */
const retold = (input: Input, random: Rng): Input =>
  random.chance(0.1) ? { ...input, told: { task: random.pick(TASKS) } } : input;

const lines = (count: number, make: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => make(i)).join('\n');
const label = (i: number) => (i % 2 === 0 ? 'good' : 'bad');

/** A table or text of every form. Long because it is a list of inputs. */
function tables(): Input[] {
  const told = (task: DataTask, ...files: InputFile[]): Input => ({ files, told: { task } });
  const rows = Array.from({ length: 12 }, (_, i) => ({
    text: `words, "${i}"`,
    label: label(i),
    score: i / 4,
  }));
  const chats = (i: number) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `What is ${i}?` },
        { role: 'assistant', content: 'A number.' },
      ],
    });
  const sharegpt = (i: number) =>
    JSON.stringify({
      conversations: [
        { from: 'human', value: `Hello ${i}` },
        { from: 'gpt', value: 'Hi.' },
      ],
    });
  const tags = (i: number) =>
    JSON.stringify({ tokens: ['Anna', 'in', 'Rome', `${i}`], ner_tags: [1, 0, 2, 0] });
  return [
    told('text-class', fuzzFile('a.csv', `text,label\n${lines(12, (i) => `"line, ${i}",${label(i)}`)}\n`)),
    told(
      'text-class',
      fuzzFile('a.tsv', `sentence1\tsentence2\tlabel\n${lines(12, (i) => `x ${i}\ty\t${i % 3}`)}\n`),
    ),
    told('text-value', fuzzFile('v.csv', `review;stars\n${lines(12, (i) => `fine ${i};${i},5`)}\n`)),
    told('text-class', fuzzFile('a.json', JSON.stringify(rows))),
    told(
      'text-class',
      fuzzFile(
        'a.jsonl',
        lines(12, (i) => JSON.stringify(rows[i])),
      ),
    ),
    told('text-class', fuzzFile('train.json', JSON.stringify({ train: rows, test: rows.slice(0, 4) }))),
    told('text', fuzzFile('c.jsonl', lines(8, chats))),
    told('text', fuzzFile('s.jsonl', lines(8, sharegpt))),
    told(
      'text',
      fuzzFile(
        'i.json',
        JSON.stringify(rows.map((_, i) => ({ instruction: 'Say', input: `${i}`, output: 'ok' }))),
      ),
    ),
    told('token-class', fuzzFile('t.jsonl', lines(8, tags))),
    told(
      'token-class',
      fuzzFile(
        't.conll',
        lines(8, (i) => `Anna B-PER\nlives O\nin O\nRome${i} B-LOC\n`),
      ),
    ),
    told(
      'token-class',
      fuzzFile(
        't.conllu',
        lines(
          6,
          (i) => `# id ${i}\n1\tdog\tdog\tNOUN\t_\t_\t0\troot\t_\t_\n2\truns\trun\tVERB\t_\t_\t1\tx\t_\t_\n`,
        ),
      ),
    ),
    told(
      'text-class',
      fuzzFile(
        'l.txt',
        lines(12, (i) => `__label__${label(i)} some words ${i}`),
      ),
    ),
    told('text', fuzzFile('story.txt', 'Once upon a time there was a word. '.repeat(30))),
    told('masked-text', fuzzFile('story.md', '# Title\n\nOnce upon a time. '.repeat(30))),
    told(
      'text-class',
      ...Array.from({ length: 8 }, (_, i) => fuzzFile(`d/${label(i)}/${i}.txt`, `words ${i}`)),
    ),
    told(
      'text-class',
      fuzzFile('n.csv', `text,label\n${lines(12, (i) => `t ${i},${i % 2}`)}\n`),
      fuzzFile(
        'README.md',
        "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n          '0': neg\n          '1': pos\n---\n# Card\n",
      ),
      fuzzFile(
        'dataset_infos.json',
        '{"default":{"features":{"label":{"names":["neg","pos"],"_type":"ClassLabel"}}}}',
      ),
    ),
    told(
      'text-class',
      fuzzFile('a.csv.gz', gzipSync(utf8(`text,label\n${lines(12, (i) => `z ${i},${label(i)}`)}\n`))),
    ),
  ];
}

const isJson = (name: string) => /\.json$/.test(name);

function spoilTable(bytes: Uint8Array, name: string, random: Rng): Uint8Array {
  if (random.chance(0.1) || name.endsWith('.gz')) return mutateBytes(bytes, random);
  const text = textOf(bytes);
  if (isJson(name)) return utf8(mutateJson(text, random));
  if (name.endsWith('.jsonl') && random.chance(0.7)) {
    const all = text.split('\n');
    for (let changes = 1 + random.int(4); changes > 0; changes--) {
      const at = random.int(all.length);
      all[at] = mutateJson(all[at]!, random);
    }
    return utf8(all.join('\n'));
  }
  if (random.chance(0.08)) {
    const rows = text.split('\n');
    const header = random.pick([
      ...ODD_NAMES,
      'text',
      'label',
      'text,label,text',
      'a,'.repeat(1 << random.int(14)),
    ]);
    return utf8([header, ...rows.slice(1)].join('\n'));
  }
  return utf8(mutateText(text, random));
}

function enlargeTable(bytes: Uint8Array, name: string, random: Rng): Uint8Array {
  if (name.endsWith('.gz')) return gzipSync(enlargeTable(gunzipSync(bytes), name.slice(0, -3), random));
  return utf8((isJson(name) ? enlargeJson : enlargeText)(textOf(bytes), random));
}

const EXTENSIONS = ['csv', 'tsv', 'json', 'jsonl', 'conll', 'txt', 'parquet', 'zip', 'gz', 'png', 'onnx', ''];

export const table: Door = {
  name: 'table',
  about:
    'tables and texts: CSV, TSV, JSON, JSONL, CoNLL, labelled text, running text, gzip, class names beside them',
  seeds: tables,
  weight: 1.5,
  mutate(input, random) {
    const spoiled = withFile(retold(input, random), random, (bytes, name) => spoilTable(bytes, name, random));
    if (!random.chance(0.04)) return spoiled;
    const name = random.pick([...ODD_NAMES, `x.${random.pick(EXTENSIONS)}`]);
    return { ...spoiled, files: spoiled.files.with(0, { ...spoiled.files[0]!, name }) };
  },
  enlarge: (input, random) =>
    withFile(retold(input, random), random, (bytes, name) => enlargeTable(bytes, name, random)),
  open: openData,
};

const PARQUET: Readonly<Record<string, DataTask>> = {
  'reviews-zstd.parquet': 'text-class',
  'numbers-lz4.parquet': 'text-value',
  'tags-snappy.parquet': 'token-class',
  'chat-gzip.parquet': 'text',
  'pictures-brotli.parquet': 'image',
};

/** The footer as a Thrift struct with its length kept right, the header of a page, or bytes. */
function mutateParquet(bytes: Uint8Array, random: Rng): Uint8Array {
  const what = random.int(10);
  try {
    if (what < 6) {
      const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true);
      const start = bytes.length - 8 - length;
      const { out } = mutateStruct(bytes.subarray(start, bytes.length - 8), random);
      const tail = bytes.slice(bytes.length - 8);
      new DataView(tail.buffer).setUint32(0, out.length, true);
      return joined([bytes.subarray(0, start), out, tail]);
    }
    if (what < 8) {
      const { out, length } = mutateStruct(bytes.subarray(4), random);
      // In place of the first page's header, moved only if it must be.
      return joined([bytes.subarray(0, 4), out, bytes.subarray(4 + length)]);
    }
  } catch {
    // What was spoiled before may be no struct any more.
  }
  return mutateBytes(bytes, random);
}

export const parquet: Door = {
  name: 'parquet',
  about: 'a Parquet file: footer, page headers, pages',
  seeds: () =>
    Object.entries(PARQUET).map(([name, task]) => ({
      files: [fuzzFile(name, new Uint8Array(readFileSync(join(FIXTURES, 'data', name))))],
      told: { task },
    })),
  weight: 1.5,
  mutate: (input, random) => withFile(retold(input, random), random, (bytes) => mutateParquet(bytes, random)),
  open: openData,
};

let kept: readonly Input[] | null = null;

export const zip: Door = {
  name: 'zip',
  about: 'data in a zip whose directory may lie',
  seeds: () =>
    tables().map(({ files, told }) => ({ files: [packed(files, rng(0), 0)], ...(told && { told }) })),
  weight: 1.5,
  mutate(input, random) {
    if (random.chance(0.1)) return withFile(input, random, (bytes) => mutateBytes(bytes, random));
    kept ??= tables();
    const { files, told } = random.pick(kept);
    const spoiled = random.chance(0.35)
      ? withFile({ files }, random, (bytes, name) => spoilTable(bytes, name, random)).files
      : files;
    return retold(
      {
        files: [packed(spoiled, random, spoiled !== files && random.chance(0.6) ? 0 : undefined)],
        ...(told && { told }),
      },
      random,
    );
  },
  enlarge(_, random) {
    kept ??= tables();
    const { files, told } = random.pick(kept);
    const first = files[0]!;
    // Many small files, together as large as one element is made elsewhere.
    const many = Math.min(
      1 << (10 + random.int(6)),
      Math.ceil(largeSize(random) / Math.max(1, first.bytes.length)),
    );
    const large = random.chance(0.3)
      ? Array.from({ length: many }, (_, i) => ({ ...first, name: `${i}/${first.name}` }))
      : withFile({ files }, random, (bytes, name) => enlargeTable(bytes, name, random)).files;
    return { files: [packed(large, random, 0)], ...(told && { told }) };
  },
  open: openData,
};

const packed = (files: readonly InputFile[], random: Rng, changes?: number): InputFile =>
  fuzzFile(
    'data.zip',
    mutateZip(
      files.map(({ name, bytes }) => [name, bytes] as const),
      random,
      changes,
    ),
  );
