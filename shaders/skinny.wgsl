// C = epilogue(alpha * op(A) op(B)) for a result with at most 32 columns or rows, as low-rank updates make them (epilogue: lib/epilogue.wgsl).
//   rows_dot     A [M, K], B [K, N] (stored [N, K] with TRANS_B), few columns: low = x Aᵀ, dLow = dY B.
//   columns_sum  A stored [K, M] (TRANS_A), B [K, N], few columns or (FEW_ROWS) few rows: dB = dYᵀ low, dA = dLowᵀ x. K may be cut into
//                parts, which workgroups of their own sum: then C is [parts, M, N] and matmulSplit.wgsl or addParts.wgsl adds them up.
//   block_sums   either of them for adapters on a CPU, from registers alone.
// Order of a sum: lanes share a part of K. rows_dot deals vectors of four to 8 lanes in turn (lane l has 32 j + 4 l and the next three),
// columns_sum gives 16 lanes a range each. A lane adds its terms by fused multiply-adds with k ascending; the lanes' sums are added from lane 0 on.
// So all forms give the same bits. A workgroup, or a thread of block_sums, takes eight of the few; src/ops/skinny.ts has the rest.
// VEC_A, VEC_B: the rows of that tensor begin at multiples of 4. GUARD: the sum of rows_dot ends within a vector. TALL: block_sums takes 16 of the long side, not 8.
// SECOND: columns_sum makes two products, a first with few columns and a second with few rows, both gradients of an update's factors.
// conditions: TRANS_A TRANS_B VEC_A VEC_B GUARD FEW_ROWS TALL SECOND VEC_A2 VEC_B2
import package::lib::epilogue::store_element;

struct Params {
  m: u32,
  n: u32,
  k: u32,
  chunk: u32, // k per part
  alpha: f32,
  lda: u32, // elements from a stored row to the next
  ldb: u32,
  ldc: u32,
  part_stride: u32, // elements of C from a part to the next
  lane_step: u32, // k from a lane's first to the next lane's
  lane_length: u32, // k from a lane's first to where it ends
  step: u32, // k from one vector of a lane to its next
  lanes: u32,
  pad_0: u32,
  pad_1: u32,
  pad_2: u32,
}

@if(SECOND) struct Both {
  first: Params,
  second: Params,
  groups: u32, // of the first, along x
  pad_0: u32,
  pad_1: u32,
  pad_2: u32,
}

@if(SECOND) @group(0) @binding(0) var<uniform> both: Both;
@if(SECOND) var<private> p: Params; // of the product that this workgroup is for
@if(SECOND) var<private> is_second: bool;
@else @group(0) @binding(0) var<uniform> p: Params;
@if(VEC_A) @group(0) @binding(1) var<storage, read> a: array<vec4f>;
@else @group(0) @binding(1) var<storage, read> a: array<f32>;
@if(VEC_B) @group(0) @binding(2) var<storage, read> b: array<vec4f>;
@else @group(0) @binding(2) var<storage, read> b: array<f32>;
// Bound where the epilogue has nothing: sums along columns are stored as they are.
@if(SECOND && VEC_A2) @group(0) @binding(4) var<storage, read> a2: array<vec4f>;
@elif(SECOND) @group(0) @binding(4) var<storage, read> a2: array<f32>;
@if(SECOND && VEC_B2) @group(0) @binding(5) var<storage, read> b2: array<vec4f>;
@elif(SECOND) @group(0) @binding(5) var<storage, read> b2: array<f32>;
@if(SECOND) @group(0) @binding(6) var<storage, read_write> c2: array<f32>;

// Four consecutive elements of a stored row. Beyond the ends of a matrix they are whatever lies there or robust access gives: such rows
// and columns of C are never stored, and `until` clears what is beyond the end of k.
fn read_a(row: u32, column: u32) -> vec4f {
  let at = row * p.lda + column;
  @if(VEC_A) { return a[at / 4u]; }
  @else { return vec4f(a[at], a[at + 1u], a[at + 2u], a[at + 3u]); }
}

fn read_b(row: u32, column: u32) -> vec4f {
  let at = row * p.ldb + column;
  @if(VEC_B) { return b[at / 4u]; }
  @else { return vec4f(b[at], b[at + 1u], b[at + 2u], b[at + 3u]); }
}

@if(SECOND) fn read_a2(row: u32, column: u32) -> vec4f {
  let at = row * p.lda + column;
  @if(VEC_A2) { return a2[at / 4u]; }
  @else { return vec4f(a2[at], a2[at + 1u], a2[at + 2u], a2[at + 3u]); }
}

@if(SECOND) fn read_b2(row: u32, column: u32) -> vec4f {
  let at = row * p.ldb + column;
  @if(VEC_B2) { return b2[at / 4u]; }
  @else { return vec4f(b2[at], b2[at + 1u], b2[at + 2u], b2[at + 3u]); }
}

// Rows m .. m+3 of A at k .. k+3: column j of the matrix is those rows at k + j.
fn block_a(m: u32, k: u32) -> mat4x4f {
  @if(TRANS_A) { return mat4x4f(read_a(k, m), read_a(k + 1u, m), read_a(k + 2u, m), read_a(k + 3u, m)); }
  @else { return transpose(mat4x4f(read_a(m, k), read_a(m + 1u, k), read_a(m + 2u, k), read_a(m + 3u, k))); }
}

// Columns n .. n+3 of B at k .. k+3: column j of the matrix is row k + j.
fn block_b(n: u32, k: u32) -> mat4x4f {
  @if(TRANS_B) { return transpose(mat4x4f(read_b(n, k), read_b(n + 1u, k), read_b(n + 2u, k), read_b(n + 3u, k))); }
  @else { return mat4x4f(read_b(k, n), read_b(k + 1u, n), read_b(k + 2u, n), read_b(k + 3u, n)); }
}

// A block at k .. k+3 with what is at `end` and beyond made zero; of both operands, since the other's may be no number.
fn until(block: mat4x4f, k: u32, end: u32) -> mat4x4f {
  if (k + 4u > end) {
    return mat4x4f(
      select(vec4f(), block[0], k < end), select(vec4f(), block[1], k + 1u < end),
      select(vec4f(), block[2], k + 2u < end), select(vec4f(), block[3], k + 3u < end),
    );
  }
  return block;
}

// Four rows of C, to which one k is added: column r of the matrix is row r.
fn fma_rows(c: mat4x4f, a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(a.x), b, c[0]), fma(vec4f(a.y), b, c[1]), fma(vec4f(a.z), b, c[2]), fma(vec4f(a.w), b, c[3]),
  );
}

fn store(part: u32, row: u32, column: u32, sum: f32) {
  if (row >= p.m || column >= p.n || part * p.chunk >= p.k) { return; }
  let at = part * p.part_stride + row * p.ldc + column;
  @if(SECOND) {
    if (is_second) {
      c2[at] = p.alpha * sum;
      return;
    }
  }
  store_element(p.alpha * sum, at, column);
}

// Of rows_dot 256 of K: [k % 4][half of the eight columns][k / 4], so that neighbouring lanes read neighbouring vectors. Of columns_sum
// what the lanes have of two of the few: [which][lane][column / 4].
var<workgroup> tile: array<vec4f, 512>;
// What the lanes of rows_dot have, [row][column][lane], with one number of air.
var<workgroup> sums: array<f32, 128 * 9>;

// Threads: 16 rows of 8 lanes. Workgroups: eights of the columns, then rows.
@if(!SECOND) @compute @workgroup_size(128)
fn rows_dot(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = group.x * 8u;
  let lane = thread % 8u;
  let row = group.y * 16u + thread / 8u;
  // A block of the tile for each thread.
  let quad = thread % 64u;
  let half = thread / 64u;
  var low = vec4f();
  var high = vec4f();
  for (var first = 0u; first < p.k; first += 256u) {
    let at = first + quad * 4u;
    @if(GUARD) let block = until(block_b(n + half * 4u, at), at, p.k);
    @else let block = block_b(n + half * 4u, at);
    workgroupBarrier(); // everyone has read the tile before
    for (var j = 0u; j < 4u; j++) { tile[(j * 2u + half) * 64u + quad] = block[j]; }
    workgroupBarrier(); // the tile is whole
    for (var i = 0u; i < 8u; i++) {
      let k = first + (i * 8u + lane) * 4u;
      if (k >= p.k) { break; }
      @if(GUARD) let x = select(vec4f(), read_a(row, k), vec4u(k, k + 1u, k + 2u, k + 3u) < vec4u(p.k));
      @else let x = read_a(row, k);
      for (var j = 0u; j < 4u; j++) {
        let b_low = tile[j * 128u + i * 8u + lane];
        let b_high = tile[j * 128u + 64u + i * 8u + lane];
        low = fma(vec4f(x[j]), b_low, low);
        high = fma(vec4f(x[j]), b_high, high);
      }
    }
  }
  // The lanes of a row are added up by one thread for each column.
  let at = thread / 8u * 72u + lane;
  for (var i = 0u; i < 4u; i++) {
    sums[at + i * 9u] = low[i];
    sums[at + (i + 4u) * 9u] = high[i];
  }
  workgroupBarrier(); // all lanes have left theirs
  var sum = 0.0;
  for (var i = 0u; i < 8u; i++) { sum += sums[thread * 9u + i]; }
  store(0u, row, n + lane, sum);
}

// The long operand and the one with few columns, at a row k; of the first product and of the second.
fn long_at(k: u32, column: u32) -> vec4f {
  @if(FEW_ROWS) { return read_b(k, column); }
  @else { return read_a(k, column); }
}

fn few_at(k: u32, column: u32) -> vec4f {
  @if(FEW_ROWS) { return read_a(k, column); }
  @else { return read_b(k, column); }
}

// What a lane has so far: column r of each matrix is one of the few.
struct Sums {
  low: mat4x4f,
  high: mat4x4f,
}

fn add_term(own: Sums, x: vec4f, low: vec4f, high: vec4f) -> Sums {
  return Sums(fma_rows(own.low, low, x), fma_rows(own.high, high, x));
}

// Two terms at a time, so that their reads wait for memory together.
fn lane_sums(first: u32, end: u32, column: u32, few: u32) -> Sums {
  var own = Sums();
  var k = first;
  for (; k + 1u < end; k += 2u) {
    let x = long_at(k, column);
    let low = few_at(k, few);
    let high = few_at(k, few + 4u);
    let next_x = long_at(k + 1u, column);
    let next_low = few_at(k + 1u, few);
    let next_high = few_at(k + 1u, few + 4u);
    own = add_term(add_term(own, x, low, high), next_x, next_low, next_high);
  }
  if (k < end) { own = add_term(own, long_at(k, column), few_at(k, few), few_at(k, few + 4u)); }
  return own;
}

@if(SECOND) fn lane_sums_of_second(first: u32, end: u32, column: u32, few: u32) -> Sums {
  var own = Sums();
  var k = first;
  for (; k + 1u < end; k += 2u) {
    let x = read_b2(k, column);
    let low = read_a2(k, few);
    let high = read_a2(k, few + 4u);
    let next_x = read_b2(k + 1u, column);
    let next_low = read_a2(k + 1u, few);
    let next_high = read_a2(k + 1u, few + 4u);
    own = add_term(add_term(own, x, low, high), next_x, next_low, next_high);
  }
  if (k < end) { own = add_term(own, read_b2(k, column), read_a2(k, few), read_a2(k, few + 4u)); }
  return own;
}

// Threads: 16 lanes of 16 times four columns. Workgroups: 64 columns of the long operand, eights of the few, parts of K.
@compute @workgroup_size(256)
fn columns_sum(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  var group = id;
  @if(SECOND) {
    p = both.first;
    if (id.x >= both.groups) {
      is_second = true;
      p = both.second;
      group.x -= both.groups;
    }
  }
  let column = group.x * 64u + thread % 16u * 4u;
  let few = group.y * 8u;
  let first = group.z * p.chunk + thread / 16u * p.lane_step;
  let end = min(min(p.k, (group.z + 1u) * p.chunk), first + p.lane_length);
  var own: Sums;
  // The choice stands outside of the loops: within them each read would wait for the one before.
  @if(SECOND) {
    if (is_second) { own = lane_sums_of_second(first, end, column, few); }
    else { own = lane_sums(first, end, column, few); }
  }
  @else { own = lane_sums(first, end, column, few); }
  join_columns(group, 0u, thread, own.low[0], own.low[1]);
  join_columns(group, 2u, thread, own.low[2], own.low[3]);
  join_columns(group, 4u, thread, own.high[0], own.high[1]);
  join_columns(group, 6u, thread, own.high[2], own.high[3]);
}

// Adds up the lanes of two of the few, which stand at `few` and after it, and stores them.
fn join_columns(group: vec3u, few: u32, thread: u32, one: vec4f, other: vec4f) {
  workgroupBarrier(); // everyone has read the tile before
  tile[thread] = one;
  tile[256u + thread] = other;
  workgroupBarrier(); // all lanes have left theirs
  if (thread < 128u) {
    let which = thread / 64u;
    let at = thread % 64u;
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) { sum += tile[which * 256u + i * 16u + at / 4u][at % 4u]; }
    let long = group.x * 64u + at;
    let short = group.y * 8u + few + which;
    var place = vec2u(long, short);
    @if(FEW_ROWS) place = place.yx;
    @if(SECOND) place = select(place, place.yx, is_second);
    store(group.z, place.x, place.y, sum);
  }
}

fn add_block(sum: mat4x4f, own: mat4x4f) -> mat4x4f {
  return mat4x4f(sum[0] + own[0], sum[1] + own[1], sum[2] + own[2], sum[3] + own[3]);
}

fn fma_block(c: mat4x4f, a: mat4x4f, b: mat4x4f) -> mat4x4f {
  return fma_rows(fma_rows(fma_rows(fma_rows(c, a[0], b[0]), a[1], b[1]), a[2], b[2]), a[3], b[3]);
}

// Four of the long side, and of the few: as block_a and block_b.
fn block_long(at: u32, k: u32) -> mat4x4f {
  @if(FEW_ROWS) { return block_b(at, k); }
  @else { return block_a(at, k); }
}

fn block_few(at: u32, k: u32) -> mat4x4f {
  @if(FEW_ROWS) { return block_a(at, k); }
  @else { return block_b(at, k); }
}

@if(TALL) const HEIGHT = 4u;
@else const HEIGHT = 2u;

// Eight of the few by 8 or 16 of the long side a thread, one lane after the other. These adapters work at eight threads of x at once.
@compute @workgroup_size(8)
fn block_sums(@builtin(global_invocation_id) gid: vec3u) {
  let long = gid.x * HEIGHT * 4u;
  let few = gid.y * 8u;
  @if(FEW_ROWS) { if (long >= p.n) { return; } }
  @else { if (long >= p.m) { return; } }
  let start = gid.z * p.chunk;
  let part_end = min(p.k, start + p.chunk);
  // Fours of the long side by fours of the few; column r of a matrix is one of the few.
  var sum_00 = mat4x4f();
  var sum_01 = mat4x4f();
  var sum_10 = mat4x4f();
  var sum_11 = mat4x4f();
  @if(TALL) var sum_20 = mat4x4f();
  @if(TALL) var sum_21 = mat4x4f();
  @if(TALL) var sum_30 = mat4x4f();
  @if(TALL) var sum_31 = mat4x4f();
  for (var lane = 0u; lane < p.lanes; lane++) {
    let first = start + lane * p.lane_step;
    let end = min(part_end, first + p.lane_length);
    var c_00 = mat4x4f();
    var c_01 = mat4x4f();
    var c_10 = mat4x4f();
    var c_11 = mat4x4f();
    @if(TALL) var c_20 = mat4x4f();
    @if(TALL) var c_21 = mat4x4f();
    @if(TALL) var c_30 = mat4x4f();
    @if(TALL) var c_31 = mat4x4f();
    for (var k = first; k < end; k += p.step) {
      let few_0 = until(block_few(few, k), k, end);
      let few_1 = until(block_few(few + 4u, k), k, end);
      let long_0 = until(block_long(long, k), k, end);
      c_00 = fma_block(c_00, few_0, long_0);
      c_01 = fma_block(c_01, few_1, long_0);
      let long_1 = until(block_long(long + 4u, k), k, end);
      c_10 = fma_block(c_10, few_0, long_1);
      c_11 = fma_block(c_11, few_1, long_1);
      @if(TALL) {
        let long_2 = until(block_long(long + 8u, k), k, end);
        c_20 = fma_block(c_20, few_0, long_2);
        c_21 = fma_block(c_21, few_1, long_2);
        let long_3 = until(block_long(long + 12u, k), k, end);
        c_30 = fma_block(c_30, few_0, long_3);
        c_31 = fma_block(c_31, few_1, long_3);
      }
    }
    sum_00 = add_block(sum_00, c_00);
    sum_01 = add_block(sum_01, c_01);
    sum_10 = add_block(sum_10, c_10);
    sum_11 = add_block(sum_11, c_11);
    @if(TALL) {
      sum_20 = add_block(sum_20, c_20);
      sum_21 = add_block(sum_21, c_21);
      sum_30 = add_block(sum_30, c_30);
      sum_31 = add_block(sum_31, c_31);
    }
  }
  // Rolled up, since a compiler that inlines everything would meet the epilogue once per number.
  var blocks: array<mat4x4f, HEIGHT * 2u>;
  blocks[0] = sum_00;
  blocks[1] = sum_01;
  blocks[2] = sum_10;
  blocks[3] = sum_11;
  @if(TALL) {
    blocks[4] = sum_20;
    blocks[5] = sum_21;
    blocks[6] = sum_30;
    blocks[7] = sum_31;
  }
  for (var i = 0u; i < HEIGHT * 32u; i++) {
    let l = long + i / 32u * 4u + i % 4u;
    let f = few + i / 4u % 8u;
    let sum = blocks[i / 16u][i / 4u % 4u][i % 4u];
    @if(FEW_ROWS) { store(gid.z, f, l, sum); }
    @else { store(gid.z, l, f, sum); }
  }
}
