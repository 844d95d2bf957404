// y[i] = x at i's coordinates times x's strides: expand (stride 0), transpose (permuted strides), slice (stepped, maybe negative).
// Four-byte elements copied as bits, up to eight merged axes.
import package::lib::index::{flat, quotient};

struct Params {
  n: u32,
  offset: u32, // of the first element read
  axes: array<vec4u, 8>, // divisor by the size, stride of x in elements; strides wrap, so that negative steps work
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

override WG: u32 = 64u;
override RANK: u32 = 1u;

@compute @workgroup_size(WG)
fn copy(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  var rest = i;
  var at = p.offset;
  for (var axis = RANK - 1u; axis > 0u; axis--) {
    let outer = quotient(rest, p.axes[axis]);
    at += (rest - outer * p.axes[axis].x) * p.axes[axis].w;
    rest = outer;
  }
  y[i] = x[at + rest * p.axes[0].w];
}
