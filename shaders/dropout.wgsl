// y[i] = x[i] / (1 - p) where the hash of (i, salt, seed) keeps it, else 0. Counter-based: the same seed gives the same mask, so the
// backward pass runs this kernel on dy.
import package::lib::index::flat;

struct Params {
  n: u32,
  salt: u32,
  threshold: u32, // kept when the upper 24 bits of the hash reach it
  scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> seed: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override WG: u32 = 64u;

// The finaliser of MurmurHash3.
fn scramble(value: u32) -> u32 {
  var h = value;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}

@compute @workgroup_size(WG)
fn dropout(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  let s = seed[0];
  let h = scramble(scramble(scramble(i ^ s.x) + p.salt + s.y) ^ scramble(s.z + 0x9e3779b9u * s.w));
  y[i] = select(0.0, p.scale * x[i], (h >> 8u) >= p.threshold);
}
