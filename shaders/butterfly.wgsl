// Butterfly products: rotates the last axis of x by m sparse factors, never by a matrix.
//   y = x B_(m-1) ... B_1 B_0 (row vectors; factor m-1 first), or with `transposed` x B_0^T B_1^T ... B_(m-1)^T.
// Factor f is block-diagonal after the half-block permutation of lib/butterfly: block c of it is blocks[f, c] (b x b), or the identity
// where keep[f, c] = 0. m = 1 is a plain block-diagonal rotation; shared = 1 uses blocks[f, 0] for every c.
// x, y [stack, rows, d]; x_stack 0: one x for the whole stack. blocks [stack, m, num, b, b]; keep [stack, m, num].
// conditions: MASK KEEP LAST MULTI

import package::lib::butterfly::{position, locate};

struct Params {
  rows: u32,
  d: u32,
  m: u32,
  stored: u32, // blocks stored per factor: num, or 1 when shared
  transposed: u32,
  first: u32, // the first factor applied; then one down (transposed: up) each time
  count: u32,
  x_stack: u32, // stride of x along the stack
  g_stack: u32, // stride of the upstream gradient along the stack
  stack: u32,
  chunks: u32, // of rows, in block_sums
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> blocks: array<f32>;
@if(LAST) @group(0) @binding(3) var<storage, read_write> result: array<f32>;
@if(KEEP && LAST) @group(0) @binding(4) var<storage, read_write> stages: array<f32>;
@if(KEEP && !LAST) @group(0) @binding(3) var<storage, read_write> stages: array<f32>;
@if(MASK && KEEP && LAST) @group(0) @binding(5) var<storage, read> keep: array<f32>;
@if(MASK && !(KEEP && LAST)) @group(0) @binding(4) var<storage, read> keep: array<f32>;

override B: u32 = 4u;
override LENGTH: u32 = 8u; // columns that the factors of a sweep mix
override WG: u32 = 64u;

fn kept(stack: u32, factor: u32, c: u32) -> bool {
  @if(MASK) { return keep[(stack * p.m + factor) * (p.d / B) + c] != 0.0; }
  @if(!MASK) { return true; }
}

fn block_at(stack: u32, factor: u32, c: u32) -> u32 {
  return ((stack * p.m + factor) * p.stored + select(c, 0u, p.stored == 1u)) * B * B;
}

// One factor straight from buffer to buffer; one thread per column of four rows.
@compute @workgroup_size(WG)
fn single(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let row_groups = (p.rows + 3u) / 4u;
  let column = at % p.d;
  let row = (at / p.d % row_groups) * 4u;
  let stack = at / (p.d * row_groups);
  if (stack >= p.stack) { return; }
  let width = 1u << p.first;
  let place = locate(column, B, width);
  let last = min(4u, p.rows - row) - 1u;
  let x_at = stack * p.x_stack + row * p.d;
  let r0 = x_at;
  let r1 = x_at + min(1u, last) * p.d;
  let r2 = x_at + min(2u, last) * p.d;
  let r3 = x_at + last * p.d;
  var sum = vec4f(0.0);
  if (kept(stack, p.first, place.x)) {
    let entry = block_at(stack, p.first, place.x) + select(place.y, place.y * B, p.transposed == 1u);
    let step = select(B, 1u, p.transposed == 1u);
    for (var e = 0u; e < B; e++) {
      let k = position(place.x, e, B, width);
      sum += blocks[entry + e * step] * vec4f(source[r0 + k], source[r1 + k], source[r2 + k], source[r3 + k]);
    }
  } else {
    sum = vec4f(source[r0 + column], source[r1 + column], source[r2 + column], source[r3 + column]);
  }
  let y_at = (stack * p.rows + row) * p.d + column;
  for (var n = 0u; n <= last; n++) {
    @if(LAST) { result[y_at + n * p.d] = sum[n]; }
    @if(KEEP && !LAST) { stages[y_at + n * p.d] = sum[n]; }
  }
}

// Several factors in registers: they mix only within superblocks of LENGTH = B * 2^(m-1) <= 16 columns, so that one thread takes four
// rows of a superblock through all of them. With KEEP the rows after each factor but the last are kept in stages[s, stack, row];
// without LAST the last ones too.
@compute @workgroup_size(WG)
fn sweep(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let row_groups = (p.rows + 3u) / 4u;
  let row = (at % row_groups) * 4u;
  let superblock = at / row_groups % (p.d / LENGTH);
  let stack = at / (row_groups * (p.d / LENGTH));
  if (stack >= p.stack) { return; }
  let last = min(4u, p.rows - row) - 1u;
  let x_at = stack * p.x_stack + row * p.d + superblock * LENGTH;
  // Offsets of the second to fourth row; a missing row repeats the last one.
  let o1 = min(1u, last) * p.d;
  let o2 = min(2u, last) * p.d;
  let o3 = last * p.d;
  var u: array<vec4f, 16>;
  var v: array<vec4f, 16>;
  for (var k = 0u; k < LENGTH; k++) {
    let x = x_at + k;
    u[k] = vec4f(source[x], source[x + o1], source[x + o2], source[x + o3]);
  }
  let y_at = (stack * p.rows + row) * p.d + superblock * LENGTH;
  for (var s = 0u; s < p.count; s++) {
    let factor = select(p.first - s, p.first + s, p.transposed == 1u);
    let width = 1u << factor;
    let across = select(1u, B, p.transposed == 1u); // steps in a block along the new column and along the sum
    let along = select(B, 1u, p.transposed == 1u);
    for (var c = 0u; c < LENGTH / B; c++) {
      let block = superblock * (LENGTH / B) + c;
      let entry = block_at(stack, factor, block);
      let turn = kept(stack, factor, block);
      for (var column = 0u; column < B; column++) {
        let to = position(c, column, B, width);
        if (!turn) {
          v[to] = u[to];
          continue;
        }
        var sum = vec4f(0.0);
        for (var e = 0u; e < B; e++) {
          sum += blocks[entry + column * across + e * along] * u[position(c, e, B, width)];
        }
        v[to] = sum;
      }
    }
    u = v;
    for (var k = 0u; k < LENGTH; k++) {
      for (var n = 0u; n <= last; n++) {
        let to = y_at + n * p.d + k;
        if (s + 1u < p.count) {
          @if(KEEP) { stages[s * p.stack * p.rows * p.d + to] = u[k][n]; }
        } else {
          @if(LAST) { result[to] = u[k][n]; }
          @if(KEEP && !LAST) { stages[s * p.stack * p.rows * p.d + to] = u[k][n]; }
        }
      }
    }
  }
}

@group(0) @binding(1) var<storage, read> inputs: array<f32>;
@group(0) @binding(2) var<storage, read> upstream: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>; // [chunk, stack, m, num, b, b]
// Rows before each factor but the first applied: before factor f in part m-2-f; gradients after each factor but factor 0: in part f-1.
@if(MULTI) @group(0) @binding(4) var<storage, read> before: array<f32>;
@if(MULTI) @group(0) @binding(5) var<storage, read> after: array<f32>;

// Gradient of `count` factors' blocks from `first` on over one chunk of rows (without MULTI of one factor, whose rows before and
// gradients after it are given), one thread per four rows e of a block and one of its columns:
//   partial[f, c, e, e'] = sum over the chunk of (row before factor f)[c, e] * (gradient after factor f)[c, e'].
@compute @workgroup_size(WG)
fn block_sums(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let quads = (B + 3u) / 4u;
  let num = p.d / B;
  let column = at % B;
  let e = (at / B % quads) * 4u;
  let c = at / (B * quads) % num;
  let factor = p.first + at / (B * quads * num) % p.count;
  let stack = at / (B * quads * num * p.count) % p.stack;
  let chunk = at / (B * quads * num * p.count * p.stack);
  if (chunk >= p.chunks) { return; }
  let width = 1u << factor;
  let last = min(4u, B - e) - 1u;
  let k0 = position(c, e, B, width);
  let k1 = position(c, e + min(1u, last), B, width);
  let k2 = position(c, e + min(2u, last), B, width);
  let k3 = position(c, e + last, B, width);
  let g_at = position(c, column, B, width);
  let size = p.stack * p.rows * p.d;
  let begin = chunk * p.rows / p.chunks;
  let end = (chunk + 1u) * p.rows / p.chunks;
  var sum = vec4f(0.0);
  for (var row = begin; row < end; row++) {
    let here = (stack * p.rows + row) * p.d;
    var u = vec4f(0.0);
    var grad = 0.0;
    @if(MULTI) {
      if (factor + 1u < p.m) {
        let from_stage = (p.m - 2u - factor) * size + here;
        u = vec4f(before[from_stage + k0], before[from_stage + k1], before[from_stage + k2], before[from_stage + k3]);
      } else {
        let from_x = stack * p.x_stack + row * p.d;
        u = vec4f(inputs[from_x + k0], inputs[from_x + k1], inputs[from_x + k2], inputs[from_x + k3]);
      }
      if (factor > 0u) {
        grad = after[(factor - 1u) * size + here + g_at];
      } else {
        grad = upstream[stack * p.g_stack + row * p.d + g_at];
      }
    }
    @if(!MULTI) {
      let from_x = stack * p.x_stack + row * p.d;
      u = vec4f(inputs[from_x + k0], inputs[from_x + k1], inputs[from_x + k2], inputs[from_x + k3]);
      grad = upstream[stack * p.g_stack + row * p.d + g_at];
    }
    sum += u * grad;
  }
  let to = ((((chunk * p.stack + stack) * p.m + factor) * num + c) * B + e) * B + column;
  for (var n = 0u; n <= last; n++) { partial[to + n * B] = sum[n]; }
}

@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_blocks: array<f32>;
@if(MASK) @group(0) @binding(3) var<storage, read> keep_blocks: array<f32>;

// Adds the chunks, and the blocks that share one rotation; a block that was the identity has no gradient. One thread per entry.
@compute @workgroup_size(WG)
fn add_parts(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let num = p.d / B;
  if (at >= p.stack * p.m * p.stored * B * B) { return; }
  let entry = at % (B * B);
  let slot = at / (B * B); // stack, factor, stored block
  let first = (slot / p.stored) * num + slot % p.stored;
  let count = select(1u, num, p.stored == 1u);
  var sum = 0.0;
  for (var chunk = 0u; chunk < p.chunks; chunk++) {
    for (var c = first; c < first + count; c++) {
      var part = parts[(chunk * p.stack * p.m * num + c) * B * B + entry];
      @if(MASK) { part *= select(0.0, 1.0, keep_blocks[c] != 0.0); }
      sum += part;
    }
  }
  d_blocks[at] = sum;
}

@group(0) @binding(1) var<storage, read> stacked: array<f32>;
@group(0) @binding(2) var<storage, read_write> summed: array<f32>;

// The gradient of an x that the whole stack reads: the sum over the stack.
@compute @workgroup_size(WG)
fn add_stack(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let size = p.rows * p.d;
  if (at >= size) { return; }
  var sum = 0.0;
  for (var s = 0u; s < p.stack; s++) { sum += stacked[s * size + at]; }
  summed[at] = sum;
}
