/** `papilio merge --model FILE --adapter DIR --out FILE`: an adapter folder merged into a model, without training. */
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { adaptGraph } from '../adapters/adaptGraph.ts';
import { chooseAdapter } from '../adapters/choose.ts';
import { fitAdapter } from '../adapters/fit.ts';
import { readAdapter } from '../adapters/peft.ts';
import { initialValues } from '../adapters/plan.ts';
import { compile } from '../gpu/compile.ts';
import { openDevice } from '../gpu/device.ts';
import { createStore } from '../gpu/store.ts';
import { schedule } from '../graph/schedule.ts';
import { fail } from '../lib/errors.ts';
import { mergeWeights } from '../models/merge.ts';
import { encodeModel } from '../onnx/encode.ts';
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
  const { plan } = chooseAdapter(read.method, read.config, model.targets, model.parameters);
  const initial = () => initialValues(plan, 0, parameters, adapter);

  const weights = new Map<string, Float32Array>();
  const modules = plan.groups.flatMap((g) => g.layers.map((l) => l.name));
  if (modules.length > 0) {
    const device = await openDevice(await openGpu());
    const store = createStore(device);
    for (const module of modules) {
      const graph = adaptGraph(plan, parameters, initial, [module]);
      const program = await compile(device, store, schedule(graph, device.caps));
      program.run();
      for (const name of Object.keys(graph.outputs))
        weights.set(name, (await program.read(name)) as Float32Array);
      program.destroy();
    }
    device.destroy();
  }
  for (const entry of plan.saved) {
    const given = adapter.parameters.get(entry.name);
    if (given && !weights.has(entry.name)) weights.set(entry.name, given.data);
  }
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
