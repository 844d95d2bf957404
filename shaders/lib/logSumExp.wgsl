// Log-sum-exp in parts, and which labels count.

// Joins two (maximum, sum of exp(x - maximum)).
fn join(a: vec2f, b: vec2f) -> vec2f {
  let m = max(a.x, b.x);
  return vec2f(m, a.y * exp(a.x - m) + b.y * exp(b.x - m));
}

// The state (maximum, sum) after one more number.
fn include(state: vec2f, x: f32) -> vec2f {
  if (x > state.x) { return vec2f(x, state.y * exp(state.x - x) + 1.0); }
  return vec2f(state.x, state.y + exp(x - state.x));
}

fn counts(label: i32, classes: u32, ignore: i32) -> bool {
  return label != ignore && label >= 0 && label < i32(classes);
}
