/**
 * One exported model against figures that others computed: outputs and gradients of every weight, from the float64 interpreter and from
 * the GPU, against the JSON beside the file, against onnxruntime, and against each other.
 */
import { compile } from '../../src/gpu/compile.ts';
import type { Device } from '../../src/gpu/device.ts';
import { createStore } from '../../src/gpu/store.ts';
import type { Builder } from '../../src/graph/builder.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { DeviceData, Tensor, Value } from '../../src/graph/types.ts';
import { parity } from '../../src/inference/parity.ts';
import { openSession } from '../../src/inference/session.ts';
import type { FeedTensor, HostTensor } from '../../src/inference/tensor.ts';
import type { BuildDims } from '../../src/models/import/bind.ts';
import type { ImportedModel } from '../../src/models/import/importModel.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN, binary, reduce } from '../../src/ops/elementwise.ts';
import { readStored, storedParameter } from '../../src/ops/fuse/stored.ts';
import { type FileGradients, matchGradients } from './onnxGradients.ts';
import { lossGradient } from './onnxLoss.ts';

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

/** @throws PapilioError 'unsupported-onnx' when the model cannot be imported */
export async function checkOnnxCase(
  device: Device,
  bytes: Uint8Array,
  onnx: OnnxModel,
  figures: OnnxFigures,
  config: Readonly<Record<string, unknown>> = {},
): Promise<OnnxCaseResult> {
  const model = importModel(onnx, { config });
  const { g, outputs, feeds } = trace(model, figures);
  const comparisons: Comparison[] = [];
  const compare = (what: string, error: number, tolerance: number): void => {
    comparisons.push({ what, error, tolerance, ok: error <= tolerance });
  };
  const outputTolerance = figures.tolerance ?? OUTPUT_TOLERANCE;

  // Forward in float64, and from it the gradient of the file's loss at the outputs.
  const forward = interpret(g.finish(outputs), feeds);
  for (const [name, v] of Object.entries(outputs)) {
    const expected = figures.outputs[name];
    if (expected)
      compare(
        `output ${name}, interpreter against file`,
        parity(forward.get(v).data, numbers(expected.data)).maxRel,
        outputTolerance,
      );
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
  const gradients = differentiate(g, { of, seed, wrt, sum: addN });
  const named: Record<string, Value> = {};
  wrt.forEach((v, i) => {
    const d = gradients.get(v);
    if (d) named[`gradient ${i}`] = d;
  });
  const graph = g.finish({ ...outputs, ...named });
  const exact = interpret(graph, feeds);
  const exactGradients = new Map(
    wrt.flatMap((v, i) =>
      named[`gradient ${i}`] ? [[v, exact.get(named[`gradient ${i}`]!).data] as const] : [],
    ),
  );
  const largest = Math.max(
    // Where the loss has no slope (outputs of unit length), what reaches the outputs is the scale.
    ...[...loss.gradients.values(), ...exactGradients.values()].map((d) =>
      d.reduce((m, x) => Math.max(m, Math.abs(x)), 0),
    ),
  );
  const floor = FLOOR * largest;
  const matched = matchGradients(figures.grads ?? {}, exactGradients, model, floor);
  for (const m of matched)
    compare(`gradient ${m.name}, interpreter against file`, m.error, GRADIENT_TOLERANCE);

  // The same on the GPU.
  const store = createStore(device);
  let dispatches = 0;
  try {
    const program = await compile(device, store, schedule(readStored(graph), device.caps));
    for (const v of graph.inputs) program.write(v.name, onDevice(v, feeds.get(v.name)!.data));
    program.run();
    dispatches = program.stats.dispatches;
    const runtime = await runtimeOutputs(bytes, onnx, figures);
    for (const name of Object.keys(outputs)) {
      const got = (await program.read(name)) as Float32Array;
      const expected = figures.outputs[name];
      if (expected)
        compare(
          `output ${name}, GPU against file`,
          parity(got, numbers(expected.data)).maxRel,
          outputTolerance,
        );
      const ran = runtime[name];
      if (ran)
        compare(`output ${name}, GPU against onnxruntime`, parity(got, ran.data).maxRel, outputTolerance);
    }
    for (const [i, v] of wrt.entries()) {
      const expected = exactGradients.get(v);
      if (!expected) continue;
      const got = (await program.read(`gradient ${i}`)) as Float32Array;
      const scale = Math.max(
        floor,
        expected.reduce((m, x) => Math.max(m, Math.abs(x)), 0),
      );
      const error = expected.reduce((m, x, k) => Math.max(m, Math.abs(x - got[k]!)), 0) / scale;
      compare(
        `gradient ${storedParameter(v)?.name ?? v.name}, GPU against interpreter`,
        error,
        GRADIENT_TOLERANCE,
      );
    }
    program.destroy();
  } finally {
    store.destroy();
  }
  return {
    family: model.family,
    comparisons,
    gradients: { file: matched.length, interpreter: exactGradients.size },
    dispatches,
  };
}
