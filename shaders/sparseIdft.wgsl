// The real part of the inverse 2-D DFT of a matrix with n non-zero entries, T of them at once, and its adjoint:
//   delta[p, q] = scale * sum_k spectrum[k] cos(2 pi (p row_k / OUT + q col_k / IN)),   d_spectrum[k] = scale * sum_pq d_delta[p, q] cos(...)
// Radix step along the rows, OUT = P1 P2, p = p1 + P1 p2, and r2 = row mod P2:
//   mid[p1, r2, q] = sum over the entries with that r2 of spectrum[k] cis(p1 row_k / OUT + q col_k / IN)
//   delta[p1 + P1 p2, q] = scale * Re sum_(r2) cis(p2 r2 / P2) mid[p1, r2, q]
// so that an element costs n/P2 + P2 terms instead of n. Angles are whole numbers modulo OUT and IN, looked up in exact tables.
// spectrum [T, n]; rows, columns [n]; order [n + P2 + 1] lists the entries by r2, then where each group starts; turns [OUT + IN] (cos, sin); delta [T, OUT, IN];
// mid [T, P1, P2, IN] complex.

struct Params {
  first: u32, // of the matrices that this dispatch handles, and how many
  count: u32,
  n: u32,
  out_size: u32,
  in_size: u32,
  p1: u32,
  p2: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> spectrum: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> columns: array<u32>;
@group(0) @binding(5) var<storage, read> order: array<u32>; // and starts after it
@group(0) @binding(4) var<storage, read> turns: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> mid: array<vec2f>;

override WG: u32 = 64u;

// x mod n. Integer division is slow on many devices; for x below 2^24 a float quotient is off by one at most.
fn modulo(x: u32, n: u32) -> u32 {
  if (n > 4096u) { return x % n; }
  let r = i32(x) - i32(n) * i32(f32(x) / f32(n));
  return u32(select(select(r, r - i32(n), r >= i32(n)), r + i32(n), r < 0));
}

// Angles below n + n, back below n.
fn wrap(turn: vec4u, n: u32) -> vec4u { return select(turn, turn - n, turn >= vec4u(n)); }

// cis of the angle p1 row / OUT + q column / IN (in turns).
fn cis(p1: u32, row: u32, q: u32, column: u32) -> vec2f {
  let a = turns[modulo(p1 * row, p.out_size)];
  let b = turns[p.out_size + modulo(q * column, p.in_size)];
  return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// Four matrices per thread: they share the entries' places.
@compute @workgroup_size(WG)
fn spread_entries(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let size = p.out_size * p.in_size; // = P1 P2 IN
  let q = at % p.in_size;
  let r2 = at / p.in_size % p.p2;
  let p1 = at / (p.in_size * p.p2) % p.p1;
  let t = at / size * 4u;
  if (t >= p.count) { return; }
  let last = min(4u, p.count - t) - 1u;
  let s_at = (p.first + t) * p.n;
  let s1 = min(1u, last) * p.n;
  let s2 = min(2u, last) * p.n;
  let s3 = last * p.n;
  var re = vec4f(0.0);
  var im = vec4f(0.0);
  for (var i = order[p.n + r2]; i < order[p.n + r2 + 1u]; i++) {
    let k = order[i];
    let turn = cis(p1, rows[k], q, columns[k]);
    let s = s_at + k;
    let values = vec4f(spectrum[s], spectrum[s + s1], spectrum[s + s2], spectrum[s + s3]);
    re += values * turn.x;
    im += values * turn.y;
  }
  for (var n = 0u; n <= last; n++) { mid[t * size + at % size + n * size] = vec2f(re[n], im[n]); }
}

@group(0) @binding(1) var<storage, read> middle: array<vec2f>;
@group(0) @binding(2) var<storage, read> angles: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> delta: array<f32>;

// Four p2 per thread: they share the rows of `middle`.
@compute @workgroup_size(WG)
fn combine(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let size = p.out_size * p.in_size;
  let quads = (p.p2 + 3u) / 4u;
  let q = at % p.in_size;
  let p1 = at / p.in_size % p.p1;
  let p2 = at / (p.in_size * p.p1) % quads * 4u;
  let t = at / (p.in_size * p.p1 * quads);
  if (t >= p.count) { return; }
  let from_row = t * size + p1 * p.p2 * p.in_size + q;
  var sum = vec4f(0.0);
  var turn = vec4u(0u);
  let step = ((vec4u(p2) + vec4u(0u, 1u, 2u, 3u)) * p.p1) % p.out_size;
  for (var r2 = 0u; r2 < p.p2; r2++) {
    let value = middle[from_row + r2 * p.in_size];
    let a = angles[turn.x];
    let b = angles[turn.y];
    let c = angles[turn.z];
    let d = angles[turn.w];
    sum += vec4f(a.x, b.x, c.x, d.x) * value.x - vec4f(a.y, b.y, c.y, d.y) * value.y;
    turn = wrap(turn + step, p.out_size);
  }
  let last = min(4u, p.p2 - p2) - 1u;
  for (var n = 0u; n <= last; n++) {
    delta[(p.first + t) * size + (p1 + p.p1 * (p2 + n)) * p.in_size + q] = p.scale * sum[n];
  }
}

@group(0) @binding(1) var<storage, read> d_delta: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_middle: array<vec2f>;

// Adjoint of `combine`, four r2 per thread: d_middle[p1, r2, q] = sum_(p2) cis(p2 r2 / P2) d_delta[p1 + P1 p2, q].
@compute @workgroup_size(WG)
fn separate(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let size = p.out_size * p.in_size;
  let quads = (p.p2 + 3u) / 4u;
  let q = at % p.in_size;
  let r2 = at / p.in_size % quads * 4u;
  let p1 = at / (p.in_size * quads) % p.p1;
  let t = at / (p.in_size * quads * p.p1);
  if (t >= p.count) { return; }
  let from_row = (p.first + t) * size + p1 * p.in_size + q;
  var re = vec4f(0.0);
  var im = vec4f(0.0);
  var turn = vec4u(0u);
  let step = ((vec4u(r2) + vec4u(0u, 1u, 2u, 3u)) * p.p1) % p.out_size;
  for (var p2 = 0u; p2 < p.p2; p2++) {
    let value = d_delta[from_row + p2 * p.p1 * p.in_size];
    let a = angles[turn.x];
    let b = angles[turn.y];
    let c = angles[turn.z];
    let d = angles[turn.w];
    re += vec4f(a.x, b.x, c.x, d.x) * value;
    im += vec4f(a.y, b.y, c.y, d.y) * value;
    turn = wrap(turn + step, p.out_size);
  }
  let last = min(4u, p.p2 - r2) - 1u;
  for (var n = 0u; n <= last; n++) {
    d_middle[t * size + (p1 * p.p2 + r2 + n) * p.in_size + q] = vec2f(re[n], im[n]);
  }
}

@group(0) @binding(1) var<storage, read> gathered: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> d_spectrum: array<f32>;

var<workgroup> sums: array<f32, WG>;

// Adjoint of `spread_entries`: one workgroup per entry and matrix.
@compute @workgroup_size(WG)
fn gather_entries(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let at = group.x + group.y * groups.x;
  if (at >= p.count * p.n) { return; }
  let k = at % p.n;
  let t = at / p.n;
  let row = rows[k];
  let column = columns[k];
  let from_row = t * p.out_size * p.in_size + (row % p.p2) * p.in_size;
  var sum = 0.0;
  for (var i = lane; i < p.p1 * p.in_size; i += WG) {
    let p1 = i / p.in_size;
    let q = i % p.in_size;
    let turn = cis(p1, row, q, column);
    let value = gathered[from_row + p1 * p.p2 * p.in_size + q];
    sum += turn.x * value.x - turn.y * value.y;
  }
  sums[lane] = sum;
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    workgroupBarrier(); // the sums of the previous level are written
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  if (lane == 0u) { d_spectrum[(p.first + t) * p.n + k] = p.scale * sums[0]; }
}
