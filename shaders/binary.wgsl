// y = f(a, b) with NumPy broadcasting over up to eight merged axes; strides are 0 along a broadcast axis.
// FN: 0 add 1 sub 2 mul 3 div 4 pow 5 min 6 max; 7 equal 8 less 9 greater 10 lessEqual 11 greaterEqual 12 and 13 or 14 mod.
import package::lib::index::{flat, quotient};

struct Params {
  n: u32,
  axes: array<vec4u, 8>, // divisor by the size, stride of a in elements
  b: array<vec4u, 2>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> ai: array<i32>;
@group(0) @binding(2) var<storage, read> bi: array<i32>;
@group(0) @binding(3) var<storage, read_write> yi: array<i32>;

override WG: u32 = 64u;
override FN: u32 = 0u;
override RANK: u32 = 1u;

fn offsets(i: u32) -> vec2u {
  var rest = i;
  var at = vec2u();
  for (var axis = RANK - 1u; axis > 0u; axis--) {
    let outer = quotient(rest, p.axes[axis]);
    at += (rest - outer * p.axes[axis].x) * vec2u(p.axes[axis].w, p.b[axis / 4u][axis % 4u]);
    rest = outer;
  }
  return at + rest * vec2u(p.axes[0].w, p.b[0].x);
}

// WGSL leaves pow of a negative base open; whole exponents are defined here as in C.
fn power(x: f32, e: f32) -> f32 {
  if (e == 2.0) { return x * x; }
  if (e == 0.0) { return 1.0; }
  if (e == 1.0) { return x; }
  let size = pow(abs(x), e);
  if (x >= 0.0) { return size; }
  if (floor(e) != e) {
    var nan = 0x7fc00000u;
    return bitcast<f32>(nan);
  }
  return select(size, -size, abs(e - 2.0 * floor(e / 2.0)) == 1.0);
}

@compute @workgroup_size(WG)
fn floats(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let at = offsets(i);
  let u = a[at.x];
  let v = b[at.y];
  switch FN {
    case 0u: { y[i] = u + v; }
    case 1u: { y[i] = u - v; }
    case 2u: { y[i] = u * v; }
    case 3u: { y[i] = u / v; }
    case 4u: { y[i] = power(u, v); }
    case 5u: { y[i] = min(u, v); }
    case 6u: { y[i] = max(u, v); }
    default: { y[i] = u - v * floor(u / v); }
  }
}

@compute @workgroup_size(WG)
fn compare(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let at = offsets(i);
  let u = a[at.x];
  let v = b[at.y];
  var holds = false;
  switch FN {
    case 7u: { holds = u == v; }
    case 8u: { holds = u < v; }
    case 9u: { holds = u > v; }
    case 10u: { holds = u <= v; }
    default: { holds = u >= v; }
  }
  yi[i] = select(0, 1, holds);
}

// A remainder has the sign of its divisor, as in ONNX Mod.
@compute @workgroup_size(WG)
fn whole(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let at = offsets(i);
  let u = ai[at.x];
  let v = bi[at.y];
  let remainder = u % v;
  let off = remainder != 0 && ((remainder < 0) != (v < 0));
  switch FN {
    case 0u: { yi[i] = u + v; }
    case 1u: { yi[i] = u - v; }
    case 2u: { yi[i] = u * v; }
    case 3u: { yi[i] = u / v; } // ONNX Div truncates
    case 5u: { yi[i] = min(u, v); }
    case 6u: { yi[i] = max(u, v); }
    case 7u: { yi[i] = select(0, 1, u == v); }
    case 8u: { yi[i] = select(0, 1, u < v); }
    case 9u: { yi[i] = select(0, 1, u > v); }
    case 10u: { yi[i] = select(0, 1, u <= v); }
    case 11u: { yi[i] = select(0, 1, u >= v); }
    case 12u: { yi[i] = select(0, 1, u != 0 && v != 0); }
    case 13u: { yi[i] = select(0, 1, u != 0 || v != 0); }
    default: { yi[i] = select(remainder, remainder + v, off); }
  }
}
