/**
 * `papilio merge --model FILE --adapter DIR [--adapter DIR2 …] --out FILE`: adapters merged into a model, without training. Several are merged in the
 * order given, each into the weights that the one before left.
 */
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { chooseAdapter } from '../adapters/choose.ts';
import { fitAdapter } from '../adapters/fit.ts';
import type { LoadedAdapter } from '../adapters/peft.ts';
import { type BaseParameter, initialValues } from '../adapters/plan.ts';
import { type Device, openDevice } from '../gpu/device.ts';
import { fail } from '../lib/errors.ts';
import type { LoadedModel } from '../models/load.ts';
import { mergeWeights } from '../models/merge.ts';
import { encodeModel } from '../onnx/encode.ts';
import { mergedWeights } from '../training/mergedWeights.ts';
import { graphRunner } from '../training/runGraph.ts';
import { openModel } from '../training/source.ts';
import { fromTorch } from '../training/torchLayout.ts';
import { readOneAdapter } from './adapterFiles.ts';
import { command, type OptionTable, type Values } from './options.ts';
import { openGpu, writeBytes } from './runtime.ts';
import { modelSource, surroundings } from './sources.ts';

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

async function merge(values: Values<typeof options>): Promise<number> {
  const { model: modelWord, adapter: words, out } = values;
  const opened = await openModel(await modelSource(modelWord), surroundings);
  const adapters: LoadedAdapter[] = [];
  for (const word of words) adapters.push(await readOneAdapter(word));
  const model = withHeadOf(opened.model, adapters);
  const warnings = adapters.flatMap((adapter) => adapter.warnings);
  const parameters = new Map<string, BaseParameter>(model.parameters.map((p) => [p.name, p]));
  const weights = new Map<string, Float32Array>();
  for (const read of adapters) {
    const adapter = fromTorch(read, model.modules);
    const shapes = new Map(model.parameters.map((p) => [p.name, p.shape]));
    warnings.push(...fitAdapter({ ...read, ...adapter }, model.targets, shapes).warnings);
    const { plan } = chooseAdapter(
      read.method,
      read.config,
      model.targets,
      [...parameters.values()],
      read.shared,
    );
    const packed = initialValues(plan, 0, parameters, adapter);
    for (const [name, data] of await mergedWeights(plan, parameters, run, packed)) {
      weights.set(name, data);
      parameters.set(name, { name, shape: parameters.get(name)!.shape, load: () => data });
    }
  }
  const { onnx, changed } = mergeWeights(model.onnx, model.modules, weights);
  // An encoder and its decoder go back into two files, beside each other as they came.
  const written = model
    .separate?.(onnx)
    .map((part) => ({ ...part, name: join(dirname(out), basename(part.name)) }));
  for (const part of written ?? [{ name: out, onnx }]) await writeBytes(part.name, encodeModel(part.onnx));
  for (const warning of warnings) process.stderr.write(`${warning}\n`);
  const methods = adapters.map(({ method }) => method.id);
  const files = written?.map(({ name }) => name).join(' and ') ?? out;
  const result = { method: methods.join('+'), methods, changedInitializers: changed, out: files };
  process.stdout.write(
    values.json
      ? `${JSON.stringify(result)}\n`
      : `${changed.length} initialisers changed; written to ${files}\n`,
  );
  return 0;
}

/** The model with a head of as many classes as the adapters bring, where they bring one. */
function withHeadOf(model: LoadedModel, adapters: readonly LoadedAdapter[]): LoadedModel {
  const sizes = model.head
    ? adapters.flatMap(({ parameters }) => parameters.get(`${model.head}.weight`)?.shape[0] ?? [])
    : [];
  const [classes] = sizes;
  if (classes === undefined) return model;
  const other = sizes.find((size) => size !== classes);
  if (other !== undefined) {
    fail(
      'malformed-adapter',
      `One adapter brings a head of ${classes} classes and another one of ${other}; merge adapters that were trained for the same classes.`,
    );
  }
  return model.withClasses(
    Array.from({ length: classes }, (_, i) => String(i)),
    0,
  );
}

let device: Promise<Device> | undefined;

/** Opens a device at the first graph: a file that only holds whole modules needs none. */
const run = graphRunner(() => (device ??= openGpu().then((gpu) => openDevice(gpu))));
