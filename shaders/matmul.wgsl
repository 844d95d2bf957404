// C[z] = epilogue(alpha * A[z] B[z]):  A [M, K] (stored [K, M] with TRANS_A), B [K, N] (stored [N, K] with TRANS_B), C [M, N]; the rows of
// each lie lda, ldb, ldc elements apart. The epilogue and its operands, which lie as C does: lib/epilogue.wgsl. With splits > 1 (no
// epilogue), C is [splits, batch, M, N] and each split sums its own range of k; matmulSplit.wgsl adds them up. With FOLD a workgroup of `tiled`
// has the threads of all splits, FOLDS of them, and adds up itself, in the same order.
// Every element is one chain of fused multiply-adds with k ascending, so that all cuts of the work below give the same bits.
// Each thread owns a block of C: 4 rows (8 with TALL, 16 with HUGE) by 4 columns (8 with WIDE). `direct` reads operands straight from
// memory; `tiled` stages them in workgroup memory, DEPTH of k at a time, and has the next step's numbers in registers meanwhile. Which
// form suits which shape and device: src/ops/gemm.ts.
// SECOND: alpha = 1 and C[z] gets A2 B2 as well, A2 [M, k2], B2 [k2, N] (stored [N, k2] with TRANS_B): the chains go on over k2 after k, so that
// a low-rank update costs no pass over C. With splits the last one does it. Each group of columns of C may have its own columns of A2, beside
// each other; a group is a multiple of 64 columns then.
// What it reads, and the conditions of that: lib/operands.wgsl. VEC_C: the rows of C begin at multiples of 4.
// conditions: VEC_C TALL HUGE WIDE FOLD
import package::lib::epilogue::store_element;
import package::lib::operands::{p, block_a, block_b, until, batch_of, place_of, offset_of};
@if(SECOND) import package::lib::operands::{block_a2, block_b2};

override TX: u32 = 8u; // threads along n
override TY: u32 = 8u; // threads along m

@if(WIDE) const WIDTH = 2u; // vec4 of a row of C per thread
@else const WIDTH = 1u;
@if(HUGE) const HEIGHT = 4u; // rows of C per thread, in fours
@elif(TALL) const HEIGHT = 2u;
@else const HEIGHT = 1u;

// Four rows of C, to which one k is added: column r of the matrix is row r.
fn fma_rows(c: mat4x4f, a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(a.x), b, c[0]), fma(vec4f(a.y), b, c[1]), fma(vec4f(a.z), b, c[2]), fma(vec4f(a.w), b, c[3]),
  );
}

fn fma_block(c: mat4x4f, a: mat4x4f, b: mat4x4f) -> mat4x4f {
  return fma_rows(fma_rows(fma_rows(fma_rows(c, a[0], b[0]), a[1], b[1]), a[2], b[2]), a[3], b[3]);
}

// `first`: the column of C's row that `base` is.
fn store(base: u32, first: u32, m: u32, n: u32, sum: vec4f) {
  if (m >= p.m || n >= p.n_end) { return; }
  let at = base + m * p.ldc + n;
  let column = first + n;
  @if(VEC_C) { store_element(p.alpha * sum, at / 4u, column / 4u); }
  @else {
    for (var i = 0u; i < min(4u, p.n_end - n); i++) { store_element(p.alpha * sum[i], at + i, column + i); }
  }
}

@compute @workgroup_size(TX, TY)
fn direct(@builtin(global_invocation_id) gid: vec3u) {
  let n = p.n_first + gid.x * WIDTH * 4u;
  let m = gid.y * HEIGHT * 4u;
  if (n >= p.n_end || m >= p.m) { return; }
  let own = batch_of(gid.z);
  let split = own.y;
  let batch = place_of(own.x);
  let k_start = p.k_first + split * p.chunk;
  let k_end = min(p.k_end, k_start + p.chunk);
  let a_base = offset_of(batch, p.a_strides);
  let b_base = offset_of(batch, p.b_strides) - p.b_shift;
  // c_RC: rows 4R to 4R + 3, columns 4C to 4C + 3 of the thread's block.
  var c_00 = mat4x4f();
  @if(TALL || HUGE) var c_10 = mat4x4f();
  @if(HUGE) var c_20 = mat4x4f();
  @if(HUGE) var c_30 = mat4x4f();
  @if(WIDE) var c_01 = mat4x4f();
  @if(WIDE && (TALL || HUGE)) var c_11 = mat4x4f();
  @if(WIDE && HUGE) var c_21 = mat4x4f();
  @if(WIDE && HUGE) var c_31 = mat4x4f();
  for (var k = k_start; k < k_end; k += 4u) {
    let b_0 = until(block_b(b_base, n, k), k, k_end);
    @if(WIDE) let b_1 = until(block_b(b_base, n + 4u, k), k, k_end);
    let a_0 = until(block_a(a_base, m, k), k, k_end);
    c_00 = fma_block(c_00, a_0, b_0);
    @if(WIDE) c_01 = fma_block(c_01, a_0, b_1);
    @if(TALL || HUGE) {
      let a_1 = until(block_a(a_base, m + 4u, k), k, k_end);
      c_10 = fma_block(c_10, a_1, b_0);
      @if(WIDE) c_11 = fma_block(c_11, a_1, b_1);
    }
    @if(HUGE) {
      let a_2 = until(block_a(a_base, m + 8u, k), k, k_end);
      c_20 = fma_block(c_20, a_2, b_0);
      @if(WIDE) c_21 = fma_block(c_21, a_2, b_1);
      let a_3 = until(block_a(a_base, m + 12u, k), k, k_end);
      c_30 = fma_block(c_30, a_3, b_0);
      @if(WIDE) c_31 = fma_block(c_31, a_3, b_1);
    }
  }
  let c_base = offset_of(batch, p.c_strides) + (p.split_first + split) * p.split_stride;
  let c_column = offset_of(batch, p.c_columns);
  // Rolled up, since a compiler that inlines everything would meet the epilogue once per row.
  var blocks: array<mat4x4f, HEIGHT * WIDTH>;
  blocks[0] = c_00;
  @if(WIDE) blocks[1] = c_01;
  @if(TALL || HUGE) blocks[WIDTH] = c_10;
  @if(WIDE && (TALL || HUGE)) blocks[WIDTH + 1u] = c_11;
  @if(HUGE) blocks[2u * WIDTH] = c_20;
  @if(WIDE && HUGE) blocks[2u * WIDTH + 1u] = c_21;
  @if(HUGE) blocks[3u * WIDTH] = c_30;
  @if(WIDE && HUGE) blocks[3u * WIDTH + 1u] = c_31;
  @if(SECOND) {
    if (split == p.splits - 1u) {
      let column = n / p.group2 * p.k2;
      for (var i = 0u; i < HEIGHT; i++) {
        var sum_0 = blocks[i * WIDTH];
        @if(WIDE) var sum_1 = blocks[i * WIDTH + 1u];
        for (var k = 0u; k < p.k2; k += 4u) {
          let own_a = until(block_a2(m + i * 4u, column + k), k, p.k2);
          sum_0 = fma_block(sum_0, own_a, until(block_b2(n, k), k, p.k2));
          @if(WIDE) sum_1 = fma_block(sum_1, own_a, until(block_b2(n + 4u, k), k, p.k2));
        }
        blocks[i * WIDTH] = sum_0;
        @if(WIDE) blocks[i * WIDTH + 1u] = sum_1;
      }
    }
  }
  for (var i = 0u; i < HEIGHT * WIDTH * 4u; i++) {
    store(c_base, c_column, m + i / (WIDTH * 4u) * 4u + i % 4u, n + i / 4u % WIDTH * 4u, blocks[i / 4u][i % 4u]);
  }
}

override DEPTH: u32 = 16u; // k staged at a time, a multiple of 4
override QUADS: u32 = DEPTH / 4u;
override THREADS: u32 = TX * TY;
override ROWS: u32 = TY * HEIGHT; // vec4 along m in the tile, and along n
override COLUMNS: u32 = TX * WIDTH;
// Blocks of 4 by 4, of which each thread stages two at most.
override BLOCKS_A: u32 = ROWS * QUADS;
override BLOCKS: u32 = BLOCKS_A + COLUMNS * QUADS;
// [k / 4][k % 4][m / 4], and [..][n / 4]. Two vec4 of air after every fourth k: threads that store neighbouring quads of k meet no bank twice.
override QUAD_A: u32 = 4u * ROWS + 2u;
override QUAD_B: u32 = 4u * COLUMNS + 2u;
override TILE_A: u32 = QUADS * QUAD_A;
override TILES: u32 = TILE_A + QUADS * QUAD_B;
override FOLDS: u32 = 1u;
// The tile of A and then that of B, of each fold.
override ALL_TILES: u32 = FOLDS * TILES;
var<workgroup> tiles: array<vec4f, ALL_TILES>;

// Where a workgroup's tiles begin.
struct Corner {
  m: u32,
  n: u32,
  a: u32,
  b: u32,
  joint: u32, // where k goes over to the second pair
  column: u32, // of A2
}

// A thread's first block has the number `lane`, its second `lane + THREADS`; those of A come before those of B. Whatever all threads of a
// round have in common is known when the pipeline is made.
fn is_a(round: u32, i: u32) -> bool {
  return (round + 1u) * THREADS <= BLOCKS_A || (round * THREADS < BLOCKS_A && i < BLOCKS_A);
}

// Where a block stands in its tile, along m or n and along k: threads that follow each other follow the stored rows. Threads that are left
// over read the last block as well.
fn place(of_a: bool, i: u32) -> vec2u {
  if (of_a) {
    @if(TRANS_A) { return vec2u(i % ROWS, i / ROWS); }
    @else { return vec2u(i / QUADS, i % QUADS); }
  }
  let j = min(i, BLOCKS - 1u) - BLOCKS_A;
  @if(TRANS_B) { return vec2u(j / QUADS, j % QUADS); }
  @else { return vec2u(j % COLUMNS, j / COLUMNS); }
}

fn fetch(corner: Corner, round: u32, lane: u32, k: u32) -> mat4x4f {
  if (round * THREADS >= BLOCKS) { return mat4x4f(); }
  let i = round * THREADS + lane;
  let of_a = is_a(round, i);
  let at = place(of_a, i) * 4u;
  @if(SECOND) {
    if (k >= corner.joint) {
      let k2 = k - corner.joint + at.y;
      if (of_a) { return block_a2(corner.m + at.x, corner.column + k2); }
      return block_b2(corner.n + at.x, k2);
    }
  }
  if (of_a) { return block_a(corner.a, corner.m + at.x, k + at.y); }
  return block_b(corner.b, corner.n + at.x, k + at.y);
}

fn stage(block: mat4x4f, first: u32, round: u32, lane: u32, k: u32, k_end: u32) {
  if (round * THREADS >= BLOCKS) { return; }
  let i = round * THREADS + lane;
  let of_a = is_a(round, i);
  let at = place(of_a, i);
  let own = until(block, k + at.y * 4u, k_end);
  if (of_a) {
    let to = first + at.y * QUAD_A + at.x;
    tiles[to] = own[0];
    tiles[to + ROWS] = own[1];
    tiles[to + 2u * ROWS] = own[2];
    tiles[to + 3u * ROWS] = own[3];
  } else if (i < BLOCKS) {
    let to = first + TILE_A + at.y * QUAD_B + at.x;
    tiles[to] = own[0];
    tiles[to + COLUMNS] = own[1];
    tiles[to + 2u * COLUMNS] = own[2];
    tiles[to + 3u * COLUMNS] = own[3];
  }
}

fn steps_of(length: u32) -> u32 {
  return (length + DEPTH - 1u) / DEPTH;
}

@compute @workgroup_size(TX, TY, FOLDS)
fn tiled(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let lane = id.y * TX + id.x;
  let tile = select(group.xy, group.yx, p.m_first == 1u);
  let own = batch_of(group.z);
  let batch = place_of(own.x);
  @if(FOLD) let split = id.z;
  @else let split = own.y;
  @if(FOLD) let first_tile = id.z * TILES;
  @else let first_tile = 0u;
  let k_start = p.k_first + split * p.chunk;
  let k_end = min(p.k_end, k_start + p.chunk);
  let n_start = p.n_first + tile.x * COLUMNS * 4u;
  let corner = Corner(
    tile.y * ROWS * 4u,
    n_start,
    offset_of(batch, p.a_strides),
    offset_of(batch, p.b_strides) - p.b_shift,
    k_start + steps_of(k_end - k_start) * DEPTH,
    n_start / p.group2 * p.k2,
  );
  var last = k_end;
  @if(FOLD) {
    if (split == FOLDS - 1u) { last = corner.joint + p.k2; }
  }
  @elif(SECOND) {
    if (split == p.splits - 1u) { last = corner.joint + p.k2; }
  }
  // Of folds all go as many steps as the longest.
  @if(FOLD) let steps = max(
    steps_of(p.chunk),
    steps_of(p.k_end - p.k_first - (FOLDS - 1u) * p.chunk) + steps_of(p.k2),
  );
  @else let steps = steps_of(last - k_start);
  // c_RC: the thread's rows in A's half R of the tile, its columns in B's half C; neighbours have neighbouring vec4 of both.
  var c_00 = mat4x4f();
  @if(TALL) var c_10 = mat4x4f();
  @if(WIDE) var c_01 = mat4x4f();
  @if(TALL && WIDE) var c_11 = mat4x4f();
  var first = fetch(corner, 0u, lane, k_start);
  var second = fetch(corner, 1u, lane, k_start);
  for (var done = 0u; done < steps; done++) {
    let k = k_start + done * DEPTH;
    @if(FOLD) let is_open = k < last;
    @else let is_open = true;
    if (is_open) {
      let end = select(k_end, last, k >= corner.joint);
      stage(first, first_tile, 0u, lane, k, end);
      stage(second, first_tile, 1u, lane, k, end);
    }
    workgroupBarrier(); // the tiles are whole before anyone reads them
    if (k + DEPTH < last) {
      first = fetch(corner, 0u, lane, k + DEPTH);
      second = fetch(corner, 1u, lane, k + DEPTH);
    }
    if (is_open) {
      for (var quad = 0u; quad < QUADS; quad++) {
        for (var j = 0u; j < 4u; j++) {
          let at_a = first_tile + quad * QUAD_A + j * ROWS + id.y;
          let at_b = first_tile + TILE_A + quad * QUAD_B + j * COLUMNS + id.x;
          let a_0 = tiles[at_a];
          let b_0 = tiles[at_b];
          @if(TALL) let a_1 = tiles[at_a + TY];
          @if(WIDE) let b_1 = tiles[at_b + TX];
          c_00 = fma_rows(c_00, a_0, b_0);
          @if(TALL) c_10 = fma_rows(c_10, a_1, b_0);
          @if(WIDE) c_01 = fma_rows(c_01, a_0, b_1);
          @if(TALL && WIDE) c_11 = fma_rows(c_11, a_1, b_1);
        }
      }
    }
    workgroupBarrier(); // everyone has read the tiles before the next ones overwrite them
  }
  let m = corner.m + id.y * 4u;
  let n = corner.n + id.x * 4u;
  var blocks: array<mat4x4f, HEIGHT * WIDTH>;
  blocks[0] = c_00;
  @if(WIDE) blocks[1] = c_01;
  @if(TALL) blocks[WIDTH] = c_10;
  @if(TALL && WIDE) blocks[WIDTH + 1u] = c_11;
  @if(FOLD) {
    for (var i = 0u; i < HEIGHT * WIDTH; i++) {
      if (split > 0u) {
        for (var r = 0u; r < 4u; r++) { tiles[first_tile + r * THREADS + lane] = blocks[i][r]; }
      }
      workgroupBarrier(); // the sums of the other folds are there
      if (split == 0u) {
        var sum = blocks[i];
        for (var other = TILES; other < ALL_TILES; other += TILES) {
          sum += mat4x4f(
            tiles[other + lane], tiles[other + THREADS + lane],
            tiles[other + 2u * THREADS + lane], tiles[other + 3u * THREADS + lane],
          );
        }
        blocks[i] = sum;
      }
      workgroupBarrier(); // they have been read before the next ones overwrite them
    }
    if (split > 0u) { return; }
  }
  var c_base = offset_of(batch, p.c_strides);
  @if(!FOLD) { c_base += (p.split_first + split) * p.split_stride; }
  let c_column = offset_of(batch, p.c_columns);
  for (var i = 0u; i < HEIGHT * WIDTH * 4u; i++) {
    let row = m + i / (WIDTH * 4u) * TY * 4u + i % 4u;
    store(c_base, c_column, row, n + i / 4u % WIDTH * TX * 4u, blocks[i / 4u][i % 4u]);
  }
}
