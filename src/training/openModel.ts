/** Opens the model of a run with its sidecar files; the model that was opened last is cached, so that many questions read and import it once. */
import { type ChatFormat, chatFormat } from '../data/chat.ts';
import type { ImageDecoder } from '../data/files/png.ts';
import { endOf, loadTokenizer, type Tokenizer, tokenizerSettings } from '../data/tokenizer.ts';
import { baseName, nameOf } from '../hub/names.ts';
import type { HubHost } from '../hub/types.ts';
import type { InputFile } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { jsonOf } from '../lib/json.ts';
import { say } from '../lib/say.ts';
import { embeddedFiles } from '../models/catalogue.ts';
import { type Limit, tokenizerLimits } from '../models/contract.ts';
import { type LoadedModel, loadModel } from '../models/load.ts';
import { sortFiles } from '../models/readOnnx.ts';
import type { OrtRuntime } from '../onnxruntime/runtime.ts';
import { fetchModel } from './fetched.ts';
import { readFiles } from './inputFiles.ts';
import type { ModelSource } from './protocol.ts';
import type { TuningStore } from './tuning.ts';

/** What a trainer runs in: a GPU, embedded files, decoded pictures, the Hub. */
export interface Host {
  readonly gpu: () => Promise<GPU>;
  /** onnxruntime to train on where no GPU is. */
  readonly onnxruntime?: () => Promise<OrtRuntime>;
  /** Reads a file of the project's `public/` folder. */
  readonly readPublic: (path: string, onBytes: (done: number, total: number) => void) => Promise<Uint8Array>;
  readonly decodeImage: ImageDecoder;
  /** The Hub and what is kept of it, where there is a place to keep it. */
  readonly hub?: () => Promise<HubHost>;
  /** Keeps what was measured of a device's kernels, where there is a place to keep it. */
  readonly tunings?: TuningStore;
  /** Where several questions are asked of a model. */
  readonly modelCache?: ModelCache;
}

export interface OpenedModel {
  readonly name: string;
  readonly model: LoadedModel;
  readonly tokenizer: Tokenizer | null;
  /** What the tokenizer's files say of the length of a text. */
  readonly limits: readonly Limit[];
  /** The model's chat template, or a plain format. @throws PapilioError 'malformed-file' */
  readonly chat: () => ChatFormat;
  /** The .onnx bytes and external data, for hashes. */
  readonly bytes: readonly Uint8Array[];
  /** config.json, tokenizer.json and their like, which go with the merged model. */
  readonly sidecars: readonly InputFile[];
}

/** Files that go with a model but hold no weights, unless the model itself names them as its data. */
const isSidecar = (name: string): boolean => /\.(json|jinja|txt)$/.test(name);

export const needHub = ({ hub }: Pick<Host, 'hub'>): Promise<HubHost> =>
  hub?.() ?? fail('bad-argument', say`Nothing can be fetched here; give files.`);

async function modelFiles(
  source: ModelSource,
  host: Host,
  onBytes: (done: number, total: number, what: string) => void,
): Promise<InputFile[]> {
  if (source.kind === 'files') return readFiles(source.files);
  if (source.kind !== 'embedded') {
    // One download of several files: its totals are those of all.
    const name = nameOf(source);
    return fetchModel(source, await needHub(host), {
      onBytes: (done, total) => onBytes(done, total, name),
    });
  }
  return Promise.all(
    embeddedFiles(source.name).map(async ({ name, path }) => ({
      name,
      bytes: await host.readPublic(path, (done, total) => onBytes(done, total, name)),
    })),
  );
}

/** @throws PapilioError as reading and importing the files do */
export async function openModel(
  source: ModelSource,
  host: Host,
  onBytes: (done: number, total: number, what: string) => void = () => {},
): Promise<OpenedModel> {
  let isRead = false;
  const read = () => {
    isRead = true;
    return readModel(source, host, onBytes);
  };
  const opened = await (host.modelCache ? host.modelCache(keyOf(source), read) : read());
  if (!isRead && source.kind !== 'files') {
    const total = opened.bytes.reduce((sum, { length }) => sum + length, 0);
    onBytes(total, total, opened.name);
  }
  const { precision = 'file' } = source;
  const { model } = opened;
  return model.precision === precision ? opened : { ...opened, model: model.at(precision) };
}

async function readModel(
  source: ModelSource,
  host: Host,
  onBytes: (done: number, total: number, what: string) => void,
): Promise<OpenedModel> {
  const files = await modelFiles(source, host, onBytes);
  const sorted = sortFiles(files);
  const onnx = sorted.onnx[0] ?? fail('not-found', say`There is no .onnx file among the files of the model.`);
  const model = loadModel(files);
  const sidecars = sorted.others.filter(({ name }) => isSidecar(name));
  const text = (name: string) => {
    const file = sidecars.find((f) => f.name === name);
    return file ? new TextDecoder().decode(file.bytes) : null;
  };
  const tokenizerJson = text('tokenizer.json');
  const { config, template } = tokenizerSettings(text);
  const tokenizer = tokenizerJson === null ? null : loadTokenizer(tokenizerJson, config);
  return {
    name:
      source.kind === 'embedded' ? source.name : source.kind === 'hub' ? baseName(source.repo) : onnx.name,
    model,
    tokenizer,
    limits: tokenizerLimits({
      tokenizer: object(tokenizerJson),
      tokenizerConfig: config,
      sentenceConfig: object(text('sentence_bert_config.json')),
    }),
    chat: () => chatFormat(config, template, endOf(tokenizer)),
    bytes: files.filter((f) => !sidecars.includes(f)).map((f) => f.bytes),
    sidecars: sidecars.filter((f) => f.name !== 'card.json'),
  };
}

/** A JSON object; what is none is complained of by who needs it. */
function object(text: string | null): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = jsonOf(text ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** @throws PapilioError 'bad-data' for a model that came without one */
export const tokenizerOf = ({ tokenizer, name }: Pick<OpenedModel, 'tokenizer' | 'name'>): Tokenizer =>
  tokenizer ?? fail('bad-data', say`Text needs the model's tokenizer.json; put it beside ${name}.`);

/** A cache of one model: gives it where `key` is the one of the last call, else what `open` opens; a null key is never cached. */
export type ModelCache = (key: string | null, open: () => Promise<OpenedModel>) => Promise<OpenedModel>;

export function modelCache(): ModelCache {
  let cached: { readonly key: string; readonly opened: Promise<OpenedModel> } | null = null;
  return (key, open) => {
    if (key !== null && cached?.key === key) return cached.opened;
    // The former's memory is free before the next is read.
    cached = null;
    const opened = open();
    if (key === null) return opened;
    const mine = { key, opened };
    cached = mine;
    opened.catch(() => {
      if (cached === mine) cached = null;
    });
    return opened;
  };
}

/** A key that differs where the content of two sources does, however they are rounded; null where only reading could show it. */
export function keyOf({ precision: _, ...source }: ModelSource): string | null {
  if (source.kind !== 'files') return JSON.stringify(source);
  const files = source.files.map(({ name, bytes }) =>
    bytes instanceof File ? [name, bytes.size, bytes.lastModified] : null,
  );
  return files.includes(null) ? null : JSON.stringify(files);
}
