// Activations by number (src/ops/scalar.ts has the same numbers): 0 none, 1 relu, 2 gelu (erf), 3 geluTanh, 4 silu, 5 quickGelu.

// Abramowitz and Stegun 7.1.26; absolute error below 2e-7.
fn erf(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return sign(x) * (1.0 - series * exp(-a * a));
}

// tanh of a large argument overflows in some implementations.
fn tanh_safe(x: f32) -> f32 {
  return tanh(clamp(x, -15.0, 15.0));
}

fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(-clamp(x, -87.0, 87.0)));
}

fn activate(code: u32, x: f32) -> f32 {
  switch code {
    case 1u: { return max(x, 0.0); }
    case 2u: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
    case 3u: { return 0.5 * x * (1.0 + tanh_safe(0.7978845608 * (x + 0.044715 * x * x * x))); }
    case 4u: { return x * sigmoid(x); }
    case 5u: { return x * sigmoid(1.702 * x); }
    default: { return x; }
  }
}

fn activate_slope(code: u32, x: f32) -> f32 {
  switch code {
    case 1u: { return select(0.0, 1.0, x > 0.0); }
    case 2u: { return 0.5 * (1.0 + erf(x * 0.70710678)) + 0.3989422804 * x * exp(-0.5 * x * x); }
    case 3u: {
      let t = tanh_safe(0.7978845608 * (x + 0.044715 * x * x * x));
      return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * 0.7978845608 * (1.0 + 0.134145 * x * x);
    }
    case 4u: {
      let s = sigmoid(x);
      return s * (1.0 + x * (1.0 - s));
    }
    case 5u: {
      let s = sigmoid(1.702 * x);
      return s * (1.0 + 1.702 * x * (1.0 - s));
    }
    default: { return 1.0; }
  }
}
