// Cross-entropy of a chunk of logit rows, which become their own gradient in place:
//   row_loss[n] = lse - logits[n, labels[n]];   logits[n, v] <- softmax(logits[n])[v] - [v == labels[n]]   (0 where the label does not count)
// logits [rows, quads] in vec4, of which the first V numbers of a row count; labels, row_loss [rows]. One workgroup per row: a row of
// 50,000 numbers takes 49 steps of 256 threads, each of which keeps four (maximum, sum) pairs and has no branch in its loop.

import package::lib::logSumExp::{join, counts};

struct Params {
  rows: u32,
  classes: u32,
  ignore: i32,
  quads: u32, // vec4 from a row to the next
  gradient: u32, // 0: the loss alone is wanted, and the logits stay
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> row_loss: array<f32>;

override WG: u32 = 256u;

var<workgroup> part: array<vec2f, WG>;

// Below every logit, and no infinity, of which differences would be NaN.
const LOWEST = vec4f(-3.0e38);

fn include(largest: ptr<function, vec4f>, sum: ptr<function, vec4f>, x: vec4f) {
  let next = max(*largest, x);
  *sum = *sum * exp(*largest - next) + exp(x - next);
  *largest = next;
}

@compute @workgroup_size(WG)
fn rows_in_place(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= p.rows) { return; }
  let base = row * p.quads;
  let whole = p.classes / 4u;
  let rest = p.classes % 4u;
  let real = vec4u(0u, 1u, 2u, 3u) < vec4u(rest); // of the quad after the last whole one
  var largest = LOWEST;
  var sum = vec4f();
  for (var q = lane; q < whole; q += WG) { include(&largest, &sum, logits[base + q]); }
  if (rest > 0u && lane == WG - 1u) {
    // What is not real adds exp(0) where the maximum is still the lowest: it takes no part.
    let before = sum;
    include(&largest, &sum, select(LOWEST, logits[base + whole], real));
    sum = select(before, sum, real);
  }
  part[lane] = join(join(vec2f(largest.x, sum.x), vec2f(largest.y, sum.y)), join(vec2f(largest.z, sum.z), vec2f(largest.w, sum.w)));
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
    if (there) { loss = lse - logits[base + own / 4u][own % 4u]; }
    row_loss[row] = loss;
  }
  if (p.gradient == 0u) { return; }
  storageBarrier(); // the label's logit has been read
  if (!there) {
    for (var q = lane; q < p.quads; q += WG) { logits[base + q] = vec4f(); }
    return;
  }
  for (var q = lane; q < whole; q += WG) { logits[base + q] = exp(logits[base + q] - lse); }
  if (rest > 0u && lane == WG - 1u) {
    logits[base + whole] = select(vec4f(), exp(logits[base + whole] - lse), real);
  }
  storageBarrier(); // every share is written
  if (lane == 0u) { logits[base + own / 4u][own % 4u] -= 1.0; }
}
