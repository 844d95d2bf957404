// acc = keep * acc + x; with keep = 0 it is acc = x, whatever acc held (NaN too). acc, x [N]; keep [1].

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> acc: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> keep: array<f32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * WG;
  if (i >= p.count) { return; }
  var y = x[i];
  if (keep[0] != 0.0) { y += keep[0] * acc[i]; }
  acc[i] = y;
}
