// Conversions between f32 and i32, and from f16, which is stored as pairs in u32, so that no feature is needed.
import package::lib::index::flat;

struct Params {
  n: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> floats: array<f32>;
@group(0) @binding(2) var<storage, read_write> whole_out: array<i32>;
@group(0) @binding(1) var<storage, read> whole: array<i32>;
@group(0) @binding(2) var<storage, read_write> floats_out: array<f32>;
@group(0) @binding(1) var<storage, read> halves: array<u32>;

override WG: u32 = 64u;

// Towards zero.
@compute @workgroup_size(WG)
fn to_whole(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  whole_out[i] = i32(floats[i]);
}

@compute @workgroup_size(WG)
fn to_floats(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  floats_out[i] = f32(whole[i]);
}

@compute @workgroup_size(WG)
fn from_halves(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  floats_out[i] = unpack2x16float(halves[i / 2u])[i % 2u];
}
