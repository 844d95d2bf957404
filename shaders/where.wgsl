// y = cond != 0 ? a : b with broadcasting; four-byte elements of any type, copied as bits.
import package::lib::index::flat;

struct Params {
  n: u32,
  shape: array<vec4u, 2>,
  cond: array<vec4u, 2>, // strides in elements
  a: array<vec4u, 2>,
  b: array<vec4u, 2>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> cond: array<i32>;
@group(0) @binding(2) var<storage, read> a: array<u32>;
@group(0) @binding(3) var<storage, read> b: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

override WG: u32 = 64u;
override RANK: u32 = 1u;

@compute @workgroup_size(WG)
fn choose(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  var rest = i;
  var at = vec3u();
  for (var r = RANK; r > 0u; r--) {
    let j = (r - 1u) / 4u;
    let l = (r - 1u) % 4u;
    at += (rest % p.shape[j][l]) * vec3u(p.cond[j][l], p.a[j][l], p.b[j][l]);
    rest /= p.shape[j][l];
  }
  if (cond[at.x] != 0) { y[i] = a[at.y]; } else { y[i] = b[at.z]; }
}
