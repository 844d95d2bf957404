/** PNG files spoiled chunk by chunk, with lengths and checksums that fit what was made of them. */
import { unzlibSync, zlibSync } from 'fflate';
import { crc32 } from '../../../src/lib/bytes.ts';
import type { Rng } from '../../../src/lib/rng.ts';
import { joined, mutateBytes } from './bytes.ts';

interface Chunk {
  type: string;
  body: Uint8Array;
}

const HEAD = 8;

function chunksOf(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks: Chunk[] = [];
  for (let at = HEAD; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) break;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    chunks.push({ type, body: bytes.slice(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return chunks;
}

function written({ type, body }: Chunk): Uint8Array {
  const out = new Uint8Array(12 + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(body, 8);
  view.setUint32(8 + body.length, crc32(out.subarray(4, 8 + body.length)));
  return out;
}

const SIDES = [0, 1, 2, 3, 7, 1000, 4096, 16384, 65535, 1e6, 16777216, 0x7fffffff, 0x80000000, 0xffffffff];

function spoilHeader(body: Uint8Array, random: Rng): void {
  if (body.length < 13) return;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  switch (random.int(4)) {
    case 0:
      view.setUint32(0, random.pick(SIDES));
      break;
    case 1:
      view.setUint32(4, random.pick(SIDES));
      break;
    case 2:
      body[8] = random.pick([0, 1, 2, 3, 4, 8, 16, 32, 255]);
      break;
    default:
      body[9 + random.int(4)] = random.pick([0, 1, 2, 3, 4, 5, 6, 7, 255]);
  }
}

/** The pixels packed anew, with a change below the packing. */
function spoilPixels(body: Uint8Array, random: Rng): Uint8Array {
  try {
    const raw = unzlibSync(body);
    return zlibSync(
      random.chance(0.1) ? new Uint8Array(1 << (10 + random.int(14))) : mutateBytes(raw, random),
    );
  } catch {
    return mutateBytes(body, random);
  }
}

export function mutatePng(bytes: Uint8Array, random: Rng): Uint8Array {
  const chunks = chunksOf(bytes);
  for (let changes = 1 + random.int(3); changes > 0 && chunks.length > 0; changes--) {
    const at = random.chance(0.3) ? 0 : random.int(chunks.length);
    const chunk = chunks[at]!;
    switch (random.int(8)) {
      case 0:
        chunks.splice(at, 1);
        break;
      case 1:
        chunks.splice(random.int(chunks.length + 1), 0, {
          type: random.pick(['PLTE', 'tRNS', 'IDAT', 'IEND', 'IHDR', 'gAMA', 'tEXt', 'acTL', '\0\0\0\0']),
          body: Uint8Array.from({ length: random.pick([0, 1, 3, 13, 768, 1000]) }, () => random.int(256)),
        });
        break;
      case 2:
        chunks.splice(at, 0, ...Array.from({ length: random.chance(0.1) ? 3000 : 2 }, () => chunk));
        break;
      case 3:
        chunk.type = random.pick(['IDAT', 'PLTE', 'tRNS', 'IEND', 'abcd', 'IHDR']);
        break;
      case 4:
        chunk.body = mutateBytes(chunk.body, random);
        break;
      default:
        if (chunk.type === 'IHDR') spoilHeader(chunk.body, random);
        else if (chunk.type === 'IDAT') chunk.body = spoilPixels(chunk.body, random);
        else chunk.body = mutateBytes(chunk.body, random);
    }
  }
  return joined([bytes.subarray(0, HEAD), ...chunks.map(written)]);
}
