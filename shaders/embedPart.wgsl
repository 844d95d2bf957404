// y [count] = zeros, except y[offset + i] = x[i] for the part that x [part] covers; four-byte elements copied as bits.
import package::lib::index::flat;

struct Params {
  count: u32,
  offset: u32,
  part: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn embed(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count) { return; }
  var v = 0u;
  if (i >= p.offset && i < p.offset + p.part) { v = x[i - p.offset]; }
  y[i] = v;
}
