// dx = zeros of x's shape with dy put back where a slice took it from: coordinate start + i * step along every axis.
import package::lib::index::flat;

struct Params {
  n: u32,
  shape: array<vec4u, 2>, // of dx
  part: array<vec4u, 2>, // of dy
  starts: array<vec4u, 2>,
  steps: array<vec4i, 2>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

override WG: u32 = 64u;
override RANK: u32 = 1u;

@compute @workgroup_size(WG)
fn unslice(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  var rest = i;
  var at = 0u;
  var stride = 1u;
  var taken = true;
  for (var r = RANK; r > 0u; r--) {
    let j = (r - 1u) / 4u;
    let l = (r - 1u) % 4u;
    let from_start = i32(rest % p.shape[j][l]) - i32(p.starts[j][l]);
    let step = p.steps[j][l];
    let index = from_start / step;
    taken = taken && index >= 0 && u32(index) < p.part[j][l] && index * step == from_start;
    at += u32(max(index, 0)) * stride;
    stride *= p.part[j][l];
    rest /= p.shape[j][l];
  }
  if (taken) { dx[i] = dy[at]; } else { dx[i] = 0.0; }
}
