/** From the bytes of an .onnx file, with the data files beside it, to an OnnxModel. */
import { type DescField, type DescMessage, fromBinary, ScalarType } from '@bufbuild/protobuf';
import { type GraphProto, type ModelProto, ModelProtoSchema, type NodeProto } from 'onnx-buf';
import { mostFor, within } from '../lib/budget.ts';
import { plainBytes } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { externalLocation, isExternal } from './tensor.ts';
import type { ExternalFiles, OnnxModel } from './types.ts';
import { viewModel } from './view.ts';

const LFS_POINTER = 'version https://git-lfs';

function decodeProto(file: Uint8Array): ModelProto {
  const bytes = plainBytes(file);
  if (bytes.length === 0) fail('malformed-onnx', say`The file is empty, so it is not an ONNX model.`);
  if (new TextDecoder().decode(bytes.subarray(0, LFS_POINTER.length)) === LFS_POINTER)
    fail(
      'malformed-onnx',
      say`The file is a Git LFS pointer, not the model itself; download the model with "git lfs pull".`,
    );
  new WireScan(bytes).message(ModelProtoSchema, bytes.length, 1);
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    // The scan should have refused it; whatever the decoder still objects to is a fault of the file.
    return fail(
      'malformed-onnx',
      say`The file is not a readable ONNX model: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
}

/**
 * Decodes a model. Tensors are views: neither `bytes` nor the external files are copied, so both must stay unchanged while the model
 * is in use. All lengths are checked before anything of their size is allocated.
 * @param external data files by the path the model uses for them (see {@link externalFiles})
 * @throws PapilioError malformed-onnx saying what is wrong and where
 */
export function decodeModel(bytes: Uint8Array, external: ExternalFiles = new Map()): OnnxModel {
  const proto = decodeProto(bytes);
  const files = new Map([...external].map(([path, content]) => [path, plainBytes(content)]));
  try {
    return viewModel(proto, files);
  } catch (error) {
    if (error instanceof RangeError)
      fail('out-of-memory', say`The model does not fit into memory: ${error.message}.`);
    throw error;
  }
}

function collectLocations(graph: GraphProto, into: Set<string>): void {
  for (const tensor of graph.initializer)
    if (isExternal(tensor)) into.add(externalLocation(tensor, say`initialiser "${tensor.name}"`));
  collectOfNodes(graph.node, into);
}

function collectOfNodes(nodes: readonly NodeProto[], into: Set<string>): void {
  for (const node of nodes)
    for (const { t, g, name } of node.attribute) {
      if (t && isExternal(t)) into.add(externalLocation(t, say`attribute "${name}"`));
      if (g) collectLocations(g, into);
    }
}

/**
 * The data files a model needs beside it, as paths relative to its folder, so that a caller can fetch them before decoding.
 * @throws PapilioError malformed-onnx as {@link decodeModel}
 */
export function externalFiles(bytes: Uint8Array): string[] {
  const { graph, functions } = decodeProto(bytes);
  const found = new Set<string>();
  if (graph) collectLocations(graph, found);
  for (const f of functions) collectOfNodes(f.node, found);
  return [...found];
}

// A strict walk over protobuf bytes against their schema, before anything is decoded. The decoder trusts lengths (a nested message may
// run past its parent), takes wrong wire types at their word, replaces invalid UTF-8 and makes an object out of two bytes; this pass
// refuses such files in one linear scan that allocates nothing in proportion to them, and counts what the decoder would.

type Wire = 'varint' | 'fixed64' | 'fixed32' | 'bytes' | 'string' | 'message';

interface FieldPlan {
  readonly label: string;
  readonly wire: Wire;
  readonly repeated: boolean;
  readonly message: DescMessage | undefined;
  /** Of a message, or of one entry. */
  readonly bytes: number;
}

/** A whole number of 64 bits is an object. */
const LONG_BYTES = 32;
const LONGS: readonly unknown[] = [ScalarType.INT64, ScalarType.UINT64, ScalarType.SINT64];

const bytesOf = ({ fields }: DescMessage): number =>
  fields.reduce(
    (sum, { fieldKind }) => sum + FIELD_BYTES + (fieldKind === 'list' ? LIST_BYTES : 0),
    MESSAGE_BYTES,
  );

/** protobuf-es refuses deeper nesting too; an If inside an If takes three levels. */
const DEPTH_LIMIT = 100;
/** Bytes of memory that entries of lists take, and whatever is not known. */
const ENTRY_BYTES: Readonly<Record<Exclude<Wire, 'message'>, number>> = {
  varint: 8,
  fixed64: 16,
  fixed32: 8,
  bytes: 200,
  string: 32,
};
/** Of a message: itself with its view, each field, each list. */
const [MESSAGE_BYTES, FIELD_BYTES, LIST_BYTES] = [120, 8, 32];

const plans = new WeakMap<DescMessage, Map<number, FieldPlan>>();

function wireOf(field: DescField): Wire {
  if (field.message) return 'message';
  if (field.enum) return 'varint';
  switch (field.scalar) {
    case ScalarType.STRING:
      return 'string';
    case ScalarType.BYTES:
      return 'bytes';
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return 'fixed32';
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 'fixed64';
    default:
      return 'varint';
  }
}

function planOf(schema: DescMessage): Map<number, FieldPlan> {
  let plan = plans.get(schema);
  if (!plan) {
    plan = new Map(
      schema.fields.map((field) => {
        const wire = wireOf(field);
        const { message } = field;
        return [
          field.number,
          {
            ...{ label: `${schema.name}.${field.name}`, wire, message },
            repeated: field.fieldKind === 'list',
            bytes:
              wire === 'message'
                ? bytesOf(message!)
                : LONGS.includes(field.scalar)
                  ? LONG_BYTES
                  : ENTRY_BYTES[wire],
          },
        ];
      }),
    );
    plans.set(schema, plan);
  }
  return plan;
}

const WIRE_TYPE: Readonly<Record<Wire, number>> = {
  varint: 0,
  fixed64: 1,
  bytes: 2,
  string: 2,
  message: 2,
  fixed32: 5,
};

const cutShort = (): string => say`the data ends in the middle of a number; the file is cut short or damaged`;

/** A scan of one file: where it is, and what the decoder would make of what lies before. */
class WireScan {
  private readonly utf8 = new TextDecoder('utf-8', { fatal: true });
  private readonly bytes: Uint8Array;
  private readonly most: number;
  private pos = 0;
  private made = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.most = mostFor('structureBytes', bytes.length);
  }

  message(desc: DescMessage, end: number, depth: number): void {
    if (depth > DEPTH_LIMIT) this.damaged(desc.name, say`messages are nested too deeply`);
    const plan = planOf(desc);
    while (this.pos < end) {
      const tag = this.small(end, desc.name);
      const number = Math.floor(tag / 8);
      const wireType = tag % 8;
      if (number === 0)
        this.damaged(desc.name, say`there is a field number 0; it may be a file of another format`);
      const field = plan.get(number);
      if (field) this.field(field, wireType, end, depth);
      else this.unknown(wireType, end, desc.name);
    }
  }

  private field(field: FieldPlan, wireType: number, end: number, depth: number): void {
    const { wire, label, repeated, bytes } = field;
    if (wireType === 2 && repeated && WIRE_TYPE[wire] !== 2)
      this.packed(field, this.length(end, label), label);
    else if (wireType !== WIRE_TYPE[wire])
      this.damaged(label, say`the value has the wrong kind; the file is damaged or of another format`);
    else if (wire === 'varint') {
      if (repeated) this.count(bytes, label);
      this.skipVarint(end, label);
    } else if (wire === 'fixed32') this.skipFixed(4, end, label);
    else if (wire === 'fixed64') this.skipFixed(8, end, label);
    else {
      const n = this.length(end, label);
      if (wire !== 'string' || repeated) this.count(bytes, label);
      if (wire === 'message') this.message(field.message!, this.pos + n, depth + 1);
      else if (wire === 'string') this.text(n, label);
      else this.pos += n;
    }
  }

  private packed({ wire, bytes: each }: FieldPlan, n: number, where: string): void {
    const end = this.pos + n;
    if (wire === 'varint')
      while (this.pos < end) {
        this.count(each, where);
        this.skipVarint(end, where);
      }
    else if (n % (wire === 'fixed32' ? 4 : 8) !== 0)
      this.damaged(where, say`${n} bytes are no whole number of elements`);
    this.pos = end;
  }

  private unknown(wireType: number, end: number, where: string): void {
    this.count(ENTRY_BYTES.bytes, where);
    if (wireType === 0) this.skipVarint(end, where);
    else if (wireType === 1) this.skipFixed(8, end, where);
    else if (wireType === 5) this.skipFixed(4, end, where);
    else if (wireType === 2) {
      // Not `pos += length(...)`, which would read pos before length moves it.
      const n = this.length(end, where);
      this.pos += n;
    } else
      this.damaged(
        where,
        say`there is a field of a kind that ONNX does not use; it may be a file of another format`,
      );
  }

  private damaged(where: string, why: string): never {
    const offset = this.pos;
    return fail(
      'malformed-onnx',
      say`This is not a readable ONNX file: at byte ${offset}, in ${where}, ${why}.`,
      {
        offset,
      },
    );
  }

  private count(cost: number, where: string): void {
    this.made += cost;
    if (this.made > this.most) {
      const place = say`${where} at byte ${this.pos} of the ONNX file`;
      within('structureBytes', this.made, place, this.bytes.length);
    }
  }

  /** Reads a varint that must fit 32 bits (tags, lengths). */
  private small(end: number, where: string): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      if (this.pos >= end) this.damaged(where, cutShort());
      const byte = this.bytes[this.pos++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
      if (shift >= 28) this.damaged(where, say`a number is longer than it can be`);
    }
    return value > 0xffffffff ? this.damaged(where, say`a number is larger than it can be`) : value;
  }

  private skipVarint(end: number, where: string): void {
    for (let i = 0; i < 10; i++) {
      if (this.pos >= end) this.damaged(where, cutShort());
      if (this.bytes[this.pos++]! < 0x80) return;
    }
    this.damaged(where, say`a number is longer than it can be`);
  }

  private skipFixed(width: number, end: number, where: string): void {
    if (width > end - this.pos) this.damaged(where, cutShort());
    this.pos += width;
  }

  private length(end: number, where: string): number {
    const n = this.small(end, where);
    const left = end - this.pos;
    if (n > left)
      this.damaged(
        where,
        say`${n} bytes are announced but only ${left} are left; the file is cut short or damaged`,
      );
    return n;
  }

  private text(n: number, where: string): void {
    const end = this.pos + n;
    let ascii = true;
    for (let i = this.pos; i < end && ascii; i++) ascii = this.bytes[i]! < 0x80;
    if (!ascii) {
      try {
        this.utf8.decode(this.bytes.subarray(this.pos, end));
      } catch {
        this.damaged(where, say`the text is not UTF-8`);
      }
    }
    this.pos = end;
  }
}
