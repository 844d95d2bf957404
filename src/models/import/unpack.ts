/**
 * One product for query, key and value, as optimisers and builders pack it, taken apart into the three layers that the PyTorch model has:
 * each has its own part of the packed weight and bias. Where the model itself has one module for all three, it stays.
 */
import type { OnnxGraph } from '../../onnx/types.ts';
import { become, derive } from './derive.ts';
import type { FoldedGraph, FoldedNode, FoldedValue } from './folded.ts';
import { countUses, numbers, partOfWeight } from './folded.ts';
import { missingPrefix, packedBefore, toldModule, unpackedModules } from './names.ts';

type Uses = ReadonlyMap<FoldedValue, readonly FoldedNode[]>;

/** The three runs of the last axis that an attention takes of a packed product, in their order; null where it is none. */
function partsOf(node: FoldedNode, uses: Uses): readonly FoldedNode[] | null {
  const out = node.outputs[0]!;
  const slices = uses.get(out) ?? [];
  const last = out.shape.length - 1;
  const from = (slice: FoldedNode): number => numbers(slice.attrs.starts)[last]!;
  // Only what an attention was expanded to is without a node of the file.
  const isPart = (slice: FoldedNode): boolean =>
    slice.op === 'Slice' &&
    slice.origin === null &&
    slice.outputs[0]!.shape.every((d, i) => i === last || d === out.shape[i]);
  if (slices.length !== 3 || !slices.every(isPart)) return null;
  const sorted = [...slices].sort((a, b) => from(a) - from(b));
  let at = 0;
  for (const slice of sorted) {
    if (from(slice) !== at) return null;
    at += slice.outputs[0]!.shape[last]!;
  }
  return at === out.shape[last] ? sorted : null;
}

/** The module of the first layer behind. */
function moduleAfter(parts: readonly FoldedNode[], uses: Uses, prefix: string): string | null {
  let level = parts.flatMap(({ outputs }) => outputs);
  for (let depth = 0; depth < 16 && level.length > 0; depth++) {
    const readers = [...new Set(level.flatMap((v) => uses.get(v) ?? []))];
    const next = readers.find((r) => r.op === 'Linear' && r.inputs[1]?.weight);
    if (next) return toldModule(next.origin, next.inputs[1]!.weight!, next.inputs[2]?.weight ?? null, prefix);
    level = readers.flatMap((r) => r.outputs);
  }
  return null;
}

export function unpackProjections(
  graph: FoldedGraph,
  file: OnnxGraph,
  config: Readonly<Record<string, unknown>>,
): void {
  const uses = countUses(graph);
  const outputs = new Set(graph.outputs.map(({ value }) => value));
  let prefix: string | null = null;
  for (const node of graph.nodes) {
    const weight = node.inputs[1]?.weight;
    if (node.op !== 'Linear' || !weight || weight.part || outputs.has(node.outputs[0]!)) continue;
    const parts = partsOf(node, uses);
    if (!parts) continue;
    prefix ??= missingPrefix(file.nodes, new Set([...file.initializers.keys(), ...file.constants.keys()]));
    const after = moduleAfter(parts, uses, prefix);
    const modules = unpackedModules(node, after, prefix, config);
    const told = toldModule(node.origin, weight, node.inputs[2]?.weight ?? null, prefix);
    if (!modules) {
      const own = told === null ? packedBefore(after) : null;
      if (own) node.attrs = { ...node.attrs, module: own };
      continue;
    }
    parts.forEach((part, i) => {
      takePart(node, part, modules[i]!);
    });
  }
}

/** Makes a Slice of the packed product the layer that gives just that. */
function takePart(packed: FoldedNode, slice: FoldedNode, module: string): void {
  const [x, w, bias] = packed.inputs as [FoldedValue, FoldedValue, FoldedValue | null];
  const out = slice.outputs[0]!;
  const last = out.shape.length - 1;
  const from = numbers(slice.attrs.starts)[last]!;
  const size = out.shape[last]!;
  const axis = packed.attrs.stored === 'in-out' ? 1 : 0;
  const ownBias = (v: FoldedValue): FoldedValue =>
    v.weight
      ? partOfWeight(v, { axis: v.shape.length - 1, from, size })
      : derive('Slice', [v], { starts: [from], steps: [1], shape: [size] }, [size]);
  const inputs = [x, partOfWeight(w, { axis, from, size }), bias && ownBias(bias)];
  become(slice, 'Linear', inputs, { ...packed.attrs, module });
  slice.origin = packed.origin;
}
