/**
 * What lies in a repository: its .onnx files by part and precision, the external data and sidecars that belong to each, and the splits of a
 * dataset. Names alone decide, as Optimum, transformers.js, sentence-transformers and onnxruntime-genai choose them.
 */
import { type NamedSplit as SplitName, splitInPath } from '../lib/names.ts';
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
export const PRECISIONS: Readonly<Record<Precision, string>> = {
  f32: '32-bit floats',
  f16: '16-bit floats',
  bf16: 'bfloat16',
  q8: '8-bit weights, activations quantised as it runs',
  int8: '8-bit signed weights',
  uint8: '8-bit unsigned weights',
  q4: '4-bit weights in blocks, 32-bit elsewhere',
  q4f16: '4-bit weights in blocks, 16-bit elsewhere',
  bnb4: '4-bit weights by bitsandbytes',
  q2: '2-bit weights',
  q1: '1-bit weights',
};

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

/** Whether `path` holds tensors of the model `onnx`: model.onnx_data, model.onnx_data_1, model.onnx.data, model.data. */
function isDataOf(path: string, onnx: string): boolean {
  if (!path.startsWith(onnx.slice(0, -'.onnx'.length)) || path.includes('/', onnx.length)) return false;
  const rest = path.slice(onnx.length - '.onnx'.length);
  return /^(\.onnx)?[._]data(_\d+)?$/.test(rest);
}

/** What a file of a model is called when it is read: its last name, as tensors call it; only sentence-transformers' pooling keeps its folder. */
export const nameBeside = (path: string): string =>
  `/${path}`.endsWith(`/${POOLING}`) ? POOLING : baseName(path);

/** The sidecars of a model: the nearest of each name, in its folder or in those above. */
function sidecarsOf(path: string, files: readonly RepoFile[]): RepoFile[] {
  const nearest = new Map<string, { readonly file: RepoFile; readonly folder: string }>();
  for (const file of files) {
    const name = nameBeside(file.path);
    const folder = file.path.slice(0, -name.length);
    if (!SIDECARS.has(name) || !folderName(path).startsWith(folder)) continue;
    const known = nearest.get(name);
    if (known === undefined || known.folder.length < folder.length) nearest.set(name, { file, folder });
  }
  return [...nearest.values()].map(({ file }) => file);
}

/** The files that belong to some .onnx files of a repository. */
export function filesOf(onnx: readonly string[], files: readonly RepoFile[]): RepoFile[] {
  const wanted = new Map<string, RepoFile>();
  for (const path of onnx)
    for (const file of files)
      if (file.path === path || isDataOf(file.path, path)) wanted.set(file.path, file);
  for (const file of sidecarsOf(onnx[0]!, files)) wanted.set(file.path, file);
  return [...wanted.values()];
}

const ORDER = Object.keys(PRECISIONS) as Precision[];
const ENCODER = 'encoder_model';
/** Preferred first. */
const DECODERS = ['decoder_model', 'decoder_model_merged'];

/**
 * The models of a repository, those that the trainer likes best first: whole models before parts, then by precision. Encoder and decoder
 * in two files are offered as one, and each alone.
 */
export function variantsOf(files: readonly RepoFile[]): Variant[] {
  const single = files
    .filter(({ path }) => isOnnx(path))
    .map(({ path }) => ({ path, folder: folderName(path), ...precisionOf(path) }));
  const variant = (onnx: readonly string[], part: string, precision: Precision): Variant => {
    const own = filesOf(onnx, files);
    return { onnx, part, precision, files: own, bytes: own.reduce((sum, { size }) => sum + size, 0) };
  };
  const pairs = single
    .filter(({ part }) => part === ENCODER)
    .flatMap((encoder) => {
      const decoder = DECODERS.map((name) =>
        single.find(
          ({ folder, part, precision }) =>
            part === name && folder === encoder.folder && precision === encoder.precision,
        ),
      ).find((found) => found !== undefined);
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
    groups.set(key, [...(groups.get(key) ?? []), file]);
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
