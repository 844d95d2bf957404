/**
 * 16-bit floats: IEEE binary16 (ONNX float16, WGSL f16) and bfloat16, both ways, rounding to nearest even.
 * Bits travel as numbers or Uint16Array, so that no runtime support for Float16Array is needed.
 */

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** The binary16 bits nearest to `value` (ties to even); beyond 65504 + half a step it becomes infinity. */
export function toHalf(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) return magnitude > 0x7f800000 ? sign | 0x7e00 : sign | 0x7c00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal halves are multiples of 2^-24: shift the significand there and round what falls off.
    const shift = 126 - (magnitude >>> 23);
    if (shift > 24) return sign;
    const significand = (magnitude & 0x7fffff) | 0x800000;
    const kept = significand >>> shift;
    const lost = significand & ((1 << shift) - 1);
    const half = 1 << (shift - 1);
    return sign | (lost > half || (lost === half && kept & 1) ? kept + 1 : kept);
  }
  // A carry out of the significand correctly raises the exponent.
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** The value of binary16 bits; exact. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The bfloat16 bits nearest to `value` (ties to even). */
export function toBfloat16(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

let halfTable: Float32Array<ArrayBuffer> | undefined;

/** Widens binary16 bits to f32, long arrays through a table of all 65,536 values made on first use. */
export function halfToFloat32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(bits.length);
  if (bits.length < 65536) {
    for (let i = 0; i < bits.length; i++) out[i] = fromHalf(bits[i]!);
    return out;
  }
  const table = (halfTable ??= Float32Array.from({ length: 65536 }, (_, i) => fromHalf(i)));
  for (let i = 0; i < bits.length; i++) out[i] = table[bits[i]!]!;
  return out;
}

/** Rounds f32 values to binary16 bits. */
export function float32ToHalf(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = toHalf(values[i]!);
  return out;
}

/** Widens bfloat16 bits to f32. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** Rounds f32 values to bfloat16 bits. */
export function float32ToBfloat16(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = toBfloat16(values[i]!);
  return out;
}
