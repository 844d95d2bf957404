// y[part] = the sum of a part's x[i]^2, always in the same order; optimizers.wgsl adds the parts up. A part has 256 lanes, whose sums a tree folds:
// lane l of part g has x[256 g + l], and every `stride` from there on. A workgroup has a part; with ALONE, for adapters on a processor, a thread.
// x [N], y [parts].
// conditions: ALONE

struct Params {
  count: u32,
  parts: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const LANES = 256u;
override WG: u32 = 256u; // threads of a workgroup

@if(ALONE) var<private> sums: array<f32, LANES>;
@else var<workgroup> sums: array<f32, LANES>;

fn share(part: u32, lane: u32) -> f32 {
  var sum = 0.0;
  for (var i = part * LANES + lane; i < p.count; i += p.parts * LANES) { sum = fma(x[i], x[i], sum); }
  return sum;
}

@if(ALONE) @compute @workgroup_size(WG)
fn partial(@builtin(global_invocation_id) id: vec3u) {
  let part = id.x;
  if (part >= p.parts) { return; }
  for (var lane = 0u; lane < LANES; lane++) { sums[lane] = share(part, lane); }
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    for (var lane = 0u; lane < half; lane++) { sums[lane] += sums[lane + half]; }
  }
  y[part] = sums[0];
}
@else @compute @workgroup_size(WG)
fn partial(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  sums[lane] = share(group.x, lane);
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the sums of the previous level are written
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0u) { y[group.x] = sums[0]; }
}
