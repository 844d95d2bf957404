// y[o] = scale * fold over r of x[o's offset + r's offset]; FN 0 sum, 1 max, 2 min. Kept and reduced axes have their own strides.
// `columns`: one thread per result (neighbours read neighbours). `rows`: one workgroup per result, for long contiguous axes.
// Both fold one of `chunks` ranges of r into partial[chunk * count + o]; `finish` folds the chunks in order.
import package::lib::index::{flat, quotient};

struct Params {
  count: vec4u, // results, as a divisor
  reduced: u32, // elements folded into each
  chunk: u32, // of which one range has this many
  chunks: u32,
  scale: f32,
  kept: array<vec4u, 8>, // divisor by the size, stride
  others: array<vec4u, 8>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

override WG: u32 = 64u;
override FN: u32 = 0u;
override KEPT: u32 = 1u;
override REDUCED: u32 = 1u;

fn fold(a: f32, b: f32) -> f32 {
  switch FN {
    case 1u: { return max(a, b); }
    case 2u: { return min(a, b); }
    default: { return a + b; }
  }
}

fn kept_offset(i: u32) -> u32 {
  var rest = i;
  var at = 0u;
  for (var axis = KEPT - 1u; axis > 0u; axis--) {
    let outer = quotient(rest, p.kept[axis]);
    at += (rest - outer * p.kept[axis].x) * p.kept[axis].w;
    rest = outer;
  }
  return at + rest * p.kept[0].w;
}

fn reduced_offset(i: u32) -> u32 {
  var rest = i;
  var at = 0u;
  for (var axis = REDUCED - 1u; axis > 0u; axis--) {
    let outer = quotient(rest, p.others[axis]);
    at += (rest - outer * p.others[axis].x) * p.others[axis].w;
    rest = outer;
  }
  return at + rest * p.others[0].w;
}

@compute @workgroup_size(WG)
fn columns(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count.x * p.chunks) { return; }
  let range = quotient(i, p.count);
  let base = kept_offset(i - range * p.count.x);
  let start = range * p.chunk;
  let end = min(p.reduced, start + p.chunk);
  var value = x[base + reduced_offset(start)];
  for (var r = start + 1u; r < end; r++) { value = fold(value, x[base + reduced_offset(r)]); }
  y[i] = p.scale * value;
}

var<workgroup> lanes: array<f32, WG>;

@compute @workgroup_size(WG)
fn rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = group.x + group.y * groups.x;
  if (i >= p.count.x * p.chunks) { return; }
  let range = quotient(i, p.count);
  let base = kept_offset(i - range * p.count.x);
  let start = range * p.chunk;
  let end = min(p.reduced, start + p.chunk);
  var value = x[base + reduced_offset(min(start + lane, end - 1u))];
  if (FN == 0u && start + lane >= end) { value = 0.0; }
  for (var r = start + lane + WG; r < end; r += WG) { value = fold(value, x[base + reduced_offset(r)]); }
  lanes[lane] = value;
  workgroupBarrier(); // every lane's share is there
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { lanes[lane] = fold(lanes[lane], lanes[lane + half]); }
    workgroupBarrier(); // this level of the tree is done
  }
  if (lane == 0u) { y[i] = p.scale * lanes[0]; }
}

@compute @workgroup_size(WG)
fn finish(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count.x) { return; }
  var value = x[i];
  for (var c = 1u; c < p.chunks; c++) { value = fold(value, x[c * p.count.x + i]); }
  y[i] = p.scale * value;
}
