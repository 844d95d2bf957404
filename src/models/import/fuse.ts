/**
 * Fuses: linear layers with their bias, patch convolutions, LayerNorm and RMSNorm, activations that an export spelled out; and takes the
 * one product apart that optimisers and builders pack query, key and value in. Attention is in fuseAttention.ts.
 */
import { sameShape, sizeOf } from '../../graph/shape.ts';
import type { OnnxGraph } from '../../onnx/types.ts';
import { scalarFunctions } from '../../ops/scalar.ts';
import {
  countUses,
  eitherWay,
  type IrGraph,
  type IrNode,
  type IrValue,
  makeValue,
  numbers,
  partOfWeight,
  scalarOf,
} from './ir.ts';
import { isConv1d, missingPrefix, moduleOf, packedBefore, unpackedModules, unquantised } from './names.ts';
import { absorb, become, derive, operatorOf, reshapeOf, sliceOf } from './operators/operator.ts';

const isMatrix = (v: IrValue): boolean => v.weight !== null && v.shape.length === 2;

/** The weight a MatMul reads, straight or through a Transpose node. */
function weightOperand(v: IrValue): { weight: IrValue; stored: 'in-out' | 'out-in' } | null {
  if (isMatrix(v)) return { weight: v, stored: 'in-out' };
  const p = v.producer;
  if (p?.op === 'Transpose' && isMatrix(p.inputs[0]!) && numbers(p.attrs.perm)[0] === 1) {
    return { weight: p.inputs[0]!, stored: 'out-in' };
  }
  return null;
}

/** A known vector of `n` numbers (a weight or not), whatever its leading ones. */
function isVector(v: IrValue | null | undefined, n: number): boolean {
  return v?.known != null && v.shape.at(-1) === n && sizeOf(v.shape) === n && (v.weight !== null || n > 1);
}

/** A vector of `n` numbers that no input changes: of the file, or made of such (Gemma's 1 + weight). */
function isFixedVector(v: IrValue, n: number): boolean {
  if (isVector(v, n)) return true;
  const { producer, shape }: IrValue = v;
  if (!producer || shape.at(-1) !== n || sizeOf(shape) !== n) return false;
  return producer.inputs.every((u) => u === null || u.known !== null || isFixedVector(u, n));
}

const flat = (v: IrValue): IrValue => (v.weight && v.shape.length > 1 ? v : reshapeOf(v, [sizeOf(v.shape)]));

/** Whether an exporter made the name up, so that the tensor need not be stored as PyTorch keeps it. */
const isAnonymous = (name: string): boolean => !/^[A-Za-z_][\w.]*\.(weight|bias)$/.test(unquantised(name));

function linearOf(node: IrNode): void {
  const [a, b, c] = node.inputs;
  if (node.op === 'MatMul') {
    const w = weightOperand(b!);
    // onnxruntime's optimiser turns the Gemm of a Conv1D into a MatMul.
    const kind = w?.stored === 'in-out' && isConv1d(w.weight.name) ? 'conv1d' : 'linear';
    if (w) become(node, 'Linear', [a!, w.weight, null], { stored: w.stored, kind });
    return;
  }
  if (node.op !== 'Gemm' || !b || !isMatrix(b) || node.attrs.transA || node.attrs.alpha !== 1) return;
  if (c && (node.attrs.beta !== 1 || !isVector(c, node.outputs[0]!.shape[1]!))) return;
  const stored = node.attrs.transB ? 'out-in' : 'in-out';
  // GPT-2's Conv1D is the one layer whose own parameter is [in, out].
  const kind =
    stored === 'in-out' && !isAnonymous(b.weight!.name) && !b.weight!.name.includes('MatMul')
      ? 'conv1d'
      : 'linear';
  become(node, 'Linear', [a!, b, c ? flat(c) : null], { stored, kind });
}

export function fuseLinear(graph: IrGraph): void {
  for (const node of graph.nodes) linearOf(node);
  absorb(graph, ['Add'], (_, { op, inputs: [x, w, bias] }, y, other) =>
    op === 'Linear' && !bias && isVector(other, y.shape.at(-1)!) ? [x!, w!, flat(other)] : null,
  );
}

/** Rows may be flattened around the layer (GPT-2's Conv1D): the layer does not mind, and equal inputs stay one value. */
export function liftReshapes(graph: IrGraph): void {
  for (const node of graph.nodes) {
    const x = node.inputs[0];
    const source = x?.producer?.op === 'Reshape' ? x.producer.inputs[0]! : null;
    if (node.op !== 'Linear' || !source || source.shape.at(-1) !== x!.shape.at(-1)) continue;
    const out = node.outputs[0]!;
    const inner = makeValue(`${out.name}:rows`, out.dtype, [...source.shape.slice(0, -1), out.shape.at(-1)!]);
    const linear: IrNode = { ...node, inputs: [source, ...node.inputs.slice(1)], outputs: [inner] };
    inner.producer = linear;
    become(node, 'Reshape', [inner], { shape: out.shape });
  }
}

/** The vector of `n` numbers, one per channel, that a bias behind a convolution is: flat, or turned to [1, n, 1, 1]. */
function channelBias(v: IrValue, n: number, rank: number): IrValue | null {
  const inner = v.producer?.op === 'Reshape' ? v.producer.inputs[0]! : v;
  if (sizeOf(v.shape) !== n || v.shape.at(1 - rank) !== n || !inner.known) return null;
  return inner.weight || n > 1 ? flat(inner) : null;
}

/** Conv on patches → Patches (unfold) + Linear over [C·kh·kw], put back to [B, out, H, W]. */
export function fuseConv(graph: IrGraph): void {
  // A bias that is added behind it (by onnxruntime's quantiser, by TensorFlow's exporter) joins it first.
  absorb(graph, ['Add'], (_, { op, inputs: [x, w, before] }, y, other) => {
    if (op !== 'Conv' || before || !w?.weight) return null;
    const bias = channelBias(other, y.shape[1]!, y.shape.length);
    return bias && [x!, w, bias];
  });
  for (const node of graph.nodes) {
    if (node.op !== 'Conv' || !node.inputs[1]?.weight) continue;
    const [x, w, bias] = node.inputs as [IrValue, IrValue, IrValue | null];
    const [batch, channels, ...places] = node.outputs[0]!.shape as [number, number, ...number[]];
    const count = sizeOf(places);
    const [b, c, ...pixels] = x.shape as [number, number, ...number[]];
    const sequence = pixels.length === 1;
    const picture = sequence ? reshapeOf(x, [b, c, 1, pixels[0]!]) : x;
    const patches = derive('Unfold', [picture], node.attrs, [batch, count, sizeOf(w.shape.slice(1))]);
    // A kernel over a sequence is no layer that adapters know.
    const attrs = { stored: 'out-in', kind: sequence ? 'other' : 'conv2d' };
    const y = derive('Linear', [patches, w, bias], attrs, [batch, count, channels], node.origin);
    const turned = derive('Transpose', [y], { perm: [0, 2, 1] }, [batch, channels, count]);
    become(node, 'Reshape', [turned], { shape: node.outputs[0]!.shape });
  }
}

const producerOf = (v: IrValue | null | undefined, op: string): IrNode | null =>
  v?.producer?.op === op ? v.producer : null;

function isRowMean(node: IrNode | null): node is IrNode {
  if (node?.op !== 'Reduce' || node.attrs.fn !== 'mean' || node.attrs.keepdims !== true) return false;
  const axes = numbers(node.attrs.axes);
  return axes.length === 1 && axes[0] === node.inputs[0]!.shape.length - 1;
}

/** For mean(x²) + eps: x and eps. */
function meanSquare(v: IrValue | null | undefined): { x: IrValue; eps: number } | null {
  const add = producerOf(v, 'Add');
  if (!add) return null;
  for (const [mean, constant] of eitherWay(add)) {
    const eps = scalarOf(constant);
    const reduce = mean?.producer ?? null;
    if (eps === null || !isRowMean(reduce)) continue;
    const square = producerOf(reduce.inputs[0], 'Square');
    if (square) return { x: square.inputs[0]!, eps };
  }
  return null;
}

/** x / √(mean(x²) + eps) in either spelling. */
function normalised(node: IrNode): { x: IrValue; eps: number } | null {
  const [a, b] = node.inputs;
  if (node.op === 'Div') {
    const m = meanSquare(producerOf(b, 'Sqrt')?.inputs[0]);
    return m && m.x === a ? m : null;
  }
  if (node.op !== 'Mul') return null;
  for (const [x, r] of eitherWay(node)) {
    const m = meanSquare(producerOf(r, 'Rsqrt')?.inputs[0]);
    if (m && m.x === x) return m;
  }
  return null;
}

export function fuseNorms(graph: IrGraph): void {
  for (const node of graph.nodes) {
    const m = normalised(node);
    if (!m) continue;
    const centred = producerOf(m.x, 'Sub');
    const mean = centred?.inputs[1]?.producer ?? null;
    if (centred && isRowMean(mean) && mean.inputs[0] === centred.inputs[0]) {
      become(node, 'LayerNorm', [centred.inputs[0]!, null, null], { eps: m.eps });
    } else become(node, 'RmsNorm', [m.x, null], { eps: m.eps });
  }
  // Weight, then bias, where nothing else reads the value in between.
  absorb(
    graph,
    ['Mul', 'Add'],
    (node, { op, inputs: [x, w, b] }, y, vector) => {
      if (op !== 'LayerNorm' && op !== 'RmsNorm') return null;
      if (!isFixedVector(vector, y.shape.at(-1)!) || node.outputs[0]!.shape.length !== y.shape.length)
        return null;
      if (node.op === 'Mul' && !w && !b) return [x!, flat(vector), ...(op === 'LayerNorm' ? [null] : [])];
      return node.op === 'Add' && op === 'LayerNorm' && w && !b ? [x!, w, flat(vector)] : null;
    },
    'stays',
  );
}

// Activations: a spelling is not matched node by node. A region of pointwise nodes with one input is evaluated at sample points and
// compared with the functions the engine has, so every algebraic form of GELU is found.

const functions = {
  Gelu: scalarFunctions.gelu.value,
  GeluTanh: scalarFunctions.geluTanh.value,
  Silu: scalarFunctions.silu.value,
  QuickGelu: scalarFunctions.quickGelu.value,
} as const;

const samples = [-3.7, -2.1, -1.3, -0.6, -0.1, 0.2, 0.7, 1.4, 2.6, 4.1];

/** Constants of an export are float32, so the functions agree to about 1e-7; GELU and its tanh form differ by 1e-4. */
const TOLERANCE = 3e-6;

/** The value of `v` where `x` is `at`, or NaN when it is not a pointwise function of `x` alone. */
function evaluateAt(v: IrValue, x: IrValue, at: number, depth = 0): number {
  if (v === x) return at;
  const s = scalarOf(v);
  if (s !== null) return s;
  const node = v.producer;
  if (!node || depth > 12) return Number.NaN;
  const [a, b] = node.inputs;
  const of = (u: IrValue | null | undefined): number => (u ? evaluateAt(u, x, at, depth + 1) : Number.NaN);
  if (node.op === 'Scale') return of(a) * (node.attrs.by as number);
  if (node.op === 'Square') return of(a) ** 2;
  if (node.op === 'Rsqrt') return 1 / Math.sqrt(of(a));
  const value = operatorOf(node.op)?.value;
  return value ? value(of(a), of(b)) : Number.NaN;
}

function nameOf(y: IrValue, x: IrValue): string | null {
  const values = samples.map((t) => evaluateAt(y, x, t));
  if (values.some(Number.isNaN)) return null;
  const found = Object.entries(functions).find(([, f]) =>
    values.every((v, i) => Math.abs(v - f(samples[i]!)) < TOLERANCE),
  );
  return found?.[0] ?? null;
}

/** Values of the same shape above `v` through pointwise nodes. */
function ancestors(v: IrValue, depth: number, into: Set<IrValue>): void {
  const node = v.producer;
  if (depth === 0 || !node || !(operatorOf(node.op)?.value || node.op === 'Scale' || node.op === 'Square'))
    return;
  for (const u of node.inputs) {
    if (!u || u.known || !sameShape(u.shape, v.shape)) continue;
    into.add(u);
    ancestors(u, depth - 1, into);
  }
}

export function fuseActivations(graph: IrGraph): void {
  const uses = countUses(graph);
  const nodes: readonly IrNode[] = graph.nodes;
  for (const anchor of nodes) {
    if (anchor.op !== 'Erf' && anchor.op !== 'Tanh' && anchor.op !== 'Sigmoid') continue;
    const inputs = new Set<IrValue>();
    ancestors(anchor.outputs[0]!, 7, inputs);
    // From the anchor down, the first value that is one of the functions.
    let level: IrNode[] = [anchor];
    search: for (let depth = 0; depth < 5 && level.length > 0; depth++) {
      for (const node of level) {
        for (const x of inputs) {
          const name = node === anchor ? null : nameOf(node.outputs[0]!, x);
          if (name) {
            become(node, name, [x]);
            break search;
          }
        }
      }
      level = level.flatMap((node) => uses.get(node.outputs[0]!) ?? []);
    }
  }
}

// Packed projections: each of the three layers has its own part of the packed weight and bias. Where the model itself has one module for
// all three, it stays.

type Uses = ReadonlyMap<IrValue, readonly IrNode[]>;

/** The three runs of the last axis that an attention takes of a packed product, in their order; null where it is none. */
function partsOf(node: IrNode, uses: Uses): readonly IrNode[] | null {
  const out = node.outputs[0]!;
  const slices = uses.get(out) ?? [];
  const last = out.shape.length - 1;
  const from = (slice: IrNode): number => numbers(slice.attrs.starts)[last]!;
  // Only what an attention was expanded to is without a node of the file.
  const isPart = (slice: IrNode): boolean =>
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
function moduleAfter(parts: readonly IrNode[], uses: Uses, prefix: string): string | null {
  let level = parts.flatMap(({ outputs }) => outputs);
  for (let depth = 0; depth < 16 && level.length > 0; depth++) {
    const readers = [...new Set(level.flatMap((v) => uses.get(v) ?? []))];
    const next = readers.find((r) => r.op === 'Linear' && r.inputs[1]?.weight);
    if (next) return moduleOf(next, prefix);
    level = readers.flatMap((r) => r.outputs);
  }
  return null;
}

export function unpackProjections(
  graph: IrGraph,
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
    if (!modules) {
      const own = moduleOf(node, prefix) === null ? packedBefore(after) : null;
      if (own) node.attrs = { ...node.attrs, module: own };
      continue;
    }
    parts.forEach((part, i) => {
      takePart(node, part, modules[i]!);
    });
  }
}

/** Makes a Slice of the packed product the layer that gives just that. */
function takePart(packed: IrNode, slice: IrNode, module: string): void {
  const [x, w, bias] = packed.inputs as [IrValue, IrValue, IrValue | null];
  const out = slice.outputs[0]!;
  const last = out.shape.length - 1;
  const from = numbers(slice.attrs.starts)[last]!;
  const size = out.shape[last]!;
  const axis = packed.attrs.stored === 'in-out' ? 1 : 0;
  const ownBias = (v: IrValue): IrValue =>
    v.weight ? partOfWeight(v, { axis: v.shape.length - 1, from, size }) : sliceOf(v, 0, from, size);
  const inputs = [x, partOfWeight(w, { axis, from, size }), bias && ownBias(bias)];
  become(slice, 'Linear', inputs, { ...packed.attrs, module });
  slice.origin = packed.origin;
}
