/**
 * Writes changed parameters back into the ONNX file: the layout the file had, its element type, and only the tensors that changed. What
 * the file stores once for several parameters is written for each of its readers: those whose parameter changed get new contents, the
 * others keep what they read. Quantised weights are rounded to codes again or become float, as the user chose; what rounding did to each
 * weight is reported.
 */
import { fail } from '../lib/errors.ts';
import { freeNames, replaceInitializers, tensorLike } from '../onnx/edit.ts';
import { readersOf, type TensorReading } from '../onnx/readers.ts';
import { type Route, reroute } from '../onnx/reroute.ts';
import type { OnnxDType, OnnxModel } from '../onnx/types.ts';
import { tensorToF32 } from '../onnx/values.ts';
import type { ModuleInfo, ParamOrigin } from './import/modules.ts';
import { type CodesToWrite, requireInMainGraph, writeCodes } from './mergeCodes.ts';
import {
  type Content,
  dataOf,
  type Group,
  type QuantisedMerge,
  roundedTo,
  type WrittenWeight,
  written,
} from './mergeContent.ts';

export type { QuantisedMerge, WrittenWeight } from './mergeContent.ts';

export interface Merged {
  readonly onnx: OnnxModel;
  /** Initialisers with new contents, new ones, and those made for a layer that shared its weight with another. */
  readonly changed: readonly string[];
  readonly written: readonly WrittenWeight[];
}

/** The engine's [out, in] back to the file's order, in the same memory: a copy of one weight at a time is all that it takes. */
function createLayouts(): (data: Float32Array, origin: ParamOrigin) => Float32Array {
  let copy = new Float32Array(0);
  return (data, origin) => {
    if (!origin.transposed) return data;
    const [rows, columns] = origin.shape as [number, number];
    if (copy.length < data.length) copy = new Float32Array(data.length);
    copy.set(data);
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) data[c * rows + r] = copy[r * columns + c]!;
    return data;
  };
}

function requireFinite(name: string, data: Float32Array): void {
  const bad = data.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) {
    fail(
      'non-finite',
      `The merged weight ${name} would hold ${data[bad]} at position ${bad}, so nothing was written; go back to an earlier checkpoint or lower the learning rate.`,
      { name },
    );
  }
}

/** The new contents by stored tensor. Parameters that were given the same array are one. */
function contentsOf(
  modules: readonly ModuleInfo[],
  weights: Map<string, Float32Array>,
  rounded: Map<string, Float32Array>,
  fileLayout: (data: Float32Array, origin: ParamOrigin) => Float32Array,
): Map<string, Content[]> {
  const origins = new Map<string, ParamOrigin>();
  for (const module of modules)
    for (const origin of Object.values(module.parameters)) origins.set(origin.value, origin);
  const byTensor = new Map<string, Content[]>();
  const known = new Map<Float32Array | string, Content>();
  const take = (name: string, data: Float32Array, isRounded: boolean): void => {
    const origin = origins.get(name) ?? fail('internal', `Parameter ${name} has no place in the file.`);
    // Readers of one tensor that nobody trained round it alike.
    const key = isRounded && !origin.part ? origin.initializer : data;
    const one = known.get(key);
    if (one) {
      one.names.push(name);
      one.origins.push(origin);
      return;
    }
    requireFinite(name, data);
    const content: Content = {
      names: [name],
      origins: [origin],
      data: fileLayout(data, origin),
      rounded: isRounded,
    };
    known.set(key, content);
    byTensor.set(origin.initializer, [...(byTensor.get(origin.initializer) ?? []), content]);
  };
  // In the order of the model, so that the file does not depend on how an adapter groups its layers.
  const places = new Map([...origins.keys()].map((name, i) => [name, i]));
  const takeAll = (from: Map<string, Float32Array>, isRounded: boolean): void => {
    const place = (name: string) => places.get(name) ?? places.size;
    for (const name of [...from.keys()].sort((a, b) => place(a) - place(b))) {
      const data = from.get(name)!;
      from.delete(name);
      take(name, data, isRounded);
    }
  };
  takeAll(rounded, true);
  takeAll(weights, false);
  return byTensor;
}

const isOf = ({ origins }: Content, { node, input }: TensorReading): boolean =>
  origins.some(({ readings }) => readings.some((r) => r.node.proto === node.proto && r.input === input));

/** The readers of a stored tensor by what they find in it from now on; those of parameters that stay are without contents. */
function groupReaders(all: readonly TensorReading[], contents: readonly Content[]): Group[] {
  const groups = new Map<string, Group>();
  for (const place of all) {
    const found = contents.filter((content) => isOf(content, place));
    const key = found.map((c) => contents.indexOf(c)).join();
    const group = groups.get(key) ?? { places: [], contents: found };
    groups.set(key, group);
    group.places.push(place);
  }
  return [...groups.values()];
}

/** A stored tensor that changes, for each group of its readers that finds something new in it. */
interface Change {
  readonly name: string;
  readonly contents: readonly Content[];
  readonly groups: readonly {
    readonly group: Group;
    /** The tensor itself is for nobody else. */
    readonly alone: boolean;
  }[];
}

function changesOf({ graph }: OnnxModel, byTensor: ReadonlyMap<string, readonly Content[]>): Change[] {
  const readers = readersOf(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  return [...byTensor].map(([name, contents]) => {
    const groups = groupReaders(readers.of.get(name) ?? [], contents);
    const stays = outputs.has(name) || groups.some((g) => g.contents.length === 0);
    const changing = groups
      .filter((g) => g.contents.length > 0)
      .sort((a, b) => b.places.length - a.places.length);
    return { name, contents, groups: changing.map((group, i) => ({ group, alone: i === 0 && !stays })) };
  });
}

/** The changes of tensors that hold codes. */
const codesIn = (changes: readonly Change[]): CodesToWrite[] =>
  changes.flatMap(({ contents, groups }) => {
    const source = contents[0]!.origins[0]!.quant;
    return source ? groups.map(({ group, alone }) => ({ group, source, alone })) : [];
  });

/**
 * Refuses before any training what could not be written afterwards.
 * @param parameters that will change, by PyTorch name; those that are one in one list
 * @throws PapilioError 'unsupported-onnx' as {@link mergeWeights}
 */
export function requireWritable(
  onnx: OnnxModel,
  modules: readonly ModuleInfo[],
  parameters: readonly (readonly string[])[],
): void {
  const nothing = new Map<string, Float32Array>();
  for (const names of parameters) {
    const one = new Float32Array(0);
    for (const name of names) nothing.set(name, one);
  }
  const changes = changesOf(
    onnx,
    contentsOf(modules, nothing, new Map(), (data) => data),
  );
  for (const item of codesIn(changes)) requireInMainGraph(onnx, item);
}

/**
 * Both maps of weights are emptied on the way and their arrays, rearranged, given to the model: no weight is held twice.
 * @param modules made of this very model: their places in the file are nodes of it
 * @param weights that changed, by the parameter's PyTorch name (`encoder.layer.0.attention.attention.query.weight`), in the engine's
 * layout; parameters that are one have one array
 * @throws PapilioError('non-finite') for a weight that is no number, 'unsupported-onnx' for codes that are read inside a subgraph: nothing
 * is written then
 */
export function mergeWeights(
  onnx: OnnxModel,
  modules: readonly ModuleInfo[],
  weights: Map<string, Float32Array>,
  options: {
    readonly quantised?: QuantisedMerge;
    /** Frozen weights that were rounded while loading, written as they were used. */
    readonly rounded?: Map<string, Float32Array>;
  } = {},
): Merged {
  const freeName = freeNames(onnx);
  const inPlace = new Map<string, { data: Float32Array; given: boolean }>();
  const routes: Route[] = [];
  const report: WrittenWeight[] = [];
  const changes = changesOf(
    onnx,
    contentsOf(modules, weights, options.rounded ?? new Map(), createLayouts()),
  );
  const codes = codesIn(changes);
  for (const item of codes) requireInMainGraph(onnx, item);
  const { initializers, constants } = onnx.graph;
  for (const { name, contents, groups } of changes) {
    const { tensor, quant } = contents[0]!.origins[0]!;
    if (quant) continue;
    // What a subgraph keeps for itself stays there, unread.
    const isMain = initializers.has(name) || constants.has(name);
    for (const { group, alone } of groups) {
      const data = dataOf(group.contents, () => tensorToF32(tensor));
      if (alone && isMain) inPlace.set(name, { data, given: true });
      else {
        const made = tensorLike(tensor, freeName(group.contents[0]!.names[0]!), { data, given: true });
        routes.push({ places: group.places, tensor: made });
      }
    }
    report.push(...contents.flatMap((c) => reportFloat(c, tensor.dtype)));
  }
  const changed = [...inPlace.keys(), ...routes.map(({ tensor }) => tensor.name)];
  const rerouted = reroute(replaceInitializers(onnx, inPlace), routes);
  const made = writeCodes(rerouted, codes, options.quantised ?? 'requantise');
  return {
    onnx: made.onnx,
    changed: [...changed, ...made.changed],
    written: [...report, ...made.written],
  };
}

function reportFloat({ names, data, rounded }: Content, dtype: OnnxDType): WrittenWeight[] {
  if (rounded) return [];
  const [how, kept] = roundedTo(dtype, data);
  return names.map((name) => written(name, how, data, kept));
}
