// y[row, column] = (code - zero) * scale of a packed matrix (src/ops/quantised.ts). One thread for four columns.
import package::lib::index::flat;
import package::lib::quantised::{four_codes, byte_of};

struct Params {
  rows: u32,
  columns: u32,
  pad0: u32,
  pad1: u32,
  quant: vec4u, // stride, block, scales, zeros
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

override WG: u32 = 64u;
override BITS: u32 = 4u;

@compute @workgroup_size(WG)
fn dequantize(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  let fours = (p.columns + 3u) / 4u;
  if (i >= p.rows * fours) { return; }
  let row = i / fours;
  let column = (i % fours) * 4u;
  let at = row * p.quant.x;
  let group = column / p.quant.y;
  let scale = bitcast<f32>(q[at + p.quant.z + group]);
  @if(ZERO_BYTES) let zero = byte_of(q[at + p.quant.w + group / 4u], group);
  @elif(ZERO_FLOATS) let zero = bitcast<f32>(q[at + p.quant.w + group]);
  @else let zero = f32(1u << (BITS - 1u));
  let v = (four_codes(q[at + column * BITS / 32u], column, BITS) - zero) * scale;
  let to = row * p.columns + column;
  for (var k = 0u; k < min(4u, p.columns - column); k++) { y[to + k] = v[k]; }
}
