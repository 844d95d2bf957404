// How much each trained number matters, in place, after its update (AdaLoRA's smoothed sensitivity and its uncertainty):
//   s = |params * c * grads|,   c = min(1, maxNorm / (sqrt(norm2) + 1e-6)) where clipping is on
//   importance = b1 importance + (1 - b1) s;   uncertainty = b2 uncertainty + (1 - b2) |s - importance|
// importance, uncertainty [N]; params, grads [N or more]; step f32[16]; norm2 [1]; on [1]: 0 leaves everything as it is, and so does
// a norm that is not finite.

import package::lib::step::{MAX_NORM, clip_factor, finite};

struct Params {
  count: u32,
  beta1: f32,
  beta2: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> importance: array<f32>;
@group(0) @binding(2) var<storage, read_write> uncertainty: array<f32>;
@group(0) @binding(3) var<storage, read> params: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<f32>;
@group(0) @binding(5) var<storage, read> step: array<f32>;
@group(0) @binding(6) var<storage, read> norm2: array<f32>;
@group(0) @binding(7) var<storage, read> on: array<f32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn measure(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * WG;
  if (i >= p.count) { return; }
  if (on[0] == 0.0 || !finite(norm2[0])) { return; }
  let s = abs(params[i] * (grads[i] * clip_factor(norm2[0], step[MAX_NORM])));
  let mean = p.beta1 * importance[i] + (1.0 - p.beta1) * s;
  importance[i] = mean;
  uncertainty[i] = p.beta2 * uncertainty[i] + (1.0 - p.beta2) * abs(s - mean);
}
