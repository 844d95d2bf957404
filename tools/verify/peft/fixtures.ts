/** Adapter folders that PEFT saved: each is loaded, gives PEFT's outputs on the GPU, and is saved again without a difference. */
import { join } from 'node:path';
import { fitAdapter } from '../../../src/adapters/fit.ts';
import { emitTrainables, inject } from '../../../src/adapters/inject.ts';
import { type LoadedAdapter, readAdapter, writeAdapter } from '../../../src/adapters/peft.ts';
import { type BaseParameter, chooseAdapter, initialValues, loadMethod } from '../../../src/adapters/plan.ts';
import { readSafetensors } from '../../../src/adapters/safetensors.ts';
import type { Layer } from '../../../src/adapters/types.ts';
import { kindOf, listFolder, readBytes, readText } from '../../../src/cli/runtime.ts';
import { createBuilder } from '../../../src/graph/builder.ts';
import { linear } from '../../../src/ops/linear.ts';
import { unary } from '../../../src/ops/unary.ts';
import type { RunGraph } from '../../../src/training/graphRuns.ts';
import { type CaseTensor, compare } from './case.ts';
import type { RowResult } from './tables.ts';

/** y = fc2(tanh(fc1(x))). */
interface Figures {
  readonly base: Readonly<Record<string, CaseTensor>>;
  readonly x: CaseTensor;
  readonly y: CaseTensor;
  readonly y_base: CaseTensor;
}

const CONFIG = 'adapter_config.json';
const TENSORS = 'adapter_model.safetensors';

export async function* checkFixtures(folder: string, run: RunGraph): AsyncIterable<RowResult> {
  for (const name of await listFolder(folder)) {
    const path = join(folder, name);
    if ((await kindOf(path)) !== 'folder') continue;
    const config = await readText(join(path, CONFIG));
    const file = await readBytes(join(path, TENSORS));
    const io = JSON.parse(await readText(join(path, 'io.json'))) as Figures;
    let adapter: LoadedAdapter;
    try {
      adapter = readAdapter(config, file);
    } catch (error) {
      yield { row: name, reason: error instanceof Error ? error.message : String(error) };
      continue;
    }
    const reasons = [...(await wrongOutputs(adapter, io, run)), savedDifference(adapter, config, file)];
    yield { row: name, reason: reasons.find((reason) => reason !== null) ?? null };
  }
}

async function wrongOutputs(adapter: LoadedAdapter, io: Figures, run: RunGraph): Promise<(string | null)[]> {
  const parameters = Object.entries(io.base).map(
    ([name, { shape, data }]): BaseParameter => ({ name, shape, load: () => Float32Array.from(data) }),
  );
  const layers = ['fc1', 'fc2'].map((name): Layer => {
    const [out, inputs] = io.base[`${name}.weight`]!.shape as [number, number];
    return { name, kind: 'linear', in: inputs, out, hasBias: io.base[`${name}.bias`] !== undefined };
  });
  const target = { layers, pretrained: false };
  const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]));
  fitAdapter(adapter, target, shapes);
  const { plan } = chooseAdapter(
    await loadMethod(adapter.method),
    adapter.config,
    target,
    parameters,
    adapter.shared,
  );

  const b = createBuilder();
  const x = b.input('x', { dtype: 'f32', shape: io.x.shape });
  const of = (name: string) => {
    const found = parameters.find((p) => p.name === name);
    return found ? b.parameter(name, { dtype: 'f32', shape: found.shape }, found.load) : null;
  };
  const fc = (name: string, input: typeof x) =>
    linear(b, input, of(`${name}.weight`)!, of(`${name}.bias`), { module: name });
  const yBase = fc('fc2', unary(b, fc('fc1', x), { fn: 'tanh' }));
  const base = b.finish({ y: yBase });

  const g = createBuilder();
  const byName = new Map(parameters.map((p) => [p.name, p]));
  const initial = () => initialValues(plan, 0, byName, adapter);
  const trainables = emitTrainables(g, plan, { training: false, initial, base });
  const y = inject(base, g, trainables)(yBase);
  const plain = inject(base, g, { adapters: new Map(), saved: new Map() })(yBase);
  const got = await run(g.finish({ y, yBase: plain }), { x: Float32Array.from(io.x.data) });
  return [compare('y', got.y!, io.y.data), compare('y_base', got.yBase!, io.y_base.data)].map(
    ({ what, error, ok }) => (ok ? null : `${what} is off by ${error}`),
  );
}

/** Names, shapes, dtypes and bytes of the tensors, and the configuration key by key. */
function savedDifference(adapter: LoadedAdapter, config: string, file: Uint8Array): string | null {
  const written = writeAdapter(adapter);
  const before = readSafetensors(file);
  const after = readSafetensors(written[TENSORS]);
  const names = [[...before.tensors.keys()].sort(), [...after.tensors.keys()].sort()].map(String);
  if (names[0] !== names[1]) return `saves the tensors ${names[1]} instead of ${names[0]}`;
  for (const [name, { dtype, shape, bytes }] of before.tensors) {
    const saved = after.tensors.get(name)!;
    if (saved.dtype !== dtype) return `saves ${name} as ${saved.dtype} instead of ${dtype}`;
    if (String(saved.shape) !== String(shape))
      return `saves ${name} as [${saved.shape}] instead of [${shape}]`;
    const at = bytes.findIndex((byte, i) => byte !== saved.bytes[i]);
    if (at >= 0) return `saves ${name} with another byte at ${at}`;
  }
  const [given, saved] = [config, written[CONFIG]].map((text) => JSON.parse(text) as Record<string, unknown>);
  const keys = [...new Set([...Object.keys(given!), ...Object.keys(saved!)])];
  const key = keys.find((k) => canonical(given![k]) !== canonical(saved![k]));
  return key === undefined
    ? null
    : `saves ${key} as ${canonical(saved![key])} instead of ${canonical(given![key])}`;
}

/** PEFT writes target_modules, a Python set, in any order. */
function canonical(value: unknown): string {
  return JSON.stringify(Array.isArray(value) ? [...value].sort() : value) ?? 'nothing';
}
