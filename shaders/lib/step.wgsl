// The layout of the per-step scalars (src/training/stepScalars.ts is its source), and the factor of global-norm clipping.

const LR = 0u;
const CORRECTION1 = 1u; // 1 - beta1^t
const CORRECTION2 = 2u; // 1 - beta2^t
const BETA1 = 3u;
const BETA2 = 4u;
const EPS = 5u;
const WEIGHT_DECAY = 6u;
const MAX_NORM = 7u; // 0: no clipping
const MOMENTUM = 8u;

// torch.nn.utils.clip_grad_norm_.
fn clip_factor(norm2: f32, max_norm: f32) -> f32 {
  if (max_norm <= 0.0) { return 1.0; }
  return min(1.0, max_norm / (sqrt(norm2) + 1e-6));
}

// Whether the squared norm is a number: by its bits, since a comparison with NaN may be optimised away.
fn finite(norm2: f32) -> bool {
  return (bitcast<u32>(norm2) & 0x7f800000u) != 0x7f800000u;
}
