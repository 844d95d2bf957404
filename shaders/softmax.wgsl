// Over rows of `columns` elements, one workgroup each: softmax y = exp(x - max) / sum; LOG: y = x - max - log(sum).
// backward, from y and dy: dx = y * (dy - sum(y * dy)); LOG: dx = dy - exp(y) * sum(dy).
// conditions: LOG
import package::lib::rows::{row_sum, row_max, WG};

struct Params {
  rows: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= p.rows) { return; }
  let base = row * p.columns;
  var largest = x[base];
  for (var c = lane; c < p.columns; c += WG) { largest = max(largest, x[base + c]); }
  largest = row_max(largest, lane);
  var sum = 0.0;
  for (var c = lane; c < p.columns; c += WG) { sum += exp(x[base + c] - largest); }
  sum = row_sum(sum, lane);
  @if(LOG) let shift = largest + log(sum);
  @else let factor = 1.0 / sum;
  for (var c = lane; c < p.columns; c += WG) {
    @if(LOG) y[base + c] = x[base + c] - shift;
    @else y[base + c] = factor * exp(x[base + c] - largest);
  }
}

@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= p.rows) { return; }
  let base = row * p.columns;
  var sum = 0.0;
  for (var c = lane; c < p.columns; c += WG) {
    @if(LOG) sum += dy[base + c];
    @else sum += dy[base + c] * x[base + c];
  }
  sum = row_sum(sum, lane);
  for (var c = lane; c < p.columns; c += WG) {
    @if(LOG) dx[base + c] = dy[base + c] - exp(x[base + c]) * sum;
    @else dx[base + c] = x[base + c] * (dy[base + c] - sum);
  }
}
