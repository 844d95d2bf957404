/** The codecs of Parquet, none of which gives more than the page has: zstd is unpacked as a stream, which is left at the first byte too many. */
import { Decompress } from 'fzstd';
import type { Compressors } from 'hyparquet';
import { compressors as codecs } from 'hyparquet-compressors';

export const compressors: Compressors = { ...codecs, ZSTD: unpackZstd };

/** Windows of the highest levels have 8 MiB; larger ones are asked for by hand. */
const MOST_WINDOW = 2 ** 25;

function unpackZstd(packed: Uint8Array, length: number): Uint8Array {
  checkFrame(packed, length);
  const out = new Uint8Array(length);
  let at = 0;
  const stream = new Decompress((part) => {
    if (at + part.length > length) throw new Error('a page unpacks to more than it should');
    out.set(part, at);
    at += part.length;
  });
  stream.push(packed, true);
  return at === length ? out : out.subarray(0, at);
}

/** The memory that a frame asks for before it is unpacked: its window, or its size where it has one. */
function checkFrame(packed: Uint8Array, length: number): void {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  if (packed.length < 6 || view.getUint32(0, true) !== 0xfd2fb528) throw new Error('invalid zstd data');
  const descriptor = packed[4]!;
  const isSingle = (descriptor & 32) !== 0;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const at = 5 + (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  if (at + sizeBytes > packed.length) throw new Error('invalid zstd data');
  let size = 0;
  for (let i = 0; i < sizeBytes; i++) size += packed[at + i]! * 256 ** i;
  if (sizeBytes === 2) size += 256;
  if (sizeBytes > 0 && size !== length) throw new Error('a page says two sizes of itself');
  const window = 2 ** (10 + (packed[5]! >> 3)) * (1 + (packed[5]! & 7) / 8);
  if (!isSingle && window > MOST_WINDOW) throw new Error('zstd with a window of more than 32 MiB');
}
