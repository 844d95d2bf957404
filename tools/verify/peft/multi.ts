/** Two adapters on one layer: what PEFT gave for each alone, for both in either order, and for both merged and taken out again. */
import {
  type AdapterSet,
  activate,
  addAdapter,
  applied,
  merge,
  type SetAdapter,
  startSet,
  unmerge,
} from '../../../src/adapters/adapterSet.ts';
import { validateConfig } from '../../../src/adapters/config.ts';
import { inject } from '../../../src/adapters/inject.ts';
import { type BaseParameter, initialValues, loadMethod, planAdapter } from '../../../src/adapters/plan.ts';
import { methodByPeftType } from '../../../src/adapters/registry.ts';
import { doSteps, emitActive, type Member, startWeights } from '../../../src/adapters/setWeights.ts';
import type { AdapterTensor, Layer } from '../../../src/adapters/types.ts';
import { createBuilder } from '../../../src/graph/builder.ts';
import { fail } from '../../../src/lib/errors.ts';
import { linear } from '../../../src/ops/linear.ts';
import type { RunGraph } from '../../../src/training/graphRuns.ts';
import { type CaseTensor, compare } from './case.ts';
import type { RowResult } from './tables.ts';

interface MultiCase {
  readonly name: string;
  readonly method: string;
  readonly in_features: number;
  readonly out_features: number;
  readonly configs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly base_weight: CaseTensor;
  readonly bias: CaseTensor | null;
  readonly x: CaseTensor;
  readonly adapters: Readonly<Record<string, Readonly<Record<string, CaseTensor>>>>;
  readonly expected: {
    readonly y_by_active_adapters: Readonly<Record<string, CaseTensor>>;
    readonly merged_weight_by_active_adapters: Readonly<Record<string, CaseTensor>>;
    readonly merged_bias_by_active_adapters: Readonly<Record<string, CaseTensor | null>>;
  };
}

/** How far unmerging may be from the weights before it, relative to the largest: PEFT's own round trips are not exact either. */
const ROUND_TRIP = 1e-4;

export async function* checkMultiAdapter(
  json: { readonly cases: readonly MultiCase[] },
  run: RunGraph,
): AsyncIterable<RowResult> {
  for (const c of json.cases) {
    try {
      yield* checkCase(c, run);
    } catch (error) {
      yield { row: c.name, reason: error instanceof Error ? error.message : String(error) };
    }
  }
}

async function* checkCase(c: MultiCase, run: RunGraph): AsyncIterable<RowResult> {
  const layer: Layer = {
    name: 'lin',
    kind: 'linear',
    in: c.in_features,
    out: c.out_features,
    hasBias: c.bias !== null,
  };
  const parameters = new Map<string, BaseParameter>();
  for (const [name, tensor] of [
    ['lin.weight', c.base_weight],
    ['lin.bias', c.bias],
  ] as const) {
    if (tensor)
      parameters.set(name, { name, shape: tensor.shape, load: () => Float32Array.from(tensor.data) });
  }
  const { set, members } = await load(c, layer, parameters);
  const { expected } = c;

  for (const [names, y] of Object.entries(expected.y_by_active_adapters)) {
    const active = activate(set, names.split('+')).set;
    const got = await forward(c, parameters, active, members, run);
    yield result(`${c.name}: y of ${names}`, [compare('y', got, y.data)]);
  }
  for (const [names, weight] of Object.entries(expected.merged_weight_by_active_adapters)) {
    const merging = merge(activate(set, names.split('+')).set);
    const start = startWeights(parameters);
    const merged = await doSteps(start, merging.steps, members, run);
    const at = (state: typeof merged, name: string) => state.parameters.get(name)?.load() ?? [];
    const bias = expected.merged_bias_by_active_adapters[names];
    yield result(`${c.name}: weights with ${names} merged`, [
      compare('weight', at(merged, 'lin.weight'), weight.data),
      ...(bias ? [compare('bias', at(merged, 'lin.bias'), bias.data)] : []),
    ]);
    const undone = await doSteps(merged, unmerge(merging.set).steps, members, run);
    yield result(
      `${c.name}: ${names} taken out again`,
      [...parameters.keys()].map((name) => {
        const deviation = compare(name, at(undone, name), at(start, name));
        return { ...deviation, ok: deviation.error <= ROUND_TRIP };
      }),
    );
  }
}

async function load(c: MultiCase, layer: Layer, parameters: ReadonlyMap<string, BaseParameter>) {
  const method = methodByPeftType(c.method) ?? fail('unsupported-adapter', `${c.method} is not supported.`);
  const members = new Map<string, Member>();
  let set: AdapterSet<SetAdapter> | null = null;
  for (const [name, given] of Object.entries(c.configs)) {
    const { config } = validateConfig(method, given);
    const prefix = 'base_model.model.lin.';
    const tensors = new Map(
      Object.entries(c.adapters[name]!).map(([key, { shape, data }]): [string, AdapterTensor] => [
        key.slice(prefix.length),
        { shape, data: Float32Array.from(data) },
      ]),
    );
    const plan = planAdapter(await loadMethod(method), config, [layer], []);
    const loaded = { tensors: new Map([['lin', tensors]]), parameters: new Map() };
    members.set(name, { name, plan, packed: initialValues(plan, 0, parameters, loaded) });
    const adapter = { method, config, parameters: new Map() };
    set = set ? addAdapter(set, name, adapter).set : startSet(name, adapter).set;
  }
  return { set: set ?? fail('bad-data', `${c.name} has no adapters.`), members };
}

async function forward(
  c: MultiCase,
  parameters: ReadonlyMap<string, BaseParameter>,
  set: AdapterSet,
  members: ReadonlyMap<string, Member>,
  run: RunGraph,
): Promise<Float32Array> {
  const b = createBuilder();
  const x = b.input('x', { dtype: 'f32', shape: c.x.shape });
  const [W, bias] = ['lin.weight', 'lin.bias'].map((name) => {
    const found = parameters.get(name);
    return found ? b.parameter(name, { dtype: 'f32', shape: found.shape }, found.load) : null;
  });
  const plain = linear(b, x, W!, bias!, { module: 'lin' });
  const base = b.finish({ y: plain });
  const g = createBuilder();
  const chosen = applied(set).map((name) => members.get(name)!);
  const y = inject(
    base,
    g,
    emitActive(g, chosen, () => null, base),
  )(plain);
  return (await run(g.finish({ y }), { x: Float32Array.from(c.x.data) })).y!;
}

function result(
  row: string,
  deviations: readonly { readonly what: string; readonly error: number; readonly ok: boolean }[],
): RowResult {
  const bad = deviations.find(({ ok }) => !ok);
  return { row, reason: bad ? `${bad.what} is off by ${bad.error}` : null };
}
