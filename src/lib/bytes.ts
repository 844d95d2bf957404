/** Bytes: as they come from outside, in files, and their checksums. */

/** A file by its name, or by its path with forward slashes, relative to what was opened: `cats/1.png`. */
export interface InputFile<Bytes extends Uint8Array | Blob = Uint8Array> {
  readonly name: string;
  readonly bytes: Bytes;
}

/** A file that a person gave: its bytes, or a handle that crosses to a worker, or into the browser's store, without being read. */
export type PickedFile = InputFile<Uint8Array | Blob>;

/**
 * The same memory as a plain Uint8Array. Node's Buffer is one too, but its `slice` gives a view: what a reader of files means as a
 * copy would be the caller's own bytes. Every door that takes bytes passes them through here.
 */
export const plainBytes = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  (bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)) as Uint8Array<ArrayBuffer>;

/** The bytes that base64 stands for. @throws InvalidCharacterError where it is none */
export const bytesOfBase64 = (coded: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0));

/** The checksum of zip, gzip and PNG (CRC-32, reflected 0x04c11db7), which Node 20 does not offer. */
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** @param before of the bytes that came before these */
export function crc32(bytes: Uint8Array, before = 0): number {
  let c = ~before;
  for (let i = 0; i < bytes.length; i++) c = TABLE[(c ^ bytes[i]!) & 255]! ^ (c >>> 8);
  return ~c >>> 0;
}

// SHA-256 taken piece by piece (FIPS 180-4), for files too large to hold at once; `crypto.subtle` wants all bytes together.

/** The first 32 bits of the fractional parts of a root of the first `n` primes. */
function fractions(n: number, root: (prime: number) => number): Int32Array {
  const out = new Int32Array(n);
  for (let candidate = 2, i = 0; i < n; candidate++) {
    let isPrime = true;
    for (let d = 2; d * d <= candidate; d++) if (candidate % d === 0) isPrime = false;
    if (isPrime) out[i++] = Math.floor((root(candidate) % 1) * 2 ** 32) | 0;
  }
  return out;
}

const K = fractions(64, Math.cbrt);
const START = fractions(8, Math.sqrt);
const BLOCK = 64;

export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** 64 hex digits; nothing may be added afterwards. */
  hex(): string;
}

export function createSha256(): Sha256 {
  const state = START.slice();
  const w = new Int32Array(64);
  const rest = new Uint8Array(BLOCK);
  let held = 0;
  let length = 0;

  function block(bytes: Uint8Array, at: number): void {
    for (let i = 0, p = at; i < 16; i++, p += 4)
      w[i] = (bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!;
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15]!;
      const y = w[i - 2]!;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
    }
    let a = state[0]!;
    let b = state[1]!;
    let c = state[2]!;
    let d = state[3]!;
    let e = state[4]!;
    let f = state[5]!;
    let g = state[6]!;
    let h = state[7]!;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
    state[4]! += e;
    state[5]! += f;
    state[6]! += g;
    state[7]! += h;
  }

  function update(bytes: Uint8Array): void {
    length += bytes.length;
    let at = 0;
    if (held > 0) {
      at = Math.min(BLOCK - held, bytes.length);
      rest.set(bytes.subarray(0, at), held);
      held += at;
      if (held < BLOCK) return;
      block(rest, 0);
      held = 0;
    }
    for (; at + BLOCK <= bytes.length; at += BLOCK) block(bytes, at);
    rest.set(bytes.subarray(at));
    held = bytes.length - at;
  }

  return {
    update,
    hex() {
      const bits = length * 8;
      const padding = new Uint8Array((held < 56 ? 64 : 128) - held);
      padding[0] = 0x80;
      const view = new DataView(padding.buffer);
      view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32));
      view.setUint32(padding.length - 4, bits >>> 0);
      update(padding);
      return [...state].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
    },
  };
}
