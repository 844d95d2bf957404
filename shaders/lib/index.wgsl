// Indices of kernels with one thread per element, laid out over x and y (src/ops/dispatch.ts, `spread`), and their division.

fn flat(gid: vec3u, groups: vec3u, width: u32) -> u32 {
  return gid.x + gid.y * groups.x * width;
}

// The upper half of a product of 64 bits.
fn upper_half(lhs: u32, rhs: u32) -> u32 {
  let low = (lhs & 0xffffu) * (rhs & 0xffffu);
  let mid = (lhs >> 16u) * (rhs & 0xffffu) + (low >> 16u);
  let other = (lhs & 0xffffu) * (rhs >> 16u) + (mid & 0xffffu);
  return (lhs >> 16u) * (rhs >> 16u) + (mid >> 16u) + (other >> 16u);
}

// n / by.x for n < 2^31, where by.yz are what `divisor` in src/ops/dispatch.ts has found for by.x: a product in place of a division, for
// which GPUs have no instruction.
fn quotient(n: u32, by: vec4u) -> u32 {
  return upper_half(n << 1u, by.y) >> by.z;
}

// Where number n of three axes lies, by the sizes of the two inner ones.
fn place_in(n: u32, by_1: vec4u, by_2: vec4u) -> vec3u {
  let rest = quotient(n, by_2);
  let outer = quotient(rest, by_1);
  return vec3u(outer, rest - outer * by_1.x, n - rest * by_2.x);
}
