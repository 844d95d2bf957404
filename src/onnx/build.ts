/**
 * ONNX models made on the spot: `buildModel` from lists, and `graphBuilder`, which lets code read like the model it describes:
 *
 *     const g = graphBuilder({ name: 'tiny' });
 *     const x = g.input('x', 'float32', ['batch', 4]);
 *     const w = g.weight('fc.weight', [4, 2], values);
 *     g.output(g.op('MatMul', [x, w], {}, { name: '/fc/MatMul' }), 'float32', ['batch', 2]);
 *     const model = g.build();
 */
import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  type StringStringEntryProto,
  StringStringEntryProtoSchema,
} from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { valueInfoProto } from './proto.ts';
import { f32Tensor, int64Tensor, makeTensor } from './tensor.ts';
import {
  type AttributeValue,
  type Dim,
  DTYPES,
  type OnnxDType,
  type OnnxGraph,
  type OnnxModel,
  type OnnxTensor,
} from './types.ts';
import { viewModel } from './view.ts';

/**
 * A plain value for an attribute. Whole numbers become ints, other numbers floats - write `{ kind: 'float', value: 1 }` for a float
 * that happens to be whole.
 */
export type AttributeInput =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | OnnxTensor
  | AttributeValue;

export interface NodeInput {
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  readonly name?: string;
  readonly domain?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface ValueInput {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly dims: readonly Dim[] | null;
}

export interface ModelOptions {
  /** Of the default domain; 17 unless given, which Debian's and every current onnxruntime know. */
  readonly opset?: number;
  /** Other domains, e.g. { 'com.microsoft': 1 }. */
  readonly opsets?: Readonly<Record<string, number>>;
  /** The IR version that came with the opset, unless given. */
  readonly irVersion?: number;
  /** Name of the graph. */
  readonly name?: string;
  readonly producer?: { readonly name: string; readonly version?: string };
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface ModelInput extends ModelOptions {
  readonly inputs: readonly ValueInput[];
  readonly outputs: readonly ValueInput[];
  readonly nodes: readonly NodeInput[];
  readonly initializers?: readonly OnnxTensor[];
  readonly valueInfo?: readonly ValueInput[];
}

/** The IR version of the ONNX release that introduced an opset. */
function irVersionOf(opset: number): number {
  const firstOpset = [
    [23, 11],
    [21, 10],
    [19, 9],
    [15, 8],
    [12, 7],
    [11, 6],
  ] as const;
  return firstOpset.find(([from]) => opset >= from)?.[1] ?? 4;
}

const entries = (record: Readonly<Record<string, string>> = {}): StringStringEntryProto[] =>
  Object.entries(record).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));

function normalise(input: AttributeInput): AttributeValue {
  if (typeof input === 'number') return { kind: Number.isInteger(input) ? 'int' : 'float', value: input };
  if (typeof input === 'string') return { kind: 'string', value: input };
  if ('kind' in input) return input;
  if ('dtype' in input) return { kind: 'tensor', value: input };
  if (input.every((item) => typeof item === 'string')) return { kind: 'strings', value: input };
  if (input.every((item) => typeof item === 'number'))
    return { kind: input.every(Number.isInteger) ? 'ints' : 'floats', value: input };
  return fail('bad-argument', say`An attribute list must hold only numbers or only strings.`);
}

function attributeProto(name: string, input: AttributeInput): AttributeProto {
  const { kind, value } =
    input === undefined ? fail('bad-argument', say`Attribute "${name}" is undefined.`) : normalise(input);
  const utf8 = new TextEncoder();
  const make = (type: AttributeType, fields: Partial<AttributeProto>) =>
    Object.assign(create(AttributeProtoSchema, { name, type }), fields);
  switch (kind) {
    case 'int':
      return make(AttributeType.INT, { i: BigInt(value) });
    case 'float':
      return make(AttributeType.FLOAT, { f: value });
    case 'string':
      return make(AttributeType.STRING, { s: utf8.encode(value) });
    case 'ints':
      return make(AttributeType.INTS, { ints: value.map(BigInt) });
    case 'floats':
      return make(AttributeType.FLOATS, { floats: [...value] });
    case 'strings':
      return make(AttributeType.STRINGS, { strings: value.map((item) => utf8.encode(item)) });
    case 'tensor':
      return make(AttributeType.TENSOR, { t: value.proto });
    case 'graph':
      return make(AttributeType.GRAPH, { g: value.proto });
    case 'other':
      return value;
  }
}

/** The message of a node. */
export function nodeProto(node: NodeInput): NodeProto {
  return create(NodeProtoSchema, {
    opType: node.opType,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: Object.entries(node.attributes ?? {}).map(([name, value]) => attributeProto(name, value)),
    metadataProps: entries(node.metadata),
    // Absent and empty differ in the file; exporters leave empty names out.
    ...(node.name && { name: node.name }),
    ...(node.domain && { domain: node.domain }),
  });
}

const valueProto = ({ name, dtype, dims }: ValueInput) => valueInfoProto(name, DTYPES[dtype].code, dims);

/** Builds a model from lists; nodes in topological order, as ONNX wants them. */
export function buildModel(input: ModelInput): OnnxModel {
  const opset = input.opset ?? 17;
  const initializer = (input.initializers ?? []).map(({ proto }) => proto);
  const irVersion = input.irVersion ?? irVersionOf(opset);
  const inputs = input.inputs.map(valueProto);
  if (irVersion < 4)
    inputs.push(
      ...initializer.map(({ name, dataType, dims }) => valueInfoProto(name, dataType, dims.map(Number))),
    );
  const proto = create(ModelProtoSchema, {
    irVersion: BigInt(irVersion),
    producerName: input.producer?.name ?? 'papilio',
    ...(input.producer?.version && { producerVersion: input.producer.version }),
    opsetImport: Object.entries({ '': opset, ...input.opsets }).map(([domain, version]) =>
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
    ),
    metadataProps: entries(input.metadata),
    graph: create(GraphProtoSchema, {
      name: input.name ?? 'main_graph',
      input: inputs,
      output: input.outputs.map(valueProto),
      valueInfo: (input.valueInfo ?? []).map(valueProto),
      node: input.nodes.map(nodeProto),
      initializer,
    }),
  });
  return viewModel(proto, new Map());
}

export interface OpOptions {
  /** Node name, e.g. '/encoder/layer.0/attention/self/query/MatMul'. */
  readonly name?: string;
  readonly domain?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Names of the outputs; one fresh name unless given. */
  readonly outputs?: readonly string[];
}

type Attributes = Readonly<Record<string, AttributeInput>>;

/** Builds a graph step by step; values are known by name. */
export interface GraphBuilder {
  input(name: string, dtype: OnnxDType, dims: readonly Dim[] | null): string;
  /** Declares a value as output of the graph; `name`, if given, renames it by an Identity node. */
  output(value: string, dtype: OnnxDType, dims: readonly Dim[] | null, name?: string): void;
  /** A float32 initialiser, row-major. */
  weight(name: string, dims: readonly number[], data: ArrayLike<number>): string;
  /** An initialiser of any type. */
  initializer(tensor: OnnxTensor): string;
  /** An unnamed int64 vector (or scalar, with dims []), as shapes and axes need them. */
  ints(values: readonly number[], dims?: readonly number[]): string;
  /** An unnamed scalar. */
  scalar(value: number, dtype?: OnnxDType): string;
  /** Adds a node and gives its first output. */
  op(opType: string, inputs: readonly string[], attributes?: Attributes, options?: OpOptions): string;
  /** Adds a node with `count` outputs, e.g. Split. */
  ops(
    count: number,
    opType: string,
    inputs: readonly string[],
    attributes?: Attributes,
    options?: OpOptions,
  ): string[];
  /** A Constant node, as TorchScript exports spell small constants. */
  constant(tensor: OnnxTensor, options?: OpOptions): string;
  build(): OnnxModel;
  /** The graph alone, for the branch of an If. */
  graph(): OnnxGraph;
}

/** Starts an empty graph. */
export function graphBuilder(options: ModelOptions = {}): GraphBuilder {
  const inputs: ValueInput[] = [];
  const outputs: ValueInput[] = [];
  const nodes: NodeInput[] = [];
  const initializers: OnnxTensor[] = [];
  const taken = new Set<string>();
  const claim = (name: string): string => {
    if (taken.has(name)) fail('bad-argument', say`The graph already has a value called "${name}".`);
    taken.add(name);
    return name;
  };
  const fresh = (base: string): string => {
    let i = taken.size;
    while (taken.has(`${base}_${i}`)) i++;
    return `${base}_${i}`;
  };

  const ops: GraphBuilder['ops'] = (
    count,
    opType,
    from,
    attributes = {},
    { outputs: named, ...rest } = {},
  ) => {
    const to: string[] = [];
    // '' stands for an output that nobody wants.
    for (let i = 0; i < count; i++)
      to.push(named?.[i] === '' ? '' : claim(named?.[i] ?? fresh(`${rest.name ?? opType}_output`)));
    nodes.push({ opType, inputs: from, outputs: to, attributes, ...rest });
    return to;
  };
  const initializer = (tensor: OnnxTensor): string => {
    initializers.push(tensor);
    return claim(tensor.name);
  };
  const build = () => buildModel({ ...options, inputs, outputs, nodes, initializers });

  return {
    input(name, dtype, dims) {
      inputs.push({ name, dtype, dims });
      return claim(name);
    },
    output(value, dtype, dims, name) {
      if (name !== undefined) ops(1, 'Identity', [value], {}, { outputs: [name] });
      outputs.push({ name: name ?? value, dtype, dims });
    },
    weight: (name, dims, data) => initializer(f32Tensor(name, dims, data)),
    initializer,
    ints: (values, dims) => initializer(int64Tensor(fresh('ints'), values, dims)),
    scalar: (value, dtype = 'float32') => initializer(makeTensor(fresh('scalar'), dtype, [], [value])),
    ops,
    op: (...args) => ops(1, ...args)[0]!,
    constant: (value, rest) => ops(1, 'Constant', [], { value }, rest)[0]!,
    build,
    graph: () => build().graph,
  };
}
