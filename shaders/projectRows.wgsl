// COFT's projection, in place: row <- row * limit / n where n = sqrt(2) * |row| exceeds the limit. (n is the Frobenius norm of the
// skew matrix whose upper triangle the row holds.) state [N]; rows of `columns` entries from `offset` on.

struct Params {
  offset: u32,
  rows: u32,
  columns: u32,
  limit: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> state: array<f32>;

override WG: u32 = 64u;

var<workgroup> sums: array<f32, WG>;

// One workgroup per row.
@compute @workgroup_size(WG)
fn project(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.x + group.y * groups.x;
  if (row >= p.rows) { return; }
  let first = p.offset + row * p.columns;
  var sum = 0.0;
  for (var c = lane; c < p.columns; c += WG) {
    let v = state[first + c];
    sum += v * v;
  }
  sums[lane] = sum;
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the sums of the previous level are written
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier(); // sums[0] is the row's
  let norm = sqrt(2.0 * sums[0]);
  if (norm > p.limit) {
    let factor = p.limit / norm;
    for (var c = lane; c < p.columns; c += WG) { state[first + c] *= factor; }
  }
}
