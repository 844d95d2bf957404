/**
 * A graph as an ONNX model, so that onnxruntime can run it where WebGPU has only a software adapter. Frozen weights lie in the model, so
 * that no step copies them, as 32-bit numbers, whatever they are stored as; inputs and states become inputs of the model by their names;
 * optimisers, which write in place, have no counterpart.
 */
import { sizeOf } from '../graph/shape.ts';
import type { DType, Graph, OnnxWriter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { buildModel, type NodeInput, type ValueInput } from '../onnx/build.ts';
import { makeTensor } from '../onnx/tensor.ts';
import type { OnnxDType, OnnxModel, OnnxTensor } from '../onnx/types.ts';
import { storedNumbers, storedParameter, widening } from '../ops/fuse/stored.ts';
import { type ProjectRowsAttrs, projectRowsOp } from '../ops/projectRows.ts';

export interface TranslatedGraph {
  readonly model: OnnxModel;
  /** The model's inputs: those of the graph, and the states it reads. */
  readonly inputs: ReadonlyMap<string, Value>;
  /** COFT's projections of the packed state, which whoever runs the model does before: ONNX writes nothing in place. */
  readonly projections: readonly ProjectRowsAttrs[];
}

/** @throws PapilioError('unsupported-onnx') naming the op that has no translation */
export function toOnnx(graph: Graph): TranslatedGraph {
  const { writer, finish } = createWriter();
  const names = new Map<Value, string>();
  const inputs = new Map<string, Value>();

  const nameOf = (v: Value): string => {
    const known = names.get(v);
    if (known !== undefined) return known;
    if (v.role === 'temporary') fail('internal', `toOnnx: ${v.name} is read before it is made.`);
    const isStored = v.role === 'constant' || v.role === 'parameter';
    const name = isStored ? writer.tensor(onnxType(v.dtype), v.shape, v.source!()) : `${v.role} ${v.name}`;
    if (!isStored) inputs.set(name, v);
    names.set(v, name);
    return name;
  };

  const projections: ProjectRowsAttrs[] = [];
  /** Stored weights by what they are named as 32-bit numbers. */
  const wide = new Map<Value, string>();
  for (const node of graph.nodes) {
    if (node.op === projectRowsOp) {
      projections.push(node.attrs as ProjectRowsAttrs);
      continue;
    }
    const [y] = node.outputs;
    const stored = y && widening(y) ? storedParameter(y) : null;
    if (stored) {
      const name = wide.get(stored) ?? writer.tensor('float32', y!.shape, storedNumbers(y!));
      wide.set(stored, name);
      names.set(y!, name);
      continue;
    }
    const { name, onnx } = node.op;
    if (!onnx) return fail('unsupported-onnx', say`The op ${name} has no translation to ONNX.`);
    const made = onnx(writer, node.inputs.map(nameOf), node);
    node.outputs.forEach((v, i) => {
      names.set(v, made[i]!);
    });
  }

  const outputs = Object.entries(graph.outputs).map(([name, v]) => [name, { ...v, at: nameOf(v) }] as const);
  const model = finish(
    [...inputs].map(([name, v]) => ({ name, dtype: onnxType(v.dtype), dims: v.shape })),
    new Map(outputs),
  );
  const live = new Set(model.graph.inputs.map(({ name }) => name));
  return { model, inputs: new Map([...inputs].filter(([name]) => live.has(name))), projections };
}

/** ONNX's name of an element type; only stored weights have another. */
function onnxType(dtype: DType): 'float32' | 'int32' {
  const known: Partial<Record<DType, 'float32' | 'int32'>> = { f32: 'float32', i32: 'int32' };
  return (
    known[dtype] ?? fail('unsupported-onnx', say`A graph with ${dtype} values cannot be written as ONNX.`)
  );
}

interface ModelWriter {
  readonly writer: OnnxWriter;
  finish(
    inputs: readonly ValueInput[],
    outputs: ReadonlyMap<string, Value & { readonly at: string }>,
  ): OnnxModel;
}

/** Elements up to which equal constants are written once. */
const SMALL = 4096;

/** A number as it is told from others: 0 and −0 are two. */
const bitsOf = (value: number): string => (Object.is(value, -0) ? '-0' : `${value}`);

/**
 * Writes a model node by node. Equal nodes are written once, so that a gradient which recomputes a part of the forward pass shares it, and nodes
 * that no output needs are left out.
 */
function createWriter(): ModelWriter {
  const nodes: NodeInput[] = [];
  const initializers: OnnxTensor[] = [];
  const known = new Map<string, string>();
  let count = 0;
  const fresh = (base: string) => `${base}_${count++}`;
  const once = (key: string, make: () => string): string => {
    const name = known.get(key) ?? make();
    known.set(key, name);
    return name;
  };
  const initializer = (dtype: OnnxDType, dims: readonly number[], data: ArrayLike<number>): string => {
    const name = fresh('constant');
    initializers.push(makeTensor(name, dtype, dims, data));
    return name;
  };
  const op: OnnxWriter['op'] = (opType, inputs, attributes = {}) =>
    once(JSON.stringify([opType, inputs, attributes]), () => {
      const made = fresh(opType);
      nodes.push({ opType, inputs, outputs: [made], attributes });
      return made;
    });
  const ints: OnnxWriter['ints'] = (values, dims = [values.length]) =>
    once(`ints ${values} ${dims}`, () => initializer('int64', dims, values));
  const writer: OnnxWriter = {
    op,
    ints,
    scalar: (value) => once(`scalar ${value}`, () => initializer('float32', [], [value])),
    zeros: (shape) =>
      once(`zeros ${shape}`, () => initializer('float32', shape, new Float32Array(sizeOf(shape)))),
    tensor: (dtype, dims, data) =>
      data.length > SMALL
        ? initializer(dtype, dims, data)
        : once(`tensor ${dtype} ${dims} ${Array.from(data, bitsOf)}`, () => initializer(dtype, dims, data)),
    ...namedTables(once, initializer),
    reshape: (x, shape) => op('Reshape', [x, ints(shape)]),
    ...flatParts(op, ints),
    transpose: (x, perm) => op('Transpose', [x], { perm }),
    reduce: (opType, x, axes) => op(opType, [x, ints(axes)], { keepdims: 1 }),
  };
  return {
    writer,
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

/** Tables that are made once for all nodes that name them alike. */
const namedTables = (
  once: (key: string, make: () => string) => string,
  initializer: (dtype: OnnxDType, dims: readonly number[], data: ArrayLike<number>) => string,
): Pick<OnnxWriter, 'table' | 'indices'> => {
  const of =
    (
      dtype: 'float32' | 'int32',
      pack: (numbers: readonly number[]) => ArrayLike<number>,
    ): OnnxWriter['table'] =>
    (name, dims, value) =>
      once(`${dtype} ${name}`, () => {
        const numbers = Array.from({ length: sizeOf(dims) }, (_, i) => value(i));
        return initializer(dtype, dims, pack(numbers));
      });
  return {
    table: of('float32', (n) => Float32Array.from(n)),
    indices: of('int32', (n) => Int32Array.from(n)),
  };
};

/** Flat vectors of pieces and parts of them: what was joined from pieces gives a piece back without a copy. */
function flatParts(op: OnnxWriter['op'], ints: OnnxWriter['ints']): Pick<OnnxWriter, 'joined' | 'part'> {
  const piecesOf = new Map<string, ReadonlyMap<string, string>>();
  return {
    joined(pieces) {
      const names = pieces.map(({ name }) => name);
      const whole = op('Concat', names, { axis: 0 });
      let from = 0;
      const places = pieces.map(({ name, size }): [string, string] => {
        from += size;
        return [`${from - size} ${size}`, name];
      });
      piecesOf.set(whole, new Map(places));
      return whole;
    },
    part: (x, from, size) =>
      piecesOf.get(x)?.get(`${from} ${size}`) ??
      op('Slice', [x, ints([from]), ints([from + size]), ints([0])]),
  };
}
