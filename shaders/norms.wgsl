// y = (x - mean) * rstd * w + b over rows of `columns` elements, one workgroup each; the means and then rstd = 1 / sqrt(mean((x - mean)^2) + eps)
// of all rows are kept. layerNorm has CENTER; without it (rmsNorm) no mean is taken off or kept, and there is no bias.
// backward_input: dx = added + rstd * (h - mean(h) - n * mean(h * n)), h = dy * w, n = (x - mean) * rstd; mean(h) with CENTER only. With GAIN
// dx * gain is stored as well.
// backward_weights: per range of rows, dw = sum of dy * n, db = sum of dy; finish adds the ranges up in order.
// conditions: CENTER WEIGHT BIAS ADD GAIN
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
@group(0) @binding(3) var<storage, read_write> kept: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;

// Where a row's rstd stands among the statistics.
fn rstd_at(row: u32) -> u32 {
  @if(CENTER) { return p.rows + row; }
  @else { return row; }
}

fn centered(at: u32, mean: f32) -> f32 {
  @if(CENTER) { return x_in[at] - mean; }
  @else { return x_in[at]; }
}

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
  var mean = 0.0;
  @if(CENTER) {
    var sum = 0.0;
    for (var c = lane; c < p.columns; c += WG) { sum += x_in[base + c]; }
    mean = row_sum(sum, lane) / width;
  }
  var squares = 0.0;
  for (var c = lane; c < p.columns; c += WG) {
    let d = centered(base + c, mean);
    squares += d * d;
  }
  let rstd = inverseSqrt(row_sum(squares, lane) / width + p.eps);
  for (var c = lane; c < p.columns; c += WG) {
    var v = centered(base + c, mean) * rstd;
    @if(WEIGHT) v *= weight[c];
    @if(BIAS) v += bias[c];
    y_out[base + c] = v;
  }
  if (lane == 0u) {
    @if(CENTER) { kept[row] = mean; }
    kept[rstd_at(row)] = rstd;
  }
}

@group(0) @binding(2) var<storage, read> dy_in: array<f32>;
@group(0) @binding(3) var<storage, read> statistics: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx_out: array<f32>;
@group(0) @binding(6) var<storage, read> added: array<f32>;
@group(0) @binding(7) var<storage, read> gain: array<f32>;
@group(0) @binding(8) var<storage, read_write> scaled_out: array<f32>;

fn upstream(at: u32, c: u32) -> f32 {
  @if(WEIGHT) { return dy_in[at] * weight[c]; }
  @else { return dy_in[at]; }
}

fn mean_of(row: u32) -> f32 {
  @if(CENTER) { return statistics[row]; }
  @else { return 0.0; }
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
  let mean = mean_of(row);
  let rstd = statistics[rstd_at(row)];
  var sum = 0.0;
  var dot = 0.0;
  for (var c = lane; c < p.columns; c += WG) {
    let h = upstream(base + c, c);
    @if(CENTER) sum += h;
    dot += h * centered(base + c, mean);
  }
  let width = f32(p.columns);
  var average = 0.0;
  @if(CENTER) average = row_sum(sum, lane) / width;
  let projection = row_sum(dot, lane) * rstd * rstd / width;
  for (var c = lane; c < p.columns; c += WG) {
    var h = upstream(base + c, c);
    @if(CENTER) h -= average;
    var dx = rstd * (h - centered(base + c, mean) * projection);
    @if(ADD) dx += added[base + c];
    dx_out[base + c] = dx;
    @if(GAIN) scaled_out[base + c] = dx * gain[c];
  }
}

@group(0) @binding(4) var<storage, read_write> dw_out: array<f32>;
@group(0) @binding(5) var<storage, read_write> db_out: array<f32>;

@compute @workgroup_size(WG)
fn backward_weights(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.columns * p.chunks) { return; }
  let c = i % p.columns;
  let start = (i / p.columns) * p.chunk;
  var dw = 0.0;
  var db = 0.0;
  for (var row = start; row < min(p.rows, start + p.chunk); row++) {
    let at = row * p.columns + c;
    let d = dy_in[at];
    dw += d * centered(at, mean_of(row)) * statistics[rstd_at(row)];
    @if(CENTER) db += d;
  }
  dw_out[i] = dw;
  @if(CENTER) db_out[i] = db;
}

@group(0) @binding(1) var<storage, read> dw_parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw_sum: array<f32>;
@group(0) @binding(3) var<storage, read> db_parts: array<f32>;
@group(0) @binding(4) var<storage, read_write> db_sum: array<f32>;

@compute @workgroup_size(WG)
fn finish(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let c = flat(gid, groups, WG);
  if (c >= p.columns) { return; }
  var dw = dw_parts[c];
  for (var part = 1u; part < p.chunks; part++) { dw += dw_parts[part * p.columns + c]; }
  dw_sum[c] = dw;
  @if(CENTER) {
    var db = db_parts[c];
    for (var part = 1u; part < p.chunks; part++) { db += db_parts[part * p.columns + c]; }
    db_sum[c] = db;
  }
}
