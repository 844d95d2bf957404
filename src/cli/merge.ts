/**
 * `papilio merge --model FILE --adapter DIR [--adapter DIR2 …] --out FILE`: adapters merged into a model, without training. Several are merged in the
 * order given, each into the weights that the one before left; the file is then compared with the model and the adapter on made-up inputs.
 */
import { basename, dirname, join } from 'node:path';
import type { LoadedAdapter } from '../adapters.ts';
import { openDevice } from '../engine.ts';
import { checkParity, type ParityReport } from '../merged.ts';
import { encodeModel, type OnnxModel } from '../onnx.ts';
import {
  type Backend,
  differing,
  gpuBackend,
  type LoadedModel,
  madeSamples,
  mergeAdapters,
  mergeModel,
  openModel,
  parityFiles,
  roundsSomewhere,
} from '../trainer.ts';
import { readOneAdapter } from './adapterFiles.ts';
import { describeWritten, exitCodeOf, openMerged, placesOfMerged, writeMerged } from './mergedFile.ts';
import { command, type OptionTable, overwriteOption, type Values } from './options.ts';
import { type OutFolder, refuseOlder, requireRoom, withOut } from './outFolder.ts';
import { openGpu } from './runtime.ts';
import { cliHost, modelSource } from './sources.ts';
import { note, print } from './terminal.ts';

const options = {
  model: {
    type: 'string',
    required: true,
    value: 'MODEL',
    about: 'an .onnx file, a folder with one, embedded:NAME, hub:OWNER/NAME or an https address',
  },
  adapter: {
    type: 'string',
    required: true,
    multiple: true,
    value: 'DIR',
    about: "an adapter's folder or zip; DIR#NAME picks one of several in it; merged in the order given",
  },
  out: { type: 'string', required: true, value: 'FILE', about: 'where the merged model goes' },
  overwrite: overwriteOption,
  json: { type: 'boolean', about: 'one line of figures instead of words' },
} as const satisfies OptionTable;

export const mergeCommand = command(
  {
    name: 'merge',
    about: 'Merges PEFT adapters into an ONNX model, one after the other, without training.',
    options,
  },
  merge,
);

type MergeValues = Values<typeof options>;

async function merge(values: MergeValues): Promise<number> {
  const { out: path, overwrite } = values;
  const holds = placesOfMerged(path).map((place) => basename(place));
  return withOut([{ path, isFile: true, overwrite, holds }], ([place]) => mergeInto(values, place!));
}

async function mergeInto(values: MergeValues, { folder }: OutFolder): Promise<number> {
  const opened = await openModel(await modelSource(values.model), cliHost);
  const bytes = opened.bytes.reduce((sum, { length }) => sum + length, 0);
  await requireRoom([{ folder, bytes }], 'The merged model');
  const parts = opened.model.separate?.(opened.model.onnx).map(({ name }) => basename(name));
  if (parts && !values.overwrite) await refuseOlder(folder, parts);
  const adapters: LoadedAdapter[] = [];
  for (const word of values.adapter) adapters.push(await readOneAdapter(word));
  const made = await mergeAdapters(opened.model, adapters, run);
  const { model } = made;
  // Before the weights are given to the file.
  const samples = await madeSamples(made, run, roundsSomewhere(model.onnx));
  const merged = mergeModel(model, new Map(made.weights), 'requantise');
  const changed = differing(model.onnx, merged);
  const files = parityFiles(
    model,
    { onnx: encodeModel(merged.onnx), written: merged.written },
    'requantise',
    encodeModel,
  );
  const parity = await checkParity(samples, files, openMerged);
  const out = await writeParts(model, merged.onnx, files.merged, values.out, parity);
  for (const warning of made.warnings) note(`${warning}\n`);
  if (parity.verdict !== 'passed') note(`${parity.sentence}\n`);
  const methods = adapters.map(({ method }) => method.id);
  const { written } = merged;
  const result = {
    method: methods.join('+'),
    methods,
    changedInitializers: changed,
    written,
    parity,
    out: out.join(' and '),
  };
  const lines = [
    `${changed.length} initialisers changed${changed.length === 0 ? ': the adapter leaves every weight as it was' : ''}; written to ${result.out}`,
    ...describeWritten(written),
    ...(parity.verdict === 'passed' ? [parity.sentence] : []),
  ];
  print(values.json ? `${JSON.stringify(result)}\n` : `${lines.join('\n')}\n`);
  return exitCodeOf(parity);
}

/** Writes the file, or an encoder and its decoder beside each other as they came; under names that tell how they were found. */
async function writeParts(
  model: LoadedModel,
  onnx: OnnxModel,
  whole: Uint8Array,
  out: string,
  parity: ParityReport,
): Promise<string[]> {
  const parts = model
    .separate?.(onnx)
    .map((part) => ({ path: join(dirname(out), basename(part.name)), bytes: encodeModel(part.onnx) }));
  const paths: string[] = [];
  for (const { path, bytes } of parts ?? [{ path: out, bytes: whole }])
    paths.push(await writeMerged(path, bytes, parity, parts === undefined));
  return paths;
}

let backend: Promise<Backend> | undefined;

/** Opens what computes at the first graph. */
const run: Backend['once'] = async (graph, inputs) =>
  (await (backend ??= openGpu().then(async (gpu) => gpuBackend(await openDevice(gpu))))).once(graph, inputs);
