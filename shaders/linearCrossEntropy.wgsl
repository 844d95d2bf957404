// Cross-entropy of a chunk of logit rows, which become their own gradient in place:
//   row_loss[n] = lse - logits[n, labels[n]];   logits[n, v] <- softmax(logits[n])[v] - [v == labels[n]]   (0 where the label does not count)
// logits [rows, V]; labels, row_loss [rows]. One workgroup per row.

import package::lib::logSumExp::{join, include, counts};

struct Params {
  rows: u32,
  classes: u32,
  ignore: i32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> row_loss: array<f32>;

override WG: u32 = 64u;

var<workgroup> part: array<vec2f, WG>;

@compute @workgroup_size(WG)
fn rows_in_place(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= p.rows) { return; }
  let base = row * p.classes;
  var state = vec2f(-3.0e38, 0.0);
  for (var v = lane; v < p.classes; v += WG) { state = include(state, logits[base + v]); }
  part[lane] = state;
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the parts of the previous level are written
    if (lane < half) { part[lane] = join(part[lane], part[lane + half]); }
  }
  workgroupBarrier(); // part[0] is the row's
  let lse = part[0].x + log(part[0].y);
  let label = labels[row];
  let there = counts(label, p.classes, p.ignore);
  let own = u32(max(label, 0));
  if (lane == 0u) {
    var loss = 0.0;
    if (there) { loss = lse - logits[base + own]; }
    row_loss[row] = loss;
  }
  storageBarrier(); // the label's logit has been read
  for (var v = lane; v < p.classes; v += WG) {
    let d = exp(logits[base + v] - lse) - select(0.0, 1.0, v == own);
    logits[base + v] = select(0.0, d, there);
  }
}
