// Copies one tensor of a concatenation: y[o * stride + offset + j] = x[o * run + j]; four-byte elements copied as bits.
import package::lib::index::flat;

struct Params {
  n: u32, // elements of x
  run: u32, // contiguous elements per outer index, of x
  stride: u32, // and of y
  offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn concat(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.n) { return; }
  y[(i / p.run) * p.stride + p.offset + i % p.run] = x[i];
}
