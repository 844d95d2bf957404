/** Models and data as a program gives them: bytes, files, names on the Hub or addresses. */
import { decodeInBrowser } from '../data/files/browserPicture.ts';
import { decodePicture } from '../data/files/decodePicture.ts';
import { HUB_ADDRESS, hubAddress, parseSource } from '../hub/names.ts';
import { pin } from '../hub/open.ts';
import { followed } from '../hub/refusals.ts';
import { checkedStore } from '../hub/store.ts';
import type { FileStore, HubHost, RepoKind } from '../hub/types.ts';
import { type PickedFile, plainBytes } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { issueOf } from '../training/checkpoint.ts';
import { type Host, type OpenedModel, openModel as readModel } from '../training/openModel.ts';
import type {
  DataOptions,
  DataReport,
  DataSource,
  ModelReport,
  ModelSource,
  Progress,
} from '../training/protocol.ts';
import { reportData, reportModel } from '../training/reports.ts';
import { type TrainingSettings, trainingSchema } from '../training/settings.ts';
import { prepareTask } from '../training/task.ts';
import { memoryStore } from './memoryStore.ts';

export type { DataReport, FileStore, ModelReport, Progress, TrainingSettings };

/** One file or several, by name; a DOM `File` is one. A model's names are those of the Hub: model.onnx, config.json, tokenizer.json … */
export type Files = PickedFile | File | readonly (PickedFile | File)[];

/** The bytes of an .onnx file, files, `OWNER/NAME[@REVISION][/FILE]` on the Hub with `hub:` before it, or an https address. */
export type ModelInput = Uint8Array | Files | string;

/** Files (CSV, JSON, Parquet, pictures, zips …), a running text, drawings by class (0 … 1, size × size), a dataset of the Hub, or an address. */
export type DataInput =
  | Files
  | { readonly text: string }
  | {
      readonly size: number;
      readonly classes: readonly { readonly label: string; readonly images: readonly Float32Array[] }[];
    }
  | string;

/** How the Hub is asked. */
interface HubOptions {
  /** Another Hub than huggingface.co. */
  readonly hub?: string;
  /** Opens gated models; sent to that Hub alone. */
  readonly token?: string;
  /** Keeps what is fetched; by default it is kept in memory while it is wanted. */
  readonly store?: FileStore;
}

export interface OpenModelOptions extends HubOptions {
  /** What the weights are rounded to while loading; as the file has them, unless given. */
  readonly precision?: 'file' | 'f16' | 'q4';
  readonly onProgress?: (progress: Progress) => void;
}

/** How the files are read: columns, delimiter, task …; what is left out is guessed, and the guess is in the report's notes. */
export interface OpenDataOptions extends DataOptions, HubOptions {
  /** Settings of the run that data depends on, where they are not the usual ones: the split, the length of texts, the size of batches. */
  readonly training?: Partial<Pick<TrainingSettings, 'seed' | 'sequenceLength' | 'batchSize'>>;
}

/** A model that was read and understood. */
export interface Model {
  /** Modules by PyTorch's names, task, limits and sizes. */
  readonly report: ModelReport;
  /** @internal */
  readonly source: ModelSource;
  /** @internal */
  readonly opened: OpenedModel;
}

/** Data that was read for a model. */
export interface Data {
  /** What was found: examples, labels, and every guess in a sentence. */
  readonly report: DataReport;
  /** @internal */
  readonly source: DataSource;
  /** @internal */
  readonly host: Host;
}

/** @throws PapilioError naming what of the files cannot be read or imported */
export async function openModel(input: ModelInput, options: OpenModelOptions = {}): Promise<Model> {
  const { precision, onProgress } = options;
  const host = hostOf(options);
  const from: ModelSource =
    typeof input === 'string'
      ? await named(input, 'model', host)
      : {
          kind: 'files',
          files: filesOf(input instanceof Uint8Array ? { name: 'model.onnx', bytes: input } : input),
        };
  const source: ModelSource = precision === undefined ? from : { ...from, precision };
  const opened = await readModel(source, host, (doneBytes, totalBytes, what) =>
    onProgress?.({ clock: 'download', doneBytes, totalBytes, what }),
  );
  return { report: reportModel(opened), source, opened };
}

/**
 * Reads data for a model, all of it.
 * @throws PapilioError 'bad-data' on data that cannot be used or does not fit the model, naming the rows
 */
export async function openData(model: Model, input: DataInput, options: OpenDataOptions = {}): Promise<Data> {
  const { hub: _hub, token: _token, store: _store, training = {}, ...how } = options;
  const host = hostOf(options);
  const from: DataSource =
    typeof input === 'string' ? await named(input, 'dataset', host) : dataSource(input);
  // Options that are there count in the hash of the data; on the command line none are where none are given.
  const source: DataSource = Object.keys(how).length > 0 ? { ...from, options: how } : from;
  const { data, batches } = await prepareTask(model.source, source, settingsOf(training), {
    ...host,
    modelCache: async () => model.opened,
  });
  return { report: reportData(data, batches.options), source, host };
}

/** Settings in full. @throws PapilioError 'bad-argument' naming the setting that cannot be what it is */
export function settingsOf(training: Partial<TrainingSettings>): TrainingSettings {
  const parsed = trainingSchema.safeParse(training);
  return parsed.success ? parsed.data : fail('bad-argument', `${issueOf(parsed.error, 'training')}.`);
}

function dataSource(input: Exclude<DataInput, string>): DataSource {
  if ('classes' in input) return { kind: 'drawings', ...input };
  // A Blob has a method of that name.
  if ('text' in input && typeof input.text === 'string') return { kind: 'text', text: input.text };
  return { kind: 'files', files: filesOf(input as Files) };
}

const filesOf = (files: Files): PickedFile[] =>
  ([files].flat() as (PickedFile | File)[]).map((file) => {
    if (file instanceof Blob) return { name: file.name, bytes: file };
    const { name, bytes } = file;
    return { name, bytes: bytes instanceof Blob ? bytes : plainBytes(bytes) };
  });

/** What a name or an address stands for, a name pinned to its commit. */
async function named(word: string, kind: RepoKind, host: Host) {
  const hubHost = await host.hub!();
  const source = parseSource(word, kind, hubHost.hub);
  return source.kind === 'hub' ? (await pin(source, kind, hubHost)).source : source;
}

/** What reading needs: pictures, the Hub. Nothing that belongs to a page or a machine. */
function hostOf({ hub = HUB_ADDRESS, token, store = memoryStore() }: HubOptions): Host {
  const isOutsideBrowser = !('document' in globalThis || 'importScripts' in globalThis);
  const send: typeof fetch = (...args) => fetch(...args);
  const hubHost: HubHost = {
    store: checkedStore(store),
    // A browser follows redirects by itself, and shows a page none that it is asked to leave alone.
    fetch: isOutsideBrowser ? followed(send) : send,
    hub: hubAddress(hub),
    isOutsideBrowser,
    ...(token === undefined ? {} : { token }),
  };
  return {
    gpu: () => fail('internal', 'The library opens the device itself.'),
    readPublic: () => fail('not-found', 'The models of the page are no part of the library; give files.'),
    decodeImage: 'OffscreenCanvas' in globalThis ? decodeInBrowser : decodePicture,
    hub: async () => hubHost,
  };
}
