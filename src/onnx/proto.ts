/** Small protobuf work: a value's declaration, and changed copies of protobuf messages, where only what changes is new, everything else - unknown fields included - is shared. */
import { clearField, create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type {
  AttributeProto,
  GraphProto,
  NodeProto,
  StringStringEntryProto,
  TensorProto,
  ValueInfoProto,
} from 'onnx-buf';
import {
  AttributeProtoSchema,
  GraphProtoSchema,
  NodeProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import type { Dim } from './types.ts';

/** The declaration of a tensor value; `dims` null leaves even the rank open. */
export function valueInfoProto(name: string, elemType: number, dims: readonly Dim[] | null): ValueInfoProto {
  const dim = (dims ?? []).map((size) =>
    create(TensorShapeProto_DimensionSchema, {
      value:
        size === null
          ? { case: undefined }
          : typeof size === 'string'
            ? { case: 'dimParam', value: size }
            : { case: 'dimValue', value: BigInt(size) },
    }),
  );
  const tensor = create(TypeProto_TensorSchema, {
    elemType,
    ...(dims && { shape: create(TensorShapeProtoSchema, { dim }) }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }),
  });
}

/** A shallow copy with some fields replaced. */
export function withFields<D extends DescMessage>(
  schema: D,
  message: MessageShape<D>,
  fields: Partial<MessageShape<D>>,
): MessageShape<D> {
  return Object.assign(create(schema), message, fields);
}

/** The tensor with its data replaced by raw bytes, wherever it was kept before. */
export function withRawData(tensor: TensorProto, rawData: Uint8Array<ArrayBuffer>): TensorProto {
  const out = withFields(TensorProtoSchema, tensor, {
    rawData,
    floatData: [],
    int32Data: [],
    int64Data: [],
    doubleData: [],
    uint64Data: [],
    externalData: [],
  });
  clearField(out, TensorProtoSchema.field.dataLocation);
  return out;
}

/** The tensor with its data replaced by a reference to a data file. */
export function withExternalData(tensor: TensorProto, externalData: StringStringEntryProto[]): TensorProto {
  const out = withRawData(tensor, new Uint8Array(0));
  clearField(out, TensorProtoSchema.field.rawData);
  return Object.assign(out, { dataLocation: TensorProto_DataLocation.EXTERNAL, externalData });
}

/** The list itself if `change` returns every item as it was, else a new list. */
function mapShared<T>(items: T[], change: (item: T) => T): T[] {
  const out = items.map(change);
  return out.every((item, i) => item === items[i]) ? items : out;
}

/** The node with the first attribute called `name` changed. */
export function withAttribute(
  node: NodeProto,
  name: string,
  change: (attribute: NodeProto['attribute'][number]) => NodeProto['attribute'][number],
): NodeProto {
  return withFields(NodeProtoSchema, node, {
    attribute: node.attribute.map((attribute) => (attribute.name === name ? change(attribute) : attribute)),
  });
}

/** The subgraphs of an attribute. */
export const subgraphsOf = (a: AttributeProto): readonly GraphProto[] =>
  a.g ? [a.g, ...a.graphs] : a.graphs;

/** The node with its subgraphs changed; itself if it has none. */
export function mapSubgraphs(node: NodeProto, change: (g: GraphProto) => GraphProto): NodeProto {
  if (!node.attribute.some((a) => subgraphsOf(a).length > 0)) return node;
  return withFields(NodeProtoSchema, node, {
    attribute: node.attribute.map((a) =>
      subgraphsOf(a).length === 0
        ? a
        : withFields(AttributeProtoSchema, a, {
            ...(a.g ? { g: change(a.g) } : {}),
            graphs: a.graphs.map(change),
          }),
    ),
  });
}

/** The graph with `change` applied to every initialiser and attribute tensor, subgraphs included. */
export function mapTensors(graph: GraphProto, change: (tensor: TensorProto) => TensorProto): GraphProto {
  const initializer = mapShared(graph.initializer, change);
  const node = mapShared(graph.node, (item) => {
    const attribute = mapShared(item.attribute, (entry) => {
      const t = entry.t && change(entry.t);
      const g = entry.g && mapTensors(entry.g, change);
      if (t === entry.t && g === entry.g) return entry;
      return withFields(AttributeProtoSchema, entry, { ...(t && { t }), ...(g && { g }) });
    });
    return attribute === item.attribute ? item : withFields(NodeProtoSchema, item, { attribute });
  });
  if (initializer === graph.initializer && node === graph.node) return graph;
  return withFields(GraphProtoSchema, graph, { initializer, node });
}
