/** Stage 2b: linear layers with their bias, patch convolutions, LayerNorm and RMSNorm. */
import { sizeOf } from '../../graph/shape.ts';
import { become, derive, reshapeOf } from './derive.ts';
import type { FoldedGraph, FoldedNode, FoldedValue } from './folded.ts';
import { countUses, makeValue, numbers, scalarOf } from './folded.ts';
import { isConv1d, unquantised } from './names.ts';

const isMatrix = (v: FoldedValue): boolean => v.weight !== null && v.shape.length === 2;

/** The weight a MatMul reads, straight or through a Transpose node. */
function weightOperand(v: FoldedValue): { weight: FoldedValue; stored: 'in-out' | 'out-in' } | null {
  if (isMatrix(v)) return { weight: v, stored: 'in-out' };
  const p = v.producer;
  if (p?.op === 'Transpose' && isMatrix(p.inputs[0]!) && numbers(p.attrs.perm)[0] === 1) {
    return { weight: p.inputs[0]!, stored: 'out-in' };
  }
  return null;
}

/** A known vector of `n` numbers (a weight or not), whatever its leading ones. */
function isVector(v: FoldedValue | null | undefined, n: number): boolean {
  return v?.known != null && v.shape.at(-1) === n && sizeOf(v.shape) === n && (v.weight !== null || n > 1);
}

/** A vector of `n` numbers that no input changes: of the file, or made of such (Gemma's 1 + weight). */
function isFixedVector(v: FoldedValue, n: number): boolean {
  if (isVector(v, n)) return true;
  const { producer, shape }: FoldedValue = v;
  if (!producer || shape.at(-1) !== n || sizeOf(shape) !== n) return false;
  return producer.inputs.every((u) => u === null || u.known !== null || isFixedVector(u, n));
}

const flat = (v: FoldedValue): FoldedValue =>
  v.weight && v.shape.length > 1 ? v : reshapeOf(v, [sizeOf(v.shape)]);

/** Whether an exporter made the name up, so that the tensor need not be stored as PyTorch keeps it. */
const isAnonymous = (name: string): boolean => !/^[A-Za-z_][\w.]*\.(weight|bias)$/.test(unquantised(name));

function linearOf(node: FoldedNode): void {
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

export function fuseLinear(graph: FoldedGraph): void {
  for (const node of graph.nodes) linearOf(node);
  const uses = countUses(graph);
  const outputs = new Set(graph.outputs.map((o) => o.value));
  for (const node of graph.nodes) {
    if (node.op !== 'Add') continue;
    for (const [y, bias] of [node.inputs, [...node.inputs].reverse()] as [FoldedValue, FoldedValue][]) {
      const linear = y.producer;
      if (linear?.op !== 'Linear' || linear.inputs[2] || uses.get(y)?.length !== 1 || outputs.has(y))
        continue;
      if (!isVector(bias, y.shape.at(-1)!)) continue;
      const { origin } = linear;
      become(node, 'Linear', [linear.inputs[0]!, linear.inputs[1]!, flat(bias)], linear.attrs);
      node.origin = origin;
      break;
    }
  }
}

/** Rows may be flattened around the layer (GPT-2's Conv1D): the layer does not mind, and equal inputs stay one value. */
export function liftReshapes(graph: FoldedGraph): void {
  for (const node of graph.nodes) {
    const x = node.inputs[0];
    const source = x?.producer?.op === 'Reshape' ? x.producer.inputs[0]! : null;
    if (node.op !== 'Linear' || !source || source.shape.at(-1) !== x!.shape.at(-1)) continue;
    const out = node.outputs[0]!;
    const inner = makeValue(`${out.name}:rows`, out.dtype, [...source.shape.slice(0, -1), out.shape.at(-1)!]);
    const linear: FoldedNode = { ...node, inputs: [source, ...node.inputs.slice(1)], outputs: [inner] };
    inner.producer = linear;
    become(node, 'Reshape', [inner], { shape: out.shape });
  }
}

/** The vector of `n` numbers, one per channel, that a bias behind a convolution is: flat, or turned to [1, n, 1, 1]. */
function channelBias(v: FoldedValue, n: number, rank: number): FoldedValue | null {
  const inner = v.producer?.op === 'Reshape' ? v.producer.inputs[0]! : v;
  if (sizeOf(v.shape) !== n || v.shape.at(1 - rank) !== n || !inner.known) return null;
  return inner.weight || n > 1 ? flat(inner) : null;
}

/** A bias that is added behind a convolution (by onnxruntime's quantiser, by TensorFlow's exporter) joins it. */
function joinConvBias(graph: FoldedGraph): void {
  const uses = countUses(graph);
  const outputs = new Set(graph.outputs.map((o) => o.value));
  for (const node of graph.nodes) {
    if (node.op !== 'Add') continue;
    for (const [y, other] of [node.inputs, [...node.inputs].reverse()] as [FoldedValue, FoldedValue][]) {
      const conv = y.producer;
      if (conv?.op !== 'Conv' || conv.inputs[2] || !conv.inputs[1]?.weight) continue;
      if (uses.get(y)?.length !== 1 || outputs.has(y)) continue;
      const bias = channelBias(other, y.shape[1]!, y.shape.length);
      if (!bias) continue;
      const { origin } = conv;
      become(node, 'Conv', [conv.inputs[0]!, conv.inputs[1], bias], conv.attrs);
      node.origin = origin;
      break;
    }
  }
}

/** Conv on patches → Patches (unfold) + Linear over [C·kh·kw], put back to [B, out, H, W]. */
export function fuseConv(graph: FoldedGraph): void {
  joinConvBias(graph);
  for (const node of graph.nodes) {
    if (node.op !== 'Conv' || !node.inputs[1]?.weight) continue;
    const [x, w, bias] = node.inputs as [FoldedValue, FoldedValue, FoldedValue | null];
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

const producerOf = (v: FoldedValue | null | undefined, op: string): FoldedNode | null =>
  v?.producer?.op === op ? v.producer : null;

function isRowMean(node: FoldedNode | null): node is FoldedNode {
  if (node?.op !== 'Reduce' || node.attrs.fn !== 'mean' || node.attrs.keepdims !== true) return false;
  const axes = numbers(node.attrs.axes);
  return axes.length === 1 && axes[0] === node.inputs[0]!.shape.length - 1;
}

/** For mean(x²) + eps: x and eps. */
function meanSquare(v: FoldedValue | null | undefined): { x: FoldedValue; eps: number } | null {
  const add = producerOf(v, 'Add');
  if (!add) return null;
  for (const [mean, constant] of [add.inputs, [...add.inputs].reverse()]) {
    const eps = scalarOf(constant);
    const reduce = mean?.producer ?? null;
    if (eps === null || !isRowMean(reduce)) continue;
    const square = producerOf(reduce.inputs[0], 'Square');
    if (square) return { x: square.inputs[0]!, eps };
  }
  return null;
}

/** x / √(mean(x²) + eps) in either spelling. */
function normalised(node: FoldedNode): { x: FoldedValue; eps: number } | null {
  const [a, b] = node.inputs;
  if (node.op === 'Div') {
    const m = meanSquare(producerOf(b, 'Sqrt')?.inputs[0]);
    return m && m.x === a ? m : null;
  }
  if (node.op !== 'Mul') return null;
  for (const [x, r] of [
    [a, b],
    [b, a],
  ]) {
    const m = meanSquare(producerOf(r, 'Rsqrt')?.inputs[0]);
    if (m && m.x === x) return m;
  }
  return null;
}

export function fuseNorms(graph: FoldedGraph): void {
  for (const node of graph.nodes) {
    const m = normalised(node);
    if (!m) continue;
    const centred = producerOf(m.x, 'Sub');
    const mean = centred?.inputs[1]?.producer ?? null;
    if (centred && isRowMean(mean) && mean.inputs[0] === centred.inputs[0]) {
      become(node, 'LayerNorm', [centred.inputs[0]!, null, null], { eps: m.eps });
    } else become(node, 'RmsNorm', [m.x, null], { eps: m.eps });
  }
  const uses = countUses(graph);
  const outputs = new Set(graph.outputs.map((o) => o.value));
  // Weight, then bias, where nothing else reads the value in between.
  for (const node of graph.nodes) {
    if (node.op !== 'Mul' && node.op !== 'Add') continue;
    for (const [y, vector] of [node.inputs, [...node.inputs].reverse()] as [FoldedValue, FoldedValue][]) {
      const norm = y.producer;
      if ((norm?.op !== 'LayerNorm' && norm?.op !== 'RmsNorm') || uses.get(y)?.length !== 1 || outputs.has(y))
        continue;
      if (!isFixedVector(vector, y.shape.at(-1)!) || node.outputs[0]!.shape.length !== y.shape.length)
        continue;
      const [x, w, b] = norm.inputs;
      if (node.op === 'Mul' && !w && !b)
        become(node, norm.op, [x!, flat(vector), ...(norm.op === 'LayerNorm' ? [null] : [])], norm.attrs);
      else if (node.op === 'Add' && norm.op === 'LayerNorm' && w && !b)
        become(node, norm.op, [x!, w, flat(vector)], norm.attrs);
      else continue;
      break;
    }
  }
}
