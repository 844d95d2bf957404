/**
 * Emits a prepared graph into the engine's, weights as parameters in the engine's layout. Matrices that only layers and table look-ups
 * read may lie on the device as f16 or packed codes, which the graph widens; everything else (norms, biases, position tables that are
 * added) is f32, where rounding hurts and little is saved.
 */
import type { Builder } from '../../graph/builder.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { Room, TensorSource, Value } from '../../graph/types.ts';
import { fail } from '../../lib/errors.ts';
import { float32ToHalf } from '../../lib/half.ts';
import { transposed as turned } from '../../lib/numbers.ts';
import { say } from '../../lib/say.ts';
import { halfBits, tensorToF32 } from '../../onnx/tensor.ts';
import { isFloat } from '../../onnx/types.ts';
import { cast } from '../../ops/cast.ts';
import { transpose, view } from '../../ops/index.ts';
import { dequantize, type QuantFormat, quantLayout } from '../../ops/quantised.ts';
import { atPlace, nodeCalled, spend } from './importBudget.ts';
import { cutPart, type IrGraph, type IrNode, type IrValue } from './ir.ts';
import { engineShape, isTransposed, type ModuleTable } from './modules.ts';
import { dtypeOf, type Emission, operatorOf } from './operators/operator.ts';
import { dequantised, loadFormat, packed, packedFormat, partOfCodes, quantiseMatrix } from './quantMatrix.ts';

/** What a model is loaded as: as the file has it, or rounded to less. Quantised weights stay as they are. */
export type Precision = 'file' | 'f16' | 'q4';

/** Below this many numbers rounding saves nothing worth having. */
const LEAST_SIZE = 1024;
const LEAST_COLUMNS = 32;

interface Readers {
  /** Only layers and look-ups read it. */
  readonly matrix: boolean;
  /** Only layers of one product read it, no look-up and no convolution. */
  readonly product: boolean;
}

/** Who reads each weight, by its name in the file: the same at all sizes. */
function readersOf(graph: IrGraph): ReadonlyMap<string, Readers> {
  const readers = new Map<string, Readers>();
  for (const node of graph.nodes) {
    node.inputs.forEach((v, i) => {
      if (!v?.weight) return;
      const layer = node.op === 'Linear' && i === 1;
      const look = node.op === 'Gather' && i === 0 && node.attrs.axis === 0 && v.shape.length === 2;
      const { matrix, product } = readers.get(v.weight.name) ?? { matrix: true, product: true };
      readers.set(v.weight.name, {
        matrix: matrix && (layer || look),
        product: product && layer && node.attrs.kind !== 'conv2d',
      });
    });
  }
  return readers;
}

/** A weight as the engine has it. */
interface EngineWeight {
  readonly v: IrValue;
  readonly transposed: boolean;
  readonly name: string;
  /** [out, in], or of what is no matrix. */
  readonly shape: readonly number[];
}

/** Decides in which form each weight lies on the device; @returns what emits one, widened to f32 from that form */
function weightStore(g: Builder, graph: IrGraph, precision: Precision): (w: EngineWeight) => Value {
  const readers = readersOf(graph);
  // Parameters that the file stores once have one source: what nobody trains of them lies in memory once.
  const sources = new Map<string, TensorSource>();
  const once = ({ v, transposed }: EngineWeight, form: string, make: TensorSource): TensorSource => {
    const { name, part } = v.weight!;
    const key = `${name}|${form}|${transposed}|${part?.axis}:${part?.from}`;
    const known = sources.get(key) ?? make;
    sources.set(key, known);
    return known;
  };
  const inCodes = (w: EngineWeight, format: QuantFormat, words: TensorSource): Value => {
    const type = { dtype: 'u32', shape: [w.shape[0]!, quantLayout(format).stride] } as const;
    return dequantize(g, g.parameter(w.name, type, once(w, 'codes', words)), format);
  };
  const inHalves = (w: EngineWeight, source: TensorSource): Value =>
    cast(g, g.parameter(w.name, { dtype: 'f16', shape: w.shape }, once(w, 'f16', source)), { to: 'f32' });
  const inFloats = (w: EngineWeight, source: TensorSource): Value =>
    g.parameter(w.name, { dtype: 'f32', shape: w.shape }, once(w, 'f32', source));

  const emitQuantised = (w: EngineWeight, isMatrix: boolean): Value => {
    const { v, transposed } = w;
    const { quant: whole, part } = v.weight!;
    const quant = part ? partOfCodes(whole!, part) : whole!;
    const format = quant && isMatrix ? packedFormat(quant, transposed) : null;
    if (quant && format) return inCodes(w, format, () => packed(quant, format, transposed));
    return inFloats(w, () => {
      const source = quant ?? whole!;
      const all = dequantised(source, new Float32Array(sizeOf(source.shape)));
      const data = quant ? all : cutPart(all, source.shape, part!);
      return transposed ? turned(data, v.shape, new Float32Array(data.length)) : data;
    });
  };

  return (w) => {
    const { v, transposed, shape } = w;
    const { tensor, part, quant, name } = v.weight!;
    const read = readers.get(name) ?? { matrix: false, product: false };
    const isMatrix = read.matrix && shape.length === 2;
    if (quant) return emitQuantised(w, isMatrix);
    const own = <T extends Float32Array | Uint16Array>(all: T): T =>
      part ? cutPart(all, tensor.dims, part) : all;
    const floats = (room?: Room): Float32Array => {
      const data = own<Float32Array>(tensorToF32(tensor));
      if (!transposed) return data;
      return turned(data, v.shape, new Float32Array(placeFor(data, room), 0, data.length));
    };
    const [rows, columns] = shape as [number, number];
    const isLarge = isMatrix && rows * columns >= LEAST_SIZE;
    if (isLarge && precision === 'q4' && read.product && columns >= LEAST_COLUMNS)
      return inCodes(w, loadFormat(columns), () => quantiseMatrix(floats(), rows, columns));
    if (isMatrix && tensor.dtype === 'float16')
      return inHalves(w, (room) => {
        const bits = own<Uint16Array<ArrayBuffer>>(halfBits(tensor));
        if (!transposed) return bits;
        return turned(bits, v.shape, new Uint16Array(placeFor(bits, room), 0, bits.length));
      });
    if (isLarge && precision !== 'file') return inHalves(w, () => float32ToHalf(floats()));
    return inFloats(w, floats);
  };
}

const placeFor = ({ byteLength }: ArrayBufferView, room: Room | undefined): ArrayBuffer =>
  room ? room(byteLength) : new ArrayBuffer(byteLength);

const MAX_F32 = 3.4028234663852886e38;
const MAX_I32 = 2 ** 31 - 1;

function constantData(v: IrValue): Float32Array | Int32Array {
  const data = v.known!();
  if (data instanceof Float32Array && isFloat(v.dtype)) return data;
  const whole = !isFloat(v.dtype);
  const out = whole ? new Int32Array(data.length) : new Float32Array(data.length);
  // Doubles beyond float32 are the exporter's idea of minus infinity; a true infinity stays one.
  const [least, most] = whole ? [-MAX_I32 - 1, MAX_I32] : [-MAX_F32, MAX_F32];
  for (let i = 0; i < out.length; i++) {
    const x = data[i]!;
    out[i] = !whole && !Number.isFinite(x) ? x : Math.min(most, Math.max(least, x));
  }
  return out;
}

function equalData(a: Float32Array | Int32Array, b: Float32Array | Int32Array): boolean {
  let i = 0;
  while (i < a.length && Object.is(a[i], b[i])) i++;
  spend(i);
  return i === a.length;
}

/** Constants of equal contents are one: every layer brings its own mask and rotary tables. */
function sharedConstants(g: Builder): (v: IrValue) => Value {
  const made = new Map<string, { readonly value: Value; readonly data: Float32Array | Int32Array }[]>();
  return (v) => {
    spend(sizeOf(v.shape));
    const data = constantData(v);
    const type = { dtype: dtypeOf(v), shape: v.shape };
    // Alike at a few places is worth a look at all.
    const sample = [0, 0.3, 0.6, 1].map((at) => data[Math.floor(at * (data.length - 1))]);
    const key = `${type.dtype}|${v.shape}|${sample}`;
    const alike = made.get(key) ?? [];
    const twin = alike.find((other) => equalData(other.data, data));
    if (twin) return twin.value;
    const value = g.constant(type, data, 'constant');
    made.set(key, [...alike, { value, data }]);
    return value;
  };
}

/** Whether the engine has ops for a node. */
export const canEmit = (node: IrNode): boolean => {
  const operator = operatorOf(node.op);
  return operator?.emit !== undefined && (operator.emits?.(node) ?? true);
};

/** @returns the values of the graph's inputs and outputs by name */
export function emitGraph(
  graph: IrGraph,
  g: Builder,
  modules: ModuleTable,
  precision: Precision = 'file',
): { inputs: Record<string, Value>; outputs: Record<string, Value> } {
  const values = new Map<IrValue, Value>();
  const store = weightStore(g, graph, precision);
  const weights = new Map<string, Value>();
  const constant = sharedConstants(g);
  const inputs: Record<string, Value> = {};
  for (const v of graph.inputs) {
    const value = g.input(v.name, { dtype: dtypeOf(v), shape: v.shape });
    values.set(v, value);
    inputs[v.name] = value;
  }

  const fetch = (v: IrValue, node: IrNode | null, i: number): Value => {
    const transposed = node ? isTransposed(node, i) : false;
    const known = v.weight ? modules.parameter(v.weight) : null;
    if (known) {
      let weight = weights.get(known.name);
      if (!weight) weights.set(known.name, (weight = store({ ...known, v })));
      // One parameter may be read both ways.
      if (transposed !== known.transposed) weight = transpose(g, weight, { perm: [1, 0] });
      return view(g, weight, node ? engineShape(node, v, transposed) : v.shape);
    }
    let value = values.get(v);
    if (!value) {
      if (!v.known) return fail('internal', `import: ${v.name} is read before it is made.`);
      value = constant(v);
      values.set(v, value);
    }
    return value;
  };

  const emit = (node: IrNode): void => {
    const optional = (i: number): Value | null => (node.inputs[i] ? fetch(node.inputs[i], node, i) : null);
    const e: Emission = {
      g,
      node,
      attrs: node.attrs,
      shape: node.outputs[0]!.shape,
      module: modules.module(node),
      x: (i) => optional(i) ?? fail('internal', `import: ${node.op} lacks operand ${i}.`),
      optional,
    };
    const made = operatorOf(node.op)!.emit!(e);
    const results = Array.isArray(made) ? (made as readonly Value[]) : [made as Value];
    node.outputs.forEach((out, i) => {
      values.set(out, results[i]!);
    });
  };
  for (const node of graph.nodes)
    atPlace(
      () => (node.origin ? nodeCalled(node.origin) : say`An operator ${node.op}`),
      () => emit(node),
    );

  const outputs: Record<string, Value> = {};
  for (const { name, value } of graph.outputs) outputs[name] = fetch(value, null, 0);
  return { inputs, outputs };
}
