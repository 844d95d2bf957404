// Scaled dot-product attention, heads side by side in the last axis as the projections leave them.
//   s[i, j] = scale * q_i . k_j + mask[i, j];   p = softmax_j(s);   out_i = sum_j p[i, j] v_j;   lse_i = log sum_j exp(s[i, j])
//   dS = p * (dOut_i . v_j - dOut_i . out_i);   dQ_i = scale sum_j dS k_j;   dK_j = scale sum_i dS q_i;   dV_j = sum_i p dOut_i
// q, out, dQ, dOut [B, Sq, H, D]; k, v, dK, dV [B, Sk, KH, D], a key head serves H/KH query heads; lse [B, H, Sq];
// mask additive, strides 0 where it is broadcast. A key whose masked score is below -1e30 does not exist; a query without keys gives 0.
// With CAUSAL query i sees the keys up to i + Sk - Sq. With VEC4 (D a multiple of 4) an element is four numbers of a head.
// conditions: VEC4 MASK CAUSAL D32 D64 D128

struct Params {
  batch: u32,
  heads: u32,
  key_heads: u32,
  queries: u32,
  keys: u32,
  scale: f32,
  mask_batch: u32, // strides of the mask, in numbers
  mask_head: u32,
  mask_query: u32,
  first: u32, // backward: the first of the (batch, key head) pairs that this dispatch handles, and how many
  pairs: u32,
}

@if(VEC4) alias E = vec4f;
@if(!VEC4) alias E = f32;

// Elements of a head (at most LIMIT), a compile-time size for the private arrays.
override DE: u32 = 8u;
override WG: u32 = 64u;
@if(D32) const LIMIT = 8u;
@if(D64) const LIMIT = 16u;
@if(D128) const LIMIT = 32u;
@if(!D32 && !D64 && !D128) const LIMIT = 64u;

const LOWEST = -1.0e30;
// Keys per round of the online softmax in the forward kernel; queries and keys per thread in the backward kernels.
const KEYS = 4u;
const ROWS = 4u;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<E>;
@group(0) @binding(2) var<storage, read> k: array<E>;
@group(0) @binding(3) var<storage, read> v: array<E>;
@group(0) @binding(4) var<storage, read_write> out: array<E>;
@group(0) @binding(5) var<storage, read_write> lse: array<f32>;
@if(MASK) @group(0) @binding(6) var<storage, read> mask: array<f32>;

fn inner(a: E, b: E) -> f32 {
  @if(VEC4) { return dot(a, b); }
  @if(!VEC4) { return a * b; }
}

// Number of keys that query i may see.
fn visible(i: u32) -> u32 {
  @if(CAUSAL) { return u32(clamp(i32(i + 1u + p.keys) - i32(p.queries), 0, i32(p.keys))); }
  @if(!CAUSAL) { return p.keys; }
}

// One thread per query row.
@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  if (at >= p.batch * p.heads * p.queries) { return; }
  let i = at % p.queries;
  let h = (at / p.queries) % p.heads;
  let b = at / (p.queries * p.heads);
  let q_at = ((b * p.queries + i) * p.heads + h) * DE;
  let step = p.key_heads * DE;
  let k_at = b * p.keys * step + (h / (p.heads / p.key_heads)) * DE;
  var row: array<E, LIMIT>;
  var sum: array<E, LIMIT>;
  for (var d = 0u; d < DE; d++) {
    row[d] = q[q_at + d] * p.scale;
    sum[d] = E(0.0);
  }
  var highest = LOWEST;
  var total = 0.0;
  let count = visible(i);
  for (var j = 0u; j < count; j += KEYS) {
    var s = vec4f(LOWEST);
    var top = highest;
    for (var n = 0u; n < KEYS; n++) {
      if (j + n >= count) { break; }
      var x = 0.0;
      for (var d = 0u; d < DE; d++) { x += inner(row[d], k[k_at + (j + n) * step + d]); }
      @if(MASK) { x += mask[b * p.mask_batch + h * p.mask_head + i * p.mask_query + j + n]; }
      s[n] = x;
      top = max(top, x);
    }
    if (top > highest) {
      let shrink = exp(highest - top);
      total *= shrink;
      for (var d = 0u; d < DE; d++) { sum[d] *= shrink; }
      highest = top;
    }
    for (var n = 0u; n < KEYS; n++) {
      if (s[n] <= LOWEST) { continue; }
      let weight = exp(s[n] - highest);
      total += weight;
      for (var d = 0u; d < DE; d++) { sum[d] += weight * v[k_at + (j + n) * step + d]; }
    }
  }
  let inverse = select(0.0, 1.0 / total, total > 0.0);
  for (var d = 0u; d < DE; d++) { out[q_at + d] = sum[d] * inverse; }
  lse[(b * p.heads + h) * p.queries + i] = select(0.0, highest + log(total), total > 0.0);
}

@group(0) @binding(4) var<storage, read> result: array<E>;
@group(0) @binding(5) var<storage, read> d_y: array<E>;
@group(0) @binding(6) var<storage, read> row_lse: array<f32>;
@group(0) @binding(7) var<storage, read_write> weights: array<vec2f>; // (p, dS) of each [pair, head in pair, j, i]
@if(MASK) @group(0) @binding(8) var<storage, read> row_mask: array<f32>;

// Backward, first part: p and dS of ROWS keys and one query per thread.
@compute @workgroup_size(WG)
fn scores(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let blocks = (p.keys + ROWS - 1u) / ROWS;
  let shared_by = p.heads / p.key_heads;
  let i = at % p.queries;
  let j = (at / p.queries % blocks) * ROWS;
  let local = at / (p.queries * blocks); // pair, head in pair
  if (local >= p.pairs * shared_by) { return; }
  let pair = p.first + local / shared_by;
  let b = pair / p.key_heads;
  let h = (pair % p.key_heads) * shared_by + local % shared_by;
  let q_at = ((b * p.queries + i) * p.heads + h) * DE;
  let step = p.key_heads * DE;
  let k_at = (b * p.keys + j) * step + (pair % p.key_heads) * DE;
  let last = min(ROWS, p.keys - j) - 1u;
  var s = vec4f(0.0);
  var d_p = vec4f(0.0);
  var delta = 0.0;
  for (var d = 0u; d < DE; d++) {
    let q_d = q[q_at + d];
    let g_d = d_y[q_at + d];
    delta += inner(g_d, result[q_at + d]);
    for (var n = 0u; n < ROWS; n++) {
      let start = k_at + min(n, last) * step + d;
      s[n] += inner(q_d, k[start]);
      d_p[n] += inner(g_d, v[start]);
    }
  }
  let head_row = (b * p.heads + h) * p.queries + i;
  let count = visible(i);
  for (var n = 0u; n <= last; n++) {
    var x = s[n] * p.scale;
    @if(MASK) { x += row_mask[b * p.mask_batch + h * p.mask_head + i * p.mask_query + j + n]; }
    var pair_out = vec2f(0.0);
    if (j + n < count && x > LOWEST) {
      let weight = exp(x - row_lse[head_row]);
      pair_out = vec2f(weight, weight * (d_p[n] - delta) * p.scale);
    }
    weights[(local * p.keys + j + n) * p.queries + i] = pair_out;
  }
}

@group(0) @binding(3) var<storage, read> known: array<vec2f>;
@group(0) @binding(4) var<storage, read> d_out: array<E>;
@group(0) @binding(5) var<storage, read_write> d_q: array<E>;
@group(0) @binding(6) var<storage, read_write> d_k: array<E>;
@group(0) @binding(7) var<storage, read_write> d_v: array<E>;

// Backward, second part: dQ of ROWS queries, or dK and dV of ROWS keys, in one element of the head, per thread.
// The first `query_threads` threads are those of dQ.
@compute @workgroup_size(WG)
fn gradients(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var at = id.x + id.y * groups.x * WG;
  let shared_by = p.heads / p.key_heads;
  let query_blocks = (p.queries + ROWS - 1u) / ROWS;
  let key_blocks = (p.keys + ROWS - 1u) / ROWS;
  let query_threads = p.pairs * shared_by * query_blocks * DE;
  let d = at % DE;
  let step = p.key_heads * DE;
  var sum: array<E, ROWS>;
  if (at < query_threads) {
    let i = (at / DE % query_blocks) * ROWS;
    let local = at / (DE * query_blocks);
    let pair = p.first + local / shared_by;
    let b = pair / p.key_heads;
    let h = (pair % p.key_heads) * shared_by + local % shared_by;
    let k_at = b * p.keys * step + (pair % p.key_heads) * DE + d;
    let last = min(ROWS, p.queries - i) - 1u;
    for (var n = 0u; n < ROWS; n++) { sum[n] = E(0.0); }
    let count = visible(i + last);
    for (var j = 0u; j < count; j++) {
      let key = k[k_at + j * step];
      let start = (local * p.keys + j) * p.queries + i;
      for (var n = 0u; n < ROWS; n++) { sum[n] += known[start + min(n, last)].y * key; }
    }
    for (var n = 0u; n <= last; n++) { d_q[((b * p.queries + i + n) * p.heads + h) * DE + d] = sum[n]; }
    return;
  }
  at -= query_threads;
  if (at >= p.pairs * key_blocks * DE) { return; }
  let j = (at / DE % key_blocks) * ROWS;
  let local = at / (DE * key_blocks);
  let pair = p.first + local;
  let b = pair / p.key_heads;
  let kh = pair % p.key_heads;
  let last = min(ROWS, p.keys - j) - 1u;
  var sum_v: array<E, ROWS>;
  for (var n = 0u; n < ROWS; n++) {
    sum[n] = E(0.0);
    sum_v[n] = E(0.0);
  }
  for (var r = 0u; r < shared_by; r++) {
    let q_at = (b * p.queries * p.heads + kh * shared_by + r) * DE + d;
    let start = ((local * shared_by + r) * p.keys + j) * p.queries;
    var first = 0u;
    @if(CAUSAL) { first = u32(clamp(i32(j + p.queries) - i32(p.keys), 0, i32(p.queries))); }
    for (var i = first; i < p.queries; i++) {
      let q_i = q[q_at + i * p.heads * DE];
      let g_i = d_out[q_at + i * p.heads * DE];
      for (var n = 0u; n < ROWS; n++) {
        let w = known[start + min(n, last) * p.queries + i];
        sum[n] += w.y * q_i;
        sum_v[n] += w.x * g_i;
      }
    }
  }
  for (var n = 0u; n <= last; n++) {
    let to = (b * p.keys + j + n) * step + kh * DE + d;
    d_k[to] = sum[n];
    d_v[to] = sum_v[n];
  }
}
