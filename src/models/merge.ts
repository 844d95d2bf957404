/**
 * Writes changed parameters back into the ONNX file: the layout the file had, its element type, and only the tensors that changed. What
 * the file stores once for several parameters is written for each of its readers: those whose parameter changed get new contents, the
 * others keep what they read. Quantised weights are rounded to codes again or become float, as the user chose; what rounding did to each
 * weight is reported.
 */

import { sizeOf } from '../graph/shape.ts';
import { fail } from '../lib/errors.ts';
import { bfloat16ToFloat32, float32ToBfloat16, float32ToHalf, halfToFloat32 } from '../lib/half.ts';
import { transposed } from '../lib/numbers.ts';
import { say } from '../lib/say.ts';
import { freeNames, replaceInitializers, replaceRaw, tensorLike } from '../onnx/edit.ts';
import { handsOn, type Route, readersOf, reroute, type TensorReading } from '../onnx/readers.ts';
import { tensorToF32 } from '../onnx/tensor.ts';
import type { OnnxDType, OnnxModel, OnnxNode } from '../onnx/types.ts';
import { cutPart } from './import/ir.ts';
import type { ModuleInfo, ParamOrigin } from './import/modules.ts';
import { dequantised, partOfCodes, type QuantSource, requantise } from './import/quantMatrix.ts';
import {
  asInFile,
  floatTensor,
  ownScales,
  refuseSubgraph,
  tensorIn,
  toFloat,
  withBiasScale,
  withFileScales,
} from './mergeFloat.ts';

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
    if (copy.length < data.length) copy = new Float32Array(data.length);
    copy.set(data);
    return transposed(copy, origin.shape, data);
  };
}

function requireFinite(name: string, data: Float32Array): void {
  const bad = data.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) {
    fail(
      'non-finite',
      say`The merged weight ${name} would hold ${data[bad]!} at position ${bad}, so nothing was written; go back to an earlier checkpoint or lower the learning rate.`,
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
 * Both maps of weights are emptied on the way and their arrays, rearranged, taken over by the model: no weight is in memory twice.
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
  const inPlace = new Map<string, { data: Float32Array; owned: boolean }>();
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
      if (alone && isMain) inPlace.set(name, { data, owned: true });
      else {
        const made = tensorLike(tensor, freeName(group.contents[0]!.names[0]!), { data, owned: true });
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

// What merging writes: the new contents of stored tensors, who reads them, and what writing does to the numbers.

/** What becomes of a changed weight that the file keeps in codes. */
export type QuantisedMerge = 'requantise' | 'float';

/** What writing a weight did to its numbers. */
export interface WrittenWeight {
  /** PyTorch name of the parameter. */
  readonly name: string;
  /** `exact` in float32 and float64, `f16` and `bf16` rounded, `requantised` to the file's codes, `float` in place of codes. */
  readonly how: 'exact' | 'f16' | 'bf16' | 'requantised' | 'float';
  /** max|written − merged|, and the Frobenius norm of the difference over that of the weight. */
  readonly maxError: number;
  readonly relativeError: number;
}

/** New contents of a parameter, or of parameters that are one; `data` in the file's layout. */
export interface Content {
  readonly names: string[];
  readonly origins: ParamOrigin[];
  readonly data: Float32Array;
  /** Nothing trained it: it was rounded while loading. */
  readonly rounded: boolean;
}

/** Readers of a tensor that find the same in it. */
export interface Group {
  readonly places: TensorReading[];
  readonly contents: readonly Content[];
}

function written(
  name: string,
  how: WrittenWeight['how'],
  data: Float32Array,
  kept: Float32Array | null,
): WrittenWeight {
  if (!kept) return { name, how, maxError: 0, relativeError: 0 };
  let largest = 0;
  let error = 0;
  let norm = 0;
  data.forEach((v, i) => {
    const d = kept[i]! - v;
    largest = Math.max(largest, Math.abs(d));
    error += d * d;
    norm += v * v;
  });
  return { name, how, maxError: largest, relativeError: norm > 0 ? Math.sqrt(error / norm) : 0 };
}

/** What a tensor holds for a group: the new contents, or the old ones with new parts. */
function dataOf(contents: readonly Content[], old: () => Float32Array): Float32Array {
  const [first] = contents;
  if (!first!.origins[0]!.part) return first!.data;
  const out = Float32Array.from(old());
  for (const { data, origins } of contents) {
    const { part, tensor, quant } = origins[0]!;
    const dims = quant?.shape ?? tensor.dims;
    const inner = sizeOf(dims.slice(part!.axis + 1));
    const outer = sizeOf(dims.slice(0, part!.axis));
    const [run, step] = [part!.size * inner, dims[part!.axis]! * inner];
    for (let i = 0; i < outer; i++)
      out.set(data.subarray(i * run, (i + 1) * run), i * step + part!.from * inner);
  }
  return out;
}

/** How a float type of the file keeps a weight, and what it then stands for; null: the same. */
function roundedTo(
  dtype: OnnxDType,
  data: Float32Array,
): readonly [how: 'exact' | 'f16' | 'bf16', kept: Float32Array | null] {
  if (dtype === 'float16') return ['f16', halfToFloat32(float32ToHalf(data))];
  if (dtype === 'bfloat16') return ['bf16', bfloat16ToFloat32(float32ToBfloat16(data))];
  return ['exact', null];
}

// Changed weights that the file keeps in codes: rounded to codes again where all that read them changed, else, or where the user wishes
// it, float for those that did.

export interface CodesToWrite {
  readonly group: Group;
  readonly source: QuantSource;
  /** All that read the codes are of the group. */
  readonly alone: boolean;
}

interface Written {
  readonly onnx: OnnxModel;
  readonly changed: readonly string[];
  readonly written: readonly WrittenWeight[];
}

/** The node that reads the codes themselves. */
const root = ({ node, through }: TensorReading): OnnxNode => through[0] ?? node;

/** Codes that nobody changes for all their readers, each of which reads them widened: those that change read floats behind that. */
const isBehind = ({ alone, group }: CodesToWrite): boolean => !alone && group.places.every(widened);

/** @throws PapilioError 'unsupported-onnx' where a node of a subgraph reads the codes: only those of the main graph are written anew */
function requireInMainGraph({ graph }: OnnxModel, item: CodesToWrite): void {
  const main = new Set(graph.nodes.map(({ proto }) => proto));
  if (!isBehind(item) && item.group.places.some((place) => !main.has(root(place).proto)))
    refuseSubgraph(item.source.codes.name);
}

function writeCodes(onnx: OnnxModel, items: readonly CodesToWrite[], how: QuantisedMerge): Written {
  let result = onnx;
  const changed: string[] = [];
  const report: WrittenWeight[] = [];
  const asFloat = items.map((item) => how === 'float' || !item.alone);
  const behind = items.filter(isBehind);
  // Nodes are looked up as they were read, so those behind a DequantizeLinear come first.
  const routes = behind.map(({ group, source }): Route => {
    const name = freeNames(result)(group.contents[0]!.names[0]!);
    const places = group.places.map((place) => ({ ...place, through: place.through.slice(1) }));
    return { places, tensor: floatTensor(source, wholeOf(group, source), name) };
  });
  result = reroute(result, routes);
  changed.push(...routes.map(({ tensor }) => tensor.name));
  items.forEach((item, i) => {
    if (asFloat[i]) report.push(...reportCodesAsFloat(item));
    if (behind.includes(item)) return;
    const made = asFloat[i] ? withFloats(result, item) : withCodes(result, item);
    result = made.onnx;
    changed.push(...made.changed);
    report.push(...made.written);
  });
  return { onnx: result, changed, written: report };
}

const widened = ({ through }: TensorReading): boolean =>
  through[0] !== undefined && through[0].opType === 'DequantizeLinear' && handsOn(through[0]);

const wholeOf = (group: Group, source: QuantSource): Float32Array =>
  dataOf(group.contents, () => dequantised(source, new Float32Array(sizeOf(source.shape))));

function reportCodesAsFloat({ group, source }: CodesToWrite): WrittenWeight[] {
  return group.contents.flatMap(({ names, data }) => {
    const [, kept] = roundedTo(source.scales?.dtype ?? 'float32', data);
    return names.map((name) => written(name, 'float', data, kept));
  });
}

function withFloats(onnx: OnnxModel, { group, source }: CodesToWrite): Written {
  const readers = new Set(group.places.map((place) => root(place).outputs[0]!));
  const { onnx: made, added } = toFloat(
    onnx,
    source,
    wholeOf(group, source),
    group.contents[0]!.names[0]!,
    readers,
  );
  return { onnx: made, changed: [added], written: [] };
}

function withCodes(onnx: OnnxModel, { group, source }: CodesToWrite): Written {
  const own = ownScales(onnx, withFileScales(onnx, asInFile(onnx, source)));
  const whole = own.source;
  const { tensors, report } = group.contents.some(
    ({ origins: [o] }) => o!.part && !partOfCodes(whole, o!.part),
  )
    ? codesOfWhole(group, whole)
    : codesOfEach(own.onnx, group, whole);
  return {
    onnx: withBiasScale(replaceRaw(own.onnx, tensors), source),
    changed: [...tensors.keys()],
    written: report,
  };
}

interface NewCodes {
  readonly tensors: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly report: readonly WrittenWeight[];
}

function codesOfEach(onnx: OnnxModel, group: Group, whole: QuantSource): NewCodes {
  const report: WrittenWeight[] = [];
  const tensors = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { data, names, origins } of group.contents) {
    const { part } = origins[0]!;
    const made = requantise(part ? partOfCodes(whole, part)! : whole, data);
    for (const [name, bytes] of made.tensors) {
      if (!part) tensors.set(name, bytes);
      else {
        const all = tensors.get(name) ?? tensorIn(onnx.graph, name)!.bytes().slice();
        all.set(bytes, (all.length / whole.shape[0]!) * part.from);
        tensors.set(name, all);
      }
    }
    report.push(...names.map((name) => written(name, 'requantised', data, made.values)));
  }
  return { tensors, report };
}

/** Parts whose scales are those of the whole are rounded together with it. */
function codesOfWhole(group: Group, whole: QuantSource): NewCodes {
  const { tensors, values } = requantise(whole, wholeOf(group, whole));
  const report = group.contents.flatMap(({ data, names, origins }) => {
    const kept = cutPart(values, whole.shape, origins[0]!.part!);
    return names.map((name) => written(name, 'requantised', data, kept));
  });
  return { tensors, report };
}
