// y = cond != 0 ? a : b with broadcasting; four-byte elements of any type, copied as bits.
import package::lib::index::{flat, quotient};

struct Params {
  n: u32,
  axes: array<vec4u, 8>, // divisor by the size, stride of cond in elements
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
  for (var axis = RANK - 1u; axis > 0u; axis--) {
    let outer = quotient(rest, p.axes[axis]);
    let j = axis / 4u;
    at += (rest - outer * p.axes[axis].x) * vec3u(p.axes[axis].w, p.a[j][axis % 4u], p.b[j][axis % 4u]);
    rest = outer;
  }
  at += rest * vec3u(p.axes[0].w, p.a[0].x, p.b[0].x);
  if (cond[at.x] != 0) { y[i] = a[at.y]; } else { y[i] = b[at.z]; }
}
