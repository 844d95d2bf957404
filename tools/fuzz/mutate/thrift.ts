/** Thrift's compact protocol, read and written as a tree, so that a Parquet footer or page header can be spoiled and still be one. */
import type { Rng } from '../../../src/lib/rng.ts';

type Value =
  | { kind: 'bool'; value: boolean }
  | { kind: 'byte'; value: number }
  /** i16, i32 and i64 are written alike. */
  | { kind: 'int'; type: number; value: bigint }
  | { kind: 'double'; bytes: Uint8Array }
  | { kind: 'binary'; bytes: Uint8Array }
  | {
      kind: 'list';
      type: number;
      element: number;
      items: Value[] /** Told instead of the true count. */;
      count?: bigint;
    }
  | { kind: 'struct'; fields: Field[] };

interface Field {
  id: number;
  type: number;
  value: Value;
}

const TRUE = 1;
const FALSE = 2;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

class Reader {
  at = 0;
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  byte(): number {
    if (this.at >= this.bytes.length) throw new Error('thrift: cut short');
    return this.bytes[this.at++]!;
  }
  varint(): bigint {
    let out = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      out |= BigInt(byte & 127) << shift;
      if (byte < 128) return out;
    }
  }
  zigzag(): bigint {
    const n = this.varint();
    return (n >> 1n) ^ -(n & 1n);
  }
  take(count: number): Uint8Array {
    this.at += count;
    return this.bytes.slice(this.at - count, this.at);
  }
  value(type: number): Value {
    if (type === TRUE || type === FALSE) return { kind: 'bool', value: type === TRUE };
    if (type === 3) return { kind: 'byte', value: this.byte() };
    if (type >= 4 && type <= 6) return { kind: 'int', type, value: this.zigzag() };
    if (type === 7) return { kind: 'double', bytes: this.take(8) };
    if (type === BINARY) return { kind: 'binary', bytes: this.take(Number(this.varint())) };
    if (type === LIST || type === 10) {
      const head = this.byte();
      const count = head >> 4 === 15 ? Number(this.varint()) : head >> 4;
      const element = head & 15;
      const items: Value[] = [];
      for (let i = 0; i < count; i++)
        items.push(element <= 2 ? { kind: 'bool', value: this.byte() === TRUE } : this.value(element));
      return { kind: 'list', type, element, items };
    }
    if (type === STRUCT) return this.struct();
    throw new Error(`thrift: type ${type}`);
  }
  struct(): Value & { kind: 'struct' } {
    const fields: Field[] = [];
    for (let id = 0; ; ) {
      const head = this.byte();
      if (head === 0) return { kind: 'struct', fields };
      id = head >> 4 === 0 ? Number(this.zigzag()) : id + (head >> 4);
      fields.push({ id, type: head & 15, value: this.value(head & 15) });
    }
  }
}

function varint(n: bigint): number[] {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, n);
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
  return out;
}
const zigzag = (n: bigint): number[] => varint((n << 1n) ^ (n >> 63n));

function write(value: Value, out: number[], inList = false): void {
  switch (value.kind) {
    case 'bool':
      if (inList) out.push(value.value ? TRUE : FALSE);
      break;
    case 'byte':
      out.push(value.value & 255);
      break;
    case 'int':
      out.push(...zigzag(value.value));
      break;
    case 'double':
      out.push(...value.bytes);
      break;
    case 'binary':
      out.push(...varint(BigInt(value.bytes.length)));
      for (const byte of value.bytes) out.push(byte);
      break;
    case 'list': {
      const count = value.count ?? BigInt(value.items.length);
      if (count >= 0n && count < 15n) out.push((Number(count) << 4) | value.element);
      else out.push(0xf0 | value.element, ...varint(count));
      for (const item of value.items) write(item, out, true);
      break;
    }
    case 'struct': {
      let before = 0;
      for (const { id, type, value: inner } of value.fields) {
        const told = inner.kind === 'bool' ? (inner.value ? TRUE : FALSE) : type;
        const by = id - before;
        if (by > 0 && by < 16) out.push((by << 4) | told);
        else out.push(told, ...zigzag(BigInt(id)));
        before = id;
        write(inner, out);
      }
      out.push(0);
    }
  }
}

const INTS = [
  ...[0n, 1n, 2n, 3n, 5n, 8n, 15n, 100n, 65536n, 1000000n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 40n],
  ...[2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, -1n, -2n, -100n, -(2n ** 31n), -(2n ** 63n)],
];

function spoil(value: Value, random: Rng): void {
  if (value.kind === 'struct' && value.fields.length > 0) {
    const field = random.pick(value.fields);
    const at = value.fields.indexOf(field);
    const what = random.int(16);
    if (what === 0) value.fields.splice(at, 1);
    else if (what === 1) field.id = random.pick([0, 1, 2, 3, 5, 9, 20, 32767]);
    else if (what === 2) value.fields.splice(at, 0, structuredClone(field));
    else spoil(field.value, random);
  } else if (value.kind === 'list') {
    const what = random.int(12);
    if (what === 0 || value.items.length === 0) value.count = random.pick(INTS);
    else if (what === 1) value.items.splice(random.int(value.items.length), 1);
    else if (what === 2) {
      const item = random.pick(value.items);
      const times = random.chance(0.1) ? 500 : 1;
      for (let i = 0; i < times; i++) value.items.push(structuredClone(item));
    } else if (what === 3) value.items.reverse();
    else spoil(random.pick(value.items), random);
  } else if (value.kind === 'int') {
    value.value = random.pick([...INTS, value.value + 1n, value.value - 1n, -value.value, value.value * 2n]);
  } else if (value.kind === 'binary') {
    const what = random.int(4);
    if (what === 0) value.bytes = new Uint8Array(0);
    else if (what === 1) value.bytes = new Uint8Array(1 << random.int(12)).fill(random.int(256));
    else if (what === 2)
      value.bytes = new TextEncoder().encode(random.pick(['__proto__', 'constructor', 'a.b', '{}']));
    else if (value.bytes.length > 0) value.bytes[random.int(value.bytes.length)] = random.int(256);
  } else if (value.kind === 'bool') value.value = !value.value;
  else if (value.kind === 'byte') value.value = random.int(256);
  else if (value.kind === 'double') value.bytes.fill(random.pick([0, 0xff, 0x7f]));
}

/** A struct with one to three changes, and how many bytes it took before. @throws Error where there is none */
export function mutateStruct(
  bytes: Uint8Array,
  random: Rng,
): { readonly out: Uint8Array; readonly length: number } {
  const reader = new Reader(bytes);
  const tree = reader.struct();
  for (let changes = 1 + random.int(3); changes > 0; changes--) spoil(tree, random);
  const out: number[] = [];
  write(tree, out);
  return { out: Uint8Array.from(out), length: reader.at };
}
