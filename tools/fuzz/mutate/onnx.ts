/**
 * ONNX models spoiled in their structure: nodes, edges, attributes, shapes, initialisers, subgraphs, functions, opsets. What comes out is a
 * well-formed message, so the readers behind the decoder meet it.
 */
import { clone, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import type { Rng } from '../../../src/lib/rng.ts';
import { valueInfoProto } from '../../../src/onnx/proto.ts';
import { utf8 } from '../door.ts';
import { ODD_NAMES } from './json.ts';

const INTS = [
  ...[0n, 1n, 2n, 3n, 4n, 5n, 7n, 8n, 16n, 31n, 64n, 255n, 1000n, 4096n, 65536n, 1000003n, 30000000n],
  ...[300000000n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n],
  ...[-1n, -2n, -3n, -5n, -8n, -1000n, -(2n ** 31n), -(2n ** 53n), -(2n ** 63n)],
];
const FLOATS = [0, -0, 1, -1, 0.5, 1e-30, 1e30, -1e30, 3.4e38, Number.NaN, Infinity, -Infinity, 1e9, 2.5];

const OPS = [
  ...['Abs', 'Add', 'And', 'ArgMax', 'BatchNormalization', 'Cast', 'CastLike', 'Ceil', 'Clip', 'Concat'],
  ...['ConcatFromSequence', 'Constant', 'ConstantOfShape', 'Conv', 'Cos', 'CumSum', 'DepthToSpace'],
  ...['DequantizeLinear', 'Div', 'Dropout', 'DynamicQuantizeLinear', 'Einsum', 'Elu', 'Equal', 'Erf', 'Exp'],
  ...['Expand', 'EyeLike', 'Flatten', 'Floor', 'Gather', 'GatherElements', 'GatherND', 'Gelu', 'Gemm'],
  ...['GlobalAveragePool', 'Greater', 'GroupNormalization', 'GRU', 'Identity', 'If', 'InstanceNormalization'],
  ...['IsNaN', 'LayerNormalization', 'LeakyRelu', 'Less', 'Log', 'LogSoftmax', 'Loop', 'LSTM', 'MatMul'],
  ...['MatMulInteger', 'Max', 'MaxPool', 'Min', 'Mod', 'Mul', 'Neg', 'NonZero', 'Not', 'OneHot', 'Or', 'Pad'],
  ...['Pow', 'QuantizeLinear', 'RandomNormal', 'Range', 'Reciprocal', 'ReduceMax', 'ReduceMean', 'ReduceSum'],
  ...['ReduceProd', 'Relu', 'Reshape', 'Resize', 'RMSNormalization', 'RotaryEmbedding', 'Round', 'Scan'],
  ...[
    'ScatterElements',
    'ScatterND',
    'Shape',
    'Sigmoid',
    'Sign',
    'Sin',
    'Size',
    'Slice',
    'Softmax',
    'Softplus',
  ],
  ...['Split', 'Sqrt', 'Squeeze', 'Sub', 'Sum', 'Tanh', 'Tile', 'TopK', 'Transpose', 'Trilu', 'Unsqueeze'],
  ...['Where', 'Xor', 'Attention', 'MatMulNBits', 'GatherBlockQuantized', 'SkipLayerNormalization'],
  ...['SimplifiedLayerNormalization', 'GroupQueryAttention', 'MultiHeadAttention', 'BiasGelu', 'FastGelu'],
  ...['EmbedLayerNormalization', 'QuickGelu', 'FusedMatMul', 'constructor', 'toString', '__proto__', ''],
];

const ATTRIBUTES = [
  ...['axis', 'axes', 'perm', 'to', 'keepdims', 'pads', 'strides', 'dilations', 'kernel_shape', 'group'],
  ...['allowzero', 'value', 'value_int', 'value_ints', 'value_float', 'value_string', 'epsilon', 'alpha'],
  ...['transA', 'transB', 'num_heads', 'block_size', 'bits', 'K', 'N', 'start', 'end', 'shape', 'equation'],
  ...['num_outputs', 'split', 'exclusive', 'reverse', 'mode', 'batch_dims', 'upper', 'fmod', 'approximate'],
  ...['stash_type', 'scale', 'scales', 'kv_num_heads', 'constructor', '__proto__'],
];

/** A graph, and those inside of its nodes. */
function graphsIn(graph: GraphProto): GraphProto[] {
  const inner = graph.node.flatMap(({ attribute }) =>
    attribute.flatMap(({ g, graphs }) => [...(g ? [g] : []), ...graphs]),
  );
  return [graph, ...inner.flatMap(graphsIn)];
}

const int64Tensor = (name: string, values: readonly bigint[], dims: readonly bigint[]): TensorProto =>
  create(TensorProtoSchema, {
    ...{ name, dataType: 7, dims: [...dims] },
    rawData: new Uint8Array(BigInt64Array.from(values).buffer),
  });

function oddTensor(name: string, random: Rng): TensorProto {
  const count = random.pick([0, 1, 1, 2, 3, 4, 8]);
  const values = Array.from({ length: count }, () => random.pick(INTS));
  const dims = count === 1 && random.chance(0.4) ? [] : [BigInt(count)];
  if (random.chance(0.7)) return int64Tensor(name, values, dims);
  const floats = Float32Array.from({ length: count }, () => random.pick(FLOATS));
  return create(TensorProtoSchema, { name, dataType: 1, dims, rawData: new Uint8Array(floats.buffer) });
}

function spoilTensor(tensor: TensorProto, random: Rng): void {
  switch (random.int(8)) {
    case 0:
      if (tensor.dims.length > 0) tensor.dims[random.int(tensor.dims.length)] = random.pick(INTS);
      else tensor.dims.push(random.pick(INTS));
      break;
    case 1:
      tensor.dims = random.chance(0.5) ? [...tensor.dims].reverse() : [1n, ...tensor.dims];
      break;
    case 2: {
      // Another shape of the same size.
      const size = tensor.dims.reduce((a, b) => a * b, 1n);
      tensor.dims = random.pick([
        [size],
        [1n, size],
        [size, 1n],
        size % 2n === 0n ? [2n, size / 2n] : [size],
      ]);
      break;
    }
    case 3:
      tensor.dataType = random.pick([0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 20, 21, 22, 99]);
      break;
    case 4:
      if (tensor.dataType === 7 && tensor.rawData.length >= 8) {
        const raw = tensor.rawData.slice();
        const at = 8 * random.int(raw.length >> 3);
        new DataView(raw.buffer).setBigInt64(at, random.pick(INTS), true);
        tensor.rawData = raw;
      } else if (tensor.dataType === 1 && tensor.rawData.length >= 4) {
        const raw = tensor.rawData.slice();
        new DataView(raw.buffer).setFloat32(4 * random.int(raw.length >> 2), random.pick(FLOATS), true);
        tensor.rawData = raw;
      }
      break;
    case 5:
      tensor.dims = [0n, ...tensor.dims.slice(1)];
      tensor.rawData = new Uint8Array(0);
      break;
    case 6:
      tensor.rawData = tensor.rawData.slice(0, random.int(tensor.rawData.length + 1));
      break;
    default:
      Object.assign(tensor, oddTensor(tensor.name, random));
  }
}

function oddAttribute(name: string, random: Rng): AttributeProto {
  const make = (type: AttributeType, fields: object) =>
    Object.assign(create(AttributeProtoSchema, { name, type }), fields);
  const many = () => random.pick([0, 1, 2, 3, 4, 5, 9, 300]);
  switch (random.int(7)) {
    case 0:
    case 1:
      return make(AttributeType.INT, { i: random.pick(INTS) });
    case 2:
    case 3:
      return make(AttributeType.INTS, { ints: Array.from({ length: many() }, () => random.pick(INTS)) });
    case 4:
      return make(AttributeType.FLOAT, { f: random.pick(FLOATS) });
    case 5:
      return make(AttributeType.STRING, {
        s: utf8(random.pick([...ODD_NAMES, 'tanh', 'linear', 'bij,bjk->bik', 'reflect'])),
      });
    default:
      return make(AttributeType.TENSOR, { t: oddTensor('', random) });
  }
}

function spoilAttributes(node: NodeProto, random: Rng): void {
  if (node.attribute.length === 0 || random.chance(0.3)) {
    node.attribute.push(oddAttribute(random.pick(ATTRIBUTES), random));
    return;
  }
  const at = random.int(node.attribute.length);
  const attribute = node.attribute[at]!;
  switch (random.int(6)) {
    case 0:
      node.attribute.splice(at, 1);
      break;
    case 1:
      node.attribute.push(clone(AttributeProtoSchema, attribute));
      break;
    case 2:
      if (attribute.t) spoilTensor(attribute.t, random);
      else node.attribute[at] = oddAttribute(attribute.name, random);
      break;
    case 3:
      if (attribute.ints.length > 0) attribute.ints[random.int(attribute.ints.length)] = random.pick(INTS);
      else if (attribute.type === AttributeType.INT) attribute.i = random.pick(INTS);
      else if (attribute.type === AttributeType.FLOAT) attribute.f = random.pick(FLOATS);
      else attribute.name = random.pick(ATTRIBUTES);
      break;
    case 4:
      attribute.type = random.int(16);
      break;
    default:
      node.attribute[at] = oddAttribute(attribute.name, random);
  }
}

const namesIn = (graph: GraphProto): string[] => [
  ...graph.input.map(({ name }) => name),
  ...graph.initializer.map(({ name }) => name),
  ...graph.node.flatMap(({ output }) => output),
];

/** A node in front of one that makes something of constants which nobody should make. */
function plantMaker(graph: GraphProto, random: Rng): void {
  if (graph.node.length === 0) return;
  const at = random.int(graph.node.length);
  const target = graph.node[at]!;
  const name = `planted_${random.int(1e6)}`;
  const constant = (tensor: TensorProto) => {
    graph.initializer.push(tensor);
    return tensor.name;
  };
  const ints = (values: readonly bigint[], isScalar = false) =>
    constant(
      int64Tensor(`${name}_${graph.initializer.length}`, values, isScalar ? [] : [BigInt(values.length)]),
    );
  const odd = (count: number) => ints(Array.from({ length: count }, () => random.pick(INTS)));
  const known = () => random.pick(namesIn(graph));
  const make = (opType: string, input: string[]) =>
    create(NodeProtoSchema, { opType, input, output: [name] });
  const made = random.pick([
    () => make('ConstantOfShape', [odd(1 + random.int(4))]),
    () =>
      make(
        'Range',
        [0, 1, 2].map(() => ints([random.pick(INTS)], true)),
      ),
    () => make('Expand', [ints([1n], random.chance(0.5)), odd(1 + random.int(3))]),
    () => make('Expand', [known(), odd(1 + random.int(3))]),
    () => make('Tile', [known(), odd(1 + random.int(3))]),
    () => make('Reshape', [known(), odd(1 + random.int(4))]),
    () => make('Slice', [known(), odd(1), odd(1), odd(1), odd(1)]),
    () => make('Pad', [known(), odd(2 + 2 * random.int(2))]),
    () => make('Gather', [known(), odd(1 + random.int(3))]),
    () => make('OneHot', [odd(2), ints([random.pick(INTS)], true), ints([0n, 1n])]),
    () => make('EyeLike', [known()]),
    () => make('Concat', Array.from({ length: random.pick([1, 2, 300]) }, known)),
    () => make('CumSum', [known(), ints([random.pick(INTS)], true)]),
    () => make('Split', [known(), odd(2)]),
    () => make('Einsum', [known(), known()]),
    () => make('Resize', [known(), '', '', odd(3)]),
  ])();
  graph.node.splice(at, 0, made);
  // A chain doubles what it gets, again and again.
  let last = name;
  if (random.chance(0.15))
    for (let i = 0; i < 40; i++) {
      const output = `${name}_${i}`;
      graph.node.splice(
        at + 1 + i,
        0,
        create(NodeProtoSchema, {
          opType: 'Concat',
          input: [last, last],
          output: [output],
          attribute: [create(AttributeProtoSchema, { name: 'axis', type: AttributeType.INT, i: 0n })],
        }),
      );
      last = output;
    }
  if (target.input.length > 0) target.input[random.int(target.input.length)] = last;
  else target.input.push(last);
}

/** A node put into the branches of an If, or the body of a Loop or Scan. */
function wrap(graph: GraphProto, random: Rng): void {
  if (graph.node.length === 0) return;
  const at = random.int(graph.node.length);
  const node = graph.node[at]!;
  const branch = (outputs: readonly string[]) =>
    create(GraphProtoSchema, {
      name: 'branch',
      node: [clone(NodeProtoSchema, node)],
      output: outputs.map((name) => valueInfoProto(name, 1, null)),
      input: random.chance(0.3) ? [valueInfoProto('i', 7, []), valueInfoProto('c', 9, [])] : [],
    });
  const few = () => random.pick([node.output, [], [...node.output, ...node.output], ['missing']]);
  const g = (name: string) =>
    create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g: branch(few()) });
  const opType = random.pick(['If', 'If', 'Loop', 'Scan']);
  const condition = `cond_${random.int(1e6)}`;
  graph.initializer.push(
    create(TensorProtoSchema, {
      name: condition,
      ...{ dataType: 9, dims: [], rawData: Uint8Array.of(random.int(2)) },
    }),
  );
  graph.node[at] = create(NodeProtoSchema, {
    ...{ opType, output: [...node.output, ...(random.chance(0.3) ? ['more'] : [])] },
    input: opType === 'If' ? [condition] : ['', condition, ...node.input],
    attribute: opType === 'If' ? [g('then_branch'), g('else_branch')] : [g('body')],
  });
}

function spoilNodes(graph: GraphProto, random: Rng): void {
  if (graph.node.length === 0) return;
  const at = random.int(graph.node.length);
  const node = graph.node[at]!;
  const known = () => random.pick([...namesIn(graph), ...ODD_NAMES.slice(0, 4)]);
  switch (random.int(9)) {
    case 0:
      graph.node.splice(at, 1);
      break;
    case 1:
      graph.node.splice(random.int(graph.node.length), 0, clone(NodeProtoSchema, node));
      break;
    case 2:
      node.opType = random.pick(OPS);
      break;
    case 3:
      node.domain = random.pick(['', 'ai.onnx', 'com.microsoft', 'pkg.onnxscript', '__proto__']);
      break;
    case 4:
      graph.node.splice(at, 1);
      graph.node.splice(random.int(graph.node.length + 1), 0, node);
      break;
    case 5:
      if (random.chance(0.5)) node.input.push(known());
      else node.input.splice(random.int(node.input.length + 1), 1);
      break;
    case 6:
      if (node.output.length === 0) node.output.push('out');
      else node.output[random.int(node.output.length)] = known();
      break;
    default:
      if (node.input.length === 0) node.input.push(known());
      else node.input[random.int(node.input.length)] = random.chance(0.2) ? '' : known();
  }
}

function spoilDeclarations(graph: GraphProto, random: Rng): void {
  const list = random.pick([graph.input, graph.output, graph.valueInfo]);
  if (list.length === 0) return;
  const at = random.int(list.length);
  const info = list[at]!;
  const type = info.type?.value;
  switch (random.int(7)) {
    case 0:
      list.splice(at, 1);
      break;
    case 1:
      list.push(clone(ValueInfoProtoSchema, info));
      break;
    case 2:
      info.name = random.pick([...namesIn(graph), ...ODD_NAMES]);
      break;
    case 3:
      if (type?.case === 'tensorType') type.value.elemType = random.pick([0, 1, 6, 7, 8, 9, 10, 11, 16, 99]);
      break;
    case 4:
      list[at] = valueInfoProto(info.name, 1, random.pick([null, [], [1], ['a', 'b'], [2, 3, 4, 5, 6]]));
      break;
    default: {
      const dim = type?.case === 'tensorType' ? type.value.shape?.dim : undefined;
      if (dim === undefined || dim.length === 0) break;
      random.pick(dim).value = random.chance(0.8)
        ? { case: 'dimValue', value: random.pick(INTS) }
        : { case: 'dimParam', value: random.pick(ODD_NAMES) };
    }
  }
}

/** Operators of the file's own, which may be made of themselves. */
function plantFunctions(model: ModelProto, random: Rng): void {
  const { node } = model.graph!;
  if (node.length === 0) return;
  const depth = random.pick([1, 2, 12, 40]);
  const call = (opType: string, input: string[], output: string[]) =>
    create(NodeProtoSchema, { opType, domain: 'own', input, output });
  for (let i = 0; i < depth; i++) {
    const next = i + 1 < depth ? `f${i + 1}` : random.chance(0.5) ? 'f0' : 'Relu';
    const body =
      next === 'Relu'
        ? [create(NodeProtoSchema, { opType: 'Relu', input: ['x'], output: ['y'] })]
        : [call(next, ['x'], ['m']), call(next, ['m'], ['y'])];
    model.functions.push(
      create(FunctionProtoSchema, {
        ...{ name: `f${i}`, domain: 'own', input: ['x'], output: ['y'], node: body },
        opsetImport: model.opsetImport,
      }),
    );
  }
  const target = random.pick(node);
  const [first = ''] = target.input;
  node.splice(node.indexOf(target), 0, call('f0', [first], ['of_function']));
  if (target.input.length > 0) target.input[0] = 'of_function';
}

/** The model with one to three changes. */
export function mutateModel(bytes: Uint8Array, random: Rng): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const { graph: main } = model;
  if (!main) return bytes;
  for (let changes = 1 + random.int(3); changes > 0; changes--) {
    const graphs = graphsIn(main);
    const graph = random.chance(0.7) ? main : random.pick(graphs);
    switch (random.int(12)) {
      case 0:
      case 1:
        spoilNodes(graph, random);
        break;
      case 2:
      case 3:
        if (graph.node.length > 0) spoilAttributes(random.pick(graph.node), random);
        break;
      case 4:
      case 5:
        if (graph.initializer.length > 0) spoilTensor(random.pick(graph.initializer), random);
        break;
      case 6: {
        // Shapes and axes, which decide what is made of the rest.
        const small = graph.initializer.filter(({ dataType }) => dataType === 7);
        if (small.length > 0) spoilTensor(random.pick(small), random);
        break;
      }
      case 7:
        spoilDeclarations(graph, random);
        break;
      case 8:
        plantMaker(graph, random);
        break;
      case 9:
        wrap(graph, random);
        break;
      case 10:
        if (random.chance(0.4)) plantFunctions(model, random);
        else plantMaker(graph, random);
        break;
      default:
        if (random.chance(0.3))
          for (const set of model.opsetImport) set.version = random.pick([11n, 13n, 18n, 23n, ...INTS]);
        else if (graph.initializer.length > 0) {
          const at = random.int(graph.initializer.length);
          if (random.chance(0.5)) graph.initializer.splice(at, 1);
          else graph.initializer[at]!.name = random.pick([...namesIn(graph), ...ODD_NAMES]);
        }
    }
  }
  return toBinary(ModelProtoSchema, model);
}
