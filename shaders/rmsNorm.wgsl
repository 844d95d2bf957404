// y = x * rstd * w over rows of `columns` elements, one workgroup each; rstd = 1 / sqrt(mean(x²) + eps) is kept.
// backward_input: dx = added + rstd * (h - n * mean(h * n)), h = dy * w, n = x * rstd.
// backward_weights: per range of rows, dw = sum of dy * n; finish adds the ranges up in order.
// conditions: WEIGHT ADD
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
@group(0) @binding(3) var<storage, read_write> rstd_out: array<f32>;
@if(WEIGHT) @group(0) @binding(4) var<storage, read> weight: array<f32>;

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= p.rows) { return; }
  let base = row * p.columns;
  var squares = 0.0;
  for (var c = lane; c < p.columns; c += WG) { squares += x_in[base + c] * x_in[base + c]; }
  let rstd = inverseSqrt(row_sum(squares, lane) / f32(p.columns) + p.eps);
  for (var c = lane; c < p.columns; c += WG) {
    var v = x_in[base + c] * rstd;
    @if(WEIGHT) v *= weight[c];
    y_out[base + c] = v;
  }
  if (lane == 0u) { rstd_out[row] = rstd; }
}

@group(0) @binding(2) var<storage, read> dy_in: array<f32>;
@group(0) @binding(3) var<storage, read> rstd_in: array<f32>;
@if(WEIGHT) @group(0) @binding(5) var<storage, read_write> dx_out: array<f32>;
@else @group(0) @binding(4) var<storage, read_write> dx_out: array<f32>;
@if(ADD && WEIGHT) @group(0) @binding(6) var<storage, read> added: array<f32>;
@if(ADD && !WEIGHT) @group(0) @binding(5) var<storage, read> added: array<f32>;

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
  let rstd = rstd_in[row];
  var dot = 0.0;
  for (var c = lane; c < p.columns; c += WG) { dot += upstream(base + c, c) * x_in[base + c]; }
  let projection = row_sum(dot, lane) * rstd * rstd / f32(p.columns);
  for (var c = lane; c < p.columns; c += WG) {
    var dx = rstd * (upstream(base + c, c) - x_in[base + c] * projection);
    @if(ADD) dx += added[base + c];
    dx_out[base + c] = dx;
  }
}

@group(0) @binding(4) var<storage, read_write> dw_out: array<f32>;

@compute @workgroup_size(WG)
fn backward_weights(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.columns * p.chunks) { return; }
  let c = i % p.columns;
  let start = (i / p.columns) * p.chunk;
  var dw = 0.0;
  for (var row = start; row < min(p.rows, start + p.chunk); row++) {
    dw += dy_in[row * p.columns + c] * x_in[row * p.columns + c] * rstd_in[row];
  }
  dw_out[i] = dw;
}

@group(0) @binding(1) var<storage, read> dw_parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw_sum: array<f32>;

@compute @workgroup_size(WG)
fn finish(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let c = flat(gid, groups, WG);
  if (c >= p.columns) { return; }
  var dw = dw_parts[c];
  for (var part = 1u; part < p.chunks; part++) { dw += dw_parts[part * p.columns + c]; }
  dw_sum[c] = dw;
}
