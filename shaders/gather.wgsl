// gather: y[n] = table[ids[n]], rows of `columns` elements; negative ids count from the end, others are clamped to the table.
// F16: the table holds pairs of f16 and y is f32; QUANT: it is packed (src/ops/quantised.ts); else four-byte elements copied as bits.
// Of a table beyond the binding limit each dispatch sees rows `first` to `end` and leaves the other ids alone.
// Its adjoint adds rows of dy [N, columns] up by id in the order of n, without atomics: `clear` zeroes dTable, `links` finds for each
// n the next one with the same id and whether it is the first, `add_rows` lets each first one walk its chain.
// conditions: F16
import package::lib::index::{flat, quotient};
import package::lib::quantised::{four_codes, byte_of};

struct Params {
  columns: vec4u, // as a divisor
  count: u32, // ids
  rows: u32, // of the table
  first: u32,
  end: u32,
  quant: vec4u, // stride, block, scales, zeros
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> ids: array<i32>;
@if(F16 || QUANT) @group(0) @binding(3) var<storage, read_write> y: array<f32>;
@else @group(0) @binding(3) var<storage, read_write> y: array<u32>;

override WG: u32 = 64u;
@if(QUANT) override BITS: u32 = 4u;

fn row_of(id: i32) -> u32 {
  let wrapped = select(id, id + i32(p.rows), id < 0);
  return u32(clamp(wrapped, 0, i32(p.rows) - 1));
}

@compute @workgroup_size(WG)
fn gather(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count * p.columns.x) { return; }
  let n = quotient(i, p.columns);
  let row = row_of(ids[n]);
  if (row < p.first || row >= p.end) { return; }
  let column = i - n * p.columns.x;
  @if(QUANT) {
    let start = (row - p.first) * p.quant.x;
    let group = column / p.quant.y;
    let scale = bitcast<f32>(table[start + p.quant.z + group]);
    @if(ZERO_BYTES) let zero = byte_of(table[start + p.quant.w + group / 4u], group);
    @elif(ZERO_FLOATS) let zero = bitcast<f32>(table[start + p.quant.w + group]);
    @else let zero = f32(1u << (BITS - 1u));
    let four = four_codes(table[start + column * BITS / 32u], column - column % 4u, BITS);
    y[i] = (four[column % 4u] - zero) * scale;
  }
  @else {
    let at = (row - p.first) * p.columns.x + column;
    @if(F16) { y[i] = unpack2x16float(table[at / 2u])[at % 2u]; }
    @else { y[i] = table[at]; }
  }
}

@group(0) @binding(1) var<storage, read_write> d_table: array<f32>;

@compute @workgroup_size(WG)
fn clear(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.rows * p.columns.x) { return; }
  d_table[i] = 0.0;
}

@group(0) @binding(1) var<storage, read> link_ids: array<i32>;
@group(0) @binding(2) var<storage, read_write> links: array<vec2u>; // next (count: none), 1 if first

@compute @workgroup_size(WG)
fn link(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let n = flat(gid, groups, WG);
  if (n >= p.count) { return; }
  let row = row_of(link_ids[n]);
  var first = 1u;
  for (var m = 0u; m < n; m++) {
    if (row_of(link_ids[m]) == row) {
      first = 0u;
      break;
    }
  }
  var next = n + 1u;
  while (next < p.count && row_of(link_ids[min(next, p.count - 1u)]) != row) { next++; }
  links[n] = vec2u(next, first);
}

@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> chain_ids: array<i32>;
@group(0) @binding(4) var<storage, read> chain: array<vec2u>;

@compute @workgroup_size(WG)
fn add_rows(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count * p.columns.x) { return; }
  let n = quotient(i, p.columns);
  let column = i - n * p.columns.x;
  if (chain[n].y == 0u) { return; }
  var sum = 0.0;
  for (var m = n; m < p.count; m = chain[m].x) { sum += dy[m * p.columns.x + column]; }
  d_table[row_of(chain_ids[n]) * p.columns.x + column] = sum;
}
