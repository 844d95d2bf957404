/** From protobuf messages to the plain views of types.ts; every constant tensor in the graph and its subgraphs is checked on the way. */
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type StringStringEntryProto,
  AttributeProto_AttributeType as Type,
  type ValueInfoProto,
} from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { f32Tensor, int64Tensor, makeTensor, safeInteger, stringTensor, viewTensor } from './tensor.ts';
import {
  type AttributeValue,
  type Dim,
  dtypeOfCode,
  type ExternalFiles,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type ValueInfo,
} from './types.ts';

const utf8 = new TextDecoder();
const normalDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);
const pairs = (entries: readonly StringStringEntryProto[]): ReadonlyMap<string, string> =>
  new Map(entries.map(({ key, value }) => [key, value]));

/** Files of the oldest IR leave `type` out; then the field that is set tells. */
function typeOf(proto: AttributeProto): Type {
  if (proto.type !== Type.UNDEFINED) return proto.type;
  if (Object.hasOwn(proto, 'f')) return Type.FLOAT;
  if (Object.hasOwn(proto, 'i')) return Type.INT;
  if (Object.hasOwn(proto, 's')) return Type.STRING;
  if (proto.t) return Type.TENSOR;
  if (proto.g) return Type.GRAPH;
  if (proto.floats.length > 0) return Type.FLOATS;
  if (proto.ints.length > 0) return Type.INTS;
  return proto.strings.length > 0 ? Type.STRINGS : Type.UNDEFINED;
}

function viewAttribute(proto: AttributeProto, what: string, external: ExternalFiles): AttributeValue {
  const missing = (): never => fail('malformed-onnx', say`The ${what} has no value; the file is damaged.`);
  switch (typeOf(proto)) {
    case Type.INT:
      return { kind: 'int', value: safeInteger(proto.i) };
    case Type.FLOAT:
      return { kind: 'float', value: proto.f };
    case Type.STRING:
      return { kind: 'string', value: utf8.decode(proto.s) };
    case Type.INTS:
      return { kind: 'ints', value: proto.ints.map(safeInteger) };
    case Type.FLOATS:
      return { kind: 'floats', value: proto.floats };
    case Type.STRINGS:
      return { kind: 'strings', value: proto.strings.map((bytes) => utf8.decode(bytes)) };
    case Type.TENSOR:
      return { kind: 'tensor', value: viewTensor(proto.t ?? missing(), what, external) };
    case Type.GRAPH:
      return { kind: 'graph', value: viewGraph(proto.g ?? missing(), external) };
    default:
      return { kind: 'other', value: proto };
  }
}

function viewNode(proto: NodeProto, index: number, external: ExternalFiles): OnnxNode {
  const label = proto.name === '' ? `#${index}` : `"${proto.name}"`;
  if (proto.opType === '') fail('malformed-onnx', say`Node ${label} has no operator; the file is damaged.`);
  return {
    index,
    name: proto.name,
    opType: proto.opType,
    domain: normalDomain(proto.domain),
    inputs: proto.input,
    outputs: proto.output,
    attributes: new Map(
      proto.attribute.map((attribute) => [
        attribute.name,
        viewAttribute(
          attribute,
          say`attribute "${attribute.name}" of ${proto.opType} node ${label}`,
          external,
        ),
      ]),
    ),
    metadata: pairs(proto.metadataProps),
    proto,
  };
}

function viewValueInfo(proto: ValueInfoProto): ValueInfo {
  const { name } = proto;
  const type = proto.type?.value;
  if (type?.case !== 'tensorType') return { name, dtype: null, dims: null };
  const dims = type.value.shape?.dim.map(({ value }): Dim => {
    if (value.case === 'dimParam') return value.value === '' ? null : value.value;
    // Some exporters write -1 for a free size; one beyond 2^53 is a damaged number and says nothing.
    return value.case === 'dimValue' && value.value >= 0n && value.value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value.value)
      : null;
  });
  return { name, dtype: dtypeOfCode(type.value.elemType), dims: dims ?? null };
}

/** The value of a Constant node, or null for the kinds that are no dense tensor. */
function constantValue(node: OnnxNode, name: string): OnnxTensor | null {
  for (const [key, { kind, value }] of node.attributes) {
    if (key === 'value' && kind === 'tensor') return value;
    if (key === 'value_float' && kind === 'float') return f32Tensor(name, [], [value]);
    if (key === 'value_floats' && kind === 'floats') return f32Tensor(name, [value.length], value);
    if (key === 'value_int' && kind === 'int') return int64Exact(node, name, []);
    if (key === 'value_ints' && kind === 'ints') return int64Exact(node, name, [value.length]);
    if (key === 'value_string' && kind === 'string') return stringTensor(name, [value], []);
    if (key === 'value_strings' && kind === 'strings') return stringTensor(name, value);
  }
  return null;
}

/** value_int(s) from the message, where integers are not saturated. */
function int64Exact(node: OnnxNode, name: string, dims: readonly number[]): OnnxTensor {
  const attribute = node.proto.attribute.find(
    ({ name: key }) => key === 'value_int' || key === 'value_ints',
  )!;
  const values = dims.length === 0 ? [attribute.i] : attribute.ints;
  if (values.every((value) => BigInt(safeInteger(value)) === value))
    return int64Tensor(name, values.map(Number), dims);
  const tensor = makeTensor(name, 'int64', dims, new Float64Array(values.length));
  new BigInt64Array(tensor.bytes().buffer).set(values);
  return tensor;
}

function viewGraph(proto: GraphProto, external: ExternalFiles): OnnxGraph {
  const initializers = new Map<string, OnnxTensor>();
  for (const tensor of proto.initializer) {
    if (initializers.has(tensor.name))
      fail('malformed-onnx', say`Two initialisers are called "${tensor.name}"; the file is damaged.`);
    initializers.set(tensor.name, viewTensor(tensor, say`initialiser "${tensor.name}"`, external));
  }
  const nodes = proto.node.map((node, index) => viewNode(node, index, external));
  const constants = new Map<string, OnnxTensor>();
  for (const node of nodes) {
    const output = node.outputs[0];
    if (node.opType !== 'Constant' || node.domain !== '' || output === undefined) continue;
    const value = constantValue(node, output);
    if (value) constants.set(output, value);
  }
  return {
    name: proto.name,
    nodes,
    inputs: proto.input.filter(({ name }) => !initializers.has(name)).map(viewValueInfo),
    outputs: proto.output.map(viewValueInfo),
    valueInfo: new Map(proto.valueInfo.map((value) => [value.name, viewValueInfo(value)])),
    initializers,
    constants,
    proto,
  };
}

/** The default domain's opset of a model that only its functions use. */
function functionsOpset({ functions }: ModelProto): number | undefined {
  const own = functions.flatMap((f) => f.opsetImport.filter(({ domain }) => normalDomain(domain) === ''));
  return own[0] && Number(own[0].version);
}

/**
 * Views a ModelProto.
 * @throws PapilioError malformed-onnx for a model without graph or opset, and for any constant tensor whose data does not match its shape
 */
export function viewModel(proto: ModelProto, external: ExternalFiles): OnnxModel {
  if (!proto.graph)
    fail(
      'malformed-onnx',
      say`The file holds no graph, so it is not an ONNX model; choose a file that ends in .onnx.`,
    );
  const opsets = new Map<string, number>();
  for (const { domain, version } of proto.opsetImport) {
    if (version < 1n || version > 1_000_000n)
      fail(
        'malformed-onnx',
        say`The model asks for opset ${String(version)} of domain "${domain}", which cannot be; the file is damaged.`,
      );
    opsets.set(normalDomain(domain), Number(version));
  }
  const opset =
    opsets.get('') ??
    functionsOpset(proto) ??
    fail('malformed-onnx', say`The model does not say which ONNX opset it uses; export it again.`);
  return {
    proto,
    opset,
    opsets,
    irVersion: safeInteger(proto.irVersion),
    graph: viewGraph(proto.graph, external),
    producer: { name: proto.producerName, version: proto.producerVersion },
    metadata: pairs(proto.metadataProps),
    external,
  };
}
