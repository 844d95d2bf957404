// y = f(x) elementwise; backward: dx = dy * f'(x). FN numbers are those of src/ops/scalar.ts: up to 5 activations, then below.
import package::lib::activation::{activate, activate_slope, erf, tanh_safe, sigmoid};
import package::lib::index::flat;

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
// backward
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
// whole numbers
@group(0) @binding(1) var<storage, read> xi: array<i32>;
@group(0) @binding(2) var<storage, read_write> yi: array<i32>;

override WG: u32 = 64u;
override FN: u32 = 0u;

fn apply(v: f32) -> f32 {
  switch FN {
    case 6u: { return -v; }
    case 7u: { return exp(v); }
    case 8u: { return log(v); }
    case 9u: { return sqrt(v); }
    case 10u: { return inverseSqrt(v); }
    case 11u: { return 1.0 / v; }
    case 12u: { return tanh_safe(v); }
    case 13u: { return sigmoid(v); }
    case 14u: { return erf(v); }
    case 15u: { return abs(v); }
    case 16u: { return sin(v); }
    case 17u: { return cos(v); }
    case 18u: { return v * v; }
    case 19u: { return floor(v); }
    case 20u: { return ceil(v); }
    default: { return activate(FN, v); }
  }
}

fn slope(v: f32) -> f32 {
  switch FN {
    case 6u: { return -1.0; }
    case 7u: { return exp(v); }
    case 8u: { return 1.0 / v; }
    case 9u: { return 0.5 * inverseSqrt(v); }
    case 10u: { return -0.5 * inverseSqrt(v) / v; }
    case 11u: { return -1.0 / (v * v); }
    case 12u: {
      let t = tanh_safe(v);
      return 1.0 - t * t;
    }
    case 13u: {
      let s = sigmoid(v);
      return s * (1.0 - s);
    }
    case 14u: { return 1.1283791671 * exp(-v * v); }
    case 15u: { return sign(v); }
    case 16u: { return cos(v); }
    case 17u: { return -sin(v); }
    case 18u: { return 2.0 * v; }
    default: { return activate_slope(FN, v); }
  }
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  y[i] = apply(x[i]);
}

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  dx[i] = dy[i] * slope(x[i]);
}

// 6 neg, 15 abs, 18 square, 21 not
@compute @workgroup_size(WG)
fn whole(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let v = xi[i];
  switch FN {
    case 6u: { yi[i] = -v; }
    case 15u: { yi[i] = abs(v); }
    case 18u: { yi[i] = v * v; }
    default: { yi[i] = select(0, 1, v == 0); }
  }
}

// By its bits: compilers may assume that no NaN occurs.
@compute @workgroup_size(WG)
fn is_nan(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  yi[i] = select(0, 1, (xi[i] & 0x7fffffff) > 0x7f800000);
}
