// Rotary position embedding of the first `rotary` numbers of every head, in pairs (a, b):
//   y_a = x_a cos_a - x_b sin_a,   y_b = x_b cos_b + x_a sin_b;   the rest of the head passes through.
// Pairs are (i, i + rotary/2), or (2i, 2i + 1) when interleaved. `inverse` applies the transpose (the gradient).
// x, y [B, S, H, D]; cosines, sines [B or 1, S, rotary] or [.., rotary/2] (one value per pair).

struct Params {
  size: u32,
  sequence: u32,
  heads: u32,
  head_dim: u32,
  rotary: u32,
  table: u32, // numbers per position in the tables
  table_batch: u32, // stride of the tables along the batch; 0 where they serve all
  interleaved: u32,
  inverse: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> cosines: array<f32>;
@group(0) @binding(3) var<storage, read> sines: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

override WG: u32 = 64u;

// Place in the tables of element d of the rotated part.
fn entry(d: u32) -> u32 {
  if (p.table == p.rotary) { return d; }
  if (p.interleaved == 1u) { return d / 2u; }
  return d % p.table;
}

@compute @workgroup_size(WG)
fn rotate(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  if (at >= p.size) { return; }
  let d = at % p.head_dim;
  if (d >= p.rotary) {
    result[at] = source[at];
    return;
  }
  let token = at / (p.head_dim * p.heads);
  let row = (token / p.sequence) * p.table_batch + (token % p.sequence) * p.table;
  let half = p.rotary / 2u;
  let second = select(d >= half, (d & 1u) == 1u, p.interleaved == 1u);
  let distance = select(half, 1u, p.interleaved == 1u);
  let other = select(d + distance, d - distance, second);
  // The sine that stands with the other number of the pair: of this row of the rotation, or of the other row in its transpose.
  let sine = sines[row + select(entry(d), entry(other), p.inverse == 1u)];
  let factor = select(-sine, sine, second != (p.inverse == 1u));
  result[at] = source[at] * cosines[row + entry(d)] + factor * source[at - d + other];
}
