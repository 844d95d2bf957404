// Cayley transform of n skew-symmetric b x b blocks Q into rotations R, and its gradient.
//   exact:   R = (I - Q)(I + Q)^-1 = 2 P - I  with  P = (I + Q)^-1
//   series:  R = I + 2 Q + ... + 2 Q^(d-1) + last Q^d   (it approximates the transpose of the exact form: PEFT's sign)
//   dQ of the exact form: S = -2 P^T G P^T = -1/2 (R^T + I) G (R^T + I);   G = dR
//   dQ of the series:     S = sum_k c_k sum_(j<k) N^j G N^(k-1-j),  N = Q^T
// source: [n, b(b-1)/2] strict upper triangles, row-major; with FULL [n, b, b] whose skew half (A - A^T)/2 counts. r, g [n, b, b].
// I + Q is always well conditioned (singular values >= 1), so elimination needs no pivoting.
// conditions: FULL

struct Params {
  blocks: u32,
  degree: u32, // of the series
  part: u32, // of `work`, where the gradient with respect to Q lies
  last: f32, // coefficient of the highest power
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> r: array<f32>;

override B: u32 = 4u; // block size
override PER: u32 = 1u; // blocks per workgroup (invert_tile)
override WG: u32 = 64u;

fn triangle() -> u32 { return B * (B - 1u) / 2u; }

// Position of (i, j), i < j, in a row-major strict upper triangle.
fn upper(i: u32, j: u32) -> u32 { return i * B - i * (i + 1u) / 2u + j - i - 1u; }

fn skew(block: u32, i: u32, j: u32) -> f32 {
  @if(FULL) {
    let base = block * B * B;
    return 0.5 * (source[base + i * B + j] - source[base + j * B + i]);
  }
  @if(!FULL) {
    if (i == j) { return 0.0; }
    let base = block * triangle();
    if (i < j) { return source[base + upper(i, j)]; }
    return -source[base + upper(j, i)];
  }
}

fn unit(i: u32, j: u32) -> f32 { return select(0.0, 1.0, i == j); }

// b <= 8: one thread inverts a block in registers.
@compute @workgroup_size(WG)
fn invert_small(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let block = id.x + id.y * groups.x * WG;
  if (block >= p.blocks) { return; }
  var m: array<f32, 64>;
  for (var i = 0u; i < B; i++) {
    for (var j = 0u; j < B; j++) { m[i * 8u + j] = skew(block, i, j) + unit(i, j); }
  }
  for (var k = 0u; k < B; k++) {
    let pivot = 1.0 / m[k * 9u];
    for (var j = 0u; j < B; j++) {
      if (j == k) { continue; }
      let f = m[k * 8u + j] * pivot;
      for (var i = 0u; i < B; i++) {
        if (i != k) { m[i * 8u + j] -= m[i * 8u + k] * f; }
      }
      m[k * 8u + j] = f;
    }
    for (var i = 0u; i < B; i++) { m[i * 8u + k] *= -pivot; }
    m[k * 9u] = pivot;
  }
  for (var i = 0u; i < B; i++) {
    for (var j = 0u; j < B; j++) { r[(block * B + i) * B + j] = 2.0 * m[i * 8u + j] - unit(i, j); }
  }
}

var<workgroup> tile: array<f32, PER * B * B>;

// b <= 64: B threads per block, PER blocks per workgroup, in place in workgroup memory. Every thread owns one column; in step k
// all others read column k, so that its owner changes it only after the step's barrier: one barrier a step.
@compute @workgroup_size(PER * B)
fn invert_tile(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = (group.x + group.y * groups.x) * PER + lane / B;
  let inside = block < p.blocks; // no early return: the barriers below are for all
  let j = lane % B;
  let base = (lane / B) * B * B;
  for (var i = 0u; i < B; i++) {
    var v = unit(i, j);
    if (inside) { v += skew(block, i, j); }
    tile[base + i * B + j] = v;
  }
  workgroupBarrier(); // the block is loaded
  for (var k = 0u; k < B; k++) {
    let pivot = 1.0 / tile[base + k * B + k];
    if (j != k) {
      let f = tile[base + k * B + j] * pivot;
      for (var i = 0u; i < B; i++) {
        if (i != k) { tile[base + i * B + j] -= tile[base + i * B + k] * f; }
      }
      tile[base + k * B + j] = f;
    }
    workgroupBarrier(); // column k has been read by all
    if (j == k) {
      for (var i = 0u; i < B; i++) { tile[base + i * B + k] *= -pivot; }
      tile[base + k * B + k] = pivot;
    }
  }
  if (!inside) { return; }
  for (var i = 0u; i < B; i++) {
    r[(block * B + i) * B + j] = 2.0 * tile[base + i * B + j] - unit(i, j);
  }
}

// Larger blocks: the same in place in the output, one workgroup per block, every thread owns the columns lane, lane + WG, ...
@compute @workgroup_size(WG)
fn invert_storage(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.x + group.y * groups.x;
  if (block >= p.blocks) { return; }
  let base = block * B * B;
  for (var j = lane; j < B; j += WG) {
    for (var i = 0u; i < B; i++) { r[base + i * B + j] = skew(block, i, j) + unit(i, j); }
  }
  storageBarrier(); // the block is loaded
  for (var k = 0u; k < B; k++) {
    let pivot = 1.0 / r[base + k * B + k];
    for (var j = lane; j < B; j += WG) {
      if (j == k) { continue; }
      let f = r[base + k * B + j] * pivot;
      for (var i = 0u; i < B; i++) {
        if (i != k) { r[base + i * B + j] -= r[base + i * B + k] * f; }
      }
      r[base + k * B + j] = f;
    }
    storageBarrier(); // column k has been read by all
    if (k % WG == lane) {
      for (var i = 0u; i < B; i++) { r[base + i * B + k] *= -pivot; }
      r[base + k * B + k] = pivot;
    }
  }
  for (var j = lane; j < B; j += WG) {
    for (var i = 0u; i < B; i++) { r[base + i * B + j] = 2.0 * r[base + i * B + j] - unit(i, j); }
  }
}

@group(0) @binding(3) var<storage, read_write> spare: array<f32>;

fn held(in_r: bool, at: u32) -> f32 {
  if (in_r) { return r[at]; }
  return spare[at];
}

// Horner's scheme, one thread per column of a block: H <- Q H + c I. H goes back and forth between r and spare and ends in r.
@compute @workgroup_size(WG)
fn series(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let block = at / B;
  let j = at % B;
  if (block >= p.blocks) { return; }
  let q = block * triangle();
  let base = block * B * B + j;
  var in_r = (p.degree & 1u) == 1u || p.degree == 0u;
  for (var i = 0u; i < B; i++) {
    var h = unit(i, j);
    if (p.degree > 0u) { h = p.last * skew(block, i, j) + select(2.0, 1.0, p.degree == 1u) * h; }
    if (in_r) { r[base + i * B] = h; } else { spare[base + i * B] = h; }
  }
  for (var s = 1u; s < p.degree; s++) {
    let c = select(2.0, 1.0, s + 1u == p.degree);
    for (var i = 0u; i < B; i++) {
      var sum = c * unit(i, j);
      var at_q = q + i - 1u; // of (0, i)
      for (var l = 0u; l < i; l++) {
        let h = held(in_r, base + l * B);
        sum -= source[at_q] * h;
        at_q += B - l - 2u;
      }
      at_q = q + upper(i, i + 1u);
      for (var l = i + 1u; l < B; l++) {
        let h = held(in_r, base + l * B);
        sum += source[at_q] * h;
        at_q++;
      }
      if (in_r) { spare[base + i * B] = sum; } else { r[base + i * B] = sum; }
    }
    in_r = !in_r;
  }
}

@group(0) @binding(1) var<storage, read> rotation: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> work: array<f32>; // parts of [n, b, b]

// Exact gradient, one thread per column: Y = G (R^T + I) in part 0, S = -1/2 (R^T + I) Y in part 1.
@compute @workgroup_size(WG)
fn exact_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let block = at / B;
  let j = at % B;
  if (block >= p.blocks) { return; }
  let base = block * B * B;
  let s_base = (p.blocks + block) * B * B;
  for (var i = 0u; i < B; i++) {
    var sum = g[base + i * B + j];
    for (var l = 0u; l < B; l++) { sum += g[base + i * B + l] * rotation[base + j * B + l]; }
    work[base + i * B + j] = sum;
  }
  for (var i = 0u; i < B; i++) {
    var sum = work[base + i * B + j];
    for (var l = 0u; l < B; l++) { sum += rotation[base + l * B + i] * work[base + l * B + j]; }
    work[s_base + i * B + j] = -0.5 * sum;
  }
}

// Gradient of the series by Horner's scheme on [[N, G], [0, N]], one thread per column:
//   S <- N S + G P,   P <- N P + c I.   P alternates between parts 0 and 1, S between parts 2 and 3.
@compute @workgroup_size(WG)
fn series_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let block = at / B;
  let j = at % B;
  if (block >= p.blocks) { return; }
  let size = p.blocks * B * B;
  let base = block * B * B;
  let q = block * triangle();
  // The first step, from P = last I and S = 0.
  for (var i = 0u; i < B; i++) {
    work[size + base + i * B + j] = select(2.0, 1.0, p.degree == 1u) * unit(i, j) - p.last * skew(block, i, j);
    work[3u * size + base + i * B + j] = p.last * g[base + i * B + j];
  }
  for (var s = 1u; s < p.degree; s++) {
    let c = select(2.0, 1.0, s + 1u == p.degree);
    let p_old = (s & 1u) * size + base + j;
    let p_new = (1u - (s & 1u)) * size + base + j;
    for (var i = 0u; i < B; i++) {
      var p_sum = c * unit(i, j);
      var s_sum = 0.0;
      // N[i][l] = -Q[i][l]: of the triangle, column i above the diagonal, then row i.
      var at_q = q + i - 1u; // of (0, i)
      for (var l = 0u; l < i; l++) {
        p_sum += source[at_q] * work[p_old + l * B];
        s_sum += source[at_q] * work[2u * size + p_old + l * B];
        at_q += B - l - 2u;
      }
      at_q = q + upper(i, i + 1u);
      for (var l = i + 1u; l < B; l++) {
        p_sum -= source[at_q] * work[p_old + l * B];
        s_sum -= source[at_q] * work[2u * size + p_old + l * B];
        at_q++;
      }
      for (var l = 0u; l < B; l++) { s_sum += g[base + i * B + l] * work[p_old + l * B]; }
      work[p_new + i * B] = p_sum;
      work[2u * size + p_new + i * B] = s_sum;
    }
  }
}

@group(0) @binding(1) var<storage, read> d_q: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_source: array<f32>;

// From the gradient of Q to that of its parameters, one thread per entry of the blocks: S[i][j] - S[j][i] for i < j; with FULL half of it.
@compute @workgroup_size(WG)
fn collect(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  if (at >= p.blocks * B * B) { return; }
  let block = at / (B * B);
  let i = (at / B) % B;
  let j = at % B;
  let base = (p.part * p.blocks + block) * B * B;
  let d = d_q[base + i * B + j] - d_q[base + j * B + i];
  @if(FULL) { d_source[at] = 0.5 * d; }
  @if(!FULL) {
    if (i < j) { d_source[block * triangle() + upper(i, j)] = d; }
  }
}
