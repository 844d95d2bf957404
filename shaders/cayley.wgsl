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
  factor: f32, // coefficient of the highest power of the series; of `collect`, what it multiplies by
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> r: array<f32>;

override B: u32 = 4u; // block size
override PER: u32 = 1u; // blocks per workgroup
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

// b <= 32, series and gradients: matrices in workgroup memory, a thread owns a tile of 4 x 4 entries, SIDE x SIDE threads a block, PER blocks
// a workgroup. A matrix lies there by rows of 4 SIDE numbers; beyond B it is zero or multiplied by zero.
override SIDE: u32 = 1u; // tiles along a block: ceil(B / 4)
override MATRICES: u32 = 4u; // 2, but for series_backward
override NUMBERS: u32 = MATRICES * PER * SIDE * SIDE * 4u; // in vectors of four
var<workgroup> held: array<vec4f, NUMBERS>;

struct Tile {
  block: u32,
  inside: bool, // no early return: the barriers are for all
  i: u32, // tile row and column
  j: u32,
  base: u32, // of the block's first matrix in `held`
}

fn tile_of(group: vec3u, groups: vec3u, lane: u32) -> Tile {
  let within = lane / (SIDE * SIDE);
  let block = (group.x + group.y * groups.x) * PER + within;
  let at = lane % (SIDE * SIDE);
  return Tile(block, block < p.blocks, at / SIDE, at % SIDE, within * SIDE * SIDE * 4u);
}

// Where row 0, columns 4 `column` to 4 `column` + 3 of matrix k lie.
fn place(t: Tile, k: u32, column: u32) -> u32 { return k * PER * SIDE * SIDE * 4u + t.base + column; }

// The thread's tile, its rows as the columns of a mat4x4: of c I; of Q; further down of the block in g or rotation.
fn unit_tile(t: Tile, c: f32) -> mat4x4f {
  if (t.i != t.j) { return mat4x4f(); }
  return mat4x4f(vec4f(c, 0.0, 0.0, 0.0), vec4f(0.0, c, 0.0, 0.0), vec4f(0.0, 0.0, c, 0.0), vec4f(0.0, 0.0, 0.0, c));
}

fn within(t: Tile, i: u32, j: u32) -> bool { return t.inside && i < B && j < B; }

fn skew_row(t: Tile, n: u32) -> vec4f {
  let i = 4u * t.i + n;
  var row = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if (within(t, i, 4u * t.j + c)) { row[c] = skew(t.block, i, 4u * t.j + c); }
  }
  return row;
}

fn skew_tile(t: Tile) -> mat4x4f { return mat4x4f(skew_row(t, 0u), skew_row(t, 1u), skew_row(t, 2u), skew_row(t, 3u)); }

fn put(t: Tile, k: u32, rows: mat4x4f) {
  var tile = rows;
  let at = place(t, k, t.j) + 4u * t.i * SIDE;
  for (var n = 0u; n < 4u; n++) { held[at + n * SIDE] = tile[n]; }
}

// The thread's tile at its place in the transposed matrix.
fn put_transposed(t: Tile, k: u32, tile: mat4x4f) {
  var across = transpose(tile);
  let at = place(t, k, t.i) + 4u * t.j * SIDE;
  for (var n = 0u; n < 4u; n++) { held[at + n * SIDE] = across[n]; }
}

// sum + L^T M of matrices in workgroup memory, l ascending.
fn product(t: Tile, sum: mat4x4f, left: u32, right: u32) -> mat4x4f {
  var s = sum;
  let l_at = place(t, left, t.i);
  let m_at = place(t, right, t.j);
  for (var l = 0u; l < B; l++) {
    let a = held[l_at + l * SIDE];
    let b = held[m_at + l * SIDE];
    s[0] = fma(vec4f(a.x), b, s[0]);
    s[1] = fma(vec4f(a.y), b, s[1]);
    s[2] = fma(vec4f(a.z), b, s[2]);
    s[3] = fma(vec4f(a.w), b, s[3]);
  }
  return s;
}

// Horner's scheme, H <- Q H + c I: matrix 0 holds -Q = Q^T, matrix 1 holds H.
@compute @workgroup_size(PER * SIDE * SIDE)
fn series(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let t = tile_of(group, groups, lane);
  let q = skew_tile(t);
  put(t, 0u, -1.0 * q);
  var h = unit_tile(t, 1.0);
  if (p.degree > 0u) { h = p.factor * q + unit_tile(t, select(2.0, 1.0, p.degree == 1u)); }
  for (var s = 1u; s < p.degree; s++) {
    put(t, 1u, h);
    workgroupBarrier(); // H is whole before anyone reads it
    h = product(t, unit_tile(t, select(2.0, 1.0, s + 1u == p.degree)), 0u, 1u);
    workgroupBarrier(); // everyone has read H before the next one overwrites it
  }
  for (var n = 0u; n < 4u; n++) {
    let i = 4u * t.i + n;
    for (var c = 0u; c < 4u; c++) {
      let j = 4u * t.j + c;
      if (within(t, i, j)) { r[(t.block * B + i) * B + j] = h[n][c]; }
    }
  }
}

@group(0) @binding(1) var<storage, read> rotation: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_source: array<f32>;

fn g_row(t: Tile, n: u32) -> vec4f {
  let i = 4u * t.i + n;
  var row = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if (within(t, i, 4u * t.j + c)) { row[c] = g[(t.block * B + i) * B + 4u * t.j + c]; }
  }
  return row;
}

fn g_tile(t: Tile) -> mat4x4f { return mat4x4f(g_row(t, 0u), g_row(t, 1u), g_row(t, 2u), g_row(t, 3u)); }

fn rotation_row(t: Tile, n: u32) -> vec4f {
  let i = 4u * t.i + n;
  var row = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if (within(t, i, 4u * t.j + c)) { row[c] = rotation[(t.block * B + i) * B + 4u * t.j + c]; }
  }
  return row;
}

fn rotation_tile(t: Tile) -> mat4x4f {
  return mat4x4f(rotation_row(t, 0u), rotation_row(t, 1u), rotation_row(t, 2u), rotation_row(t, 3u));
}

// Gradient of entry (i, j) of a block's source from s = S[i][j], s_t = S[j][i].
fn give(block: u32, i: u32, j: u32, s: f32, s_t: f32) {
  @if(FULL) { d_source[(block * B + i) * B + j] = 0.5 * (s - s_t); }
  @if(!FULL) {
    if (i < j) { d_source[block * triangle() + upper(i, j)] = s - s_t; }
  }
}

// From the thread's tile of S, through matrix k, to its part of the gradient.
fn give_tile(t: Tile, k: u32, tile: mat4x4f) {
  var s = tile;
  put_transposed(t, k, tile);
  workgroupBarrier(); // S is whole before anyone reads it
  let at = place(t, k, t.j) + 4u * t.i * SIDE;
  for (var n = 0u; n < 4u; n++) {
    let i = 4u * t.i + n;
    let across = held[at + n * SIDE];
    for (var c = 0u; c < 4u; c++) {
      let j = 4u * t.j + c;
      if (within(t, i, j)) { give(t.block, i, j, s[n][c], across[c]); }
    }
  }
}

// Exact gradient: Y = G (R^T + I), then S = -1/2 (R^T + I) Y. Matrix 0 holds G^T, 1 R^T; then Y and R take
// their places, and S that of R.
@compute @workgroup_size(PER * SIDE * SIDE)
fn exact_backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let t = tile_of(group, groups, lane);
  let g_own = g_tile(t);
  let r_own = rotation_tile(t);
  put_transposed(t, 0u, g_own);
  put_transposed(t, 1u, r_own);
  workgroupBarrier(); // the matrices are whole
  let y = product(t, g_own, 0u, 1u);
  workgroupBarrier(); // both have been read by all
  put(t, 0u, y);
  put(t, 1u, r_own);
  workgroupBarrier(); // Y and R are whole
  let s = -0.5 * product(t, y, 1u, 0u);
  workgroupBarrier(); // R has been read by all
  give_tile(t, 1u, s);
}

// Gradient of the series by Horner's scheme on [[N, G], [0, N]]: S <- N S + G P, P <- N P + c I, from P = last I and S = 0.
// Matrix 0 holds Q = N^T, 1 G^T, 2 P, 3 S. N S and G P are added in turns.
@compute @workgroup_size(PER * SIDE * SIDE)
fn series_backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let t = tile_of(group, groups, lane);
  let q = skew_tile(t);
  let g_own = g_tile(t);
  put(t, 0u, q);
  put_transposed(t, 1u, g_own);
  // After the first step.
  var power = unit_tile(t, 2.0) - p.factor * q;
  var sum = p.factor * g_own;
  for (var s = 1u; s < p.degree; s++) {
    put(t, 2u, power);
    put(t, 3u, sum);
    workgroupBarrier(); // P and S are whole before anyone reads them
    power = unit_tile(t, 2.0);
    sum = mat4x4f();
    let left = place(t, 0u, t.i);
    let right = place(t, 2u, t.j);
    let next = PER * SIDE * SIDE * 4u; // from Q to G^T, from P to S
    for (var l = 0u; l < B; l++) {
      let n = held[left + l * SIDE];
      let g_l = held[left + next + l * SIDE];
      let p_l = held[right + l * SIDE];
      let s_l = held[right + next + l * SIDE];
      power[0] = fma(vec4f(n.x), p_l, power[0]);
      power[1] = fma(vec4f(n.y), p_l, power[1]);
      power[2] = fma(vec4f(n.z), p_l, power[2]);
      power[3] = fma(vec4f(n.w), p_l, power[3]);
      sum[0] = fma(vec4f(n.x), s_l, fma(vec4f(g_l.x), p_l, sum[0]));
      sum[1] = fma(vec4f(n.y), s_l, fma(vec4f(g_l.y), p_l, sum[1]));
      sum[2] = fma(vec4f(n.z), s_l, fma(vec4f(g_l.z), p_l, sum[2]));
      sum[3] = fma(vec4f(n.w), s_l, fma(vec4f(g_l.w), p_l, sum[3]));
    }
    workgroupBarrier(); // everyone has read P and S before the next ones overwrite them
  }
  give_tile(t, 3u, sum);
}

// Larger blocks go through products (ops/cayley.ts) of whole matrices, which these two begin and end.

@group(0) @binding(2) var<storage, read_write> whole: array<f32>;

// The matrices Q; one thread per entry.
@compute @workgroup_size(WG)
fn spread(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  if (at >= p.blocks * B * B) { return; }
  let i = (at / B) % B;
  let j = at % B;
  whole[at] = skew(at / (B * B), i, j);
}

@group(0) @binding(1) var<storage, read> d_q: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_blocks: array<f32>;

// From the gradient of Q, a factor `factor` short of it, to that of the sources: S[i][j] - S[j][i] for i < j; with FULL half of it.
// One thread per entry.
@compute @workgroup_size(WG)
fn collect(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  if (at >= p.blocks * B * B) { return; }
  let block = at / (B * B);
  let i = (at / B) % B;
  let j = at % B;
  let base = block * B * B;
  let d = p.factor * (d_q[base + i * B + j] - d_q[base + j * B + i]);
  @if(FULL) { d_blocks[at] = 0.5 * d; }
  @if(!FULL) {
    if (i < j) { d_blocks[block * triangle() + upper(i, j)] = d; }
  }
}
