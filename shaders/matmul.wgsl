// C[z] = epilogue(alpha * A[z] B[z]):  A [M, K] (stored [K, M] with TRANS_A), B [K, N] (stored [N, K] with TRANS_B), C [M, N].
// The epilogue and its operands: lib/epilogue.wgsl. With splits > 1 (no epilogue), C is [splits, batch, M, N] and each split sums its
// own range of k; matmulSplit.wgsl adds them up.
// Each thread owns a block of C, 4 rows by 4 columns (8 by 4 with TALL, which only `tiled` takes, 16 by 8 with HUGE, which only `direct` takes). `direct` reads
// operands straight from memory; `tiled` stages them in workgroup memory. VEC_A, VEC_B, VEC_C: the contiguous axis of that tensor is a multiple of 4. B_F16: B holds pairs of f16.
// QUANT: B is packed (src/ops/quantised.ts). Of a B beyond the binding limit each dispatch sees some rows: columns n_first to n_end of C
// with TRANS_B, else the part k_first to k_end of the sum, which is a split of its own.
// conditions: TRANS_A TRANS_B VEC_A VEC_B VEC_C B_F16 GUARD TALL HUGE
import package::lib::epilogue::store_element;
import package::lib::quantised::{four_codes, byte_of};

struct Params {
  m: u32,
  n: u32,
  k: u32,
  chunk: u32, // k per split, a multiple of 16
  splits: u32, // of this dispatch
  alpha: f32,
  batch1: u32, // sizes of the two inner batch axes
  batch2: u32,
  batches: u32,
  n_first: u32,
  n_end: u32,
  k_first: u32,
  a_strides: vec4u, // elements per step of batch axes 0, 1, 2
  b_strides: vec4u,
  k_end: u32,
  split_first: u32, // splits before this dispatch's
  b_shift: u32, // elements of B (words with QUANT) before the bound part
  pad: u32,
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

override TX: u32 = 8u; // threads along n
override TY: u32 = 8u; // threads along m
@if(QUANT) override BITS: u32 = 4u;

// Four consecutive elements of a stored row. Rows and columns of C beyond its ends read whatever robust access gives and are never
// stored; beyond the end of k the values must be zero, which GUARD sees to where k is no multiple of the step.
fn read_a(base: u32, row: u32, rows: u32, column: u32, columns: u32) -> vec4f {
  let at = base + row * columns + column;
  @if(VEC_A && !GUARD) { return a[at / 4u]; }
  @elif(VEC_A) { return select(vec4f(), a[at / 4u], row < rows && column < columns); }
  @else {
    let inside = vec4u(column, column + 1u, column + 2u, column + 3u) < vec4u(columns);
    return select(vec4f(), vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]), inside & vec4<bool>(row < rows));
  }
}

@if(B_F16 && !VEC_B) fn half_b(at: u32) -> f32 {
  return unpack2x16float(b[at / 2u])[at % 2u];
}

@if(QUANT) fn read_b(base: u32, row: u32, rows: u32, column: u32, columns: u32) -> vec4f {
  let at = base + row * p.quant.x;
  let group = column / p.quant.y;
  let scale = bitcast<f32>(b[at + p.quant.z + group]);
  @if(ZERO_BYTES) let zero = byte_of(b[at + p.quant.w + group / 4u], group);
  @elif(ZERO_FLOATS) let zero = bitcast<f32>(b[at + p.quant.w + group]);
  @else let zero = f32(1u << (BITS - 1u));
  let v = (four_codes(b[at + column * BITS / 32u], column, BITS) - zero) * scale;
  let inside = vec4u(column, column + 1u, column + 2u, column + 3u) < vec4u(columns);
  return select(vec4f(), v, inside & vec4<bool>(row < rows));
}
@else fn read_b(base: u32, row: u32, rows: u32, column: u32, columns: u32) -> vec4f {
  let at = base + row * columns + column;
  @if(VEC_B) {
    @if(B_F16) let pair = b[at / 4u];
    @if(B_F16) let v = vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
    @else let v = b[at / 4u];
    @if(GUARD) { return select(vec4f(), v, row < rows && column < columns); }
    @else { return v; }
  }
  @else {
    let inside = vec4u(column, column + 1u, column + 2u, column + 3u) < vec4u(columns);
    @if(B_F16) let v = vec4f(half_b(at), half_b(at + 1u), half_b(at + 2u), half_b(at + 3u));
    @else let v = vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
    return select(vec4f(), v, inside & vec4<bool>(row < rows));
  }
}

// Rows m .. m+3 of A at k .. k+3: column r of the matrix is row m + r.
fn block_a(base: u32, m: u32, k: u32, k_end: u32) -> mat4x4f {
  @if(TRANS_A) {
    return transpose(mat4x4f(
      read_a(base, k, k_end, m, p.m), read_a(base, k + 1u, k_end, m, p.m),
      read_a(base, k + 2u, k_end, m, p.m), read_a(base, k + 3u, k_end, m, p.m),
    ));
  }
  @else {
    return mat4x4f(
      read_a(base, m, p.m, k, p.k), read_a(base, m + 1u, p.m, k, p.k),
      read_a(base, m + 2u, p.m, k, p.k), read_a(base, m + 3u, p.m, k, p.k),
    );
  }
}

// Columns n .. n+3 of B at k .. k+3: column i of the matrix is row k + i.
fn block_b(base: u32, k: u32, k_end: u32, n: u32) -> mat4x4f {
  @if(TRANS_B) {
    return transpose(mat4x4f(
      read_b(base, n, p.n, k, p.k), read_b(base, n + 1u, p.n, k, p.k),
      read_b(base, n + 2u, p.n, k, p.k), read_b(base, n + 3u, p.n, k, p.k),
    ));
  }
  @else {
    return mat4x4f(
      read_b(base, k, k_end, n, p.n), read_b(base, k + 1u, k_end, n, p.n),
      read_b(base, k + 2u, k_end, n, p.n), read_b(base, k + 3u, k_end, n, p.n),
    );
  }
}

fn batch_offset(z: u32, strides: vec4u) -> u32 {
  let i2 = z % p.batch2;
  let i1 = (z / p.batch2) % p.batch1;
  return (z / p.batch2 / p.batch1) * strides.x + i1 * strides.y + i2 * strides.z;
}

fn store(base: u32, m: u32, n: u32, sum: vec4f) {
  if (m >= p.m || n >= p.n_end) { return; }
  let at = base + m * p.n + n;
  @if(VEC_C) { store_element(p.alpha * sum, at / 4u, n / 4u); }
  @else {
    for (var i = 0u; i < min(4u, p.n_end - n); i++) { store_element(p.alpha * sum[i], at + i, n + i); }
  }
}

@compute @workgroup_size(TX, TY)
fn direct(@builtin(global_invocation_id) gid: vec3u) {
  @if(HUGE) let n = p.n_first + gid.x * 8u;
  @else let n = p.n_first + gid.x * 4u;
  @if(HUGE) let m = gid.y * 16u;
  @else let m = gid.y * 4u;
  if (n >= p.n_end || m >= p.m) { return; }
  let batch = gid.z / p.splits;
  let k_start = p.k_first + (gid.z % p.splits) * p.chunk;
  let k_end = min(p.k_end, k_start + p.chunk);
  let a_base = batch_offset(batch, p.a_strides);
  let b_base = batch_offset(batch, p.b_strides) - p.b_shift;
  // c_RC: rows 4R to 4R + 3, columns 4C to 4C + 3 of the thread's block.
  var c_00 = mat4x4f();
  @if(HUGE) var c_10 = mat4x4f();
  @if(HUGE) var c_20 = mat4x4f();
  @if(HUGE) var c_30 = mat4x4f();
  @if(HUGE) var c_01 = mat4x4f();
  @if(HUGE) var c_11 = mat4x4f();
  @if(HUGE) var c_21 = mat4x4f();
  @if(HUGE) var c_31 = mat4x4f();
  for (var k = k_start; k < k_end; k += 4u) {
    let b_0 = block_b(b_base, k, k_end, n);
    let a_0 = block_a(a_base, m, k, k_end);
    c_00 += b_0 * a_0;
    @if(HUGE) {
      let a_1 = block_a(a_base, m + 4u, k, k_end);
      let b_1 = block_b(b_base, k, k_end, n + 4u);
      let a_2 = block_a(a_base, m + 8u, k, k_end);
      let a_3 = block_a(a_base, m + 12u, k, k_end);
      c_10 += b_0 * a_1;
      c_20 += b_0 * a_2;
      c_30 += b_0 * a_3;
      c_01 += b_1 * a_0;
      c_11 += b_1 * a_1;
      c_21 += b_1 * a_2;
      c_31 += b_1 * a_3;
    }
  }
  let c_base = ((p.split_first + gid.z % p.splits) * p.batches + batch) * p.m * p.n;
  // Rolled up, since a compiler that inlines everything would meet the epilogue once per row.
  @if(HUGE) {
    var rows = array<vec4f, 32>(
      c_00[0], c_00[1], c_00[2], c_00[3], c_10[0], c_10[1], c_10[2], c_10[3],
      c_20[0], c_20[1], c_20[2], c_20[3], c_30[0], c_30[1], c_30[2], c_30[3],
      c_01[0], c_01[1], c_01[2], c_01[3], c_11[0], c_11[1], c_11[2], c_11[3],
      c_21[0], c_21[1], c_21[2], c_21[3], c_31[0], c_31[1], c_31[2], c_31[3],
    );
    for (var i = 0u; i < 32u; i++) { store(c_base, m + i % 16u, n + (i / 16u) * 4u, rows[i]); }
  }
  @else {
    var rows = array<vec4f, 4>(c_00[0], c_00[1], c_00[2], c_00[3]);
    for (var i = 0u; i < 4u; i++) { store(c_base, m + i, n, rows[i]); }
  }
}

const DEPTH = 16u; // k staged at a time
@if(TALL) const HEIGHT = 2u;
@else const HEIGHT = 1u;
override ROWS_A: u32 = TY * HEIGHT; // vec4 along m in the tile
override TILE_A: u32 = ROWS_A * DEPTH;
override TILE_B: u32 = TX * DEPTH;
var<workgroup> tile_a: array<vec4f, TILE_A>; // [k][m / 4]
var<workgroup> tile_b: array<vec4f, TILE_B>; // [k][n / 4]

@compute @workgroup_size(TX, TY)
fn tiled(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let m0 = group.y * ROWS_A * 4u;
  let n0 = p.n_first + group.x * TX * 4u;
  let batch = group.z / p.splits;
  let k_start = p.k_first + (group.z % p.splits) * p.chunk;
  let k_end = min(p.k_end, k_start + p.chunk);
  let a_base = batch_offset(batch, p.a_strides);
  let b_base = batch_offset(batch, p.b_strides) - p.b_shift;
  var low = mat4x4f();
  @if(TALL) var high = mat4x4f();
  for (var k0 = k_start; k0 < k_end; k0 += DEPTH) {
    for (var i = lane; i < ROWS_A * 4u; i += TX * TY) {
      @if(TRANS_A) let at = vec2u(i % ROWS_A, i / ROWS_A);
      @else let at = vec2u(i / 4u, i % 4u);
      let block = transpose(block_a(a_base, m0 + at.x * 4u, k0 + at.y * 4u, k_end));
      for (var j = 0u; j < 4u; j++) { tile_a[(at.y * 4u + j) * ROWS_A + at.x] = block[j]; }
    }
    for (var i = lane; i < TX * 4u; i += TX * TY) {
      @if(TRANS_B) let at = vec2u(i / 4u, i % 4u);
      @else let at = vec2u(i % TX, i / TX);
      let block = block_b(b_base, k0 + at.y * 4u, k_end, n0 + at.x * 4u);
      for (var j = 0u; j < 4u; j++) { tile_b[(at.y * 4u + j) * TX + at.x] = block[j]; }
    }
    workgroupBarrier(); // the tiles are whole before anyone reads them
    for (var k = 0u; k < DEPTH; k += 4u) {
      let block = mat4x4f(
        tile_b[k * TX + id.x], tile_b[(k + 1u) * TX + id.x], tile_b[(k + 2u) * TX + id.x], tile_b[(k + 3u) * TX + id.x],
      );
      let at = id.y * HEIGHT;
      low += block * transpose(mat4x4f(
        tile_a[k * ROWS_A + at], tile_a[(k + 1u) * ROWS_A + at],
        tile_a[(k + 2u) * ROWS_A + at], tile_a[(k + 3u) * ROWS_A + at],
      ));
      @if(TALL) high += block * transpose(mat4x4f(
        tile_a[k * ROWS_A + at + 1u], tile_a[(k + 1u) * ROWS_A + at + 1u],
        tile_a[(k + 2u) * ROWS_A + at + 1u], tile_a[(k + 3u) * ROWS_A + at + 1u],
      ));
    }
    workgroupBarrier(); // everyone has read the tiles before the next ones overwrite them
  }
  let c_base = ((p.split_first + group.z % p.splits) * p.batches + batch) * p.m * p.n;
  let n = n0 + id.x * 4u;
  let m = m0 + id.y * HEIGHT * 4u;
  @if(TALL) var rows = array<vec4f, 8>(low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]);
  @else var rows = array<vec4f, 4>(low[0], low[1], low[2], low[3]);
  for (var i = 0u; i < HEIGHT * 4u; i++) { store(c_base, m + i, n, rows[i]); }
}
