/**
 * Edits of a decoded model: new values for weights, other nodes in the place of some, an additional initialiser. Each returns a new
 * model that shares all else with the old one; values are written in the file's own element type.
 */
import { create } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProtoSchema,
} from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { valueInfoProto, withAttribute, withFields, withRawData } from './proto.ts';
import { numbersToRaw, tensorToF32, viewTensor } from './tensor.ts';
import type { OnnxDType, OnnxModel, OnnxTensor } from './types.ts';
import { viewModel } from './view.ts';

/** New elements of a tensor, row-major in the file's own layout. */
export interface NewValues {
  readonly data: Float32Array | Float64Array | readonly number[];
  /** The model takes the array over: it is kept where its bytes can be written as they are, and must not change afterwards. */
  readonly owned?: boolean;
}

const WRITABLE: ReadonlySet<OnnxDType> = new Set<OnnxDType>(['float32', 'float16', 'bfloat16', 'double']);

function withGraph(model: OnnxModel, fields: Partial<GraphProto>): OnnxModel {
  const graph = withFields(GraphProtoSchema, model.graph.proto, fields);
  return viewModel(withFields(ModelProtoSchema, model.proto, { graph }), model.external);
}

/** The values in raw layout, refused if they do not fit the tensor. */
function rawValues(name: string, tensor: OnnxTensor, { data, owned }: NewValues): Uint8Array<ArrayBuffer> {
  if (!WRITABLE.has(tensor.dtype))
    fail(
      'unsupported-onnx',
      say`Weight "${name}" is stored as ${tensor.dtype}; Papilio can only write floating-point weights back.`,
    );
  if (data.length !== tensor.size)
    fail(
      'shape',
      say`Weight "${name}" of shape [${tensor.dims.join(', ')}] takes ${tensor.size} values but was given ${data.length}.`,
    );
  const bytes = numbersToRaw(tensor.dtype, data);
  if (tensor.dtype === 'float16' || tensor.dtype === 'bfloat16') {
    const written = tensorToF32({ ...tensor, bytes: () => bytes });
    const lost = written.findIndex((value, i) => Number.isFinite(data[i]!) && !Number.isFinite(value));
    if (lost >= 0)
      fail(
        'non-finite',
        say`Weight "${name}" has the value ${data[lost]!} at position ${lost}, which ${tensor.dtype} cannot hold; use the f32 file of this model.`,
      );
  }
  // The caller's array may be reused for the next weight, while the model lives on.
  return !owned && bytes.buffer === (data as Partial<Float32Array>).buffer ? bytes.slice() : bytes;
}

/** The model with other contents in some stored tensors: initialisers, and Constant nodes by the name of their output. */
function withContents<T>(
  model: OnnxModel,
  changes: ReadonlyMap<string, T>,
  bytesOf: (change: T, tensor: OnnxTensor, name: string) => Uint8Array<ArrayBuffer>,
  constant: (node: NodeProto, tensor: OnnxTensor, bytes: Uint8Array<ArrayBuffer>) => NodeProto,
): OnnxModel {
  const { initializers, constants, proto } = model.graph;
  const initializer = proto.initializer.map((tensor) => {
    const change = changes.get(tensor.name);
    if (change === undefined) return tensor;
    return withRawData(tensor, bytesOf(change, initializers.get(tensor.name)!, tensor.name));
  });
  const node = proto.node.map((item) => {
    const name = item.output[0] ?? '';
    const change = item.opType === 'Constant' && !initializers.has(name) ? changes.get(name) : undefined;
    if (change === undefined) return item;
    const tensor = constants.get(name)!;
    return constant(item, tensor, bytesOf(change, tensor, name));
  });
  return withGraph(model, { initializer, node });
}

function replaceConstant(node: NodeProto, tensor: OnnxTensor, raw: Uint8Array<ArrayBuffer>): NodeProto {
  if (node.attribute.some((attribute) => attribute.name === 'value'))
    return withAttribute(node, 'value', (attribute) =>
      withFields(AttributeProtoSchema, attribute, { t: withRawData(attribute.t!, raw) }),
    );
  const floats = Array.from(tensorToF32({ ...tensor, bytes: () => raw }));
  return tensor.dims.length === 0
    ? withAttribute(node, 'value_float', (attribute) =>
        withFields(AttributeProtoSchema, attribute, { f: floats[0]! }),
      )
    : withAttribute(node, 'value_floats', (attribute) =>
        withFields(AttributeProtoSchema, attribute, { floats }),
      );
}

/**
 * New values for initialisers and for the outputs of Constant nodes, by name. The shape stays; f16 and bf16 files get values rounded
 * to nearest even. Values are copied unless the model takes them over.
 * @throws PapilioError not-found for a name that is neither, shape for a wrong count, unsupported-onnx for a weight that is no float,
 * non-finite for a finite value beyond the range of the file's type
 */
export function replaceInitializers(model: OnnxModel, values: ReadonlyMap<string, NewValues>): OnnxModel {
  const { initializers, constants } = model.graph;
  for (const name of values.keys())
    if (!initializers.has(name) && !constants.has(name))
      fail('not-found', say`The model has no weight called "${name}".`, { name });
  return withContents(model, values, (change, t, name) => rawValues(name, t, change), replaceConstant);
}

/**
 * New raw contents for initialisers and Constant nodes, by name: codes and scales of quantised weights. Kept, not copied.
 * @throws PapilioError not-found for a name that is neither, shape for a wrong length
 */
export function replaceRaw(
  model: OnnxModel,
  contents: ReadonlyMap<string, Uint8Array<ArrayBuffer>>,
): OnnxModel {
  for (const [name, bytes] of contents) {
    const tensor =
      model.graph.initializers.get(name) ??
      model.graph.constants.get(name) ??
      fail('not-found', say`The model has no initialiser called "${name}".`, { name });
    if (bytes.length !== tensor.byteLength)
      fail(
        'shape',
        say`Initialiser "${name}" takes ${tensor.byteLength} bytes but was given ${bytes.length}.`,
      );
  }
  return withContents(
    model,
    contents,
    (bytes) => bytes,
    (node, tensor, bytes) => {
      // Some spell one float as an attribute of its own (value_float): a tensor says the same.
      const t = withRawData(tensor.proto, bytes);
      const type = AttributeProto_AttributeType.TENSOR;
      const attribute = [create(AttributeProtoSchema, { name: 'value', type, t })];
      return withFields(NodeProtoSchema, node, { attribute });
    },
  );
}

/** A node's replacement: the nodes that stand in its place, none to drop it. */
export type NewNodes = readonly {
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  /** The default domain unless given. */
  readonly domain?: string;
  /** Whose attributes it has; unless given, none. */
  readonly like?: NodeProto;
}[];

/**
 * Puts other nodes in the place of some, and drops initialisers that nothing reads any more. What the file notes of the types of their
 * values goes too: it may be so no longer, and every runtime infers it.
 */
export function replaceNodes(model: OnnxModel, byIndex: ReadonlyMap<number, NewNodes>): OnnxModel {
  const { proto } = model.graph;
  const node = proto.node.flatMap((item, i) => {
    const made = byIndex.get(i);
    if (!made) return [item];
    return made.map(({ opType, inputs, outputs, name, domain, like }) =>
      create(NodeProtoSchema, {
        opType,
        input: [...inputs],
        output: [...outputs],
        ...(name === undefined ? {} : { name }),
        ...(domain ? { domain } : {}),
        ...(like ? { attribute: like.attribute, metadataProps: like.metadataProps } : {}),
      }),
    );
  });
  const touched = new Set([...byIndex.keys()].flatMap((i) => proto.node[i]!.output));
  const gone = new Set(
    [...byIndex.keys()].flatMap((i) => proto.node[i]!.input).filter((name) => !readsName(node, name)),
  );
  const kept = new Set(proto.output.map((o) => o.name));
  return withGraph(model, {
    node,
    valueInfo: proto.valueInfo.filter((v) => !touched.has(v.name)),
    initializer: proto.initializer.filter((t) => kept.has(t.name) || !gone.has(t.name)),
    input: proto.input.filter((v) => !gone.has(v.name) || !model.graph.initializers.has(v.name)),
  });
}

/** Whether a node, or a subgraph of one, reads a value of that name. */
const readsName = (nodes: readonly NodeProto[], name: string): boolean =>
  nodes.some(
    (n) => n.input.includes(name) || n.attribute.some((a) => a.g !== undefined && readsName(a.g.node, name)),
  );

/** Names that a node reads, in its subgraphs too. */
const namesRead = (node: NodeProto): string[] => [
  ...node.input,
  ...node.attribute.flatMap(({ g }) =>
    g ? [...g.node.flatMap(namesRead), ...g.output.map((o) => o.name)] : [],
  ),
];

/**
 * Adds nodes and initialisers behind a graph and gives it other outputs; nodes and initialisers that lead to none of them go. Inputs stay.
 * @throws PapilioError bad-argument if a new initialiser's name is taken
 */
export function extendGraph(
  model: OnnxModel,
  nodes: readonly NodeProto[],
  tensors: readonly OnnxTensor[],
  outputs: GraphProto['output'],
): OnnxModel {
  const { proto } = tensors.reduce(addInitializer, model).graph;
  const wanted = new Set(outputs.map((o) => o.name));
  const kept: NodeProto[] = [];
  for (const node of [...proto.node, ...nodes].toReversed()) {
    if (!node.output.some((name) => wanted.has(name))) continue;
    kept.push(node);
    for (const name of namesRead(node)) wanted.add(name);
  }
  const gone = new Set(proto.initializer.map((t) => t.name).filter((name) => !wanted.has(name)));
  return withGraph(model, {
    node: kept.toReversed(),
    output: outputs,
    initializer: proto.initializer.filter((t) => !gone.has(t.name)),
    input: proto.input.filter((v) => !gone.has(v.name)),
    valueInfo: proto.valueInfo.filter((v) => wanted.has(v.name)),
  });
}

/** Every name that a value of the graph or of its subgraphs has; a new one must differ from all. */
function takenNames(proto: GraphProto, names = new Set<string>()): Set<string> {
  for (const { name } of [...proto.input, ...proto.initializer]) names.add(name);
  for (const { output, attribute } of proto.node) {
    for (const name of output) names.add(name);
    for (const { g } of attribute) if (g) takenNames(g, names);
  }
  return names;
}

/** Gives `base`, or the first of base_1, base_2 … that neither a value of the graph has nor was given before. */
export function freeNames(model: OnnxModel): (base: string) => string {
  const taken = takenNames(model.graph.proto);
  return (base) => {
    let name = base;
    for (let i = 1; taken.has(name); i++) name = `${base}_${i}`;
    taken.add(name);
    return name;
  };
}

/** As {@link freeNames}, for one name. */
export const freeName = (model: OnnxModel, base: string): string => freeNames(model)(base);

/**
 * Adds an initialiser.
 * @throws PapilioError bad-argument if a value of that name exists (see {@link freeNames})
 */
export function addInitializer(model: OnnxModel, tensor: OnnxTensor): OnnxModel {
  const { proto } = model.graph;
  if (tensor.name === '' || takenNames(proto).has(tensor.name))
    fail('bad-argument', say`The model already has a value called "${tensor.name}"; choose another name.`);
  const fields: Partial<GraphProto> = { initializer: [...proto.initializer, selfContained(tensor)] };
  // Before IR 4 every initialiser must be a graph input as well.
  if (model.irVersion < 4)
    fields.input = [...proto.input, valueInfoProto(tensor.name, tensor.proto.dataType, tensor.dims)];
  return withGraph(model, fields);
}

/** The message of a tensor, with external data taken in: the other model may not have that file. */
export const selfContained = (tensor: OnnxTensor) =>
  tensor.proto.externalData.length > 0 ? withRawData(tensor.proto, tensor.bytes()) : tensor.proto;

/**
 * Gives every reading of a value by some nodes of the main graph a tensor of their own, added under the tensor's name; the old one goes
 * where nobody else reads it.
 */
export function rewireReaders(
  model: OnnxModel,
  nodes: ReadonlySet<number>,
  from: string,
  tensor: OnnxTensor,
): OnnxModel {
  const added = addInitializer(model, tensor);
  const node = added.graph.proto.node.map((item, i) =>
    nodes.has(i)
      ? withFields(NodeProtoSchema, item, { input: item.input.map((n) => (n === from ? tensor.name : n)) })
      : item,
  );
  const { initializer, input, output } = added.graph.proto;
  const idle = !readsName(node, from) && !output.some(({ name }) => name === from);
  return withGraph(added, {
    node,
    initializer: initializer.filter((t) => !idle || t.name !== from),
    input: input.filter((v) => !idle || v.name !== from || !model.graph.initializers.has(from)),
  });
}

/**
 * A tensor like `model`'s `like` - same shape, element type and metadata - with another name and other values.
 * @throws PapilioError as {@link replaceInitializers}
 */
export function tensorLike(like: OnnxTensor, name: string, values: NewValues): OnnxTensor {
  const proto = withFields(TensorProtoSchema, withRawData(like.proto, rawValues(name, like, values)), {
    name,
  });
  return viewTensor(proto, `tensor "${name}"`);
}
