/**
 * Changed weights that the file keeps in codes: rounded to codes again where all that read them changed, else, or where the user wishes
 * it, float for those that did.
 */
import { sizeOf } from '../graph/shape.ts';
import { freeNames, replaceRaw } from '../onnx/edit.ts';
import { handsOn, type TensorReading } from '../onnx/readers.ts';
import { type Route, reroute } from '../onnx/reroute.ts';
import type { OnnxModel, OnnxNode } from '../onnx/types.ts';
import { cutPart } from './import/folded.ts';
import { dequantised, partOfCodes, type QuantSource } from './import/quant.ts';
import { requantise } from './import/quantWrite.ts';
import {
  dataOf,
  type Group,
  type QuantisedMerge,
  roundedTo,
  type WrittenWeight,
  written,
} from './mergeContent.ts';
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
export function requireInMainGraph({ graph }: OnnxModel, item: CodesToWrite): void {
  const main = new Set(graph.nodes.map(({ proto }) => proto));
  if (!isBehind(item) && item.group.places.some((place) => !main.has(root(place).proto)))
    refuseSubgraph(item.source.codes.name);
}

export function writeCodes(onnx: OnnxModel, items: readonly CodesToWrite[], how: QuantisedMerge): Written {
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
    if (asFloat[i]) report.push(...reportFloat(item));
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

function reportFloat({ group, source }: CodesToWrite): WrittenWeight[] {
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
