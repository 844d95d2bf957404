// Butterfly products of small blocks (B = 2, 4, 8), two factors at a time. What a product is: butterfly.wgsl.
// In half-blocks a factor is a step of a Fourier transform: factor f turns half-blocks i and i + 2^f together, by a block of its own. So
// two factors f + 1 and f mix four half-blocks `width` = 2^f apart and nothing else:
//      a b c d  → factor f + 1 turns (a c) and (b d) →  factor f turns (a b) and (c d)
// A thread owns four such half-blocks of a range of rows and keeps their four blocks in registers; neighbours own neighbouring columns.
// Without PAIR a thread owns two half-blocks and one factor turns them: the last of an odd number, and B = 8, whose blocks are large.
// x, y [stack, rows, d]; blocks [stack, m, stored, B, B], stored = d / B, or 1: all blocks of a factor are one; keep [stack, m, d / B]:
// 0 makes that block the identity.
// conditions: PAIR MASK DX SLOPE

import package::lib::activation::activate_slope;
import package::lib::blocks::{Half, Row, Block, WORDS, turn, turn_back, add_outer, identity};
import package::lib::index::flat;

struct Params {
  rows: u32,
  halves: u32, // half-blocks in a row
  m: u32,
  stored: u32,
  stack: u32,
  together: u32, // entries of the stack that a thread takes one after the other, adding up what it writes: 1, or all
  factor: u32, // the lower of the two, or the one
  transposed: u32,
  range: u32, // rows of a thread
  x_stack: u32, // half-blocks of x, and of the upstream gradient, from one entry of the stack to the next
  g_stack: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x_in: array<Half>;
@group(0) @binding(2) var<storage, read> blocks: array<vec4f>;
@if(MASK) @group(0) @binding(3) var<storage, read> keep: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<Half>; // y; backward: dx

override WG: u32 = 64u;

// Where a thread works: its first half-block in a row, its first block in a factor, its first row, its first entry of the stack.
struct Place {
  half: u32,
  block: u32,
  row: u32,
  entry: u32,
}

fn place_of(i: u32, width: u32) -> Place {
  @if(PAIR) const OWN = 4u;
  @else const OWN = 2u;
  let pieces = p.halves / OWN;
  let piece = i % pieces;
  let entries = p.stack / p.together;
  let group = piece / width * width;
  return Place(
    group * (OWN - 1u) + piece,
    group * (OWN / 2u - 1u) + piece,
    i / (pieces * entries) * p.range,
    i / pieces % entries * p.together,
  );
}

fn is_kept(entry: u32, factor: u32, c: u32) -> bool {
  @if(MASK) { return keep[(entry * p.m + factor) * (p.halves / 2u) + c] != 0.0; }
  @else { return true; }
}

fn load(entry: u32, factor: u32, c: u32) -> Block {
  if (!is_kept(entry, factor, c)) { return identity(); }
  let at = ((entry * p.m + factor) * p.stored + select(c, 0u, p.stored == 1u)) * WORDS;
  @if(B2) { return Block(blocks[at].x, blocks[at].y, blocks[at].z, blocks[at].w); }
  @elif(B8) {
    return Block(
      mat4x4f(blocks[at], blocks[at + 2u], blocks[at + 4u], blocks[at + 6u]),
      mat4x4f(blocks[at + 1u], blocks[at + 3u], blocks[at + 5u], blocks[at + 7u]),
      mat4x4f(blocks[at + 8u], blocks[at + 10u], blocks[at + 12u], blocks[at + 14u]),
      mat4x4f(blocks[at + 9u], blocks[at + 11u], blocks[at + 13u], blocks[at + 15u]),
    );
  }
  @else {
    let r0 = blocks[at];
    let r1 = blocks[at + 1u];
    let r2 = blocks[at + 2u];
    let r3 = blocks[at + 3u];
    return Block(mat2x2f(r0.xy, r1.xy), mat2x2f(r0.zw, r1.zw), mat2x2f(r2.xy, r3.xy), mat2x2f(r2.zw, r3.zw));
  }
}

// Writes one half-block, or adds it to what the thread wrote for the entry before.
fn put(at: u32, value: Half, is_first: bool) {
  if (is_first) { result[at] = value; } else { result[at] += value; }
}

fn turn_either(R: Block, x: Row) -> Row {
  if (p.transposed == 1u) { return turn_back(R, x); }
  return turn(R, x);
}

// Four half-blocks through both factors: the upper one first, or last with their transposes.
@if(PAIR) fn turn_four(ab: Block, cd: Block, ac: Block, bd: Block, a: Half, b: Half, c: Half, d: Half) -> array<Half, 4> {
  if (p.transposed == 1u) {
    let x_ab = turn_back(ab, Row(a, b));
    let x_cd = turn_back(cd, Row(c, d));
    let y_ac = turn_back(ac, Row(x_ab.u, x_cd.u));
    let y_bd = turn_back(bd, Row(x_ab.v, x_cd.v));
    return array(y_ac.u, y_bd.u, y_ac.v, y_bd.v);
  }
  let x_ac = turn(ac, Row(a, c));
  let x_bd = turn(bd, Row(b, d));
  let y_ab = turn(ab, Row(x_ac.u, x_bd.u));
  let y_cd = turn(cd, Row(x_ac.v, x_bd.v));
  return array(y_ab.u, y_ab.v, y_cd.u, y_cd.v);
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let width = 1u << p.factor;
  let place = place_of(flat(id, groups, WG), width);
  if (place.row >= p.rows) { return; }
  let stride = select(0u, p.rows * p.halves, p.together == 1u);
  for (var entry = place.entry; entry < place.entry + p.together; entry++) {
    let is_first = entry == place.entry;
    let ab = load(entry, p.factor, place.block);
    @if(PAIR) let cd = load(entry, p.factor, place.block + width);
    @if(PAIR) let ac = load(entry, p.factor + 1u, place.block);
    @if(PAIR) let bd = load(entry, p.factor + 1u, place.block + width);
    for (var row = place.row; row < min(p.rows, place.row + p.range); row++) {
      let from_x = entry * p.x_stack + row * p.halves + place.half;
      let to = entry * stride + row * p.halves + place.half;
      let a = x_in[from_x];
      let b = x_in[from_x + width];
      @if(!PAIR) {
        let y = turn_either(ab, Row(a, b));
        put(to, y.u, is_first);
        put(to + width, y.v, is_first);
      }
      @if(PAIR) {
        let c = x_in[from_x + 2u * width];
        let d = x_in[from_x + 3u * width];
        let y = turn_four(ab, cd, ac, bd, a, b, c, d);
        put(to, y[0], is_first);
        put(to + width, y[1], is_first);
        put(to + 2u * width, y[2], is_first);
        put(to + 3u * width, y[3], is_first);
      }
    }
  }
}

@group(0) @binding(5) var<storage, read> upstream: array<Half>;
@group(0) @binding(6) var<storage, read_write> partial: array<vec4f>; // [ranges of rows, stack, m, d / B, B, B]
@if(SLOPE) @group(0) @binding(7) var<storage, read> slope_at: array<Half>;
@if(SLOPE) override ACTIVATION: u32 = 0u;

// dx, times the slope of the activation that x came out of.
@if(DX) fn put_dx(at: u32, g: Half, is_first: bool) {
  @if(!SLOPE) { put(at, g, is_first); }
  @if(SLOPE) {
    let x = slope_at[at];
    @if(B2) let slope = activate_slope(ACTIVATION, x);
    @elif(B8) let slope = vec4f(
      activate_slope(ACTIVATION, x.x), activate_slope(ACTIVATION, x.y),
      activate_slope(ACTIVATION, x.z), activate_slope(ACTIVATION, x.w),
    );
    @else let slope = vec2f(activate_slope(ACTIVATION, x.x), activate_slope(ACTIVATION, x.y));
    put(at, g * slope, is_first);
  }
}

// Four rows of eight.
@if(B8) fn store_rows(at: u32, s: f32, left: mat4x4f, right: mat4x4f) {
  partial[at] = s * left[0];
  partial[at + 1u] = s * right[0];
  partial[at + 2u] = s * left[1];
  partial[at + 3u] = s * right[1];
  partial[at + 4u] = s * left[2];
  partial[at + 5u] = s * right[2];
  partial[at + 6u] = s * left[3];
  partial[at + 7u] = s * right[3];
}

// What a block's gradient is over the thread's rows; a block that was the identity has none.
fn store(range: u32, entry: u32, factor: u32, c: u32, sum: Block) {
  let at = (((range * p.stack + entry) * p.m + factor) * (p.halves / 2u) + c) * WORDS;
  let s = select(0.0, 1.0, is_kept(entry, factor, c));
  @if(B2) { partial[at] = s * vec4f(sum.uu, sum.uv, sum.vu, sum.vv); }
  @elif(B8) {
    store_rows(at, s, sum.uu, sum.uv);
    store_rows(at + 8u, s, sum.vu, sum.vv);
  }
  @else {
    partial[at] = s * vec4f(sum.uu[0], sum.uv[0]);
    partial[at + 1u] = s * vec4f(sum.uu[1], sum.uv[1]);
    partial[at + 2u] = s * vec4f(sum.vu[0], sum.vv[0]);
    partial[at + 3u] = s * vec4f(sum.vu[1], sum.vv[1]);
  }
}

// Everything that y = x B_(f+1) B_f needs on the way back, a row at a time: the row between the factors again, the upstream gradient
// there, the sums of both factors' block gradients, and dx.
@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let width = 1u << p.factor;
  let place = place_of(flat(id, groups, WG), width);
  if (place.row >= p.rows) { return; }
  let stride = select(0u, p.rows * p.halves, p.together == 1u);
  for (var entry = place.entry; entry < place.entry + p.together; entry++) {
    let is_first = entry == place.entry;
    let ab = load(entry, p.factor, place.block);
    var sum_ab = Block();
    @if(PAIR) let cd = load(entry, p.factor, place.block + width);
    @if(PAIR) let ac = load(entry, p.factor + 1u, place.block);
    @if(PAIR) let bd = load(entry, p.factor + 1u, place.block + width);
    @if(PAIR) var sum_cd = Block();
    @if(PAIR) var sum_ac = Block();
    @if(PAIR) var sum_bd = Block();
    for (var row = place.row; row < min(p.rows, place.row + p.range); row++) {
      let here = row * p.halves + place.half;
      let from_x = entry * p.x_stack + here;
      let from_g = entry * p.g_stack + here;
      let to = entry * stride + here;
      let a = x_in[from_x];
      let b = x_in[from_x + width];
      let g_ab = Row(upstream[from_g], upstream[from_g + width]);
      @if(!PAIR) {
        sum_ab = add_outer(sum_ab, Row(a, b), g_ab);
        @if(DX) {
          let dx = turn_back(ab, g_ab);
          put_dx(to, dx.u, is_first);
          put_dx(to + width, dx.v, is_first);
        }
      }
      @if(PAIR) {
        let c = x_in[from_x + 2u * width];
        let d = x_in[from_x + 3u * width];
        let g_cd = Row(upstream[from_g + 2u * width], upstream[from_g + 3u * width]);
        let between_ac = turn(ac, Row(a, c));
        let between_bd = turn(bd, Row(b, d));
        sum_ab = add_outer(sum_ab, Row(between_ac.u, between_bd.u), g_ab);
        sum_cd = add_outer(sum_cd, Row(between_ac.v, between_bd.v), g_cd);
        let h_ab = turn_back(ab, g_ab);
        let h_cd = turn_back(cd, g_cd);
        let h_ac = Row(h_ab.u, h_cd.u);
        let h_bd = Row(h_ab.v, h_cd.v);
        sum_ac = add_outer(sum_ac, Row(a, c), h_ac);
        sum_bd = add_outer(sum_bd, Row(b, d), h_bd);
        @if(DX) {
          let dx_ac = turn_back(ac, h_ac);
          let dx_bd = turn_back(bd, h_bd);
          put_dx(to, dx_ac.u, is_first);
          put_dx(to + width, dx_bd.u, is_first);
          put_dx(to + 2u * width, dx_ac.v, is_first);
          put_dx(to + 3u * width, dx_bd.v, is_first);
        }
      }
    }
    let range = place.row / p.range;
    store(range, entry, p.factor, place.block, sum_ab);
    @if(PAIR) {
      store(range, entry, p.factor, place.block + width, sum_cd);
      store(range, entry, p.factor + 1u, place.block, sum_ac);
      store(range, entry, p.factor + 1u, place.block + width, sum_bd);
    }
  }
}
