// Sums the partial products of a split matmul in order, then its epilogue (lib/epilogue.wgsl): C = epilogue(sum over s of partial[s]).
// partial [splits, batch, rows, columns]; C lies as its strides say. All sizes count vec4 with VEC_C, else numbers.
// conditions: VEC_C
import package::lib::epilogue::store_element;
import package::lib::index::flat;

struct Params {
  count: u32, // of a matrix
  columns: u32,
  splits: u32,
  batch1: u32, // sizes of the two inner batch axes
  batch2: u32,
  ldc: u32, // from a row of C to the next
  split: u32, // from a split to the next
  pad: u32,
  c_strides: vec4u, // per step of batch axes 0, 1, 2
}

@group(0) @binding(0) var<uniform> p: Params;
@if(VEC_C) @group(0) @binding(1) var<storage, read> partial: array<vec4f>;
@else @group(0) @binding(1) var<storage, read> partial: array<f32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn sum_splits(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count) { return; }
  let first = gid.z * p.count + i;
  var v = partial[first];
  for (var s = 1u; s < p.splits; s++) { v += partial[s * p.split + first]; }
  let row = i / p.columns;
  let column = i - row * p.columns;
  let i2 = gid.z % p.batch2;
  let i1 = (gid.z / p.batch2) % p.batch1;
  let base = (gid.z / p.batch2 / p.batch1) * p.c_strides.x + i1 * p.c_strides.y + i2 * p.c_strides.z;
  let at = base + row * p.ldc + column;
  store_element(v, at, at % p.ldc);
}
