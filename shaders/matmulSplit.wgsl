// Sums the partial products of a split matmul in order, then its epilogue (lib/epilogue.wgsl): C = epilogue(sum over s of partial[s]).
// partial [splits, count], C [count]; in vec4 with VEC_C.
// conditions: VEC_C
import package::lib::epilogue::store_element;
import package::lib::index::flat;

struct Params {
  count: u32,
  columns: u32,
  splits: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@if(VEC_C) @group(0) @binding(1) var<storage, read> partial: array<vec4f>;
@else @group(0) @binding(1) var<storage, read> partial: array<f32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn sum_splits(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count) { return; }
  var v = partial[i];
  for (var s = 1u; s < p.splits; s++) { v += partial[s * p.count + i]; }
  store_element(v, i, i % p.columns);
}
