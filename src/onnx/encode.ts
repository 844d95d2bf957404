/**
 * From an OnnxModel back to bytes. The protobuf writer would copy a large model several times (it grows by doubling and moves every
 * nested message to make room for its length), so initialisers are passed through as chunks and joined once, or never: a Blob takes
 * the chunks as they are. Fields come out in the order of their numbers, as every protobuf writer does it, hence an unedited file
 * usually has identical bytes.
 */
import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { mapTensors, withExternalData, withFields, withRawData } from './proto.ts';
import { externalLocation, isExternal, viewTensor } from './tensor.ts';
import type { OnnxModel } from './types.ts';

/** Protobuf's own limit for a message, and onnxruntime's. */
const PROTOBUF_LIMIT = 2 ** 31 - 1;
/** Raw data from this size on is passed through instead of copied. */
const CHUNK_BYTES = 1024;
/** Initialisers below this size stay in the model file; the threshold of ONNX's own tools. */
const EXTERNAL_BYTES = 1024;
/** Where tensors start in a data file; suits every element type and WebGPU's offsets. */
const EXTERNAL_ALIGNMENT = 256;

type Chunk = Uint8Array<ArrayBuffer>;

const sizeOf = (chunks: readonly Chunk[]): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0);

/** Tag and length of a length-delimited field. */
function prefix(fieldNumber: number, length: number): Chunk {
  const out: number[] = [];
  for (let value of [fieldNumber * 8 + 2, length]) {
    for (; value > 0x7f; value = Math.floor(value / 128)) out.push((value % 128) | 0x80);
    out.push(value);
  }
  return Uint8Array.from(out);
}

/** Encodes the fields of a message whose numbers `keep` accepts; unknown fields go with the last part. */
function encodePart<D extends DescMessage>(
  schema: D,
  message: MessageShape<D>,
  keep: (fieldNumber: number) => boolean,
  last: boolean,
): Chunk {
  const part = create(schema);
  const from = message as unknown as Record<string, unknown>;
  for (const { number, localName } of schema.fields)
    if (keep(number) && Object.hasOwn(from, localName)) Object.assign(part, { [localName]: from[localName] });
  if (last && message.$unknown) part.$unknown = message.$unknown;
  return toBinary(schema, part);
}

/** Encodes a message around one field that is already encoded. */
function encodeAround<D extends DescMessage>(
  schema: D,
  message: MessageShape<D>,
  fieldNumber: number,
  encoded: readonly Chunk[],
): Chunk[] {
  return [
    encodePart(schema, message, (n) => n < fieldNumber, false),
    ...encoded,
    encodePart(schema, message, (n) => n > fieldNumber, true),
  ];
}

function encodeTensor(tensor: TensorProto): Chunk[] {
  const { rawData } = tensor;
  if (rawData.length < CHUNK_BYTES) return [toBinary(TensorProtoSchema, tensor)];
  const field = TensorProtoSchema.field.rawData.number;
  return encodeAround(TensorProtoSchema, tensor, field, [prefix(field, rawData.length), rawData]);
}

function encodeProto(model: ModelProto): Chunk[] {
  const { graph } = model;
  if (!graph) return fail('internal', 'A model without a graph cannot be encoded.');
  const initializer = GraphProtoSchema.field.initializer.number;
  const initializers = graph.initializer.flatMap((tensor) => {
    const body = encodeTensor(tensor);
    return [prefix(initializer, sizeOf(body)), ...body];
  });
  const body = encodeAround(GraphProtoSchema, graph, initializer, initializers);
  const field = ModelProtoSchema.field.graph.number;
  const chunks = encodeAround(ModelProtoSchema, model, field, [prefix(field, sizeOf(body)), ...body]);
  const total = sizeOf(chunks);
  if (total > PROTOBUF_LIMIT)
    fail(
      'limit',
      say`The model takes ${total} bytes, but a single .onnx file can hold at most 2 GiB; save it with its weights in a separate data file.`,
      { bytes: total },
    );
  return chunks;
}

function join(chunks: readonly Chunk[]): Chunk {
  const total = sizeOf(chunks);
  let out: Chunk;
  try {
    out = new Uint8Array(total);
  } catch {
    return fail(
      'out-of-memory',
      say`There is no room for the ${total} bytes of the model file; close other tabs and try again.`,
      {
        bytes: total,
      },
    );
  }
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

const mapModel = (model: OnnxModel, change: (tensor: TensorProto) => TensorProto): ModelProto => {
  const graph = model.graph.proto;
  const changed = mapTensors(graph, change);
  return changed === graph ? model.proto : withFields(ModelProtoSchema, model.proto, { graph: changed });
};

const inline = (model: OnnxModel) => (tensor: TensorProto) =>
  isExternal(tensor)
    ? withRawData(tensor, viewTensor(tensor, `tensor "${tensor.name}"`, model.external).bytes())
    : tensor;

/**
 * The .onnx file in pieces, for `new Blob(chunks)`; weights are not copied. External tensors are taken in, so the file stands alone.
 * @throws PapilioError limit beyond 2 GiB: use {@link encodeExternalChunks}
 */
export function encodeChunks(model: OnnxModel): Uint8Array<ArrayBuffer>[] {
  return encodeProto(mapModel(model, inline(model)));
}

/** The .onnx file as one array; the same as {@link encodeChunks}, joined. */
export function encodeModel(model: OnnxModel): Uint8Array<ArrayBuffer> {
  return join(encodeChunks(model));
}

/**
 * The .onnx file and the data file that goes beside it, in pieces. Initialisers of 1 KiB and more move to the data file, which starts
 * each at a multiple of 256 bytes; others, and constants inside nodes, stay in the model.
 * @param location name of the data file beside the model, e.g. 'model.onnx_data'
 * @throws PapilioError malformed-onnx if `location` is not a plain relative path
 */
export function encodeExternalChunks(
  model: OnnxModel,
  location: string,
): { proto: Uint8Array<ArrayBuffer>[]; data: Uint8Array<ArrayBuffer>[] } {
  const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });
  externalLocation(
    create(TensorProtoSchema, { externalData: [entry('location', location)] }),
    say`data file`,
  );
  const data: Chunk[] = [];
  let offset = 0;
  const move = (tensor: TensorProto): TensorProto => {
    const view = viewTensor(tensor, say`initialiser "${tensor.name}"`, model.external);
    if (view.byteLength < EXTERNAL_BYTES) return inline(model)(tensor);
    const gap = (EXTERNAL_ALIGNMENT - (offset % EXTERNAL_ALIGNMENT)) % EXTERNAL_ALIGNMENT;
    const padding = gap === 0 ? [] : [new Uint8Array(gap)];
    data.push(...padding, view.bytes());
    const start = offset + gap;
    offset = start + view.byteLength;
    return withExternalData(tensor, [
      entry('location', location),
      entry('offset', `${start}`),
      entry('length', `${view.byteLength}`),
    ]);
  };
  const own = new Set(model.graph.proto.initializer);
  const proto = mapModel(model, (tensor) => (own.has(tensor) ? move(tensor) : inline(model)(tensor)));
  return { proto: encodeProto(proto), data };
}
