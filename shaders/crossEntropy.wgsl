// Softmax cross-entropy with ignored rows.
//   loss = sum over valid rows n of lse[n] - logits[n, labels[n]],   lse[n] = log sum_v exp(logits[n, v])
//   dLogits[n, v] = valid(n) * dLoss * (softmax(logits[n])[v] - [v == labels[n]])
// logits, dLogits [N, V]; labels [N]; lse, rowLoss [N]; loss, dLoss [1]. A row is valid if its label is in 0 .. V-1 and is not `ignore`.

import package::lib::index::quotient;
import package::lib::logSumExp::{join, include, counts};

struct Params {
  rows: u32,
  classes: u32,
  ignore: i32,
  pad: u32,
  by_classes: vec4u, // divisor
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> row_loss: array<f32>;

override WG: u32 = 64u;

var<workgroup> part: array<vec2f, WG>;

fn accumulate(row: u32, first: u32, step: u32) -> vec2f {
  var state = vec2f(-3.0e38, 0.0);
  for (var v = first; v < p.classes; v += step) {
    state = include(state, logits[row * p.classes + v]);
  }
  return state;
}

fn store(row: u32, state: vec2f) {
  let value = state.x + log(state.y);
  lse[row] = value;
  let label = labels[row];
  if (counts(label, p.classes, p.ignore)) {
    row_loss[row] = value - logits[row * p.classes + u32(label)];
  } else {
    row_loss[row] = 0.0;
  }
}

// Many classes: one workgroup per row.
@compute @workgroup_size(WG)
fn rows_wide(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= p.rows) { return; }
  part[lane] = accumulate(row, lane, WG);
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the parts of the previous level are written
    if (lane < half) { part[lane] = join(part[lane], part[lane + half]); }
  }
  if (lane == 0u) { store(row, part[0]); }
}

// Few classes: one thread per row.
@compute @workgroup_size(WG)
fn rows_narrow(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let row = id.x + id.y * groups.x * WG;
  if (row >= p.rows) { return; }
  store(row, accumulate(row, 0u, 1u));
}

@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;

var<workgroup> sums: array<f32, WG>;

// One workgroup adds all rows, always in the same order.
@compute @workgroup_size(WG)
fn total(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var row = lane; row < p.rows; row += WG) { sum += losses[row]; }
  sums[lane] = sum;
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the sums of the previous level are written
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0u) { loss[0] = sums[0]; }
}

@group(0) @binding(3) var<storage, read> row_lse: array<f32>;
@group(0) @binding(4) var<storage, read> d_loss: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_logits: array<f32>;

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * WG;
  if (i >= p.rows * p.classes) { return; }
  let row = quotient(i, p.by_classes);
  let label = labels[row];
  if (counts(label, p.classes, p.ignore)) {
    let hit = select(0.0, 1.0, i - row * p.classes == u32(label));
    d_logits[i] = d_loss[0] * (exp(logits[i] - row_lse[row]) - hit);
  } else {
    d_logits[i] = 0.0;
  }
}
