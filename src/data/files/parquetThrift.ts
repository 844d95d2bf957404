/**
 * A walk over what Parquet keeps in Thrift's compact form, its footer and the headers of its pages: the library that reads them believes
 * every length, makes a list before it has its entries, and a number goes on as long as its bytes say so.
 */

/** Bytes with a place in them. */
export interface Cursor {
  readonly view: DataView;
  at: number;
}

/** Deeper than any header of the format. */
const DEEPEST = 16;

export function byteAt(c: Cursor): number {
  if (c.at >= c.view.byteLength) throw new Error('it ends too early');
  return c.view.getUint8(c.at++);
}

/** A number of up to 32 bits without its sign. */
export function varint(c: Cursor): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = byteAt(c);
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
    if (shift >= 28) throw new Error('a number is longer than it can be');
  }
  if (value > 0xffffffff) throw new Error('a number is larger than it can be');
  return value;
}

/** Skips a number of up to 64 bits. */
export function skipVarint(c: Cursor): void {
  for (let i = 0; i < 10; i++) if (byteAt(c) < 128) return;
  throw new Error('a number is longer than it can be');
}

export function skip(c: Cursor, bytes: number): void {
  if (!(bytes <= c.view.byteLength - c.at)) throw new Error('it ends too early');
  c.at += bytes;
}

/** Goes to the end of a struct. @throws where it cannot be one */
export function skipStruct(c: Cursor, depth = 0): void {
  if (depth > DEEPEST) throw new Error('it is nested too deeply');
  for (;;) {
    const field = byteAt(c);
    const type = field & 15;
    if (type === 0) return;
    if (field >> 4 === 0) skipVarint(c);
    // A truth value is in its type.
    if (type > 2) skipElement(c, type, depth);
  }
}

function skipElement(c: Cursor, type: number, depth: number): void {
  if (type <= 3) skip(c, 1);
  else if (type <= 6) skipVarint(c);
  else if (type === 7) skip(c, 8);
  else if (type === 8) skip(c, varint(c));
  else if (type === 12) skipStruct(c, depth + 1);
  else if (type === 9) {
    if (depth > DEEPEST) throw new Error('it is nested too deeply');
    const head = byteAt(c);
    const size = head >> 4 === 15 ? varint(c) : head >> 4;
    // Every entry takes a byte at least.
    if (size > c.view.byteLength - c.at) throw new Error(`a list of ${size} entries does not fit into it`);
    // A truth value in a list is a byte.
    for (let i = 0; i < size; i++) skipElement(c, Math.max(3, head & 15), depth + 1);
  } else throw new Error('there is a field of a kind that the format does not have');
}
