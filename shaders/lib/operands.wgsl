// What a product reads (matmul.wgsl): its parameters and operands, in blocks of four by four numbers.
// VEC_A, VEC_B, VEC_2 (both of the second pair): the rows of that tensor begin at multiples of 4. GUARD: a range of k may end within a step. B_F16: B
// holds pairs of f16. QUANT: B is packed (src/ops/quantised.ts). Of a B beyond the binding limit each dispatch sees some rows: columns n_first to n_end
// of C with TRANS_B, else the part k_first to k_end of the sum, which is a split of its own.
// conditions: TRANS_A TRANS_B VEC_A VEC_B VEC_2 B_F16 GUARD SECOND
import package::lib::index::{place_in, quotient};
import package::lib::quantised::{four_codes, byte_of};

struct Params {
  m: u32,
  n: u32,
  k: u32,
  chunk: u32, // k per split, a multiple of 16
  splits: u32, // of this dispatch
  alpha: f32,
  lda2: u32, // elements from a row of A2 to the next
  group2: u32, // columns of C that read the same columns of A2
  n_first: u32,
  n_end: u32,
  k_first: u32,
  k_end: u32,
  a_strides: vec4u, // elements per step of batch axes 0, 1, 2
  b_strides: vec4u,
  c_strides: vec4u,
  lda: u32, // elements from a stored row to the next
  ldb: u32,
  ldc: u32,
  split_first: u32, // splits before this dispatch's
  split_stride: u32, // elements of C from a split to the next
  b_shift: u32, // elements of B (words with QUANT) before the bound part
  m_first: u32, // 1: neighbouring workgroups of `tiled` step along m, else along n
  k2: u32,
  by_splits: vec4u, // divisors: splits, and the sizes of the two inner batch axes
  by_batch1: vec4u,
  by_batch2: vec4u,
  c_columns: vec4u, // columns of a row of C per step of batch axes: matrices beside each other are columns of one
  quant: vec4u, // stride, block, scales, zeros
}

@group(0) @binding(0) var<uniform> p: Params;
@if(VEC_A) @group(0) @binding(1) var<storage, read> a: array<vec4f>;
@else @group(0) @binding(1) var<storage, read> a: array<f32>;
@if(QUANT) @group(0) @binding(2) var<storage, read> b: array<u32>;
@elif(VEC_B && B_F16) @group(0) @binding(2) var<storage, read> b: array<vec2u>;
@elif(B_F16) @group(0) @binding(2) var<storage, read> b: array<u32>;
@elif(VEC_B) @group(0) @binding(2) var<storage, read> b: array<vec4f>;
@else @group(0) @binding(2) var<storage, read> b: array<f32>;
// The second pair is bound where the epilogue has nothing then: no raw product, no scale, and either no slope or no bias.
@if(SECOND && VEC_2) @group(0) @binding(7) var<storage, read> a2: array<vec4f>;
@elif(SECOND) @group(0) @binding(7) var<storage, read> a2: array<f32>;
@if(SECOND && VEC_2 && SLOPE) @group(0) @binding(5) var<storage, read> b2: array<vec4f>;
@elif(SECOND && SLOPE) @group(0) @binding(5) var<storage, read> b2: array<f32>;
@elif(SECOND && VEC_2) @group(0) @binding(4) var<storage, read> b2: array<vec4f>;
@elif(SECOND) @group(0) @binding(4) var<storage, read> b2: array<f32>;

@if(QUANT) override BITS: u32 = 4u;

// Four consecutive elements of a stored row. Beyond the ends of a matrix they are whatever lies there or robust access gives: such rows
// and columns of C are never stored, and `until` clears what is beyond the end of k.
fn read_a(base: u32, row: u32, column: u32) -> vec4f {
  let at = base + row * p.lda + column;
  @if(VEC_A) { return a[at / 4u]; }
  @else { return vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]); }
}

@if(B_F16 && !VEC_B) fn half_b(at: u32) -> f32 {
  return unpack2x16float(b[at / 2u])[at % 2u];
}

@if(QUANT) fn read_b(base: u32, row: u32, column: u32) -> vec4f {
  let at = base + row * p.quant.x;
  let group = column / p.quant.y;
  let scale = bitcast<f32>(b[at + p.quant.z + group]);
  @if(ZERO_BYTES) let zero = byte_of(b[at + p.quant.w + group / 4u], group);
  @elif(ZERO_FLOATS) let zero = bitcast<f32>(b[at + p.quant.w + group]);
  @else let zero = f32(1u << (BITS - 1u));
  return (four_codes(b[at + column * BITS / 32u], column, BITS) - zero) * scale;
}
@else fn read_b(base: u32, row: u32, column: u32) -> vec4f {
  let at = base + row * p.ldb + column;
  @if(VEC_B && B_F16) {
    let pair = b[at / 4u];
    return vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
  }
  @elif(VEC_B) { return b[at / 4u]; }
  @elif(B_F16) { return vec4f(half_b(at), half_b(at + 1u), half_b(at + 2u), half_b(at + 3u)); }
  @else { return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]); }
}

// Rows m .. m+3 of A at k .. k+3: column j of the matrix is those rows at k + j.
fn block_a(base: u32, m: u32, k: u32) -> mat4x4f {
  @if(TRANS_A) {
    return mat4x4f(read_a(base, k, m), read_a(base, k + 1u, m), read_a(base, k + 2u, m), read_a(base, k + 3u, m));
  }
  @else {
    return transpose(mat4x4f(
      read_a(base, m, k), read_a(base, m + 1u, k), read_a(base, m + 2u, k), read_a(base, m + 3u, k),
    ));
  }
}

// Columns n .. n+3 of B at k .. k+3: column j of the matrix is row k + j.
fn block_b(base: u32, n: u32, k: u32) -> mat4x4f {
  @if(TRANS_B) {
    return transpose(mat4x4f(
      read_b(base, n, k), read_b(base, n + 1u, k), read_b(base, n + 2u, k), read_b(base, n + 3u, k),
    ));
  }
  @else {
    return mat4x4f(read_b(base, k, n), read_b(base, k + 1u, n), read_b(base, k + 2u, n), read_b(base, k + 3u, n));
  }
}

@if(SECOND) fn read_a2(row: u32, column: u32) -> vec4f {
  let at = row * p.lda2 + column;
  @if(VEC_2) { return a2[at / 4u]; }
  @else { return vec4f(a2[at], a2[at + 1u], a2[at + 2u], a2[at + 3u]); }
}

@if(SECOND && TRANS_B) fn at_b2(row: u32, column: u32) -> u32 { return row * p.k2 + column; }
@elif(SECOND) fn at_b2(row: u32, column: u32) -> u32 { return row * p.n + column; }

@if(SECOND) fn read_b2(row: u32, column: u32) -> vec4f {
  let at = at_b2(row, column);
  @if(VEC_2) { return b2[at / 4u]; }
  @else { return vec4f(b2[at], b2[at + 1u], b2[at + 2u], b2[at + 3u]); }
}

// As block_a and block_b, of the second pair.
@if(SECOND) fn block_a2(m: u32, k: u32) -> mat4x4f {
  return transpose(mat4x4f(read_a2(m, k), read_a2(m + 1u, k), read_a2(m + 2u, k), read_a2(m + 3u, k)));
}

@if(SECOND) fn block_b2(n: u32, k: u32) -> mat4x4f {
  @if(TRANS_B) {
    return transpose(mat4x4f(read_b2(n, k), read_b2(n + 1u, k), read_b2(n + 2u, k), read_b2(n + 3u, k)));
  }
  @else {
    return mat4x4f(read_b2(k, n), read_b2(k + 1u, n), read_b2(k + 2u, n), read_b2(k + 3u, n));
  }
}

@if(GUARD) fn masked(v: vec4f, mask: u32) -> vec4f { return bitcast<vec4f>(bitcast<vec4u>(v) & vec4u(mask)); }

// A block at k .. k+3 with what is at k_end and beyond made zero; of both operands, since the other's may be no number.
fn until(block: mat4x4f, k: u32, k_end: u32) -> mat4x4f {
  @if(GUARD) {
    // All ones before the end, and zero from there on.
    let kept = bitcast<vec4u>((vec4i(0, 1, 2, 3) + i32(k) - i32(k_end)) >> vec4u(31u));
    return mat4x4f(
      masked(block[0], kept.x), masked(block[1], kept.y), masked(block[2], kept.z), masked(block[3], kept.w),
    );
  }
  @else { return block; }
}

// Batch and split of a workgroup.
fn batch_of(z: u32) -> vec2u {
  let batch = quotient(z, p.by_splits);
  return vec2u(batch, z - batch * p.splits);
}

// Where a batch lies along the three axes.
fn place_of(batch: u32) -> vec3u { return place_in(batch, p.by_batch1, p.by_batch2); }

fn offset_of(place: vec3u, strides: vec4u) -> u32 {
  return place.x * strides.x + place.y * strides.y + place.z * strides.z;
}
