// Over rows of `columns` elements, (lib/rows.wgsl): softmax y = exp(x - max) / sum; LOG: y = x - max - log(sum).
// backward, from y and dy: dx = y * (dy - sum(y * dy)); LOG: dx = dy - exp(y) * sum(dy).
// conditions: LOG ALONE
import package::lib::rows::{lanes, row_of, first_column, sum_of_lanes, largest_of_lanes, LANES, STEP, WG};

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// What a lane has of a row.
fn largest_share(base: u32, lane: u32) -> f32 {
  var largest = x[base];
  for (var c = lane; c < p.columns; c += LANES) { largest = max(largest, x[base + c]); }
  return largest;
}

fn exponentials_share(base: u32, lane: u32, largest: f32) -> f32 {
  var sum = 0.0;
  for (var c = lane; c < p.columns; c += LANES) { sum += exp(x[base + c] - largest); }
  return sum;
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
  @if(ALONE) { for (var l = 0u; l < LANES; l++) { lanes[l] = largest_share(base, l); } }
  @else { lanes[lane] = largest_share(base, lane); }
  let largest = largest_of_lanes(lane);
  @if(ALONE) { for (var l = 0u; l < LANES; l++) { lanes[l] = exponentials_share(base, l, largest); } }
  @else { lanes[lane] = exponentials_share(base, lane, largest); }
  let sum = sum_of_lanes(lane);
  @if(LOG) let shift = largest + log(sum);
  @else let factor = 1.0 / sum;
  for (var c = first_column(lane); c < p.columns; c += STEP) {
    @if(LOG) y[base + c] = x[base + c] - shift;
    @else y[base + c] = factor * exp(x[base + c] - largest);
  }
}

@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn gradient_share(base: u32, lane: u32) -> f32 {
  var sum = 0.0;
  for (var c = lane; c < p.columns; c += LANES) {
    @if(LOG) sum += dy[base + c];
    @else sum = fma(dy[base + c], x[base + c], sum);
  }
  return sum;
}

@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = row_of(group, groups, lane);
  if (row >= p.rows) { return; }
  let base = row * p.columns;
  @if(ALONE) { for (var l = 0u; l < LANES; l++) { lanes[l] = gradient_share(base, l); } }
  @else { lanes[lane] = gradient_share(base, lane); }
  let sum = sum_of_lanes(lane);
  for (var c = first_column(lane); c < p.columns; c += STEP) {
    @if(LOG) dx[base + c] = dy[base + c] - exp(x[base + c]) * sum;
    @else dx[base + c] = x[base + c] * (dy[base + c] - sum);
  }
}
