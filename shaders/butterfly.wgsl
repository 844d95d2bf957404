// Butterfly products: rotates the last axis of x by m sparse factors, never by a matrix.
//   y = x B_(m-1) ... B_1 B_0 (row vectors; factor m-1 first), or with `transposed` x B_0^T B_1^T ... B_(m-1)^T.
// Factor f is block-diagonal after the half-block permutation of lib/butterfly: block c of it is blocks[f, c] (b x b), or the identity
// where keep[f, c] = 0. m = 1 is a plain block-diagonal rotation; shared = 1 uses blocks[f, 0] for every c.
// x, y [stack, rows, d]; x_stack 0: one x for the whole stack. blocks [stack, m, num, b, b]; keep [stack, m, num].
// Here one factor at a time for blocks of any size, and the sums that end every gradient; blocks of 2, 4 and 8: butterflyPairs.wgsl.
// conditions: MASK

import package::lib::butterfly::{position, locate};

struct Params {
  rows: u32,
  d: u32,
  m: u32,
  stored: u32, // blocks stored per factor: num, or 1 when shared
  transposed: u32,
  factor: u32,
  x_stack: u32, // stride of x along the stack
  g_stack: u32, // stride of the upstream gradient along the stack
  stack: u32,
  chunks: u32, // of rows, in the sums
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> blocks: array<f32>;
@if(MASK) @group(0) @binding(3) var<storage, read> keep: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

override B: u32 = 4u;
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
  let width = 1u << p.factor;
  let place = locate(column, B, width);
  let last = min(4u, p.rows - row) - 1u;
  let x_at = stack * p.x_stack + row * p.d;
  let r0 = x_at;
  let r1 = x_at + min(1u, last) * p.d;
  let r2 = x_at + min(2u, last) * p.d;
  let r3 = x_at + last * p.d;
  var sum = vec4f(0.0);
  if (kept(stack, p.factor, place.x)) {
    let entry = block_at(stack, p.factor, place.x) + select(place.y, place.y * B, p.transposed == 1u);
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
    result[y_at + n * p.d] = sum[n];
  }
}

@group(0) @binding(5) var<storage, read> upstream: array<f32>;
@group(0) @binding(6) var<storage, read_write> partial: array<f32>; // [chunk, stack, m, num, b, b]

// Gradient of one factor's blocks over one chunk of rows, one thread per four rows e of a block and one of its columns:
//   partial[f, c, e, e'] = sum over the chunk of (row before factor f)[c, e] * (gradient after factor f)[c, e'].
// A block that was the identity has none.
@compute @workgroup_size(WG)
fn block_sums(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let quads = (B + 3u) / 4u;
  let num = p.d / B;
  let column = at % B;
  let e = (at / B % quads) * 4u;
  let c = at / (B * quads) % num;
  let stack = at / (B * quads * num) % p.stack;
  let chunk = at / (B * quads * num * p.stack);
  if (chunk >= p.chunks) { return; }
  let width = 1u << p.factor;
  let last = min(4u, B - e) - 1u;
  let k0 = position(c, e, B, width);
  let k1 = position(c, e + min(1u, last), B, width);
  let k2 = position(c, e + min(2u, last), B, width);
  let k3 = position(c, e + last, B, width);
  let g_at = position(c, column, B, width);
  let begin = chunk * p.rows / p.chunks;
  let end = (chunk + 1u) * p.rows / p.chunks;
  var sum = vec4f(0.0);
  for (var row = begin; row < end; row++) {
    let from_x = stack * p.x_stack + row * p.d;
    let u = vec4f(source[from_x + k0], source[from_x + k1], source[from_x + k2], source[from_x + k3]);
    let grad = upstream[stack * p.g_stack + row * p.d + g_at];
    sum += u * grad;
  }
  if (!kept(stack, p.factor, c)) { sum = vec4f(0.0); }
  let to = ((((chunk * p.stack + stack) * p.m + p.factor) * num + c) * B + e) * B + column;
  for (var n = 0u; n <= last; n++) { partial[to + n * B] = sum[n]; }
}

@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_blocks: array<f32>;

// Adds the chunks, and the blocks that share one rotation. One thread per entry.
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
      sum += parts[(chunk * p.stack * p.m * num + c) * B * B + entry];
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
