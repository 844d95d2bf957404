// Elementwise functions of f32 tensors of one size.
//   scale: y = by * x
//   add: y = x0 + x1 + ..., two to seven terms added from the first to the last; T3 to T7 say that there is a third, and so on
//   accumulate: acc = keep * acc + x; with keep = 0 it is acc = x, whatever acc held (NaN too)
// conditions: T3 T4 T5 T6 T7
import package::lib::index::flat;

struct Params {
  n: u32,
  by: f32,
}

@group(0) @binding(0) var<uniform> p: Params;

override WG: u32 = 64u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn scale(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  y[i] = p.by * x[i];
}

@group(0) @binding(1) var<storage, read_write> sum: array<f32>;
@group(0) @binding(2) var<storage, read> x0: array<f32>;
@group(0) @binding(3) var<storage, read> x1: array<f32>;
@group(0) @binding(4) var<storage, read> x2: array<f32>;
@group(0) @binding(5) var<storage, read> x3: array<f32>;
@group(0) @binding(6) var<storage, read> x4: array<f32>;
@group(0) @binding(7) var<storage, read> x5: array<f32>;
@group(0) @binding(8) var<storage, read> x6: array<f32>;

@compute @workgroup_size(WG)
fn add(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  var total = x0[i] + x1[i];
  @if(T3) total += x2[i];
  @if(T4) total += x3[i];
  @if(T5) total += x4[i];
  @if(T6) total += x5[i];
  @if(T7) total += x6[i];
  sum[i] = total;
}

@group(0) @binding(1) var<storage, read_write> acc: array<f32>;
@group(0) @binding(2) var<storage, read> addend: array<f32>;
@group(0) @binding(3) var<storage, read> keep: array<f32>;

@compute @workgroup_size(WG)
fn accumulate(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  var next = addend[i];
  if (keep[0] != 0.0) { next += keep[0] * acc[i]; }
  acc[i] = next;
}
