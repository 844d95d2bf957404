/** safetensors spoiled: the header as JSON with its length kept right, that length, or any byte. */
import type { Rng } from '../../../src/lib/rng.ts';
import { textOf, utf8 } from '../door.ts';
import { joined, mutateBytes } from './bytes.ts';
import { mutateJson } from './json.ts';
import { enlargeJson, largeSize } from './large.ts';

const LENGTHS = [0n, 1n, 2n, 8n, 100n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

/** The container with its header's text changed, and the length told as it is. */
export function withHeader(bytes: Uint8Array, change: (header: string) => string): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = Number(view.getBigUint64(0, true));
  const header = utf8(change(textOf(bytes.subarray(8, 8 + length))));
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(header.length), true);
  return joined([head, header, bytes.subarray(8 + length)]);
}

export function mutateSafetensors(bytes: Uint8Array, random: Rng): Uint8Array {
  const what = random.int(10);
  if (what < 6) return withHeader(bytes, (header) => mutateJson(header, random));
  if (what === 6) {
    const out = bytes.slice();
    new DataView(out.buffer).setBigUint64(0, random.pick(LENGTHS), true);
    return out;
  }
  return mutateBytes(bytes, random);
}

/** With a header of very many entries: tensors of their own name that hold nothing, words, or what its tree has already. */
export function enlargeSafetensors(bytes: Uint8Array, random: Rng): Uint8Array {
  if (random.chance(0.5)) return withHeader(bytes, (header) => enlargeJson(header, random));
  const size = largeSize(random);
  const tensors: string[] = [];
  for (let letters = 0, i = 0; letters < size; i++)
    letters += tensors[tensors.push(`"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`) - 1]!.length;
  return withHeader(bytes, (header) => header.replace(/^\{/, () => `{${tensors.join(',')},`));
}
