/** One adapted layer on the GPU against figures that PEFT itself computed: forward, gradients, ΔW, merged weight. */
import { validateConfig } from '../../../src/adapters/config.ts';
import { emitTrainables, inject, TRAINABLE } from '../../../src/adapters/inject.ts';
import {
  type AdapterPlan,
  initialValues,
  loadMethod,
  moduleTensors,
  planAdapter,
} from '../../../src/adapters/plan.ts';
import { methodByPeftType } from '../../../src/adapters/registry.ts';
import type { AdapterTensor, Layer } from '../../../src/adapters/types.ts';
import { compile } from '../../../src/gpu/compile.ts';
import type { Device } from '../../../src/gpu/device.ts';
import { createStore } from '../../../src/gpu/store.ts';
import { createBuilder } from '../../../src/graph/builder.ts';
import { differentiate } from '../../../src/graph/differentiate.ts';
import { schedule } from '../../../src/graph/schedule.ts';
import type { Graph, Value } from '../../../src/graph/types.ts';
import { fail, PapilioError } from '../../../src/lib/errors.ts';
import { addN } from '../../../src/ops/elementwise.ts';
import { linear } from '../../../src/ops/linear.ts';
import { gather } from '../../../src/ops/lookups.ts';

export interface CaseTensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export interface PeftCase {
  readonly name: string;
  readonly method: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly layer: { readonly type: 'linear' | 'conv1d' | 'embedding'; readonly module: string };
  readonly in_features: number;
  readonly out_features: number;
  readonly base_weight: CaseTensor | 'zeros';
  readonly bias: CaseTensor | null;
  readonly x: CaseTensor;
  readonly g: CaseTensor;
  readonly adapter: Readonly<Record<string, CaseTensor>>;
  readonly indices?: { readonly rows: readonly number[]; readonly cols: readonly number[] };
  readonly expected: {
    readonly y: CaseTensor;
    readonly y_base?: CaseTensor;
    readonly loss: number;
    readonly grad: Readonly<Record<string, CaseTensor>>;
    readonly delta_weight?: CaseTensor | { readonly rotation: CaseTensor; readonly scale: CaseTensor };
    readonly delta_weight_samples?: readonly {
      readonly row: number;
      readonly col: number;
      readonly value: number;
    }[];
    readonly merged_weight?: CaseTensor;
    readonly merged_bias?: CaseTensor;
    readonly adapter_after_forward?: Readonly<Record<string, CaseTensor>>;
  };
  readonly f32_noise: Readonly<Record<string, number>>;
}

export interface Deviation {
  readonly what: string;
  /** max|a − b| over max|b| (over 1 where b is all zero). */
  readonly error: number;
  readonly ok: boolean;
}

const PREFIX = 'base_model.model.';
/** Tolerance of the figures' own README: relative part, noise factor, absolute part. */
const RELATIVE = 1e-4;
const NOISE = 10;
const ABSOLUTE = 1e-6;

const transposed = (t: CaseTensor): Float32Array => {
  const [rows, columns] = t.shape as [number, number];
  return Float32Array.from(
    { length: t.data.length },
    (_, i) => t.data[(i % rows) * columns + Math.floor(i / rows)]!,
  );
};

/** Whether two lists of numbers agree within the tolerance of the figures' README. */
export function compare(what: string, a: ArrayLike<number>, b: ArrayLike<number>, noise = 0): Deviation {
  let worst = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  let scale = 0;
  for (let i = 0; i < b.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    worst = Number.isNaN(d) ? Number.POSITIVE_INFINITY : Math.max(worst, d);
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return { what, error: worst / (scale || 1), ok: worst <= RELATIVE * scale + NOISE * noise + ABSOLUTE };
}

/** A case in the engine's terms. */
interface OpenedCase {
  readonly c: PeftCase;
  readonly layer: Layer;
  /** The base weight as the engine has it, [out, in] or, of an embedding, as it is stored. */
  readonly weight: Float32Array;
  readonly shape: readonly number[];
  readonly tensors: ReadonlyMap<string, ReadonlyMap<string, AdapterTensor>>;
  /** Null where the adapter has no numbers. */
  readonly plan: AdapterPlan | null;
}

/** The whole case in one run: forward, base forward, gradients, ΔW or rotation, merged weights, mutated tensors. */
export async function checkPeftCase(device: Device, c: PeftCase): Promise<readonly Deviation[]> {
  const opened = await openCase(c);
  const { plan, weight, layer } = opened;
  const graph = caseGraph(opened);
  const store = createStore(device);
  const program = await compile(device, store, schedule(graph, device.caps));
  try {
    program.write('x', layer.kind === 'embedding' ? Int32Array.from(c.x.data) : Float32Array.from(c.x.data));
    program.write('g', Float32Array.from(c.g.data));
    program.run();
    const got: Record<string, Float32Array> = {};
    for (const name of Object.keys(graph.outputs)) got[name] = (await program.read(name)) as Float32Array;
    const packed = plan ? ((await store.read(TRAINABLE, 'state')) as Float32Array) : null;
    return judge(c, plan, got, packed, weight);
  } finally {
    program.destroy();
    store.destroy();
  }
}

async function openCase(c: PeftCase): Promise<OpenedCase> {
  const method =
    methodByPeftType(c.method) ?? fail('unsupported-adapter', `${c.method} is not supported yet.`);
  const { config } = validateConfig(method, c.config);
  const module = c.layer.module;
  const layer: Layer = {
    name: module,
    kind: c.layer.type,
    in: c.in_features,
    out: c.out_features,
    hasBias: c.bias !== null,
  };
  const given = c.base_weight;
  const weight =
    given === 'zeros'
      ? new Float32Array(c.in_features * c.out_features)
      : c.layer.type === 'conv1d'
        ? transposed(given)
        : Float32Array.from(given.data);
  const { tensors, shared } = readTensors(c);
  const loaded = await loadMethod(method);
  const read = method.onRead(config, tensors, null, shared);
  const reason = method.check(layer, read.config);
  if (reason !== null) fail('illegal-config', reason);
  return {
    ...{ c, layer, weight, tensors },
    shape: layer.kind === 'embedding' ? [layer.in, layer.out] : [layer.out, layer.in],
    plan: planAdapterOrEmpty(() => planAdapter(loaded, read.config, [layer], [], shared)),
  };
}

/** The adapter's tensors by module, and those that belong to the adapter and not to a layer. */
function readTensors({ adapter, layer: { module } }: PeftCase) {
  const own = new Map<string, AdapterTensor>();
  const shared = new Map<string, AdapterTensor>();
  for (const [name, t] of Object.entries(adapter)) {
    const tensor = { shape: t.shape, data: Float32Array.from(t.data) };
    if (name.startsWith(PREFIX)) own.set(name.slice(PREFIX.length + module.length + 1), tensor);
    else shared.set(name.slice('base_model.'.length), tensor);
  }
  return { tensors: new Map([[module, own]]), shared };
}

/** The base layer as a graph of its own. */
function baseGraph({ c, layer, weight, shape }: OpenedCase) {
  const b = createBuilder();
  const x = b.input('x', { dtype: layer.kind === 'embedding' ? 'i32' : 'f32', shape: c.x.shape });
  const W = b.parameter(`${layer.name}.weight`, { dtype: 'f32', shape }, () => weight);
  const bias = c.bias
    ? b.parameter(`${layer.name}.bias`, { dtype: 'f32', shape: [layer.out] }, () =>
        Float32Array.from(c.bias!.data),
      )
    : null;
  const y = layer.kind === 'embedding' ? gather(b, W, x) : linear(b, x, W, bias, { module: layer.name });
  return { base: b.finish({ y }), x, W, bias, y };
}

/** Everything that the case has figures of, as outputs of one graph. */
function caseGraph(opened: OpenedCase): Graph {
  const { c, layer, plan, weight, shape, tensors } = opened;
  const name = `${layer.name}.weight`;
  const parameters = new Map([[name, { name, shape, load: () => weight }]]);
  const { base, x, W, bias, y: yBase } = baseGraph(opened);
  const g = createBuilder();
  const initial = () => initialValues(plan!, 0, parameters, { tensors, parameters: new Map() });
  const trainables = plan ? emitTrainables(g, plan, { training: false, initial }) : null;
  const value = inject(base, g, trainables ?? { adapters: new Map(), saved: new Map() });
  const plain = inject(base, g, { adapters: new Map(), saved: new Map() });
  const y = value(yBase);
  const outputs: Record<string, Value> = { y, yBase: plain(yBase) };
  // Ids have no gradient.
  const input = layer.kind === 'embedding' ? [] : [value(x)];
  const leaves = trainables?.leaves ?? [];
  const gradients = differentiate(g, {
    of: y,
    seed: g.input('g', { dtype: 'f32', shape: c.g.shape }),
    wrt: [...leaves, ...input],
    sum: addN,
  });
  const named = new Map<string, Value>(input.map((v) => ['x', v]));
  plan?.entries.forEach((e, i) => {
    named.set(`${PREFIX}${layer.name}.${e.name.slice(e.name.indexOf('.') + 1)}`, leaves[i]!);
  });
  for (const [leaf, v] of named) {
    const d = gradients.get(v);
    if (d) outputs[`grad:${leaf}`] = d;
  }
  const adapter = trainables?.adapters.get(layer.name);
  const size = layer.kind === 'embedding' ? layer.out : layer.in;
  if (adapter?.rotate) {
    const eye = new Float32Array(size * size);
    for (let i = 0; i < size; i++) eye[i * size + i] = 1;
    outputs.delta = adapter.rotate(g.constant({ dtype: 'f32', shape: [size, size] }, eye));
  } else if (adapter?.update) outputs.delta = adapter.update();
  const merged = adapter?.adapt({ W: value(W), bias: bias ? value(bias) : null });
  if (merged) outputs.merged = merged.W;
  if (merged?.bias) outputs.mergedBias = merged.bias;
  return g.finish(outputs);
}

/** PEFT keeps an adapter without numbers (block size adjusted to 1); here such a layer is simply left alone. */
function planAdapterOrEmpty(plan: () => AdapterPlan): AdapterPlan | null {
  try {
    return plan();
  } catch (error) {
    if (error instanceof PapilioError && error.kind === 'no-target') return null;
    throw error;
  }
}

function judge(
  c: PeftCase,
  plan: AdapterPlan | null,
  got: Readonly<Record<string, Float32Array>>,
  packed: Float32Array | null,
  weight: Float32Array,
): Deviation[] {
  const { expected, f32_noise: noise } = c;
  const conv1d = c.layer.type === 'conv1d';
  const module = c.layer.module;
  const results = [compare('y', got.y!, expected.y.data, noise.y)];
  if (expected.y_base) results.push(compare('y_base', got.yBase!, expected.y_base.data, noise.y_base));
  const loss = got.y!.reduce((sum, v, i) => sum + v * c.g.data[i]!, 0);
  const size = c.g.data.reduce((sum, v, i) => sum + Math.abs(v * expected.y.data[i]!), 0);
  const lossError = Math.abs(loss - expected.loss);
  results.push({
    what: 'loss',
    error: lossError / size,
    ok: lossError <= RELATIVE * size + NOISE * (noise.loss ?? 0) + ABSOLUTE,
  });
  for (const [name, t] of Object.entries(expected.grad)) {
    const d = got[`grad:${name}`] ?? new Float32Array(t.data.length);
    results.push(compare(`grad:${name}`, d, t.data, noise[`grad:${name}`]));
  }
  const modules = plan && packed ? moduleTensors(plan, packed) : null;
  const delta = expected.delta_weight;
  if (delta && 'rotation' in delta) {
    results.push(
      compare('delta_weight.rotation', got.delta!, delta.rotation.data, noise['delta_weight.rotation']),
    );
    const scale = modules!.get(module)!.get('boft_s')!.data;
    results.push(compare('delta_weight.scale', scale, delta.scale.data, noise['delta_weight.scale']));
  } else if (delta) {
    // A Conv1D's update is stored like its weight, FourierFT's alone is always [out, in].
    const asStored = conv1d && delta.shape[0] !== c.out_features;
    const identity = got.delta ?? got.merged ?? weight;
    results.push(
      compare('delta_weight', identity, asStored ? transposed(delta) : delta.data, noise.delta_weight),
    );
  }
  if (expected.delta_weight_samples) results.push(compareSamples(c, got.delta!));
  if (expected.merged_weight) {
    const want = conv1d ? transposed(expected.merged_weight) : expected.merged_weight.data;
    results.push(compare('merged_weight', got.merged ?? weight, want, noise.merged_weight));
  }
  if (expected.merged_bias) {
    results.push(compare('merged_bias', got.mergedBias ?? [], expected.merged_bias.data, noise.merged_bias));
  }
  for (const [name, t] of Object.entries(expected.adapter_after_forward ?? {})) {
    const after = modules!.get(module)!.get(name.slice(PREFIX.length + module.length + 1))!.data;
    results.push(compare(`after:${name}`, after, t.data, noise[`adapter_after_forward:${name}`]));
  }
  if (c.indices && plan) {
    const [factor] = plan.method.pattern(plan.groups[0]!.layers[0]!, plan.config).factors;
    if (factor?.kind !== 'points') fail('internal', 'Frequencies are expected in this case.');
    results.push(compare('indices.rows', factor.row, c.indices.rows));
    results.push(compare('indices.cols', factor.column, c.indices.cols));
  }
  return results;
}

function compareSamples(c: PeftCase, delta: Float32Array): Deviation {
  const samples = c.expected.delta_weight_samples!;
  return compare(
    'delta_weight_samples',
    samples.map(({ row, col }) => delta[row * c.in_features + col]!),
    samples.map(({ value }) => value),
    c.f32_noise.delta_weight,
  );
}
