// torch's optimizers on one packed buffer of all trained parameters, in place; c = min(1, maxNorm / (sqrt(norm2) + 1e-6)) where
// clipping is on (maxNorm > 0). AdamW (ADAMW):
//   params *= 1 - lr * weightDecay;   m = b1 m + (1 - b1) c g;   v = b2 v + (1 - b2) (c g)^2
//   params -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
// else SGD with momentum (dampening 0):
//   velocity = momentum * velocity + c g + weightDecay * params;   params -= lr * velocity
// params, grads, m or velocity, v [N]; norm2 [1]; step f32[16] as src/training/stepScalars.ts lays it out.
// A norm that is not finite leaves everything as it is: a diverged step loses nothing.
// conditions: ADAMW

import package::lib::step::{LR, CORRECTION1, CORRECTION2, BETA1, BETA2, EPS, WEIGHT_DECAY, MAX_NORM, MOMENTUM, clip_factor, finite};

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read> grads: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>; // SGD's velocity
@group(0) @binding(4) var<storage, read> step: array<f32>;
@if(ADAMW) @group(0) @binding(5) var<storage, read_write> v: array<f32>;
@if(ADAMW) @group(0) @binding(6) var<storage, read> norm2: array<f32>;
@else @group(0) @binding(5) var<storage, read> norm2: array<f32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn update(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * WG;
  if (i >= p.count) { return; }
  if (!finite(norm2[0])) { return; }
  var g = grads[i];
  g *= clip_factor(norm2[0], step[MAX_NORM]);
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
