/**
 * Writes ONNX nodes for graph ops. Equal nodes are written once, so that a gradient which recomputes a part of the forward pass shares
 * it, and nodes that no output needs are left out.
 */
import { sizeOf } from '../../graph/shape.ts';
import type { DType, Node, Value } from '../../graph/types.ts';
import { fail } from '../../lib/errors.ts';
import { type AttributeInput, buildModel, type NodeInput, type ValueInput } from '../../onnx/build.ts';
import { makeTensor } from '../../onnx/tensor.ts';
import type { OnnxDType, OnnxModel, OnnxTensor } from '../../onnx/types.ts';

type Attributes = Readonly<Record<string, AttributeInput>>;

export interface OnnxEmitter {
  op(opType: string, inputs: readonly string[], attributes?: Attributes): string;
  ops(count: number, opType: string, inputs: readonly string[], attributes?: Attributes): readonly string[];
  /** A float32 scalar, or zeros of a shape. */
  scalar(value: number): string;
  zeros(shape: readonly number[]): string;
  /** An int64 vector, as shapes and axes need them; [] as `dims` makes a scalar. */
  ints(values: readonly number[], dims?: readonly number[]): string;
  /** A constant of the graph itself. */
  tensor(dtype: OnnxDType, dims: readonly number[], data: ArrayLike<number>): string;
  reshape(x: string, shape: readonly number[]): string;
  transpose(x: string, perm: readonly number[]): string;
  reduce(opType: 'ReduceSum' | 'ReduceMean' | 'ReduceMax', x: string, axes: readonly number[]): string;
}

/** Writes one node of the graph: names of its inputs in, names of its outputs back. */
export type Lowering = (e: OnnxEmitter, inputs: readonly string[], node: Node) => readonly string[];

/** A lowering that knows its attributes. */
export const lowering = <A>(
  write: (e: OnnxEmitter, inputs: readonly string[], node: Node<A>) => readonly string[],
): Lowering => write as unknown as Lowering;

/** ONNX's name of an element type; the engine's own half precision never reaches a training graph. */
export function onnxType(dtype: DType): OnnxDType {
  const known: Partial<Record<DType, OnnxDType>> = { f32: 'float32', i32: 'int32' };
  return known[dtype] ?? fail('unsupported-onnx', `A graph with ${dtype} values cannot be written as ONNX.`);
}

export interface EmitterEnd {
  readonly emitter: OnnxEmitter;
  finish(
    inputs: readonly ValueInput[],
    outputs: ReadonlyMap<string, Value & { readonly at: string }>,
  ): OnnxModel;
}

export function createEmitter(): EmitterEnd {
  const nodes: NodeInput[] = [];
  const initializers: OnnxTensor[] = [];
  const known = new Map<string, readonly string[]>();
  let count = 0;
  const fresh = (base: string) => `${base}_${count++}`;
  const once = (key: string, make: () => readonly string[]): readonly string[] => {
    const before = known.get(key);
    if (before) return before;
    const made = make();
    known.set(key, made);
    return made;
  };
  const initializer = (dtype: OnnxDType, dims: readonly number[], data: ArrayLike<number>): string => {
    const name = fresh('constant');
    initializers.push(makeTensor(name, dtype, dims, data));
    return name;
  };
  const ops: OnnxEmitter['ops'] = (outputs, opType, inputs, attributes = {}) =>
    once(JSON.stringify([outputs, opType, inputs, attributes]), () => {
      const made = Array.from({ length: outputs }, () => fresh(opType));
      nodes.push({ opType, inputs, outputs: made, attributes });
      return made;
    });
  const op: OnnxEmitter['op'] = (...args) => ops(1, ...args)[0]!;
  const ints: OnnxEmitter['ints'] = (values, dims = [values.length]) =>
    once(`ints ${values} ${dims}`, () => [initializer('int64', dims, values)])[0]!;

  const emitter: OnnxEmitter = {
    op,
    ops,
    ints,
    scalar: (value) => once(`scalar ${value}`, () => [initializer('float32', [], [value])])[0]!,
    zeros: (shape) =>
      once(`zeros ${shape}`, () => [initializer('float32', shape, new Float32Array(sizeOf(shape)))])[0]!,
    tensor: initializer,
    reshape: (x, shape) => op('Reshape', [x, ints(shape)]),
    transpose: (x, perm) => op('Transpose', [x], { perm }),
    reduce: (opType, x, axes) => op(opType, [x, ints(axes)], { keepdims: 1 }),
  };

  return {
    emitter,
    finish(inputs, outputs) {
      const needed = new Set<string>();
      const ends: ValueInput[] = [];
      for (const [name, { dtype, shape, at }] of outputs) {
        needed.add(at);
        nodes.push({ opType: 'Identity', inputs: [at], outputs: [name] });
        needed.add(name);
        ends.push({ name, dtype: onnxType(dtype), dims: shape });
      }
      const live: NodeInput[] = [];
      for (const node of nodes.toReversed()) {
        if (!node.outputs.some((name) => needed.has(name))) continue;
        for (const name of node.inputs) needed.add(name);
        live.unshift(node);
      }
      return buildModel({
        opset: 18,
        name: 'training',
        inputs: inputs.filter(({ name }) => needed.has(name)),
        outputs: ends,
        nodes: live,
        initializers: initializers.filter(({ name }) => needed.has(name)),
      });
    },
  };
}
