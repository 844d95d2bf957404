// torch's SGD with momentum (dampening 0) on one packed buffer, in place:
//   g = c * grads + weightDecay * decay * params   (c: clipping factor)
//   velocity = momentum * velocity + g;   params -= lr * velocity
// params, grads, velocity, decay [N]; norm2 [1]; step f32[16] as src/training/stepScalars.ts lays it out.
// With CLIP, a norm that is not finite leaves everything as it is: a diverged step loses nothing.
// conditions: CLIP DECAY

import package::lib::step::{LR, WEIGHT_DECAY, MAX_NORM, MOMENTUM, clip_factor, finite};

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read> grads: array<f32>;
@group(0) @binding(3) var<storage, read_write> velocity: array<f32>;
@group(0) @binding(4) var<storage, read> step: array<f32>;
@if(CLIP) @group(0) @binding(5) var<storage, read> norm2: array<f32>;
@if(DECAY && CLIP) @group(0) @binding(6) var<storage, read> decay: array<f32>;
@if(DECAY && !CLIP) @group(0) @binding(5) var<storage, read> decay: array<f32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn update(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * WG;
  if (i >= p.count) { return; }
  @if(CLIP) {
    if (!finite(norm2[0])) { return; }
  }
  var g = grads[i];
  @if(CLIP) { g *= clip_factor(norm2[0], step[MAX_NORM]); }
  var rate = step[WEIGHT_DECAY];
  @if(DECAY) { rate *= decay[i]; }
  g += rate * params[i];
  let moved = step[MOMENTUM] * velocity[i] + g;
  velocity[i] = moved;
  params[i] -= step[LR] * moved;
}
