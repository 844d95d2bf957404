// takeAlong: y[r, k] = x[r, index[r mod period, k]]; its adjoint: dx[r, a] = sum over k with index[r mod period, k] = a of dy[r, k].
import package::lib::index::flat;

struct Params {
  n: u32, // elements written
  size: u32, // length of x's rows
  taken: u32, // indices in a row
  period: u32, // rows of indices
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn take_along(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let row = i / p.taken;
  let at = u32(index[(row % p.period) * p.taken + i % p.taken]);
  result[i] = source[row * p.size + at];
}

@compute @workgroup_size(WG)
fn put_along(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let row = i / p.size;
  let column = i32(i % p.size);
  let first = (row % p.period) * p.taken;
  var sum = 0.0;
  for (var k = 0u; k < p.taken; k++) {
    if (index[first + k] == column) { sum += source[row * p.taken + k]; }
  }
  result[i] = sum;
}
