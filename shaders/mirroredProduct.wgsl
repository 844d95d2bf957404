// What a gradient dYᵀ X adds up to with its mirror images (places p and size - p along either side), without the gradient: with every row of
// dY and X folded to sums and differences of a place and its image, the sums' product and the differences' are all that waves of whole
// frequencies ask for, and both together are half of dYᵀ X. The product itself is matmul.wgsl's.
// `mirror` folds rows; `edges` makes the sums with the middle place of a side, which is its own image as the first one is, and clears
// what lies beside.
// folded [rows, parts, size]: x[0], x[p] + x[size - p] for p below half of the size; then x[half], x[p] - x[size - p].
// result [parts, matrix]: for each place of `out` up to the middle, `across` sums and `across` differences for the places of the inputs
// up to the middle, four more than half of the size; from `rows + 1` such rows on zeros. Made in src/ops/mirroredProduct.ts.

import package::lib::index::{flat, quotient};

struct Params {
  rows: u32,
  fours: u32, // that `mirror` goes through, or threads of `edges`
  own: u32, // fours of a part of a row, and of half of it; for `edges` of dY
  half: u32,
  other_half: u32, // of X, for `edges`
  parts: u32,
  across: u32, // fours of the sums of one place in the result
  matrix: u32, // fours of a matrix of the result
  by_own: vec4u, // divisor: fours of a part, or threads of a part
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> folded: array<vec4f>;
@group(0) @binding(1) var<storage, read> y_folded: array<vec4f>;
@group(0) @binding(2) var<storage, read> x_folded: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> result: array<vec4f>;

override WG: u32 = 64u;

// A thread: four places of the lower half of a row's part.
@compute @workgroup_size(WG)
fn mirror(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.fours) { return; }
  let part = quotient(i, p.by_own);
  let four = i - part * p.half;
  let at = part * p.own;
  let here = x[at + four];
  let before = x[at + p.own - four - 1u];
  // The image of a row's first place is the middle, which takes the place that its difference would have.
  let first = x[at + select(p.own - four, p.half, four == 0u)].x;
  let image = vec4f(first, before.w, before.z, before.y);
  let sums = here + image;
  let differences = here - image;
  folded[at + four] = select(sums, vec4f(here.x, sums.yzw), four == 0u);
  folded[at + p.half + four] = select(differences, vec4f(first, differences.yzw), four == 0u);
}

// A part's threads: four sums of the middle of dY with X, as many as half a row of X has; then of dY with the middle of X; then of both.
@compute @workgroup_size(WG)
fn edges(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.fours) { return; }
  let part = quotient(i, p.by_own);
  let thread = i - part * p.by_own.x;
  let y_row = p.parts * p.own;
  let x_row = 2u * p.other_half;
  let y_at = part * p.own;
  let to = part * p.matrix;
  let last = to + 4u * p.half * 2u * p.across;
  if (thread < p.other_half) {
    var sum = vec4f(0.0);
    for (var row = 0u; row < p.rows; row++) {
      sum = fma(vec4f(y_folded[row * y_row + y_at + p.half].x), x_folded[row * x_row + thread], sum);
    }
    result[last + thread] = sum;
    result[last + p.across + thread] = vec4f(0.0);
    result[to + p.across + thread] = vec4f(0.0);
  } else if (thread < p.other_half + p.half) {
    let four = thread - p.other_half;
    var sum = vec4f(0.0);
    for (var row = 0u; row < p.rows; row++) {
      sum = fma(y_folded[row * y_row + y_at + four], vec4f(x_folded[row * x_row + p.other_half].x), sum);
    }
    for (var j = 0u; j < 4u; j++) {
      let begin = to + (4u * four + j) * 2u * p.across;
      result[begin + p.other_half] = vec4f(sum[j], 0.0, 0.0, 0.0);
      result[begin + p.across + p.other_half] = vec4f(0.0);
      // The first place has no difference: its row is cleared above.
      if (four + j > 0u) { result[begin + p.across].x = 0.0; }
    }
  } else {
    var sum = 0.0;
    for (var row = 0u; row < p.rows; row++) {
      sum = fma(y_folded[row * y_row + y_at + p.half].x, x_folded[row * x_row + p.other_half].x, sum);
    }
    result[last + p.other_half] = vec4f(sum, 0.0, 0.0, 0.0);
    for (var j = last + p.across + p.other_half; j < to + p.matrix; j++) { result[j] = vec4f(0.0); }
  }
}
