// Numbers out of packed codes: what src/ops/quantised.ts describes. The bindings belong to the kernels, so these take words.
// conditions: QUANT ZERO_BYTES ZERO_FLOATS

// Four codes of `bits` bits, from `column` on (a multiple of 4), out of the word that holds them.
fn four_codes(word: u32, column: u32, bits: u32) -> vec4f {
  let first = (column * bits) % 32u;
  let shifts = vec4u(first, first + bits, first + 2u * bits, first + 3u * bits);
  return vec4f((vec4u(word) >> shifts) & vec4u((1u << bits) - 1u));
}

// Byte `i` of a row of bytes, out of the word that holds it.
fn byte_of(word: u32, i: u32) -> f32 {
  return f32((word >> (8u * (i % 4u))) & 255u);
}
