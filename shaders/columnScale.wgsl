// The gradient of y = x * s[column] over rows of `columns` elements: dx = dy * s[column], and per range of rows ds = sum of dy * x; with
// BIAS, of y = x * s[column] + bias[column], also db = sum of dy. `finish` adds the ranges up in order.
// conditions: BIAS
import package::lib::index::flat;

struct Params {
  rows: u32,
  columns: u32,
  chunk: u32, // rows per range
  chunks: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x_in: array<f32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read> dy_in: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx_out: array<f32>;
@group(0) @binding(5) var<storage, read_write> ds_out: array<f32>; // [chunks, columns]
@if(BIAS) @group(0) @binding(6) var<storage, read_write> db_out: array<f32>; // [chunks, columns]

override WG: u32 = 64u;

// One thread per column of a range; neighbours read neighbours.
@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.columns * p.chunks) { return; }
  let c = i % p.columns;
  let start = (i / p.columns) * p.chunk;
  let s = scales[c];
  var ds = 0.0;
  var db = 0.0;
  for (var row = start; row < min(p.rows, start + p.chunk); row++) {
    let at = row * p.columns + c;
    let dy = dy_in[at];
    ds += dy * x_in[at];
    db += dy;
    dx_out[at] = dy * s;
  }
  ds_out[i] = ds;
  @if(BIAS) { db_out[i] = db; }
}

@group(0) @binding(1) var<storage, read> ds_parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> ds_sum: array<f32>;
@if(BIAS) @group(0) @binding(3) var<storage, read> db_parts: array<f32>;
@if(BIAS) @group(0) @binding(4) var<storage, read_write> db_sum: array<f32>;

@compute @workgroup_size(WG)
fn finish(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let c = flat(gid, groups, WG);
  if (c >= p.columns) { return; }
  var ds = ds_parts[c];
  for (var part = 1u; part < p.chunks; part++) { ds += ds_parts[part * p.columns + c]; }
  ds_sum[c] = ds;
  @if(BIAS) {
    var db = db_parts[c];
    for (var part = 1u; part < p.chunks; part++) { db += db_parts[part * p.columns + c]; }
    db_sum[c] = db;
  }
}
