// Sums the partial products of a split matmul in order, then its epilogue: C = activate(sum over s of partial[s] + bias).
// partial [splits, count], C, pre [count]; in vec4 with VEC_C. bias [width of a row].
// conditions: VEC_C BIAS KEEP_PRE
import package::lib::activation::activate;
import package::lib::index::flat;

struct Params {
  count: u32,
  columns: u32,
  splits: u32,
}

@if(VEC_C) alias element = vec4f;
@else alias element = f32;
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partial: array<element>;
@group(0) @binding(2) var<storage, read_write> c: array<element>;
@if(BIAS) @group(0) @binding(3) var<storage, read> bias: array<element>;
@if(KEEP_PRE && BIAS) @group(0) @binding(4) var<storage, read_write> pre: array<element>;
@if(KEEP_PRE && !BIAS) @group(0) @binding(3) var<storage, read_write> pre: array<element>;

override WG: u32 = 64u;
override ACTIVATION: u32 = 0u;

@compute @workgroup_size(WG)
fn sum_splits(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count) { return; }
  var v = partial[i];
  for (var s = 1u; s < p.splits; s++) { v += partial[s * p.count + i]; }
  @if(BIAS) v += bias[i % p.columns];
  @if(KEEP_PRE) pre[i] = v;
  @if(VEC_C) {
    c[i] = vec4f(activate(ACTIVATION, v.x), activate(ACTIVATION, v.y), activate(ACTIVATION, v.z), activate(ACTIVATION, v.w));
  }
  @else { c[i] = activate(ACTIVATION, v); }
}
