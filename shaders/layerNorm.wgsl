// y = (x - mean) * rstd * w + b over rows of `columns` elements, one workgroup each; mean and rstd = 1 / sqrt(var + eps) are kept.
// backward_input: dx = added + rstd * (h - mean(h) - n * mean(h * n)), h = dy * w, n = (x - mean) * rstd.
// backward_weights: per range of rows, dw = sum of dy * n, db = sum of dy; finish adds the ranges up in order.
// conditions: WEIGHT BIAS ADD
import package::lib::index::flat;
import package::lib::rows::{row_sum, WG};

struct Params {
  rows: u32,
  columns: u32,
  eps: f32,
  chunk: u32, // rows per range
  chunks: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> y_out: array<f32>;
@group(0) @binding(3) var<storage, read_write> mean_out: array<f32>;
@group(0) @binding(4) var<storage, read_write> rstd_out: array<f32>;
@if(WEIGHT) @group(0) @binding(5) var<storage, read> weight: array<f32>;
@if(BIAS) @group(0) @binding(6) var<storage, read> bias: array<f32>;

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= p.rows) { return; }
  let base = row * p.columns;
  let width = f32(p.columns);
  var sum = 0.0;
  for (var c = lane; c < p.columns; c += WG) { sum += x_in[base + c]; }
  let mean = row_sum(sum, lane) / width;
  var squares = 0.0;
  for (var c = lane; c < p.columns; c += WG) {
    let d = x_in[base + c] - mean;
    squares += d * d;
  }
  let rstd = inverseSqrt(row_sum(squares, lane) / width + p.eps);
  for (var c = lane; c < p.columns; c += WG) {
    var v = (x_in[base + c] - mean) * rstd;
    @if(WEIGHT) v *= weight[c];
    @if(BIAS) v += bias[c];
    y_out[base + c] = v;
  }
  if (lane == 0u) {
    mean_out[row] = mean;
    rstd_out[row] = rstd;
  }
}

@group(0) @binding(2) var<storage, read> dy_in: array<f32>;
@group(0) @binding(3) var<storage, read> mean_in: array<f32>;
@group(0) @binding(4) var<storage, read> rstd_in: array<f32>;
@if(WEIGHT) @group(0) @binding(6) var<storage, read_write> dx_out: array<f32>;
@else @group(0) @binding(5) var<storage, read_write> dx_out: array<f32>;
@if(ADD && WEIGHT) @group(0) @binding(7) var<storage, read> added: array<f32>;
@if(ADD && !WEIGHT) @group(0) @binding(6) var<storage, read> added: array<f32>;

fn upstream(at: u32, c: u32) -> f32 {
  @if(WEIGHT) { return dy_in[at] * weight[c]; }
  @else { return dy_in[at]; }
}

@compute @workgroup_size(WG)
fn backward_input(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= p.rows) { return; }
  let base = row * p.columns;
  let mean = mean_in[row];
  let rstd = rstd_in[row];
  var sum = 0.0;
  var dot = 0.0;
  for (var c = lane; c < p.columns; c += WG) {
    let h = upstream(base + c, c);
    sum += h;
    dot += h * (x_in[base + c] - mean);
  }
  let width = f32(p.columns);
  let average = row_sum(sum, lane) / width;
  let projection = row_sum(dot, lane) * rstd * rstd / width;
  for (var c = lane; c < p.columns; c += WG) {
    var dx = rstd * (upstream(base + c, c) - average - (x_in[base + c] - mean) * projection);
    @if(ADD) dx += added[base + c];
    dx_out[base + c] = dx;
  }
}

@group(0) @binding(5) var<storage, read_write> dw_out: array<f32>;
@group(0) @binding(6) var<storage, read_write> db_out: array<f32>;

@compute @workgroup_size(WG)
fn backward_weights(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.columns * p.chunks) { return; }
  let c = i % p.columns;
  let start = (i / p.columns) * p.chunk;
  var dw = 0.0;
  var db = 0.0;
  for (var row = start; row < min(p.rows, start + p.chunk); row++) {
    let d = dy_in[row * p.columns + c];
    dw += d * (x_in[row * p.columns + c] - mean_in[row]) * rstd_in[row];
    db += d;
  }
  dw_out[i] = dw;
  db_out[i] = db;
}

@group(0) @binding(1) var<storage, read> dw_parts: array<f32>;
@group(0) @binding(2) var<storage, read> db_parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw_sum: array<f32>;
@group(0) @binding(4) var<storage, read_write> db_sum: array<f32>;

@compute @workgroup_size(WG)
fn finish(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let c = flat(gid, groups, WG);
  if (c >= p.columns) { return; }
  var dw = dw_parts[c];
  var db = db_parts[c];
  for (var part = 1u; part < p.chunks; part++) {
    dw += dw_parts[part * p.columns + c];
    db += db_parts[part * p.columns + c];
  }
  dw_sum[c] = dw;
  db_sum[c] = db;
}
