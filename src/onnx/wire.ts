/**
 * A strict walk over protobuf bytes against their schema, before anything is decoded. The decoder trusts lengths (a nested message may
 * run past its parent), takes wrong wire types at their word, replaces invalid UTF-8 and makes an object out of two bytes; this pass
 * refuses such files in one linear scan that allocates nothing in proportion to them, and counts what the decoder would.
 */
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { mostFor, within } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';

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

/**
 * Checks that `bytes` is a complete, well-formed message of `schema`.
 * @throws PapilioError malformed-onnx naming the place
 */
export function scanWire(schema: DescMessage, bytes: Uint8Array): void {
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  const most = mostFor('structureBytes', bytes.length);
  let pos = 0;
  let made = 0;

  const damaged = (where: string, why: string): never =>
    fail('malformed-onnx', `This is not a readable ONNX file: at byte ${pos}, in ${where}, ${why}.`, {
      offset: pos,
    });

  const count = (cost: number, where: string): void => {
    made += cost;
    if (made > most) within('structureBytes', made, `${where} at byte ${pos} of the ONNX file`, bytes.length);
  };

  /** Reads a varint that must fit 32 bits (tags, lengths). */
  const small = (end: number, where: string): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      if (pos >= end)
        return damaged(where, 'the data ends in the middle of a number; the file is cut short or damaged');
      const byte = bytes[pos++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
      if (shift >= 28) return damaged(where, 'a number is longer than it can be');
    }
    return value > 0xffffffff ? damaged(where, 'a number is larger than it can be') : value;
  };

  const skipVarint = (end: number, where: string): void => {
    for (let i = 0; i < 10; i++) {
      if (pos >= end)
        damaged(where, 'the data ends in the middle of a number; the file is cut short or damaged');
      if (bytes[pos++]! < 0x80) return;
    }
    damaged(where, 'a number is longer than it can be');
  };

  const skipFixed = (width: number, end: number, where: string): void => {
    if (width > end - pos)
      damaged(where, 'the data ends in the middle of a number; the file is cut short or damaged');
    pos += width;
  };

  const length = (end: number, where: string): number => {
    const n = small(end, where);
    if (n > end - pos)
      damaged(
        where,
        `${n} bytes are announced but only ${end - pos} are left; the file is cut short or damaged`,
      );
    return n;
  };

  const text = (n: number, where: string): void => {
    const end = pos + n;
    let ascii = true;
    for (let i = pos; i < end && ascii; i++) ascii = bytes[i]! < 0x80;
    if (!ascii) {
      try {
        utf8.decode(bytes.subarray(pos, end));
      } catch {
        damaged(where, 'the text is not UTF-8');
      }
    }
    pos = end;
  };

  const packed = ({ wire, bytes: each }: FieldPlan, n: number, where: string): void => {
    const end = pos + n;
    if (wire === 'varint')
      while (pos < end) {
        count(each, where);
        skipVarint(end, where);
      }
    else if (n % (wire === 'fixed32' ? 4 : 8) !== 0)
      damaged(where, `${n} bytes are no whole number of elements`);
    pos = end;
  };

  const unknown = (wireType: number, end: number, where: string): void => {
    count(ENTRY_BYTES.bytes, where);
    if (wireType === 0) skipVarint(end, where);
    else if (wireType === 1) skipFixed(8, end, where);
    else if (wireType === 5) skipFixed(4, end, where);
    else if (wireType === 2) {
      // Not `pos += length(...)`, which would read pos before length moves it.
      const n = length(end, where);
      pos += n;
    } else
      damaged(where, 'there is a field of a kind that ONNX does not use; it may be a file of another format');
  };

  const message = (desc: DescMessage, end: number, depth: number): void => {
    if (depth > DEPTH_LIMIT) damaged(desc.name, 'messages are nested too deeply');
    const plan = planOf(desc);
    while (pos < end) {
      const tag = small(end, desc.name);
      const number = Math.floor(tag / 8);
      const wireType = tag % 8;
      if (number === 0) damaged(desc.name, 'there is a field number 0; it may be a file of another format');
      const field = plan.get(number);
      if (!field) {
        unknown(wireType, end, desc.name);
        continue;
      }
      const { wire, label } = field;
      if (wireType === 2 && field.repeated && WIRE_TYPE[wire] !== 2) packed(field, length(end, label), label);
      else if (wireType !== WIRE_TYPE[wire])
        damaged(label, 'the value has the wrong kind; the file is damaged or of another format');
      else if (wire === 'varint') {
        if (field.repeated) count(field.bytes, label);
        skipVarint(end, label);
      } else if (wire === 'fixed32') skipFixed(4, end, label);
      else if (wire === 'fixed64') skipFixed(8, end, label);
      else {
        const n = length(end, label);
        if (wire !== 'string' || field.repeated) count(field.bytes, label);
        if (wire === 'message') message(field.message!, pos + n, depth + 1);
        else if (wire === 'string') text(n, label);
        else pos += n;
      }
    }
  };

  message(schema, bytes.length, 1);
}
