// y [shape], four axes at most, put together from windows of up to six tensors, zero where there is none:
//   y[c] = sum over the parts with low <= c < low + size of by * x[offset + (c - low) . strides], in their order.
// `join` copies four-byte elements as bits, from windows that do not meet and leave nothing out.
// Slices, concatenations, broadcasts (stride 0), factors and sums in one pass. P2 to P6 say that there is a second part, and so on.
// conditions: P2 P3 P4 P5 P6
import package::lib::index::{flat, quotient};

struct Part {
  low: vec4u,
  size: vec4u,
  strides: vec4u,
  offset: u32,
  by: f32,
}

struct Params {
  n: u32,
  axes: array<vec4u, 3>, // divisors by the sizes of all but the first
  parts: array<Part, PARTS>,
}

@if(P6) const PARTS = 6;
@elif(P5) const PARTS = 5;
@elif(P4) const PARTS = 4;
@elif(P3) const PARTS = 3;
@elif(P2) const PARTS = 2;
@else const PARTS = 1;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> x0: array<f32>;
@if(P2) @group(0) @binding(3) var<storage, read> x1: array<f32>;
@if(P3) @group(0) @binding(4) var<storage, read> x2: array<f32>;
@if(P4) @group(0) @binding(5) var<storage, read> x3: array<f32>;
@if(P5) @group(0) @binding(6) var<storage, read> x4: array<f32>;
@if(P6) @group(0) @binding(7) var<storage, read> x5: array<f32>;

@group(0) @binding(1) var<storage, read_write> y_bits: array<u32>;
@group(0) @binding(2) var<storage, read> x0_bits: array<u32>;
@if(P2) @group(0) @binding(3) var<storage, read> x1_bits: array<u32>;
@if(P3) @group(0) @binding(4) var<storage, read> x2_bits: array<u32>;
@if(P4) @group(0) @binding(5) var<storage, read> x3_bits: array<u32>;
@if(P5) @group(0) @binding(6) var<storage, read> x4_bits: array<u32>;
@if(P6) @group(0) @binding(7) var<storage, read> x5_bits: array<u32>;

override WG: u32 = 64u;

// Whether a part has the coordinates in its window. Below `low` the difference wraps around and is too large.
fn within(part: u32, c: vec4u) -> bool {
  return all((c - p.parts[part].low) < p.parts[part].size);
}

fn place(part: u32, c: vec4u) -> u32 {
  return p.parts[part].offset + dot(c - p.parts[part].low, p.parts[part].strides);
}

fn coordinates(i: u32) -> vec4u {
  let row = quotient(i, p.axes[2]);
  let plane = quotient(row, p.axes[1]);
  let outer = quotient(plane, p.axes[0]);
  return vec4u(outer, plane, row, i) - vec4u(0u, outer, plane, row) * vec4u(0u, p.axes[0].x, p.axes[1].x, p.axes[2].x);
}

@compute @workgroup_size(WG)
fn assemble(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let c = coordinates(i);
  var sum = 0.0;
  if (within(0u, c)) { sum = p.parts[0].by * x0[place(0u, c)]; }
  @if(P2) { if (within(1u, c)) { sum += p.parts[1].by * x1[place(1u, c)]; } }
  @if(P3) { if (within(2u, c)) { sum += p.parts[2].by * x2[place(2u, c)]; } }
  @if(P4) { if (within(3u, c)) { sum += p.parts[3].by * x3[place(3u, c)]; } }
  @if(P5) { if (within(4u, c)) { sum += p.parts[4].by * x4[place(4u, c)]; } }
  @if(P6) { if (within(5u, c)) { sum += p.parts[5].by * x5[place(5u, c)]; } }
  y[i] = sum;
}

@compute @workgroup_size(WG)
fn join(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let c = coordinates(i);
  if (within(0u, c)) { y_bits[i] = x0_bits[place(0u, c)]; }
  @if(P2) { if (within(1u, c)) { y_bits[i] = x1_bits[place(1u, c)]; } }
  @if(P3) { if (within(2u, c)) { y_bits[i] = x2_bits[place(2u, c)]; } }
  @if(P4) { if (within(3u, c)) { y_bits[i] = x3_bits[place(3u, c)]; } }
  @if(P5) { if (within(4u, c)) { y_bits[i] = x4_bits[place(4u, c)]; } }
  @if(P6) { if (within(5u, c)) { y_bits[i] = x5_bits[place(5u, c)]; } }
}
