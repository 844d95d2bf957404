/** Opens what a run is made of: the model with its sidecar files, and the dataset in the model's own terms. */
import { type BatchOptions, exampleCount } from '../data/batches.ts';
import { embeddedDataset } from '../data/catalogue.ts';
import { openDataset } from '../data/files/open.ts';
import type { ImageDecoder } from '../data/files/png.ts';
import { drawingsDataset } from '../data/pictures.ts';
import { textDataset } from '../data/text.ts';
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.ts';
import type { Dataset } from '../data/types.ts';
import { baseName } from '../hub/names.ts';
import type { Around } from '../hub/types.ts';
import { fail } from '../lib/errors.ts';
import { embeddedFiles } from '../models/catalogue.ts';
import { type LoadedModel, loadModel } from '../models/load.ts';
import { fetchData, fetchModel } from './fetched.ts';
import type { DataReport, DataSource, ModelSource, NamedFile } from './protocol.ts';

/** What the surroundings provide: reading embedded files, decoding pictures. */
export interface Surroundings {
  readonly gpu: () => Promise<GPU>;
  /** Reads a file of the project's `public/` folder. */
  readonly readPublic: (path: string, onBytes: (done: number, total: number) => void) => Promise<Uint8Array>;
  readonly decodeImage: ImageDecoder;
  /** The Hub and what is kept of it, where there is a place to keep it. */
  readonly hub?: () => Promise<Around>;
}

export interface OpenedModel {
  readonly name: string;
  readonly model: LoadedModel;
  readonly tokenizer: Tokenizer | null;
  /** The .onnx bytes and external data, for hashes. */
  readonly bytes: readonly Uint8Array[];
  /** config.json, tokenizer.json and their like, which go with the merged model. */
  readonly sidecars: readonly NamedFile[];
}

/** Files that go with a model but hold no weights. */
const isSidecar = (name: string): boolean => /\.(json|jinja|txt)$/.test(name);

async function modelFiles(
  source: ModelSource,
  around: Surroundings,
  onBytes: (done: number, total: number, what: string) => void,
): Promise<NamedFile[]> {
  if (source.kind === 'files') return [...source.files];
  if (source.kind !== 'embedded') return fetchModel(source, around.hub, onBytes);
  return Promise.all(
    embeddedFiles(source.name).map(async ({ name, path }) => ({
      name,
      bytes: await around.readPublic(path, (done, total) => onBytes(done, total, name)),
    })),
  );
}

export async function openModel(
  source: ModelSource,
  around: Surroundings,
  onBytes: (done: number, total: number, what: string) => void = () => {},
): Promise<OpenedModel> {
  const files = await modelFiles(source, around, onBytes);
  const onnx =
    files.find((f) => f.name.endsWith('.onnx')) ??
    fail('not-found', 'There is no .onnx file among the files of the model.');
  const model = loadModel(files, source.precision ? { precision: source.precision } : {});
  const text = (name: string) => {
    const file = files.find((f) => f.name === name);
    return file ? new TextDecoder().decode(file.bytes) : null;
  };
  const tokenizerJson = text('tokenizer.json');
  const tokenizerConfig = text('tokenizer_config.json');
  const tokenizer =
    tokenizerJson === null
      ? null
      : loadTokenizer(
          JSON.parse(tokenizerJson),
          tokenizerConfig === null ? undefined : JSON.parse(tokenizerConfig),
        );
  return {
    name:
      source.kind === 'embedded' ? source.name : source.kind === 'hub' ? baseName(source.repo) : onnx.name,
    model,
    tokenizer,
    bytes: files.filter((f) => !isSidecar(f.name)).map((f) => f.bytes),
    sidecars: files.filter((f) => isSidecar(f.name) && f.name !== 'card.json'),
  };
}

/** What a model can be trained on, from what it takes and gives. */
export type Task = 'image-classification' | 'causal-lm' | 'text-classification';

const kindOf: Readonly<Record<Task, Dataset['kind']>> = {
  'image-classification': 'image',
  'causal-lm': 'text',
  'text-classification': 'text-class',
};

/** @throws PapilioError('unsupported-onnx') for a model that no dataset here fits */
export function taskOf({ name, model }: OpenedModel): Task {
  const { task } = model;
  if (task === 'masked-lm' || task === 'other') {
    return fail(
      'unsupported-onnx',
      `${name} gives ${task === 'other' ? 'neither class nor token scores' : 'scores of masked tokens'}; choose a classifier or a causal language model to train.`,
    );
  }
  return task;
}

export interface OpenedData {
  readonly dataset: Dataset;
  /** What the dataset's hash is taken of. */
  readonly bytes: readonly Uint8Array[];
}

export async function openData(
  from: DataSource,
  opened: OpenedModel,
  task: Task,
  seed: number,
  around: Pick<Surroundings, 'decodeImage' | 'hub'>,
): Promise<OpenedData> {
  const { model, tokenizer } = opened;
  const source =
    from.kind === 'hub' || from.kind === 'url'
      ? { kind: 'files' as const, files: await fetchData(from, around.hub, () => {}) }
      : from;
  const needTokenizer = () =>
    tokenizer ?? fail('bad-data', `Text needs the model's tokenizer.json; put it beside ${opened.name}.`);
  const encoded = (text: string) => [new TextEncoder().encode(text)];
  let dataset: Dataset;
  let bytes: readonly Uint8Array[];
  switch (source.kind) {
    case 'embedded':
      dataset = embeddedDataset(source.name, { seed: 0, ...(tokenizer ? { tokenizer } : {}) });
      bytes = encoded(source.name);
      break;
    case 'text':
      dataset = textDataset('Your text', source.text, needTokenizer());
      bytes = encoded(source.text);
      break;
    case 'drawings':
      dataset = drawingsDataset(
        source.classes,
        { width: source.size, height: source.size, channels: 1 },
        { seed },
      );
      bytes = source.classes.flatMap((c) => [
        ...encoded(c.label),
        ...c.images.map((i) => new Uint8Array(i.buffer, i.byteOffset, i.byteLength)),
      ]);
      break;
    case 'files':
      dataset = await openDataset(
        source.files.map((f) => ({ path: f.name, bytes: f.bytes })),
        {
          task: kindOf[task],
          seed,
          decodeImage: around.decodeImage,
          ...(task === 'image-classification' && model.image ? { size: model.image } : {}),
          ...(tokenizer ? { tokenizer } : {}),
          ...(model.labels ? { labels: model.labels } : {}),
        },
      );
      bytes = source.files.map((f) => f.bytes);
      break;
  }
  if (dataset.kind !== kindOf[task]) {
    fail(
      'bad-data',
      `${opened.name} is made for ${task}, but ${dataset.name} is ${dataset.kind} data; choose data or model to match.`,
    );
  }
  return { dataset, bytes };
}

export function reportData(dataset: Dataset, options: BatchOptions): DataReport {
  const notes =
    dataset.kind === 'text'
      ? [`${dataset.train.tokens.length} tokens to learn from, ${dataset.held.tokens.length} held out.`]
      : [];
  return {
    name: dataset.name,
    kind: dataset.kind,
    labels: dataset.kind === 'text' ? [] : dataset.labels,
    trainExamples: exampleCount(dataset, 'train', options),
    heldExamples: exampleCount(dataset, 'held', options),
    notes,
  };
}
