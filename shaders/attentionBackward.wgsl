// The gradient of attention.wgsl, from the log-sum-exp of each row; no score is ever in memory.
//   p = exp(s - lse);   D_i = dOut_i . out_i;   dS = scale p (dOut_i . v_j - D_i)
//   dQ_i = sum_j dS k_j;   dK_j = sum_i dS q_i;   dV_j = sum_i p dOut_i      (i over all query heads that share the key head)
// q, k, v, mask as there; out, dOut [B, Sq, H, D]; lse [B, H, Sq]. One buffer takes the gradients: dQ, dK and dV, each with an offset and a
// row stride, so that all three may be columns of one matrix, and from `rows_from` on D by fours, [B, H, Sq / 4].
// `dq` goes over the keys and leaves D, `dkv` over the queries. A workgroup has 32 rows of its own and meets 32 others at a time; a thread has
// 4 x 4 pairs of both products, then 4 rows x every eighth vec4 of the head, and p and dS pass through workgroup memory between.
// Tiles that CAUSAL or the mask hides are left out. `dq_direct`, `dkv_direct`, for adapters on a processor: a thread for 4 rows.
// Both forms sum in the same order: d, then j or i ascending. Units and VEC4 as in attention.wgsl.
// conditions: VEC4 MASK CAUSAL WIDE
import package::lib::attention::{LOWEST, outer};

struct Params {
  queries: u32,
  keys: u32,
  heads: u32,
  key_heads: u32,
  batch: u32,
  scale: f32,
  mask_batch: u32, // strides of the mask, in numbers
  mask_head: u32,
  mask_query: u32,
  q_from: u32,
  q_row: u32,
  k_from: u32,
  k_row: u32,
  v_from: u32,
  v_row: u32,
  dq_from: u32, // the rows of the gradients have the strides of what they are of
  dk_from: u32,
  dv_from: u32,
  rows_from: u32,
}

@if(VEC4) alias E = vec4f;
@else alias E = f32;

override D: u32 = 64u; // numbers of a head
override DE: u32 = (D + 3u) / 4u; // in vec4
@if(VEC4) override HEAD: u32 = DE;
@else override HEAD: u32 = D;
override WG: u32 = 64u;

const TILE = 32u; // queries and keys of a tile
// vec4 of the head and row that a thread sums; heads of more than 128 numbers are shared by several workgroups.
@if(WIDE) const COLUMNS = 4u;
@else const COLUMNS = 2u;
const WIDTH = 8u * COLUMNS;
override BLOCKS: u32 = (DE + WIDTH - 1u) / WIDTH;
override USED: u32 = min(COLUMNS, (DE + 7u) / 8u); // of COLUMNS, by this head

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<E>;
@group(0) @binding(2) var<storage, read> k: array<E>;
@group(0) @binding(3) var<storage, read> v: array<E>;
@group(0) @binding(4) var<storage, read> d_out: array<E>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradient: array<E>;
@if(MASK) @group(0) @binding(7) var<storage, read> mask: array<f32>;
@if(MASK) @group(0) @binding(8) var<storage, read> result: array<E>;
@else @group(0) @binding(7) var<storage, read> result: array<E>;

// vec4 number c of the row that begins at `row`, zero beyond the head.
@if(VEC4) fn q_at(row: u32, c: u32) -> vec4f { return q[row + c]; }
@if(VEC4) fn k_at(row: u32, c: u32) -> vec4f { return k[row + c]; }
@if(VEC4) fn v_at(row: u32, c: u32) -> vec4f { return v[row + c]; }
@if(VEC4) fn g_at(row: u32, c: u32) -> vec4f { return d_out[row + c]; }
@if(VEC4) fn o_at(row: u32, c: u32) -> vec4f { return result[row + c]; }
@if(!VEC4) fn inside(c: u32) -> vec4<bool> { return vec4u(4u * c, 4u * c + 1u, 4u * c + 2u, 4u * c + 3u) < vec4u(D); }
@if(!VEC4) fn q_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return select(vec4f(), vec4f(q[at], q[at + 1u], q[at + 2u], q[at + 3u]), inside(c));
}
@if(!VEC4) fn k_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return select(vec4f(), vec4f(k[at], k[at + 1u], k[at + 2u], k[at + 3u]), inside(c));
}
@if(!VEC4) fn v_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return select(vec4f(), vec4f(v[at], v[at + 1u], v[at + 2u], v[at + 3u]), inside(c));
}
@if(!VEC4) fn g_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return select(vec4f(), vec4f(d_out[at], d_out[at + 1u], d_out[at + 2u], d_out[at + 3u]), inside(c));
}
@if(!VEC4) fn o_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return select(vec4f(), vec4f(result[at], result[at + 1u], result[at + 2u], result[at + 3u]), inside(c));
}

fn store(row: u32, c: u32, x: vec4f) {
  if (c >= DE) { return; }
  @if(VEC4) { gradient[row + c] = x; }
  @else {
    for (var e = 0u; e < min(4u, D - 4u * c); e++) { gradient[row + 4u * c + e] = x[e]; }
  }
}

// Where D of four queries of a head stands.
fn rows_at(b: u32, h: u32, i: u32) -> u32 {
  let at = (b * p.heads + h) * ((p.queries + 3u) / 4u) + i / 4u;
  @if(VEC4) { return p.rows_from + at; }
  @else { return p.rows_from + 4u * at; }
}

fn keep_rows(at: u32, x: vec4f) {
  @if(VEC4) { gradient[at] = x; }
  @else {
    for (var r = 0u; r < 4u; r++) { gradient[at + r] = x[r]; }
  }
}

fn kept_rows(at: u32) -> vec4f {
  @if(VEC4) { return gradient[at]; }
  @else { return vec4f(gradient[at], gradient[at + 1u], gradient[at + 2u], gradient[at + 3u]); }
}

// Number of keys that query i may see; none where there is no such query.
fn visible(i: u32) -> u32 {
  if (i >= p.queries) { return 0u; }
  @if(CAUSAL) { return u32(clamp(i32(i + 1u + p.keys) - i32(p.queries), 0, i32(p.keys))); }
  @else { return p.keys; }
}

// The first query that may see key j.
fn first_query(j: u32) -> u32 {
  @if(CAUSAL) { return u32(clamp(i32(j + p.queries) - i32(p.keys), 0, i32(p.queries))); }
  @else { return 0u; }
}

// The weights of scores s whose keys are there or not.
fn weights(s: vec4f, shift: vec4f, row_lse: vec4f, there: vec4<bool>) -> vec4f {
  @if(MASK) let x = fma(s, vec4f(p.scale), shift);
  @else let x = s * p.scale;
  return select(vec4f(), exp(x - row_lse), there & !(x <= vec4f(LOWEST)));
}

// dS, from the weights, dOut . v and D.
fn slopes(w: vec4f, d_w: vec4f, rows: vec4f) -> vec4f {
  return w * (d_w - rows) * p.scale;
}

fn lse_4(at: u32, i: u32) -> vec4f {
  let last = p.queries - 1u;
  return vec4f(lse[at + min(i, last)], lse[at + min(i + 1u, last)], lse[at + min(i + 2u, last)], lse[at + min(i + 3u, last)]);
}

fn visible_4(i: u32) -> vec4u {
  return vec4u(visible(i), visible(i + 1u), visible(i + 2u), visible(i + 3u));
}

// The mask at key j and four queries from `at` on, and at one query and four keys.
fn mask_of_queries(at: u32) -> vec4f {
  @if(MASK) { return vec4f(mask[at], mask[at + p.mask_query], mask[at + 2u * p.mask_query], mask[at + 3u * p.mask_query]); }
  @else { return vec4f(); }
}

fn mask_of_keys(at: u32) -> vec4f {
  @if(MASK) { return vec4f(mask[at], mask[at + 1u], mask[at + 2u], mask[at + 3u]); }
  @else { return vec4f(); }
}

// Own rows [d][row / 4], then others [d][row / 4], 16 d at a time; or dS or p [other][own / 4].
var<workgroup> tile: array<vec4f, 256>;
var<workgroup> parts: array<vec4f, 64>; // of D: [thread along the head][i / 4]
@if(MASK) var<workgroup> shown: array<u32, 64>;
@if(MASK) var<workgroup> any_shown: u32;

// Whether the mask shows any of four keys to any of four queries of any thread.
@if(MASK) fn is_open(lane: u32, mask_head: u32, i: u32, j: u32) -> bool {
  var seen = 0u;
  for (var n = 0u; n < 16u; n++) {
    let x = mask[mask_head + min(i + n % 4u, p.queries - 1u) * p.mask_query + min(j + n / 4u, p.keys - 1u)];
    if (!(x <= LOWEST)) { seen = 1u; }
  }
  shown[lane] = seen;
  workgroupBarrier(); // every thread has looked
  if (lane == 0u) {
    var any = 0u;
    for (var t = 0u; t < 64u; t++) { any |= shown[t]; }
    any_shown = any;
  }
  return workgroupUniformLoad(&any_shown) != 0u;
}

// vec4 number c of four rows of each matrix. Rows beyond the last are whatever robust access gives; their weights are 0.
fn q_rows(base: u32, i: u32, c: u32) -> mat4x4f {
  let row = p.q_row;
  let at = base + i * row;
  return mat4x4f(q_at(at, c), q_at(at + row, c), q_at(at + 2u * row, c), q_at(at + 3u * row, c));
}
fn k_rows(base: u32, j: u32, c: u32) -> mat4x4f {
  let row = p.k_row;
  let at = base + j * row;
  return mat4x4f(k_at(at, c), k_at(at + row, c), k_at(at + 2u * row, c), k_at(at + 3u * row, c));
}
fn v_rows(base: u32, j: u32, c: u32) -> mat4x4f {
  let row = p.v_row;
  let at = base + j * row;
  return mat4x4f(v_at(at, c), v_at(at + row, c), v_at(at + 2u * row, c), v_at(at + 3u * row, c));
}
fn g_rows(base: u32, i: u32, c: u32) -> mat4x4f {
  let row = p.heads * HEAD;
  let at = base + i * row;
  return mat4x4f(g_at(at, c), g_at(at + row, c), g_at(at + 2u * row, c), g_at(at + 3u * row, c));
}
fn o_rows(base: u32, j: u32, c: u32) -> mat4x4f {
  let row = p.heads * HEAD;
  let at = base + j * row;
  return mat4x4f(o_at(at, c), o_at(at + row, c), o_at(at + 2u * row, c), o_at(at + 3u * row, c));
}

// Puts a block of 4 rows into the tile; every thread calls it.
fn lay(lane: u32, rows: mat4x4f) {
  let block = transpose(rows);
  let to = lane / 32u * 128u + lane / 8u % 4u * 32u + lane % 8u;
  workgroupBarrier(); // everyone has read what lay here
  tile[to] = block[0];
  tile[to + 8u] = block[1];
  tile[to + 16u] = block[2];
  tile[to + 24u] = block[3];
  workgroupBarrier(); // both parts are whole
}

// Lays four numbers of four keys each over the tile: [other][own / 4].
fn lay_pairs(mine: u32, part: u32, x: mat4x4f) {
  workgroupBarrier(); // everyone has read what lay here
  tile[part * 32u + mine] = x[0];
  tile[part * 32u + 8u + mine] = x[1];
  tile[part * 32u + 16u + mine] = x[2];
  tile[part * 32u + 24u + mine] = x[3];
  workgroupBarrier(); // the pairs are whole
}

// The products of 4 own rows with 4 others over 16 numbers.
fn add_products(sum: mat4x4f, mine: u32, part: u32) -> mat4x4f {
  var s = sum;
  for (var d = 0u; d < 16u; d++) { s = outer(s, tile[128u + d * 8u + part], tile[d * 8u + mine]); }
  return s;
}

// The part of D of four queries that columns part, part + 8, ... give.
fn rows_part(base: u32, i: u32, part: u32) -> vec4f {
  var sum = vec4f();
  for (var c = part; c < DE; c += 8u) {
    let g = transpose(g_rows(base, i, c));
    let o = transpose(o_rows(base, i, c));
    sum = fma(g[3], o[3], fma(g[2], o[2], fma(g[1], o[1], fma(g[0], o[0], sum))));
  }
  return sum;
}

// x of queries from i on, 0 beyond the last.
fn within(x: vec4f, i: u32) -> vec4f {
  return select(vec4f(), x, vec4u(i, i + 1u, i + 2u, i + 3u) < vec4u(p.queries));
}

@compute @workgroup_size(64)
fn dq(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // With CAUSAL the last queries have the most to do, so they begin.
  let i0 = (groups.x - 1u - group.x) / BLOCKS * TILE;
  let mine = lane % 8u; // its four queries
  let part = lane / 8u; // its four keys, then its first column
  let h = group.y;
  let b = group.z;
  let i = i0 + 4u * mine;
  let kh = h / (p.heads / p.key_heads);
  let q_base = p.q_from + b * p.queries * p.q_row + h * HEAD;
  let k_base = p.k_from + b * p.keys * p.k_row + kh * HEAD;
  let v_base = p.v_from + b * p.keys * p.v_row + kh * HEAD;
  let g_base = (b * p.queries * p.heads + h) * HEAD;
  let mask_head = b * p.mask_batch + h * p.mask_head;
  let first = (groups.x - 1u - group.x) % BLOCKS * WIDTH + part;
  parts[lane] = rows_part(g_base, i, part);
  workgroupBarrier(); // the parts are there
  var rows = vec4f();
  for (var t = 0u; t < 8u; t++) { rows += parts[t * 8u + mine]; }
  rows = within(rows, i);
  if (first == 0u && i < p.queries) { keep_rows(rows_at(b, h, i), rows); }
  let row_lse = lse_4((b * p.heads + h) * p.queries, i);
  let count = visible_4(i);
  let end = visible(min(i0 + TILE, p.queries) - 1u);
  var d_q: array<mat4x4f, COLUMNS>; // column r of a matrix belongs to query i + r
  for (var j0 = 0u; j0 < end; j0 += TILE) {
    let j = j0 + 4u * part;
    @if(MASK) { if (!is_open(lane, mask_head, i, j)) { continue; } }
    var s = mat4x4f(); // column n belongs to key j + n
    var d_w = mat4x4f();
    for (var c0 = 0u; c0 < DE; c0 += 4u) {
      // Half of the threads load a block of 4 x 4 numbers of their own rows, half one of the others.
      let c = c0 + part % 4u;
      var block = mat4x4f();
      if (c < DE) {
        if (lane < 32u) { block = q_rows(q_base, i, c); } else { block = k_rows(k_base, j0 + 4u * mine, c); }
      }
      lay(lane, block);
      s = add_products(s, mine, part);
      block = mat4x4f();
      if (c < DE) {
        if (lane < 32u) { block = g_rows(g_base, i, c); } else { block = v_rows(v_base, j0 + 4u * mine, c); }
      }
      lay(lane, block);
      d_w = add_products(d_w, mine, part);
    }
    let mask_at = mask_head + i * p.mask_query + j;
    lay_pairs(mine, part, mat4x4f(
      slopes(weights(s[0], mask_of_queries(mask_at), row_lse, vec4u(j) < count), d_w[0], rows),
      slopes(weights(s[1], mask_of_queries(mask_at + 1u), row_lse, vec4u(j + 1u) < count), d_w[1], rows),
      slopes(weights(s[2], mask_of_queries(mask_at + 2u), row_lse, vec4u(j + 2u) < count), d_w[2], rows),
      slopes(weights(s[3], mask_of_queries(mask_at + 3u), row_lse, vec4u(j + 3u) < count), d_w[3], rows),
    ));
    for (var n = 0u; n < min(TILE, end - j0); n++) {
      let w = tile[n * 8u + mine];
      let row = k_base + (j0 + n) * p.k_row;
      for (var m = 0u; m < USED; m++) { d_q[m] = outer(d_q[m], w, k_at(row, first + 8u * m)); }
    }
  }
  for (var r = 0u; r < 4u; r++) {
    if (i + r >= p.queries) { break; }
    let row = p.dq_from + (b * p.queries + i + r) * p.q_row + h * HEAD;
    for (var m = 0u; m < USED; m++) { store(row, first + 8u * m, d_q[m][r]); }
  }
}

@compute @workgroup_size(64)
fn dkv(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let j0 = group.x / BLOCKS * TILE;
  let mine = lane % 8u; // its four keys
  let part = lane / 8u; // its four queries, then its first column
  let kh = group.y;
  let b = group.z;
  let j = j0 + 4u * mine;
  let shared_by = p.heads / p.key_heads;
  let k_base = p.k_from + b * p.keys * p.k_row + kh * HEAD;
  let v_base = p.v_from + b * p.keys * p.v_row + kh * HEAD;
  let first = group.x % BLOCKS * WIDTH + part;
  let keys = vec4u(j, j + 1u, j + 2u, j + 3u);
  var d_k: array<mat4x4f, COLUMNS>; // column r of a matrix belongs to key j + r
  var d_v: array<mat4x4f, COLUMNS>;
  for (var h = kh * shared_by; h < (kh + 1u) * shared_by; h++) {
    let q_base = p.q_from + b * p.queries * p.q_row + h * HEAD;
    let g_base = (b * p.queries * p.heads + h) * HEAD;
    let mask_head = b * p.mask_batch + h * p.mask_head;
    for (var i0 = first_query(j0) / TILE * TILE; i0 < p.queries; i0 += TILE) {
      let i = i0 + 4u * part;
      @if(MASK) { if (!is_open(lane, mask_head, i, j)) { continue; } }
      var s = mat4x4f(); // column n belongs to query i + n
      var d_w = mat4x4f();
      for (var c0 = 0u; c0 < DE; c0 += 4u) {
        let c = c0 + part % 4u;
        var block = mat4x4f();
        if (c < DE) {
          if (lane < 32u) { block = k_rows(k_base, j, c); } else { block = q_rows(q_base, i0 + 4u * mine, c); }
        }
        lay(lane, block);
        s = add_products(s, mine, part);
        block = mat4x4f();
        if (c < DE) {
          if (lane < 32u) { block = v_rows(v_base, j, c); } else { block = g_rows(g_base, i0 + 4u * mine, c); }
        }
        lay(lane, block);
        d_w = add_products(d_w, mine, part);
      }
      let row_lse = lse_4((b * p.heads + h) * p.queries, i);
      let rows = kept_rows(rows_at(b, h, min(i, p.queries - 1u)));
      let mask_at = mask_head + i * p.mask_query + j;
      let w = mat4x4f(
        weights(s[0], mask_of_keys(mask_at), vec4f(row_lse.x), keys < vec4u(visible(i))),
        weights(s[1], mask_of_keys(mask_at + p.mask_query), vec4f(row_lse.y), keys < vec4u(visible(i + 1u))),
        weights(s[2], mask_of_keys(mask_at + 2u * p.mask_query), vec4f(row_lse.z), keys < vec4u(visible(i + 2u))),
        weights(s[3], mask_of_keys(mask_at + 3u * p.mask_query), vec4f(row_lse.w), keys < vec4u(visible(i + 3u))),
      );
      lay_pairs(mine, part, w);
      for (var n = 0u; n < min(TILE, p.queries - i0); n++) {
        let x = tile[n * 8u + mine];
        let row = g_base + (i0 + n) * p.heads * HEAD;
        for (var m = 0u; m < USED; m++) { d_v[m] = outer(d_v[m], x, g_at(row, first + 8u * m)); }
      }
      lay_pairs(mine, part, mat4x4f(
        slopes(w[0], d_w[0], vec4f(rows.x)), slopes(w[1], d_w[1], vec4f(rows.y)),
        slopes(w[2], d_w[2], vec4f(rows.z)), slopes(w[3], d_w[3], vec4f(rows.w)),
      ));
      for (var n = 0u; n < min(TILE, p.queries - i0); n++) {
        let x = tile[n * 8u + mine];
        let row = q_base + (i0 + n) * p.q_row;
        for (var m = 0u; m < USED; m++) { d_k[m] = outer(d_k[m], x, q_at(row, first + 8u * m)); }
      }
    }
  }
  for (var r = 0u; r < 4u; r++) {
    if (j + r >= p.keys) { break; }
    let row = (b * p.keys + j + r);
    for (var m = 0u; m < USED; m++) {
      store(p.dk_from + row * p.k_row + kh * HEAD, first + 8u * m, d_k[m][r]);
      store(p.dv_from + row * p.v_row + kh * HEAD, first + 8u * m, d_v[m][r]);
    }
  }
}

@compute @workgroup_size(WG)
fn dq_direct(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let blocks = (p.queries + 3u) / 4u;
  let first = at % BLOCKS * WIDTH;
  let i = at / BLOCKS % blocks * 4u;
  let h = at / BLOCKS / blocks % p.heads;
  let b = at / BLOCKS / blocks / p.heads;
  if (b >= p.batch) { return; }
  let kh = h / (p.heads / p.key_heads);
  let q_base = p.q_from + b * p.queries * p.q_row + h * HEAD;
  let k_base = p.k_from + b * p.keys * p.k_row + kh * HEAD;
  let v_base = p.v_from + b * p.keys * p.v_row + kh * HEAD;
  let g_base = (b * p.queries * p.heads + h) * HEAD;
  var rows = vec4f();
  for (var t = 0u; t < 8u; t++) { rows += rows_part(g_base, i, t); }
  rows = within(rows, i);
  if (first == 0u) { keep_rows(rows_at(b, h, i), rows); }
  let row_lse = lse_4((b * p.heads + h) * p.queries, i);
  let count = visible_4(i);
  let end = visible(min(i + 3u, p.queries - 1u));
  let columns = min(WIDTH, DE - first);
  var d_q: array<mat4x4f, WIDTH>;
  for (var j = 0u; j < end; j += 4u) {
    var s = mat4x4f();
    var d_w = mat4x4f();
    for (var c = 0u; c < DE; c++) {
      let x = transpose(q_rows(q_base, i, c));
      let y = transpose(k_rows(k_base, j, c));
      s = outer(outer(outer(outer(s, y[0], x[0]), y[1], x[1]), y[2], x[2]), y[3], x[3]);
      let g = transpose(g_rows(g_base, i, c));
      let z = transpose(v_rows(v_base, j, c));
      d_w = outer(outer(outer(outer(d_w, z[0], g[0]), z[1], g[1]), z[2], g[2]), z[3], g[3]);
    }
    let mask_at = b * p.mask_batch + h * p.mask_head + i * p.mask_query + j;
    for (var m = 0u; m < 4u; m++) {
      s[m] = slopes(weights(s[m], mask_of_queries(mask_at + m), row_lse, vec4u(j + m) < count), d_w[m], rows);
    }
    for (var c = 0u; c < columns; c++) {
      let y = k_rows(k_base, j, first + c);
      d_q[c] = outer(outer(outer(outer(d_q[c], s[0], y[0]), s[1], y[1]), s[2], y[2]), s[3], y[3]);
    }
  }
  for (var r = 0u; r < min(4u, p.queries - i); r++) {
    let row = p.dq_from + (b * p.queries + i + r) * p.q_row + h * HEAD;
    for (var c = 0u; c < columns; c++) { store(row, first + c, d_q[c][r]); }
  }
}

@compute @workgroup_size(WG)
fn dkv_direct(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * WG;
  let blocks = (p.keys + 3u) / 4u;
  let first = at % BLOCKS * WIDTH;
  let j = at / BLOCKS % blocks * 4u;
  let kh = at / BLOCKS / blocks % p.key_heads;
  let b = at / BLOCKS / blocks / p.key_heads;
  if (b >= p.batch) { return; }
  let shared_by = p.heads / p.key_heads;
  let k_base = p.k_from + b * p.keys * p.k_row + kh * HEAD;
  let v_base = p.v_from + b * p.keys * p.v_row + kh * HEAD;
  let keys = vec4u(j, j + 1u, j + 2u, j + 3u);
  let columns = min(WIDTH, DE - first);
  var d_k: array<mat4x4f, WIDTH>;
  var d_v: array<mat4x4f, WIDTH>;
  for (var h = kh * shared_by; h < (kh + 1u) * shared_by; h++) {
    let q_base = p.q_from + b * p.queries * p.q_row + h * HEAD;
    let g_base = (b * p.queries * p.heads + h) * HEAD;
    for (var i = first_query(j) / 4u * 4u; i < p.queries; i += 4u) {
      var w = mat4x4f();
      var d_w = mat4x4f();
      for (var c = 0u; c < DE; c++) {
        let x = transpose(k_rows(k_base, j, c));
        let y = transpose(q_rows(q_base, i, c));
        w = outer(outer(outer(outer(w, y[0], x[0]), y[1], x[1]), y[2], x[2]), y[3], x[3]);
        let z = transpose(v_rows(v_base, j, c));
        let g = transpose(g_rows(g_base, i, c));
        d_w = outer(outer(outer(outer(d_w, g[0], z[0]), g[1], z[1]), g[2], z[2]), g[3], z[3]);
      }
      let row_lse = lse_4((b * p.heads + h) * p.queries, i);
      let rows = kept_rows(rows_at(b, h, i));
      let mask_at = b * p.mask_batch + h * p.mask_head + i * p.mask_query + j;
      for (var m = 0u; m < 4u; m++) {
        let shift = mask_of_keys(mask_at + m * p.mask_query);
        w[m] = weights(w[m], shift, vec4f(row_lse[m]), keys < vec4u(visible(i + m)));
        d_w[m] = slopes(w[m], d_w[m], vec4f(rows[m]));
      }
      for (var c = 0u; c < columns; c++) {
        let g = g_rows(g_base, i, first + c);
        d_v[c] = outer(outer(outer(outer(d_v[c], w[0], g[0]), w[1], g[1]), w[2], g[2]), w[3], g[3]);
        let y = q_rows(q_base, i, first + c);
        d_k[c] = outer(outer(outer(outer(d_k[c], d_w[0], y[0]), d_w[1], y[1]), d_w[2], y[2]), d_w[3], y[3]);
      }
    }
  }
  for (var r = 0u; r < min(4u, p.keys - j); r++) {
    let row = b * p.keys + j + r;
    for (var c = 0u; c < columns; c++) {
      store(p.dk_from + row * p.k_row + kh * HEAD, first + c, d_k[c][r]);
      store(p.dv_from + row * p.v_row + kh * HEAD, first + c, d_v[c][r]);
    }
  }
}
