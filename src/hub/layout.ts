/**
 * What lies in a repository: its .onnx files by part and precision, the external data and sidecars that belong to each, and the splits of a
 * dataset. Names alone decide, as Optimum, transformers.js, sentence-transformers and onnxruntime-genai choose them.
 */
import { type NamedSplit as SplitName, splitInPath } from '../lib/names.ts';
import { say } from '../lib/say.ts';
import { baseName, folderName, isOnnx } from './names.ts';
import type { RepoFile } from './types.ts';

export interface Variant {
  /** Paths of the .onnx files: one, or encoder and decoder. */
  readonly onnx: readonly string[];
  /** "model", "decoder_model_merged", "vision_model", "encoder + decoder" … with the folder where that tells more. */
  readonly part: string;
  readonly precision: Precision;
  /** The .onnx files, their external data and the sidecars. */
  readonly files: readonly RepoFile[];
  readonly bytes: number;
}

export type Precision =
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'q8'
  | 'int8'
  | 'uint8'
  | 'q4'
  | 'q4f16'
  | 'bnb4'
  | 'q2'
  | 'q1';

/** What each is, in a few words. */
export const precisions = (): Readonly<Record<Precision, string>> => ({
  f32: say`32-bit floats`,
  f16: say`16-bit floats`,
  bf16: 'bfloat16',
  q8: say`8-bit weights, activations quantised as it runs`,
  int8: say`8-bit signed weights`,
  uint8: say`8-bit unsigned weights`,
  q4: say`4-bit weights in blocks, 32-bit elsewhere`,
  q4f16: say`4-bit weights in blocks, 16-bit elsewhere`,
  bnb4: say`4-bit weights by bitsandbytes`,
  q2: say`2-bit weights`,
  q1: say`1-bit weights`,
});

const SUFFIXES: readonly (readonly [RegExp, Precision])[] = [
  [/[_.-](fp16|f16|float16)$/, 'f16'],
  [/[_.-](bf16|bfloat16)$/, 'bf16'],
  [/[_.-](q4f16|int4f16)$/, 'q4f16'],
  [/[_.-](q4|int4|uint4)$/, 'q4'],
  [/[_.-](bnb4|nf4)$/, 'bnb4'],
  [/[_.-]q2(f16)?$/, 'q2'],
  [/[_.-]q1(f16)?$/, 'q1'],
  [/[_.-](quantized|q8|quant)$/, 'q8'],
  [/[_.-]q?u(int)?8(_[a-z0-9_]+)?$/, 'uint8'],
  [/[_.-]q?int8(_[a-z0-9_]+)?$/, 'int8'],
  [/[_.-](fp32|f32|float32)$/, 'f32'],
];

/** What onnxruntime-genai's builder puts into folder names, as "cpu-int4-rtn-block-32". */
const FOLDERS: readonly (readonly [RegExp, Precision])[] = [
  [/(^|[-_])int4([-_]|$)/, 'q4'],
  [/(^|[-_])int8([-_]|$)/, 'int8'],
  [/(^|[-_])fp16([-_]|$)/, 'f16'],
];

function precisionOf(path: string): { readonly part: string; readonly precision: Precision } {
  const stem = baseName(path).replace(/\.onnx$/, '');
  for (const [suffix, precision] of SUFFIXES)
    if (suffix.test(stem)) return { part: stem.replace(suffix, ''), precision };
  const folder = folderName(path).split('/').at(-2) ?? '';
  const found = FOLDERS.find(([word]) => word.test(folder));
  return { part: stem, precision: found?.[1] ?? 'f32' };
}

/** Where sentence-transformers says how it pools: in a folder of its own, and no config.json of the model. */
export const POOLING = '1_Pooling/config.json';

/** Files beside a model that say what it is; weights and pictures are none. */
const SIDECARS = new Set([
  'config.json',
  'generation_config.json',
  'genai_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'preprocessor_config.json',
  'sentence_bert_config.json',
  POOLING,
  'processor_config.json',
  'chat_template.jinja',
  'chat_template.json',
]);

/** Sidecar names worth asking for where no listing tells which exist. */
export const USUAL_SIDECARS: readonly string[] = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'preprocessor_config.json',
  'chat_template.jinja',
];

/** The models, without ".onnx", whose tensors a path may hold: model.onnx_data, model.onnx_data_1, model.onnx.data, model.data. */
function modelsOfData(path: string): string[] {
  const stem = /^(.*?)(\.onnx)?[._]data(_\d+)?$/s.exec(path);
  if (!stem) return [];
  return stem[2] === undefined ? [stem[1]!] : [stem[1]!, stem[1]! + stem[2]];
}

/** What a file of a model is called when it is read: its last name, as tensors call it; only sentence-transformers' pooling keeps its folder. */
export const nameBeside = (path: string): string =>
  `/${path}`.endsWith(`/${POOLING}`) ? POOLING : baseName(path);

interface Placed {
  readonly file: RepoFile;
  readonly place: number;
}

/** What lies where, for repositories of many models: the first of each path, and data by the models that it may be of. */
interface Index {
  readonly byPath: ReadonlyMap<string, Placed>;
  readonly data: ReadonlyMap<string, readonly Placed[]>;
}

function indexOf(files: readonly RepoFile[]): Index {
  const byPath = new Map<string, Placed>();
  const data = new Map<string, Placed[]>();
  files.forEach((file, place) => {
    if (byPath.has(file.path)) return;
    const placed = { file, place };
    byPath.set(file.path, placed);
    for (const model of modelsOfData(file.path)) {
      const own = data.get(model);
      if (own) own.push(placed);
      else data.set(model, [placed]);
    }
  });
  return { byPath, data };
}

/** The sidecars of a model: the nearest of each name, in its folder or in those above. */
function sidecarsOf(path: string, { byPath }: Index): Placed[] {
  const missing = new Set(SIDECARS);
  const found: Placed[] = [];
  for (let folder = folderName(path); ; folder = folderName(folder.slice(0, -1))) {
    for (const name of missing) {
      const placed = byPath.get(folder + name);
      if (placed === undefined) continue;
      missing.delete(name);
      found.push(placed);
    }
    if (folder === '') return found;
  }
}

const inOrder = (placed: readonly Placed[]): RepoFile[] =>
  [...placed].sort((a, b) => a.place - b.place).map(({ file }) => file);

/** The .onnx files of a model, their data, and its sidecars. */
function belonging(onnx: readonly string[], index: Index): RepoFile[] {
  const models = onnx.flatMap((path) => {
    const own = index.byPath.get(path);
    return inOrder([...(own ? [own] : []), ...(index.data.get(path.slice(0, -'.onnx'.length)) ?? [])]);
  });
  return [...new Set([...models, ...inOrder(sidecarsOf(onnx[0]!, index))])];
}

/** The files that belong to some .onnx files of a repository. */
export const filesOf = (onnx: readonly string[], files: readonly RepoFile[]): RepoFile[] =>
  belonging(onnx, indexOf(files));

const ORDER = Object.keys(precisions()) as Precision[];
const ENCODER = 'encoder_model';
/** Preferred first. */
const DECODERS = ['decoder_model', 'decoder_model_merged'];

/**
 * The models of a repository, those that the trainer likes best first: whole models before parts, then by precision. Encoder and decoder
 * in two files are offered as one, and each alone.
 */
export function variantsOf(files: readonly RepoFile[]): Variant[] {
  const index = indexOf(files);
  const single = [...index.byPath.keys()]
    .filter(isOnnx)
    .map((path) => ({ path, folder: folderName(path), ...precisionOf(path) }));
  const key = (folder: string, part: string, precision: Precision) =>
    JSON.stringify([folder, part, precision]);
  const first = new Map<string, (typeof single)[number]>();
  for (const one of single) {
    const its = key(one.folder, one.part, one.precision);
    if (!first.has(its)) first.set(its, one);
  }
  const variant = (onnx: readonly string[], part: string, precision: Precision): Variant => {
    const own = belonging(onnx, index);
    return { onnx, part, precision, files: own, bytes: own.reduce((sum, { size }) => sum + size, 0) };
  };
  const pairs = single
    .filter(({ part }) => part === ENCODER)
    .flatMap((encoder) => {
      const decoder = DECODERS.map((name) => first.get(key(encoder.folder, name, encoder.precision))).find(
        (found) => found !== undefined,
      );
      return decoder === undefined
        ? []
        : [variant([encoder.path, decoder.path], 'encoder + decoder', encoder.precision)];
    });
  const rank = ({ part, precision }: Variant) =>
    (part === 'encoder + decoder' ? 0 : /(^|\/)model$/.test(part) ? 1 : 2) * 100 + ORDER.indexOf(precision);
  const alone = single.map(({ path, folder, part, precision }) =>
    variant([path], `${folder.replace(/^onnx\//, '')}${part}`, precision),
  );
  return [...pairs, ...alone].sort((a, b) => rank(a) - rank(b) || (a.onnx[0]! < b.onnx[0]! ? -1 : 1));
}

// The data files of a dataset's repository, by configuration and split, as the Hub's own rules read their names.

export interface Split {
  /** The folder that the files share, '' for the top. */
  readonly config: string;
  readonly split: SplitName;
  readonly files: readonly RepoFile[];
  readonly bytes: number;
}

const READABLE = /\.(parquet|csv|tsv|jsonl|json|ndjson|txt|zip)(\.gz)?$/;
/** Files about a dataset, not of it. */
const ABOUT = /(^|\/)(dataset_infos?\.json|README\.[a-z]+|\.[^/]*)$/i;

/** The folder above the files, less a folder that is named like the split, or "data". */
function configOf(path: string): string {
  return folderName(path)
    .split('/')
    .filter((part) => part !== '' && part !== 'data' && splitInPath(part) === null)
    .join('/');
}

const SPLIT_ORDER: readonly SplitName[] = ['train', 'validation', 'test'];

/**
 * Splits of a dataset, train first. Files that name no split are for training. Where the same rows lie there in several formats, the first of
 * Parquet, JSON lines, CSV is taken.
 */
export function splitsOf(files: readonly RepoFile[]): Split[] {
  const groups = new Map<string, RepoFile[]>();
  for (const file of files) {
    if (!READABLE.test(file.path) || ABOUT.test(file.path) || file.size === 0) continue;
    const key = JSON.stringify([configOf(file.path), splitInPath(file.path) ?? 'train']);
    const group = groups.get(key);
    if (group) group.push(file);
    else groups.set(key, [file]);
  }
  const splits = [...groups].map(([key, members]): Split => {
    const [config, split] = JSON.parse(key) as [string, SplitName];
    const own = oneFormat(members);
    return { config, split, files: own, bytes: own.reduce((sum, { size }) => sum + size, 0) };
  });
  return splits.sort(
    (a, b) =>
      (a.config < b.config ? -1 : a.config > b.config ? 1 : 0) ||
      SPLIT_ORDER.indexOf(a.split) - SPLIT_ORDER.indexOf(b.split),
  );
}

const FORMATS = [/\.parquet$/, /\.(jsonl|ndjson|json)(\.gz)?$/, /\.(csv|tsv)(\.gz)?$/, /\.txt(\.gz)?$/];

function oneFormat(files: readonly RepoFile[]): readonly RepoFile[] {
  const format = FORMATS.find((ending) => files.some(({ path }) => ending.test(path)));
  return format === undefined ? files : files.filter(({ path }) => format.test(path));
}

/** What is trained on when nothing is said: the first configuration's training files. */
export const usualSplit = (splits: readonly Split[]): Split | undefined =>
  splits.find(({ split }) => split === 'train') ?? splits[0];
