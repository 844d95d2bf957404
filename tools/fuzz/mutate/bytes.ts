/** Bytes spoiled without knowing what they mean: bits, numbers, cuts, repeats and splices. */
import type { Rng } from '../../../src/lib/rng.ts';

const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Most files are read from their beginning or their end, so that is where most changes are. */
function place(length: number, random: Rng): number {
  const near = Math.min(length, 400);
  const kind = random.int(4);
  if (kind === 0) return random.int(near);
  if (kind === 1) return length - 1 - random.int(near);
  return random.int(length);
}

/** `parts` one after the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function edit(bytes: Uint8Array, random: Rng, other: Uint8Array): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(random.int(256));
  const at = place(bytes.length, random);
  const length = 1 + random.int(random.chance(0.2) ? 400 : 16);
  const out = bytes.slice();
  const view = new DataView(out.buffer);
  switch (random.int(10)) {
    case 0:
      out[at]! ^= 1 << random.int(8);
      return out;
    case 1:
      out[at] = random.int(256);
      return out;
    case 2: {
      const number = random.pick(NUMBERS);
      const width = random.pick([1, 2, 4]);
      if (at + width > out.length) out[at] = number;
      else if (width === 4) view.setUint32(at, number, random.chance(0.5));
      else if (width === 2) view.setUint16(at, number, random.chance(0.5));
      else out[at] = number;
      return out;
    }
    case 3:
      return out.fill(random.pick([0, 0xff, 0x80, 0x20]), at, at + length);
    case 4:
      return bytes.slice(0, at);
    case 5:
      return joined([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 6:
      return joined([
        bytes.subarray(0, at),
        Uint8Array.from({ length }, () => random.int(256)),
        bytes.subarray(at),
      ]);
    case 7: {
      const piece = bytes.subarray(at, at + length);
      const times = random.chance(0.1) ? 200 : 1 + random.int(4);
      return joined([
        bytes.subarray(0, at),
        ...Array.from({ length: times }, () => piece),
        bytes.subarray(at),
      ]);
    }
    case 8:
      return out.copyWithin(at, random.int(out.length), Math.min(out.length, at + length));
    default: {
      const from = random.int(Math.max(1, other.length));
      return joined([bytes.subarray(0, at), other.subarray(from, from + length), bytes.subarray(at)]);
    }
  }
}

/** One to four changes; pieces of `other` may be spliced in. */
export function mutateBytes(bytes: Uint8Array, random: Rng, other: Uint8Array = bytes): Uint8Array {
  let out = bytes;
  for (let changes = 1 + random.int(4); changes > 0; changes--) out = edit(out, random, other);
  return out;
}
