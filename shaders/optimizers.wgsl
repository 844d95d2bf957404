// torch's optimizers on one packed buffer of all trained parameters, in place; c = min(1, maxNorm / (sqrt(norm2) + 1e-6)) where
// clipping is on (maxNorm > 0). AdamW (ADAMW):
//   params *= 1 - lr * weightDecay;   m = b1 m + (1 - b1) c g;   v = b2 v + (1 - b2) (c g)^2
//   params -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
// else SGD with momentum (dampening 0):
//   velocity = momentum * velocity + c g + weightDecay * params;   params -= lr * velocity
// params, grads, m or velocity, v [N]; squares [parts], whose sum is norm2 [1]; step f32[16] as src/training/stepScalars.ts lays it out.
// A workgroup of 64 has 64 * EACH numbers.
// A norm that is not finite leaves everything as it is: a diverged step loses nothing.
// conditions: ADAMW

import package::lib::step::{LR, CORRECTION1, CORRECTION2, BETA1, BETA2, EPS, WEIGHT_DECAY, MAX_NORM, MOMENTUM, clip_factor, finite};

struct Params {
  count: u32,
  squares: u32, // parts
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read> grads: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>; // SGD's velocity
@group(0) @binding(4) var<storage, read> step: array<f32>;
@if(ADAMW) @group(0) @binding(5) var<storage, read_write> v: array<f32>;
@if(ADAMW) @group(0) @binding(6) var<storage, read> squares: array<f32>;
@else @group(0) @binding(5) var<storage, read> squares: array<f32>;
@if(ADAMW) @group(0) @binding(7) var<storage, read_write> norm2: array<f32>;
@else @group(0) @binding(6) var<storage, read_write> norm2: array<f32>;

override EACH: u32 = 1u;

var<workgroup> sums: array<f32, 64>;

// The sum of at most 256 parts, in the same order in every workgroup. All of its threads call and get it.
fn add_squares(lane: u32) -> f32 {
  var part = vec4f();
  for (var i = 0u; i < 4u; i++) {
    let at = lane + 64u * i;
    if (at < p.squares) { part[i] = squares[at]; }
  }
  sums[lane] = (part.x + part.z) + (part.y + part.w);
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the sums of the previous level are written
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier(); // the whole sum is written
  return sums[0];
}

@compute @workgroup_size(64)
fn update(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let norm = add_squares(lane);
  let first = (group.x + group.y * groups.x) * 64u * EACH + lane;
  if (first == 0u) { norm2[0] = norm; }
  if (!finite(norm)) { return; }
  let factor = clip_factor(norm, step[MAX_NORM]);
  for (var e = 0u; e < EACH; e++) {
    let i = first + 64u * e;
    if (i < p.count) { update_one(i, factor * grads[i]); }
  }
}

fn update_one(i: u32, gradient: f32) {
  var g = gradient;
  @if(ADAMW) {
    let m1 = step[BETA1] * m[i] + (1.0 - step[BETA1]) * g;
    let v1 = step[BETA2] * v[i] + (1.0 - step[BETA2]) * g * g;
    m[i] = m1;
    v[i] = v1;
    let root = sqrt(v1) / sqrt(step[CORRECTION2]) + step[EPS];
    params[i] = params[i] * (1.0 - step[LR] * step[WEIGHT_DECAY]) - step[LR] / step[CORRECTION1] * (m1 / root);
  }
  @else {
    g += step[WEIGHT_DECAY] * params[i];
    let moved = step[MOMENTUM] * m[i] + g;
    m[i] = moved;
    params[i] -= step[LR] * moved;
  }
}
