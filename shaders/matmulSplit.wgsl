// Sums the partial products of a split matmul in order, then its epilogue (lib/epilogue.wgsl): C = epilogue(sum over s of partial[s]).
// partial [splits, batch, rows, columns]; C lies as its strides say. All sizes count vec4 with VEC_C, else numbers.
// conditions: VEC_C
import package::lib::epilogue::store_element;
import package::lib::index::{flat, place_in, quotient};

struct Params {
  count: u32, // of a matrix
  splits: u32,
  ldc: u32, // from a row of C to the next
  split: u32, // from a split to the next
  columns: vec4u, // divisors: columns, and the sizes of the two inner batch axes
  by_batch1: vec4u,
  by_batch2: vec4u,
  c_strides: vec4u, // per step of batch axes 0, 1, 2
  c_columns: vec4u, // the same in columns of a row of C: matrices beside each other are columns of one
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
  let row = quotient(i, p.columns);
  let column = i - row * p.columns.x;
  let batch = place_in(gid.z, p.by_batch1, p.by_batch2);
  let to = batch * p.c_strides.xyz;
  let beside = batch * p.c_columns.xyz;
  store_element(v, to.x + to.y + to.z + row * p.ldc + column, beside.x + beside.y + beside.z + column);
}
