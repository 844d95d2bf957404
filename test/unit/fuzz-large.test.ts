/**
 * Inputs of one small thing very many times: each door reads or refuses them within 5 s of computing and with no more memory than 4 times the input and
 * 64 MiB, measured as `npm run fuzz` does, in a process of its own. What must be made of honest inputs of that size is made.
 * Seen to fail: without the bound on messages of ONNX, on settings, on sets in patterns and on values in a Hub's answer; files of a listing looked through for each model.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync, zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InputFile } from '../../src/lib/bytes.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { writeCase } from '../../tools/fuzz/cases.ts';
import { fuzzFile, utf8 } from '../../tools/fuzz/door.ts';
import { DOORS } from '../../tools/fuzz/doors/index.ts';
import { field, many } from '../../tools/fuzz/mutate/large.ts';
import type { DoorReport } from '../../tools/fuzz/report.ts';
import { grey, idx } from './data-support.ts';

const SIZE = 1_700_000;

interface Case {
  readonly files: readonly InputFile[];
  readonly told?: Readonly<Record<string, unknown>>;
}

/** Keys of one object. */
const KEYS = Array.from({ length: SIZE / 10 }, (_, i) => `"${i.toString(36)}":0`).join(',');

const classes = (name: string, content: string | Uint8Array): Case => ({
  files: [fuzzFile(name, content)],
  told: { task: 'text-class' },
});
const table = (piece: string, head = 'text,label\n'): Case => classes('a.csv', head + many(piece, SIZE));
const json = (item: string): Case => classes('a.json', `[${many(`${item},`, SIZE)}${item}]`);
const jsonl = (line: string): Case => classes('a.jsonl', many(`${line}\n`, SIZE));

/** A column of classes and one for each pixel, most of them 0. */
function pixelRows(): Case {
  const line = Array.from({ length: 784 }, (_, i) => (i % 5 === 0 ? (i * 7) % 256 : 0)).join(',');
  const head = `label,${Array.from({ length: 784 }, (_, i) => `pixel${i}`).join(',')}\n`;
  return classes('digits.csv', head + many(`3,${line}\n4,${line}\n`, 3 * SIZE));
}

function model(path: readonly number[], piece: Uint8Array): Case {
  let body = utf8(many(String.fromCharCode(...piece), SIZE));
  for (const number of [...path].reverse()) body = field(number, body) as Uint8Array<ArrayBuffer>;
  return { files: [fuzzFile('model.onnx', body)] };
}

const side = (size: number) => ({
  task: 'image',
  preprocessor: JSON.stringify({ do_resize: true, size: { height: size, width: size }, resample: 3 }),
});

const header = (text: string): Case => {
  const bytes = utf8(text);
  const out = new Uint8Array(8 + bytes.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(bytes.length), true);
  out.set(bytes, 8);
  return { files: [fuzzFile('x.safetensors', out)] };
};

const tokenizer = (expression: string): Case => ({
  files: [
    fuzzFile(
      'tokenizer.json',
      JSON.stringify({
        version: '1.0',
        ...{ added_tokens: [], normalizer: null, post_processor: null, decoder: null },
        pre_tokenizer: { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false },
        model: { type: 'WordLevel', vocab: { a: 0, '<unk>': 1 }, unk_token: '<unk>' },
      }),
    ),
  ],
});

/** A zip of small tables, each packed by itself. */
function gzips(count: number): Case {
  const entry = (_: unknown, i: number) => [`${i}.csv.gz`, gzipSync(utf8(`text,label\na,${'bc'[i % 2]}\n`))];
  const zip = zipSync(Object.fromEntries(Array.from({ length: count }, entry)), { level: 0 });
  return { files: [fuzzFile('a.zip', zip)], told: { task: 'text-class' } };
}

/** A Hub whose repository is listed so. */
function listing(tree: string): Case {
  const [seed] = DOORS.find(({ name }) => name === 'hub-listing')!.seeds();
  const files = seed!.files.map((file) => (file.name === 'tree' ? fuzzFile('tree', tree) : file));
  return { files, ...(seed!.told ? { told: seed!.told } : {}) };
}
/** Files of the content that it sends, under these names beside the one that is asked for. */
const listed = (paths: readonly string[]): Case =>
  listing(
    JSON.stringify(
      ['model.onnx', ...paths].map((path) => ({
        ...{ type: 'file', path, size: 17, oid: 'e017f1508f37b5266116217fd9dec8b271a36952' },
      })),
    ),
  );

/** A table that hangs on no size: it is there once, however often the model is folded. */
function rangeModel(): Case {
  const g = graphBuilder({ opset: 17 });
  const x = g.input('x', 'float32', ['batch', 4]);
  const bound = (n: number) => g.ints([n], []);
  const table = g.op('Range', [bound(0), bound(2 ** 21), bound(1)]);
  const rows = g.op('Cast', [g.op('Slice', [table, g.ints([0]), g.ints([4])])], { to: 1 });
  g.output(g.op('Add', [x, rows]), 'float32', null);
  return { files: [fuzzFile('model.onnx', encodeModel(g.build())), fuzzFile('config.json', '{}')] };
}

/** By door, the inputs and how each ends. */
const CASES: Readonly<Record<string, Readonly<Record<string, readonly [Case, string]>>>> = {
  table: {
    'lines of a comma': [table(',\n', ''), 'too-large'],
    'commas below a header': [table(',\n'), 'bad-data'],
    'rows of two letters': [table('a,b\na,c\n'), 'too-large'],
    'rows in quotation marks': [table('"a",b\n"a",c\n'), 'too-large'],
    'empty lines': [table('\n', 'text,label\na,b\n'), 'bad-data'],
    'stray quotation marks': [table('a"b,c"d\n'), 'too-large'],
    'a table of pixels': [pixelRows(), 'bad-data'],
    'empty objects': [json('{}'), 'too-large'],
    'empty lists': [json('[]'), 'too-large'],
    zeros: [json('0'), 'too-large'],
    'pairs of numbers': [json('[0,1]'), 'too-large'],
    'objects one after the other': [classes('a.json', many('{}', SIZE)), 'too-large'],
    'lines of an empty object': [jsonl('{}'), 'too-large'],
    'lines of an empty list': [jsonl('[]'), 'too-large'],
    'words and tags': [
      { files: [fuzzFile('a.conll', many('a O\n\n', SIZE))], told: { task: 'token-class' } },
      'too-large',
    ],
    'one long word with a tag': [
      {
        files: [fuzzFile('a.conll', `${many(';', SIZE)}\tA\nb\tB\n\na\tA\nb\tB\n`)],
        told: { task: 'token-class' },
      },
      'read',
    ],
    'a text of spaces': [{ files: [fuzzFile('a.txt', many(' ', SIZE))], told: { task: 'text' } }, 'bad-data'],
    'digits for a head': [
      {
        files: [fuzzFile('v.csv', `${many('5', SIZE)}review;stars\nfine 0;0,5\nfine 1;1,5\n`)],
        told: { task: 'text-value' },
      },
      'bad-data',
    ],
    'keys beside its rows': [
      classes('a.json', `{"train":[{"text":"a","label":"b"},{"text":"a","label":"c"}],${KEYS}}`),
      'too-large',
    ],
    'short chats': [
      {
        files: [fuzzFile('a.json', `[${many('{"instruction":"Say","input":"0","output":"ok"},', SIZE)}{}]`)],
        told: { task: 'text' },
      },
      'read',
    ],
    'labelled lines': [classes('l.txt', many('__label__a b\n__label__b c\n', SIZE)), 'too-large'],
    'a gzip that unpacks to much': [
      classes('a.csv.gz', gzipSync(utf8(`text,label\n${many('aaaaaaa,b\n', 12 * SIZE)}`))),
      'too-large',
    ],
  },
  template: {
    'settings that nobody reads': [
      {
        files: [
          fuzzFile(
            'tokenizer_config.json',
            JSON.stringify({
              chat_template: '{{ messages[0].content }}',
              ...Object.fromEntries(Array.from({ length: SIZE / 6 }, (_, i) => [i.toString(36), []])),
            }),
          ),
        ],
      },
      'too-large',
    ],
  },
  tokenizer: {
    'added tokens that are none': [
      {
        files: [
          fuzzFile('tokenizer.json', `{"added_tokens":[${many('[[]],', SIZE)}[]],"model":{"vocab":{"a":0}}}`),
        ],
      },
      'malformed-file',
    ],
    'keys beside its model': [
      {
        files: [fuzzFile('tokenizer.json', `{"model":{"type":"BPE","vocab":{"a":0}},${KEYS}}`)],
      },
      'malformed-file',
    ],
    'a vocabulary with scores': [
      {
        files: [
          fuzzFile(
            'tokenizer.json',
            JSON.stringify({
              model: {
                ...{ type: 'Unigram', unk_id: 0 },
                vocab: Array.from({ length: SIZE / 32 }, (_, i) => [
                  `${i.toString(36)}${'x'.repeat(20)}`,
                  -1,
                ]),
              },
            }),
          ),
        ],
      },
      'read',
    ],
    'boundaries of words': [tokenizer('\\b'.repeat(4096)), 'too-large'],
  },
  'hub-listing': {
    'one model very often': [listed(new Array(12_000).fill('model.onnx')), 'read'],
    'many models': [listed(Array.from({ length: 12_000 }, (_, i) => `onnx/${i}.onnx`)), 'read'],
    'entries of nothing': [listing(`[${many('{},', SIZE)}{}]`), 'too-large'],
  },
  'onnx-structure': { 'a long range': [rangeModel(), 'read'] },
  zip: {
    'many gzips': [gzips(9000), 'too-large'],
    'as many gzips as may be': [gzips(1024), 'read'],
    'one entry that unpacks to much': [
      {
        files: [fuzzFile('a.zip', zipSync({ 'a.txt': new Uint8Array(12 * SIZE).fill(97) }))],
        told: { task: 'text' },
      },
      'too-large',
    ],
  },
  'onnx-bytes': {
    'empty nodes': [model([7], field(1, new Uint8Array(0))), 'too-large'],
    'empty attributes': [model([7, 1], field(5, new Uint8Array(0))), 'too-large'],
    'empty initialisers': [model([7], field(5, new Uint8Array(0))), 'too-large'],
    'sizes of one tensor': [model([7, 5], Uint8Array.of(8, 1)), 'malformed-onnx'],
    'empty texts of an attribute': [model([7, 1, 5], field(9, new Uint8Array(0))), 'too-large'],
    'empty metadata': [model([], field(14, new Uint8Array(0))), 'too-large'],
  },
  picture: {
    'small ones for a model of 224 × 224': [
      {
        files: Array.from({ length: 900 }, (_, i) => fuzzFile(`${i % 2}/${i}.png`, grey(i % 200))),
        told: side(224),
      },
      'read',
    ],
  },
  idx: {
    'small ones for a model of 224 × 224': [
      {
        files: [
          fuzzFile('train-images-idx3-ubyte', idx([2000, 28, 28], new Array(2000 * 784).fill(7))),
          fuzzFile(
            'train-labels-idx1-ubyte',
            idx(
              [2000],
              Array.from({ length: 2000 }, (_, i) => i % 10),
            ),
          ),
        ],
        told: side(224),
      },
      'read',
    ],
  },
  checkpoint: {
    'keys in its configuration': [
      header(
        JSON.stringify({
          __metadata__: {
            ...{ format: 'papilio-checkpoint', version: '1' },
            run: `{"settings":{"method":"oft","config":{${KEYS}}}}`,
          },
        }),
      ),
      'checkpoint',
    ],
  },
  safetensors: {
    'words about it': [
      header(`{"__metadata__":{"":""${Array.from({ length: SIZE / 12 }, (_, i) => `,"${i}":""`).join('')}}}`),
      'too-large',
    ],
    'empty lists': [header(`{"x":[${many('[],', SIZE)}0]}`), 'too-large'],
  },
};

const folder = mkdtempSync(join(tmpdir(), 'papilio-large-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(Object.entries(CASES))('%s', (door, cases) => {
  let report: DoorReport;
  beforeAll(async () => {
    const file = join(folder, `${door}.jsonl`);
    writeFileSync(
      file,
      Object.entries(cases)
        .map(([was, [input]]) => writeCase({ door, was, input }))
        .join(''),
    );
    const words = ['tools/fuzz/run.mjs', door, '--replay', file, '--json'];
    // An exit code of 1 says that something failed, and what it printed says what.
    const { stdout } = await promisify(execFile)(process.execPath, words, { maxBuffer: 2 ** 26 }).catch(
      (error: { stdout: string }) => error,
    );
    [report] = JSON.parse(stdout) as [DoorReport];
  }, 300_000);

  it('takes neither much memory nor time', () => {
    const names = Object.keys(cases);
    expect(report.failures.map(({ index, end, message }) => `${names[index]}: ${end} ${message}`)).toEqual(
      [],
    );
  });

  it('ends as it should', () => {
    const ends: Record<string, number> = {};
    for (const [, end] of Object.values(cases)) ends[end] = (ends[end] ?? 0) + 1;
    expect(report.ends).toEqual(ends);
  });
});
