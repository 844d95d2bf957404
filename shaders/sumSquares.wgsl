// y[part] = the sum of a part's x[i]^2, always in the same order; a workgroup has one. optimizers.wgsl adds the parts up.
// x [N], y [parts].

struct Params {
  count: u32,
  stride: u32, // threads of all parts
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

override WG: u32 = 256u;

var<workgroup> sums: array<f32, WG>;

fn add_up(lane: u32) {
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the sums of the previous level are written
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
}

@compute @workgroup_size(WG)
fn partial(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  var sum = 0.0;
  for (var i = id.x; i < p.count; i += p.stride) { sum += x[i] * x[i]; }
  sums[lane] = sum;
  add_up(lane);
  if (lane == 0u) { y[group.x] = sums[0]; }
}
