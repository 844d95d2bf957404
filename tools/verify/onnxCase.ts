/**
 * One exported model against figures that others computed: outputs and gradients of every weight, from the float64 interpreter and from
 * the GPU, against the JSON beside the file, against onnxruntime, and against each other.
 */

import { compile } from '../../src/gpu/compile.ts';
import type { Device } from '../../src/gpu/device.ts';
import { createStore } from '../../src/gpu/store.ts';
import { type Builder, createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { DeviceData, Graph, Tensor, Value } from '../../src/graph/types.ts';
import { type FeedTensor, type HostTensor, openSession } from '../../src/inference/session.ts';
import { transposed } from '../../src/lib/numbers.ts';
import { type ImportedModel, importModel } from '../../src/models/import/importModel.ts';
import type { BuildDims } from '../../src/models/import/inputs.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN, binary, reduce } from '../../src/ops/elementwise.ts';
import { readStored, storedParameter } from '../../src/ops/fuse/stored.ts';
import { parity } from '../../src/training/parity.ts';

export interface OnnxFigures {
  readonly inputs: Readonly<Record<string, { dtype: string; shape: number[]; data: unknown }>>;
  readonly outputs: Readonly<Record<string, { shape: number[]; data: unknown }>>;
  readonly loss?: { readonly value: number; readonly of: string };
  readonly grads?: FileGradients;
  readonly tolerance?: number;
}

/** One comparison; errors are relative to the largest value of the reference. */
export interface Comparison {
  readonly what: string;
  readonly error: number;
  readonly tolerance: number;
  readonly ok: boolean;
}

export interface OnnxCaseResult {
  readonly family: string;
  readonly comparisons: readonly Comparison[];
  /** Weights whose gradients were compared with the file's, and with the interpreter's. */
  readonly gradients: { readonly file: number; readonly interpreter: number };
  readonly dispatches: number;
}

const OUTPUT_TOLERANCE = 1e-4;
const GRADIENT_TOLERANCE = 1e-4;
/** Gradients that are zero in theory (key biases) are compared with this part of the model's largest gradient. */
const FLOOR = 1e-3;

const numbers = (data: unknown): number[] =>
  Array.isArray(data) ? data.flat(Number.POSITIVE_INFINITY) : [Number(data)];

function dimsOf(figures: OnnxFigures, model: ImportedModel): BuildDims {
  // Free dimensions by the file's own names: an encoder and a decoder may have different lengths.
  const symbols: Record<string, number> = {};
  for (const { name, dims } of model.inputs) {
    dims.forEach((d, axis) => {
      const size = figures.inputs[name]?.shape[axis];
      if (typeof d === 'string' && size !== undefined) symbols[d] = size;
    });
  }
  const names = Object.keys(figures.inputs);
  const ids = figures.inputs[names.find((n) => n.endsWith('input_ids')) ?? names[0]!]!;
  const past = figures.inputs[names.find((n) => n.startsWith('past')) ?? ''];
  const pixels = figures.inputs.pixel_values;
  return {
    ...symbols,
    batch: ids.shape[0]!,
    ...(pixels ? { height: pixels.shape[2]!, width: pixels.shape[3]! } : { sequence: ids.shape[1]! }),
    past: past?.shape[2] ?? 0,
  };
}

function onDevice(v: Value, data: Float64Array): DeviceData {
  return v.dtype === 'i32' ? Int32Array.from(data) : Float32Array.from(data);
}

interface Traced {
  readonly g: Builder;
  readonly inputs: Readonly<Record<string, Value>>;
  readonly outputs: Readonly<Record<string, Value>>;
  readonly feeds: Map<string, Tensor>;
}

function trace(model: ImportedModel, figures: OnnxFigures): Traced {
  const fixed = new Map(Object.entries(figures.inputs).map(([name, t]) => [name, numbers(t.data)]));
  const g = createBuilder();
  const { inputs, outputs } = model.build(g, dimsOf(figures, model), { fixed });
  const feeds = new Map<string, Tensor>();
  for (const [name, v] of Object.entries(inputs)) {
    feeds.set(name, { dtype: v.dtype, shape: v.shape, data: Float64Array.from(fixed.get(name)!) });
  }
  return { g, inputs, outputs, feeds };
}

/** Weights of the graph, and constants that stand in for a weight the exporter folded (a position table cut in two). */
function trainable(g: Builder, grads: FileGradients): Value[] {
  const read = [...new Set(g.nodes.flatMap((n) => n.inputs))];
  // What is stored in fewer bits is looked at where it is wide.
  const parameters = read.filter((v) => v.dtype === 'f32' && storedParameter(v) !== null);
  const known = new Set(parameters.map((v) => storedParameter(v)!.name));
  const stand = Object.entries(grads).flatMap(([name, { shape }]) => {
    const same = known.has(name)
      ? []
      : read.filter((v) => v.role === 'constant' && v.dtype === 'f32' && v.shape.join() === shape.join());
    return same.length === 1 && sizeOf(shape) > 1 ? same : [];
  });
  return [...parameters, ...stand];
}

async function runtimeOutputs(
  bytes: Uint8Array,
  onnx: OnnxModel,
  figures: OnnxFigures,
): Promise<Record<string, HostTensor>> {
  const external = Object.fromEntries(onnx.external);
  const session = await openSession(bytes, onnx.external.size > 0 ? { external } : {});
  const feeds: Record<string, FeedTensor> = {};
  for (const [name, t] of Object.entries(figures.inputs)) {
    feeds[name] = {
      dtype: t.dtype as FeedTensor['dtype'] & string,
      dims: t.shape,
      data: numbers(t.data),
    } as FeedTensor;
  }
  try {
    return await session.run(feeds, Object.keys(figures.outputs));
  } finally {
    await session.release();
  }
}

/** What is compared, and with which bound; kept in the order in which it was said. */
function createComparisons(figures: OnnxFigures) {
  const comparisons: Comparison[] = [];
  const compare = (what: string, error: number, tolerance: number): void => {
    comparisons.push({ what, error, tolerance, ok: error <= tolerance });
  };
  const output = (what: string, got: ArrayLike<number>, expected: ArrayLike<number>): void =>
    compare(`output ${what}`, parity(got, expected).maxRel, figures.tolerance ?? OUTPUT_TOLERANCE);
  return { comparisons, compare, output };
}

type Comparisons = ReturnType<typeof createComparisons>;

/** @throws PapilioError 'unsupported-onnx' when the model cannot be imported */
export async function checkOnnxCase(
  device: Device,
  bytes: Uint8Array,
  onnx: OnnxModel,
  figures: OnnxFigures,
  config: Readonly<Record<string, unknown>> = {},
): Promise<OnnxCaseResult> {
  const model = importModel(onnx, { config });
  const traced = trace(model, figures);
  const checks = createComparisons(figures);
  const loss = checkForward(traced, figures, checks);
  const exact = interpretGradients(traced, loss, figures);
  const matched = matchGradients(figures.grads ?? {}, exact.gradients, model, exact.floor);
  for (const m of matched)
    checks.compare(`gradient ${m.name}, interpreter against file`, m.error, GRADIENT_TOLERANCE);
  const runtime = await runtimeOutputs(bytes, onnx, figures);
  const dispatches = await checkOnDevice(device, traced, exact, { figures, runtime }, checks);
  return {
    family: model.family,
    comparisons: checks.comparisons,
    gradients: { file: matched.length, interpreter: exact.gradients.size },
    dispatches,
  };
}

/** Forward in float64, and from it the file's loss with its gradient at the outputs. */
function checkForward(
  { g, outputs, feeds }: Traced,
  figures: OnnxFigures,
  { compare, output }: Comparisons,
): Loss {
  const forward = interpret(g.finish(outputs), feeds);
  for (const [name, v] of Object.entries(outputs)) {
    const expected = figures.outputs[name];
    if (expected) output(`${name}, interpreter against file`, forward.get(v).data, numbers(expected.data));
  }
  const computed = new Map(Object.entries(outputs).map(([name, v]) => [name, forward.get(v)]));
  const firstInput = Object.values(figures.inputs)[0]!;
  const loss = lossGradient(figures.loss?.of ?? '', computed, {
    shape: firstInput.shape,
    data: numbers(firstInput.data),
  });
  if (figures.loss)
    compare(
      'loss, interpreter against file',
      Math.abs(loss.value - figures.loss.value) / Math.abs(figures.loss.value),
      OUTPUT_TOLERANCE,
    );
  return loss;
}

interface ExactGradients {
  /** The outputs, and `gradient i` of every weight i of {@link ExactGradients.wrt} that has one. */
  readonly graph: Graph;
  readonly wrt: readonly Value[];
  readonly gradients: ReadonlyMap<Value, Float64Array>;
  /** The smallest scale that an error is measured by. */
  readonly floor: number;
}

/** The gradients of every weight, in float64. */
function interpretGradients({ g, outputs, feeds }: Traced, loss: Loss, figures: OnnxFigures): ExactGradients {
  // Σ output · dLoss/dOutput has the loss's gradients whatever the loss and however many outputs.
  const terms = [...loss.gradients].map(([name, data]) => {
    const v = outputs[name]!;
    const seed = g.input(`gradient of ${name}`, v);
    feeds.set(seed.name, { dtype: 'f32', shape: v.shape, data });
    return reduce(g, binary(g, v, seed, { fn: 'mul' }), { fn: 'sum', axes: v.shape.map((_, i) => i) });
  });
  const of = addN(g, terms);
  const seed = g.constant({ dtype: 'f32', shape: of.shape }, Float32Array.of(1), 'one');
  const wrt = trainable(g, figures.grads ?? {});
  const found = differentiate(g, { of, seed, wrt, sum: addN });
  const named: Record<string, Value> = {};
  wrt.forEach((v, i) => {
    const d = found.get(v);
    if (d) named[`gradient ${i}`] = d;
  });
  const graph = g.finish({ ...outputs, ...named });
  const exact = interpret(graph, feeds);
  const gradients = new Map(
    wrt.flatMap((v, i) => {
      const d = named[`gradient ${i}`];
      return d ? [[v, exact.get(d).data] as const] : [];
    }),
  );
  // Where the loss has no slope (outputs of unit length), what reaches the outputs is the scale.
  const floor = FLOOR * Math.max(...[...loss.gradients.values(), ...gradients.values()].map(magnitude));
  return { graph, wrt, gradients, floor };
}

/** The same on the GPU. @returns its dispatches */
async function checkOnDevice(
  device: Device,
  { outputs, feeds }: Traced,
  { graph, wrt, gradients, floor }: ExactGradients,
  against: { readonly figures: OnnxFigures; readonly runtime: Readonly<Record<string, HostTensor>> },
  { compare, output }: Comparisons,
): Promise<number> {
  const store = createStore(device);
  try {
    const program = await compile(device, store, schedule(readStored(graph), device.caps));
    for (const v of graph.inputs) program.write(v.name, onDevice(v, feeds.get(v.name)!.data));
    program.run();
    for (const name of Object.keys(outputs)) {
      const got = (await program.read(name)) as Float32Array;
      const expected = against.figures.outputs[name];
      if (expected) output(`${name}, GPU against file`, got, numbers(expected.data));
      const ran = against.runtime[name];
      if (ran) output(`${name}, GPU against onnxruntime`, got, ran.data);
    }
    for (const [i, v] of wrt.entries()) {
      const expected = gradients.get(v);
      if (!expected) continue;
      const got = (await program.read(`gradient ${i}`)) as Float32Array;
      const scale = Math.max(floor, magnitude(expected));
      compare(
        `gradient ${storedParameter(v)?.name ?? v.name}, GPU against interpreter`,
        magnitude(expected.map((x, k) => x - got[k]!)) / scale,
        GRADIENT_TOLERANCE,
      );
    }
    program.destroy();
    return program.stats.dispatches;
  } finally {
    store.destroy();
  }
}

// Compares gradients per engine parameter with a file's gradients per PyTorch parameter.

export type FileGradients = Readonly<
  Record<
    string,
    {
      readonly shape: readonly number[];
      readonly l2: number;
      readonly sum: number;
      /** The first values, row-major, in PyTorch's layout. */
      readonly first: readonly number[];
    }
  >
>;

const magnitude = (data: ArrayLike<number>): number => {
  let m = 0;
  for (let i = 0; i < data.length; i++) m = Math.max(m, Math.abs(data[i]!));
  return m;
};

/** Parameters the file does not know but whose contents equal one it does: PyTorch ties them, the exporter wrote them twice. */
function tiedTo(
  owner: Value,
  gradients: ReadonlyMap<Value, Float64Array>,
  known: ReadonlySet<string>,
): Value[] {
  const contents = owner.source?.();
  if (!contents) return [];
  return [...gradients.keys()].filter((v) => {
    if (known.has(v.name) || v.role !== 'parameter' || v.shape.join() !== owner.shape.join()) return false;
    const other = v.source!();
    return contents.every((x, i) => x === other[i]);
  });
}

/**
 * @param floor smallest scale an error is measured by
 * @returns per parameter of the file that was found: the worst of its first values and its norm, relative to the largest entry
 */
export function matchGradients(
  grads: FileGradients,
  gradients: ReadonlyMap<Value, Float64Array>,
  model: ImportedModel,
  floor: number,
): { readonly name: string; readonly error: number }[] {
  const conv1d = new Set(
    model.modules.flatMap((m) =>
      m.kind === 'conv1d' && m.parameters.weight ? [m.parameters.weight.value] : [],
    ),
  );
  const origins = model.modules.flatMap((m) => Object.values(m.parameters));
  const engineName = (name: string): string => origins.find((o) => o.torch === name)?.value ?? name;
  const given = new Set(Object.keys(grads).map(engineName));
  return Object.entries(grads).flatMap(([name, expected]) => {
    const known = origins.find((o) => o.torch === name);
    const value = engineName(name);
    const owner =
      [...gradients.keys()].find((v) => storedParameter(v)?.name === value) ??
      [...gradients.keys()].find((v) => v.role === 'constant' && v.shape.join() === expected.shape.join());
    if (!owner) return [{ name, error: Number.POSITIVE_INFINITY }];
    const data = Float64Array.from(gradients.get(owner)!);
    for (const twin of tiedTo(owner, gradients, given)) {
      const other = gradients.get(twin)!;
      for (let i = 0; i < data.length; i++) data[i]! += other[i]!;
    }
    // A matrix under its own name lies in the file as PyTorch keeps it.
    const turned = conv1d.has(name) || (known?.transposed === true && known.tensor.name === name);
    const ordered = turned ? transposed(data, owner.shape, new Float64Array(data.length)) : data;
    const scale = Math.max(floor, magnitude(ordered));
    const firstError = Math.max(...expected.first.map((x, i) => Math.abs(x - ordered[i]!))) / scale;
    const l2 = Math.sqrt(ordered.reduce((s, x) => s + x * x, 0));
    return [{ name, error: Math.max(firstError, Math.abs(l2 - expected.l2) / Math.max(floor, l2)) }];
  });
}

// The losses that the figures beside an ONNX file may name, with their gradients at the outputs, in float64.

interface Loss {
  readonly value: number;
  /** Per output of the model. */
  readonly gradients: ReadonlyMap<string, Float64Array>;
}

const IGNORED = -100;

function crossEntropy(logits: Tensor, labels: readonly number[]): { value: number; gradient: Float64Array } {
  const classes = logits.shape.at(-1)!;
  const gradient = new Float64Array(logits.data.length);
  const valid = labels.filter((l) => l !== IGNORED).length;
  let value = 0;
  labels.forEach((label, row) => {
    if (label === IGNORED) return;
    const at = row * classes;
    const values = logits.data.subarray(at, at + classes);
    const top = values.reduce((m, x) => Math.max(m, x), Number.NEGATIVE_INFINITY);
    const sum = values.reduce((s, x) => s + Math.exp(x - top), 0);
    value += (Math.log(sum) + top - values[label]!) / valid;
    for (let c = 0; c < classes; c++) {
      gradient[at + c] = (Math.exp(values[c]! - top) / sum - (c === label ? 1 : 0)) / valid;
    }
  });
  return { value, gradient };
}

/**
 * @param of the loss in the words of the file: cross entropy against labels, next-token cross entropy, nothing (a sum of the outputs with
 * uneven weights, which no normalisation makes flat), or (anything else) the sum over outputs of mean(output²)
 * @param input the first input, whose next tokens are the labels of a language model
 */
function lossGradient(
  of: string,
  outputs: ReadonlyMap<string, Tensor>,
  input: { readonly shape: readonly number[]; readonly data: readonly number[] },
): Loss {
  const [[name, first]] = [...outputs] as [[string, Tensor]];
  if (of.includes('cross entropy')) {
    const length = input.shape.at(-1)!;
    const listed = /labels (\[[^\]]*\])/.exec(of);
    const labels = listed
      ? (JSON.parse(listed[1]!) as number[])
      : input.data.map((_, i) => (i % length === length - 1 ? IGNORED : input.data[i + 1]!));
    const { value, gradient } = crossEntropy(first, labels);
    return { value, gradients: new Map([[name, gradient]]) };
  }
  let value = 0;
  const gradients = new Map<string, Float64Array>();
  for (const [output, { data }] of outputs) {
    if (of === '') {
      const weights = data.map((_, i) => (1 + Math.cos(i)) / data.length);
      value += data.reduce((s, x, i) => s + x * weights[i]!, 0);
      gradients.set(output, weights);
      continue;
    }
    value += data.reduce((s, x) => s + x * x, 0) / data.length;
    gradients.set(
      output,
      data.map((x) => (2 * x) / data.length),
    );
  }
  return { value, gradients };
}
