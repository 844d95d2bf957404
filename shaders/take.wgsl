// take: y[o, j, i] = x[o, index[j], i] along one axis; its adjoint: dx[o, a, i] = sum over j with index[j] = a of dy[o, j, i].
import package::lib::index::flat;

struct Params {
  n: u32, // elements written
  axis: u32, // size of x's axis
  taken: u32, // number of indices
  inner: u32, // elements per index
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x_bits: array<u32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> y_bits: array<u32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn take(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let outer = i / (p.inner * p.taken);
  let from_row = u32(index[(i / p.inner) % p.taken]);
  y_bits[i] = x_bits[(outer * p.axis + from_row) * p.inner + i % p.inner];
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn put(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let outer = i / (p.inner * p.axis);
  let row = i32((i / p.inner) % p.axis);
  var sum = 0.0;
  for (var j = 0u; j < p.taken; j++) {
    if (index[j] == row) { sum += dy[(outer * p.taken + j) * p.inner + i % p.inner]; }
  }
  dx[i] = sum;
}
