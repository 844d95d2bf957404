// y = (x - mean) * rstd * w + b over rows of `columns` elements (lib/rows.wgsl); the means and then rstd = 1 / sqrt(mean((x - mean)^2) + eps)
// of all rows are kept. layerNorm has CENTER; without it (rmsNorm) no mean is taken off or kept, and there is no bias.
// backward_input: dx = added + rstd * (h - mean(h) - n * mean(h * n)), h = dy * w, n = (x - mean) * rstd; mean(h) with CENTER only. With GAIN
// dx * gain is stored as well.
// backward_weights: per range of rows, dw = sum of dy * n, db = sum of dy; finish adds the ranges up in order.
// conditions: CENTER WEIGHT BIAS ADD GAIN ALONE
import package::lib::index::flat;
import package::lib::rows::{lanes, row_of, first_column, sum_of_lanes, LANES, STEP, WG};

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

// What a lane adds up of a row.
fn sum_share(base: u32, lane: u32) -> f32 {
  var sum = 0.0;
  for (var c = lane; c < p.columns; c += LANES) { sum += x_in[base + c]; }
  return sum;
}

fn squares_share(base: u32, lane: u32, mean: f32) -> f32 {
  var squares = 0.0;
  for (var c = lane; c < p.columns; c += LANES) {
    let d = centered(base + c, mean);
    squares = fma(d, d, squares);
  }
  return squares;
}

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = row_of(group, groups, lane);
  if (row >= p.rows) { return; }
  let base = row * p.columns;
  let width = f32(p.columns);
  var mean = 0.0;
  @if(CENTER) {
    @if(ALONE) { for (var l = 0u; l < LANES; l++) { lanes[l] = sum_share(base, l); } }
    @else { lanes[lane] = sum_share(base, lane); }
    mean = sum_of_lanes(lane) / width;
  }
  @if(ALONE) { for (var l = 0u; l < LANES; l++) { lanes[l] = squares_share(base, l, mean); } }
  @else { lanes[lane] = squares_share(base, lane, mean); }
  let rstd = inverseSqrt(sum_of_lanes(lane) / width + p.eps);
  let first = first_column(lane);
  for (var c = first; c < p.columns; c += STEP) {
    var v = centered(base + c, mean) * rstd;
    @if(WEIGHT) v *= weight[c];
    @if(BIAS) v += bias[c];
    y_out[base + c] = v;
  }
  if (first == 0u) {
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

fn upstream_share(base: u32, lane: u32) -> f32 {
  var sum = 0.0;
  for (var c = lane; c < p.columns; c += LANES) { sum += upstream(base + c, c); }
  return sum;
}

fn dot_share(base: u32, lane: u32, mean: f32) -> f32 {
  var dot = 0.0;
  for (var c = lane; c < p.columns; c += LANES) { dot = fma(upstream(base + c, c), centered(base + c, mean), dot); }
  return dot;
}

@compute @workgroup_size(WG)
fn backward_input(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = row_of(group, groups, lane);
  if (row >= p.rows) { return; }
  let base = row * p.columns;
  let mean = mean_of(row);
  let rstd = statistics[rstd_at(row)];
  let width = f32(p.columns);
  var average = 0.0;
  @if(CENTER) {
    @if(ALONE) { for (var l = 0u; l < LANES; l++) { lanes[l] = upstream_share(base, l); } }
    @else { lanes[lane] = upstream_share(base, lane); }
    average = sum_of_lanes(lane) / width;
  }
  @if(ALONE) { for (var l = 0u; l < LANES; l++) { lanes[l] = dot_share(base, l, mean); } }
  @else { lanes[lane] = dot_share(base, lane, mean); }
  let projection = sum_of_lanes(lane) * rstd * rstd / width;
  for (var c = first_column(lane); c < p.columns; c += STEP) {
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
