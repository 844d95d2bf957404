// What attention's kernels share: the least score, and the outer product that all their sums are made of.

// A key whose masked score is not above this does not exist.
const LOWEST = -1.0e30;

// `sum` with by[n] times x added to column n. As FMAs, so that kernels that sum in one order get the same bits.
fn outer(sum: mat4x4f, by: vec4f, x: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(by.x), x, sum[0]), fma(vec4f(by.y), x, sum[1]), fma(vec4f(by.z), x, sum[2]), fma(vec4f(by.w), x, sum[3]),
  );
}
