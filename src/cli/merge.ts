/** `papilio merge --model FILE --adapter DIR --out FILE`: an adapter folder merged into a model, without training. */
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { chooseAdapter } from '../adapters/choose.ts';
import { fitAdapter } from '../adapters/fit.ts';
import { readAdapter } from '../adapters/peft.ts';
import { initialValues } from '../adapters/plan.ts';
import { compile } from '../gpu/compile.ts';
import { type Device, openDevice } from '../gpu/device.ts';
import { createStore } from '../gpu/store.ts';
import { schedule } from '../graph/schedule.ts';
import type { Graph } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { mergeWeights } from '../models/merge.ts';
import { encodeModel } from '../onnx/encode.ts';
import { mergedWeights } from '../training/mergedWeights.ts';
import { openModel } from '../training/source.ts';
import { fromTorch } from '../training/torchLayout.ts';
import { openGpu, readBytes, readText, writeBytes } from './runtime.ts';
import { modelSource, surroundings } from './sources.ts';

export async function mergeCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      model: { type: 'string' },
      adapter: { type: 'string' },
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { model: modelWord, adapter: folder, out } = values;
  if (modelWord === undefined || folder === undefined || out === undefined) {
    return fail('bad-argument', 'merge needs --model FILE, --adapter DIR and --out FILE.');
  }
  const opened = await openModel(await modelSource(modelWord), surroundings);
  const read = readAdapter(
    await readText(join(folder, 'adapter_config.json')),
    await readBytes(join(folder, 'adapter_model.safetensors')),
  );
  const classes = opened.model.head
    ? read.parameters.get(`${opened.model.head}.weight`)?.shape[0]
    : undefined;
  const model = classes
    ? opened.model.withClasses(
        Array.from({ length: classes }, (_, i) => String(i)),
        0,
      )
    : opened.model;
  const adapter = fromTorch(read, model.modules);
  const parameters = new Map(model.parameters.map((p) => [p.name, p]));
  const { warnings } = fitAdapter(
    { ...read, ...adapter },
    model.targets,
    new Map(model.parameters.map((p) => [p.name, p.shape])),
  );
  const { plan } = chooseAdapter(read.method, read.config, model.targets, model.parameters, read.shared);

  const packed = initialValues(plan, 0, parameters, adapter);
  const weights = await mergedWeights(plan, parameters, runOnce, packed);
  const { onnx, changed } = mergeWeights(model.onnx, model.modules, weights);
  await writeBytes(out, encodeModel(onnx));
  for (const warning of [...read.warnings, ...warnings]) process.stderr.write(`${warning}\n`);
  const result = { method: read.method.id, changedInitializers: changed, out };
  process.stdout.write(
    values.json
      ? `${JSON.stringify(result)}\n`
      : `${changed.length} initialisers changed; written to ${out}\n`,
  );
  return 0;
}

let opened: Promise<Device> | undefined;

/** Runs a graph on one device, opened at the first call: a file that only holds whole modules needs none. */
async function runOnce(graph: Graph): Promise<Record<string, Float32Array>> {
  const device = await (opened ??= openGpu().then((gpu) => openDevice(gpu)));
  const store = createStore(device);
  const program = await compile(device, store, schedule(graph, device.caps));
  program.run();
  const outputs: Record<string, Float32Array> = {};
  for (const name of Object.keys(graph.outputs)) outputs[name] = (await program.read(name)) as Float32Array;
  program.destroy();
  store.destroy();
  return outputs;
}
