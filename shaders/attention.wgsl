// Scaled dot-product attention, heads side by side in the last axis as the projections leave them.
//   s[i, j] = scale q_i . k_j + mask[i, j];   p = softmax_j(s);   out_i = sum_j p[i, j] v_j;   lse_i = log sum_j exp(s[i, j])
// q [B, Sq, H, D]; k, v [B, Sk, KH, D], a key head serves H/KH query heads; each with an offset and a row stride, so that all three may be
// columns of one matrix; out [B, Sq, H, D]; lse [B, H, Sq]. mask additive, strides 0 where it is broadcast; a key whose masked score is not
// above -1e30 does not exist; a query without keys gives 0. With CAUSAL query i sees the keys up to i + Sk - Sq.
// The softmax is an online one over tiles of 32 keys: the sums so far shrink when a tile brings a higher score, so no score is ever in memory.
// `forward`: a workgroup for 32 queries; a thread has 4 queries x 4 keys of the scores, then 4 queries x every eighth vec4 of the head, and
// the weights pass through workgroup memory between. `forward_direct`, for adapters on a processor, where a barrier costs more than it saves:
// a thread for 4 queries. Both sum in the same order: d, then j ascending, a tile's weights by fours.
// Memory is read in vec4; with VEC4 D is a multiple of 4 and offsets and strides count vec4, else numbers.
// conditions: VEC4 MASK CAUSAL WIDE
import package::lib::attention::{
  LOWEST, TILE, COLUMNS, WIDTH, BLOCKS, D, DE, HEAD, E, p, outer, q_rows, k_rows, v_at, q_base, k_base, v_base,
  visible, visible_4, mask_of_queries, scored, is_open
};
import package::lib::index::flat;

override WG: u32 = 64u;
override USED: u32 = min(COLUMNS, (DE + 7u) / 8u); // of COLUMNS, by this head

@group(0) @binding(5) var<storage, read_write> out: array<E>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;

fn store(row: u32, c: u32, x: vec4f) {
  if (c >= DE) { return; }
  @if(VEC4) { out[row + c] = x; }
  @else {
    for (var e = 0u; e < min(4u, D - 4u * c); e++) { out[row + 4u * c + e] = x[e]; }
  }
}

// Masked scores of key j and four queries that see `count` keys each.
fn masked(s: vec4f, mask_row: u32, j: u32, count: vec4u) -> vec4f {
  let x = scored(s, mask_of_queries(mask_row + j));
  return select(x, vec4f(LOWEST), (vec4u(j) >= count) | (x <= vec4f(LOWEST)));
}

// What weights are taken from: the highest scores so far; 0 where there is none, so that keys which do not exist have no weight.
fn level(highest: vec4f) -> vec4f {
  return select(highest, vec4f(), highest <= vec4f(LOWEST));
}

fn finish(at: u32, i: u32, highest: vec4f, total: vec4f) {
  for (var r = 0u; r < min(4u, p.queries - i); r++) {
    lse[at + i + r] = select(0.0, highest[r] + log(total[r]), total[r] > 0.0);
  }
}

var<workgroup> tile: array<vec4f, 256>; // queries [d][i / 4], then keys [d][j / 4], 16 d at a time; or weights [j][i / 4]
var<workgroup> maxima: array<vec4f, 64>; // [thread along the keys][i / 4]
var<workgroup> sums: array<vec4f, 64>;
@compute @workgroup_size(64)
fn forward(
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
  let key_head = h / (p.heads / p.key_heads);
  let q_row = q_base(b, h);
  let k_row = k_base(b, key_head);
  let v_row = v_base(b, key_head);
  let mask_head = b * p.mask_batch + h * p.mask_head;
  let first = (groups.x - 1u - group.x) % BLOCKS * WIDTH + part;
  let count = visible_4(i);
  let end = visible(min(i0 + TILE, p.queries) - 1u);
  var o: array<mat4x4f, COLUMNS>; // column r of a matrix belongs to query i + r
  var highest = vec4f(LOWEST);
  var total = vec4f();
  for (var j0 = 0u; j0 < end; j0 += TILE) {
    let j = j0 + 4u * part;
    @if(MASK) { if (!is_open(lane, mask_head, i, j)) { continue; } }
    var s = mat4x4f(); // column n belongs to key j + n
    for (var c0 = 0u; c0 < DE; c0 += 4u) {
      // Half of the threads load a block of 4 x 4 numbers of the queries, half one of the keys.
      let c = c0 + part % 4u;
      var block = mat4x4f();
      if (c < DE) {
        if (lane < 32u) { block = q_rows(q_row, i, c); } else { block = k_rows(k_row, j0 + 4u * mine, c); }
      }
      block = transpose(block);
      let to = lane / 32u * 128u + part % 4u * 32u + mine;
      workgroupBarrier(); // everyone has read what lay here
      tile[to] = block[0];
      tile[to + 8u] = block[1];
      tile[to + 16u] = block[2];
      tile[to + 24u] = block[3];
      workgroupBarrier(); // both parts are whole
      for (var d = 0u; d < 16u; d++) { s = outer(s, tile[128u + d * 8u + part], tile[d * 8u + mine]); }
    }
    let mask_row = mask_head + i * p.mask_query;
    s[0] = masked(s[0], mask_row, j, count);
    s[1] = masked(s[1], mask_row, j + 1u, count);
    s[2] = masked(s[2], mask_row, j + 2u, count);
    s[3] = masked(s[3], mask_row, j + 3u, count);
    maxima[lane] = max(max(s[0], s[1]), max(s[2], s[3]));
    workgroupBarrier(); // the maxima are there, and everyone has read the tile
    var top = highest;
    for (var t = 0u; t < 8u; t++) { top = max(top, maxima[t * 8u + mine]); }
    let shrink = exp(highest - top);
    highest = top;
    let from_level = level(top);
    s[0] = exp(s[0] - from_level);
    s[1] = exp(s[1] - from_level);
    s[2] = exp(s[2] - from_level);
    s[3] = exp(s[3] - from_level);
    tile[part * 32u + mine] = s[0];
    tile[part * 32u + 8u + mine] = s[1];
    tile[part * 32u + 16u + mine] = s[2];
    tile[part * 32u + 24u + mine] = s[3];
    sums[lane] = s[0] + s[1] + s[2] + s[3];
    workgroupBarrier(); // the weights are whole
    var sum = vec4f();
    for (var t = 0u; t < 8u; t++) { sum += sums[t * 8u + mine]; }
    total = fma(total, shrink, sum);
    for (var n = 0u; n < USED; n++) {
      o[n] = mat4x4f(o[n][0] * shrink.x, o[n][1] * shrink.y, o[n][2] * shrink.z, o[n][3] * shrink.w);
    }
    for (var n = 0u; n < min(TILE, end - j0); n++) {
      let w = tile[n * 8u + mine];
      let row = v_row + (j0 + n) * p.v_row;
      for (var m = 0u; m < USED; m++) { o[m] = outer(o[m], w, v_at(row, first + 8u * m)); }
    }
    workgroupBarrier(); // everyone has read weights and sums
  }
  let inverse = select(vec4f(), 1.0 / total, total > vec4f());
  for (var r = 0u; r < 4u; r++) {
    if (i + r >= p.queries) { break; }
    let row = ((b * p.queries + i + r) * p.heads + h) * HEAD;
    for (var n = 0u; n < USED; n++) { store(row, first + 8u * n, o[n][r] * inverse[r]); }
  }
  if (first == 0u && i < p.queries) { finish((b * p.heads + h) * p.queries, i, highest, total); }
}

@compute @workgroup_size(WG)
fn forward_direct(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = flat(id, groups, WG);
  let rows = (p.queries + 3u) / 4u;
  // Heads of more than 128 numbers are shared by several threads.
  let first = at % BLOCKS * WIDTH;
  let i = at / BLOCKS % rows * 4u;
  let h = at / BLOCKS / rows % p.heads;
  let b = at / BLOCKS / rows / p.heads;
  if (b >= p.batch) { return; }
  let key_head = h / (p.heads / p.key_heads);
  let q_row = q_base(b, h);
  let k_row = k_base(b, key_head);
  let v_row = v_base(b, key_head);
  let mask_row = b * p.mask_batch + h * p.mask_head + i * p.mask_query;
  let count = visible_4(i);
  let end = visible(min(i + 4u, p.queries) - 1u);
  let columns = min(WIDTH, DE - first);
  var o: array<mat4x4f, WIDTH>;
  var w: array<vec4f, TILE>;
  var highest = vec4f(LOWEST);
  var total = vec4f();
  for (var j0 = 0u; j0 < end; j0 += TILE) {
    let here = min(TILE, end - j0);
    var top = highest;
    for (var n = 0u; n < here; n += 4u) {
      let j = j0 + n;
      var s = mat4x4f();
      for (var c = 0u; c < DE; c++) {
        let x = transpose(q_rows(q_row, i, c));
        let y = transpose(k_rows(k_row, j, c));
        s = outer(outer(outer(outer(s, y[0], x[0]), y[1], x[1]), y[2], x[2]), y[3], x[3]);
      }
      for (var m = 0u; m < 4u; m++) {
        w[n + m] = masked(s[m], mask_row, j + m, count);
        top = max(top, w[n + m]);
      }
    }
    let shrink = exp(highest - top);
    highest = top;
    let from_level = level(top);
    var sum = vec4f();
    for (var n = 0u; n < here; n += 4u) {
      for (var m = 0u; m < 4u; m++) { w[n + m] = exp(w[n + m] - from_level); }
      sum += w[n] + w[n + 1u] + w[n + 2u] + w[n + 3u];
    }
    total = fma(total, shrink, sum);
    for (var c = 0u; c < columns; c++) {
      var x = mat4x4f(o[c][0] * shrink.x, o[c][1] * shrink.y, o[c][2] * shrink.z, o[c][3] * shrink.w);
      for (var n = 0u; n < here; n++) { x = outer(x, w[n], v_at(v_row + (j0 + n) * p.v_row, first + c)); }
      o[c] = x;
    }
  }
  let inverse = select(vec4f(), 1.0 / total, total > vec4f());
  for (var r = 0u; r < min(4u, p.queries - i); r++) {
    let row = ((b * p.queries + i + r) * p.heads + h) * HEAD;
    for (var c = 0u; c < columns; c++) { store(row, first + c, o[c][r] * inverse[r]); }
  }
  if (first == 0u) { finish((b * p.heads + h) * p.queries, i, highest, total); }
}
