/** What merging gives: the file, what changed in it, and what goes with it; and the files that it is checked beside. */
import { adaptGraph, emitTrainables, inject } from '../adapters/inject.ts';
import type { LoadedAdapter } from '../adapters/peft.ts';
import {
  type AdapterPlan,
  type BaseParameter,
  emitBase,
  loadMethod,
  savedParameters,
} from '../adapters/plan.ts';
import { type Builder, createBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import type { FeedTensor } from '../inference/session.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { leastLimit } from '../models/contract.ts';
import type { LoadedModel } from '../models/load.ts';
import { type Merged, mergeWeights, type QuantisedMerge, type WrittenWeight } from '../models/merge.ts';
import { lastBitsMoved, roundsSomewhere } from '../models/rounding.ts';
import { encodeChunks } from '../onnx/encode.ts';
import type { OnnxModel, OnnxTensor, ValueInfo } from '../onnx/types.ts';
import type { RunGraph } from './graphRuns.ts';
import type { OpenedModel } from './openModel.ts';
import { madeInputs, type ParityFiles, type ParitySample } from './parity.ts';
import type { FileValue, MergeReport } from './protocol.ts';
import { planOfFile } from './setup.ts';
import { sidecarsOf } from './sidecars.ts';
import { parametersOf } from './task.ts';

/** The file where the browser keeps it: weights go there from where they lie, and are never joined in memory. */
export const fileOf = (onnx: OnnxModel): Blob => new Blob(encodeChunks(onnx));

const shapeOf = ({ name, dtype, dims }: ValueInfo): FileValue => ({ name, dtype, dims });

/**
 * @param model the one that was adapted, which `opened` is without the data's head
 * @param encode {@link fileOf} for the page, `encodeModel` where bytes are wanted at once
 */
export const mergeReport = <File>(
  opened: Pick<OpenedModel, 'model' | 'sidecars'>,
  model: LoadedModel,
  { onnx, changed, written }: Merged,
  encode: (onnx: OnnxModel) => File,
): Omit<MergeReport, 'onnx'> & { readonly onnx: File } => ({
  onnx: encode(onnx),
  inputs: onnx.graph.inputs.map(shapeOf),
  outputs: onnx.graph.outputs.map(shapeOf),
  changedInitializers: differing(model.onnx, { onnx, changed }),
  written,
  rounds: roundsSomewhere(model.onnx),
  activations: model.activationsQuantised,
  sidecars: sidecarsOf(opened),
});

/**
 * A merged file beside those that say what its precision allows.
 * @param model the one that was adapted, unchanged
 * @param encode as of {@link mergeReport}
 */
export function parityFiles<File>(
  model: LoadedModel,
  merged: { readonly onnx: File; readonly written: readonly WrittenWeight[] },
  quantised: QuantisedMerge,
  encode: (onnx: OnnxModel) => File,
): ParityFiles<File> {
  // Weights that were rounded while loading stand in it as the trainer used them.
  const base = (): OnnxModel => mergeModel(model, new Map(), quantised).onnx;
  return {
    merged: merged.onnx,
    base: async () => encode(base()),
    async moved(seed) {
      const moved = lastBitsMoved(base(), model.modules, merged.written, seed);
      return moved && encode(moved);
    },
    rounds: roundsSomewhere(model.onnx),
    activations: model.activationsQuantised,
  };
}

/** Of the tensors that merging wrote, those whose bytes are others than the file's, and new ones. */
export function differing(base: OnnxModel, { onnx, changed }: Pick<Merged, 'onnx' | 'changed'>): string[] {
  const of = (model: OnnxModel, name: string): OnnxTensor | undefined =>
    model.graph.initializers.get(name) ?? model.graph.constants.get(name);
  return changed.filter((name) => {
    const [before, after] = [of(base, name), of(onnx, name)];
    if (!before || !after || before.byteLength !== after.byteLength) return true;
    const [a, b] = [before.bytes(), after.bytes()];
    return a.some((byte, i) => byte !== b[i]);
  });
}

// Every parameter that a run or an adapter file changes, as it stands after merging.

/**
 * One layer at a time, so that only one adapted weight is on the device.
 * @param once runs a graph and reads its outputs
 * @param packed the trained numbers; parameters that were trained whole are views of it, which {@link mergeModel} rearranges
 * @returns by PyTorch name, in the engine's layout
 */
export async function mergedWeights(
  plan: AdapterPlan,
  parameters: ReadonlyMap<string, BaseParameter>,
  once: (graph: Graph) => Promise<Readonly<Record<string, Float32Array>>>,
  packed: Float32Array,
): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const { layers } of plan.groups) {
    for (const { name: module } of layers) {
      const outputs = await once(adaptGraph(plan, parameters, () => packed, [module]));
      for (const [name, data] of Object.entries(outputs)) weights.set(name, data);
    }
  }
  for (const [name, { data }] of savedParameters(plan, packed)) {
    if (!weights.has(name)) weights.set(name, data);
  }
  return weights;
}

/** The model's file with everything that training changed, and what writing did to each weight. */
export function mergeModel(
  model: LoadedModel,
  weights: Map<string, Float32Array>,
  quantised: QuantisedMerge,
): Merged {
  const rounded = new Map(
    model.parameters.filter((p) => p.rounded && !weights.has(p.name)).map((p) => [p.name, p.load()]),
  );
  return mergeWeights(model.onnx, model.modules, weights, { quantised, rounded });
}

// Adapter files merged into a model without training, each into the weights that the one before left; and the answers to check it by.

export interface MergedAdapters {
  /** With a head of as many classes as the adapters bring. */
  readonly model: LoadedModel;
  /** By PyTorch name, in the engine's layout. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly warnings: readonly string[];
  /** The only adapter, as it runs unmerged; null for several, whose merged weights are compared. */
  readonly single: { readonly plan: AdapterPlan; readonly packed: Float32Array } | null;
}

/**
 * @param run computes graphs: on a device, or in the interpreter
 * @throws PapilioError as reading and fitting an adapter do
 */
export async function mergeAdapters(
  opened: LoadedModel,
  adapters: readonly LoadedAdapter[],
  run: RunGraph,
): Promise<MergedAdapters> {
  const model = withHeadOf(opened, adapters);
  const warnings = adapters.flatMap((adapter) => adapter.warnings);
  const parameters = new Map(parametersOf(model));
  const weights = new Map<string, Float32Array>();
  let single: MergedAdapters['single'] = null;
  for (const read of adapters) {
    const {
      plan,
      packed,
      warnings: own,
    } = planOfFile(read, await loadMethod(read.method), model, parameters);
    warnings.push(...own);
    for (const [name, data] of await mergedWeights(plan, parameters, run, packed)) {
      weights.set(name, data);
      parameters.set(name, { name, shape: parameters.get(name)!.shape, load: () => data });
    }
    single = adapters.length === 1 ? { plan, packed } : null;
  }
  return { model, weights, warnings, single };
}

/** The model with a head of as many classes as the adapters bring, where they bring one. */
function withHeadOf(model: LoadedModel, adapters: readonly LoadedAdapter[]): LoadedModel {
  // A head that scores words has as many outputs as there are words.
  const sizes =
    model.head && model.targets.outputEmbedding === null
      ? adapters.flatMap(({ parameters }) => parameters.get(`${model.head}.weight`)?.shape[0] ?? [])
      : [];
  const [classes] = sizes;
  if (classes === undefined) return model;
  const other = sizes.find((size) => size !== classes);
  if (other !== undefined) {
    fail(
      'malformed-adapter',
      say`One adapter brings a head of ${classes} classes and another one of ${other}; merge adapters that were trained for the same classes.`,
    );
  }
  return model.withClasses(
    Array.from({ length: classes }, (_, i) => String(i)),
    0,
  );
}

/** Examples of made-up inputs, and lengths where they are texts. */
const BATCH = 3;
const LENGTHS = [12, 5];

/** Lengths that the model reads; one alone where its file fixes it. */
function lengthsOf({ contract }: LoadedModel): number[] {
  if (contract.exactly !== null) return [contract.exactly];
  const most = leastLimit(contract.limits)?.tokens ?? Number.POSITIVE_INFINITY;
  return [...new Set(LENGTHS.map((length) => Math.min(length, most)))];
}

/** Examples at a time, where the file fixes that. */
function batchOf({ inputs }: LoadedModel): number {
  const fixed = inputs.find(({ kind }) => kind === 'input_ids' || kind === 'pixel_values')?.dims[0];
  return typeof fixed === 'number' ? fixed : BATCH;
}

/**
 * What the merged file is compared on: the answers of the model with the adapter unmerged, or, of several adapters, with the merged weights
 * in place.
 * @param withBase also the unadapted model's
 */
export async function madeSamples(
  { model, weights, single }: MergedAdapters,
  run: RunGraph,
  withBase: boolean,
): Promise<ParitySample[]> {
  const samples: ParitySample[] = [];
  const parameters = parametersOf(model);
  const batch = batchOf(model);
  for (const [i, sequence] of lengthsOf(model).entries()) {
    const { graph, logits } = model.build(batch, sequence);
    const { data, mask } = madeInputs(graph, 1 + i, true);
    const answer = async (adapted: boolean): Promise<Float32Array> => {
      const g = createBuilder();
      const trainables = !adapted
        ? { adapters: new Map(), saved: new Map() }
        : single
          ? emitTrainables(g, single.plan, { training: false, initial: () => single.packed, base: graph })
          : { adapters: new Map(), saved: emitWeights(g, weights, parameters) };
      const out = inject(graph, g, trainables)(logits);
      return (await run(g.finish({ logits: out }), data)).logits!;
    };
    const isPerPosition = logits.shape.length === 3 && logits.shape[1] === sequence;
    const shapes = new Map(graph.inputs.map((input) => [input.name, input.shape]));
    const inputs: Record<string, FeedTensor> = Object.fromEntries(
      Object.entries(data).map(([name, values]) => [name, feedOf(values, shapes.get(name)!)]),
    );
    // A decoder needs no mask here; onnxruntime gets the one with padding, and the padding does not count.
    if (mask && isPerPosition && !shapes.has('attention_mask'))
      inputs.attention_mask = feedOf(mask, [batch, sequence]);
    samples.push({
      what: mask ? say`made-up texts of up to ${sequence} tokens` : say`made-up inputs`,
      inputs,
      names: model.feeds,
      output: model.output,
      adapted: await answer(true),
      base: withBase ? await answer(false) : null,
      counts: mask && isPerPosition ? Uint8Array.from(mask) : null,
    });
    if (!mask) break;
  }
  return samples;
}

const feedOf = (data: Float32Array | Int32Array, dims: readonly number[]): FeedTensor => ({
  dtype: data instanceof Float32Array ? 'float32' : 'int32',
  dims,
  data,
});

/** Weights in place of the model's own, by PyTorch name. */
export const emitWeights = (
  g: Builder,
  weights: ReadonlyMap<string, Float32Array>,
  parameters: ReadonlyMap<string, BaseParameter>,
): Map<string, Value> =>
  new Map(
    [...weights].map(([name, data]) => [
      name,
      emitBase(g, { name, shape: parameters.get(name)!.shape, load: () => data }),
    ]),
  );
