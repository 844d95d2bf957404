// The gradient of attention.wgsl, from the log-sum-exp of each row; no score is ever in memory.
//   p = exp(s - lse);   D_i = dOut_i . out_i;   dS = scale p (dOut_i . v_j - D_i)
//   dQ_i = sum_j dS k_j;   dK_j = sum_i dS q_i;   dV_j = sum_i p dOut_i      (i over all query heads that share the key head)
// q, k, v, mask as there; out, dOut [B, Sq, H, D]; lse [B, H, Sq]. One buffer takes the gradients: dQ, dK and dV, each with an offset and a
// row stride, so that all three may be columns of one matrix, and from `rows_from` on D by fours, [B, H, Sq / 4].
// Some workgroups go over the keys, for dQ, and leave D; the others go over the queries, for dK and dV, and work D out again for each tile, so that
// none waits for another. A workgroup has 32 rows of its own and meets 32 others at a time. Its first 64 threads make the products of q and k, and p
// of them; the other 64 those of dOut and v, and dS: 4 x 4 pairs each. Both pass through workgroup memory, and a thread sums 4 rows of every eighth
// vec4 of the head: of dV or of dK; dQ's columns the two halves share in turns.
// Tiles that CAUSAL or the mask hides are left out. For adapters on a processor: attentionBackwardDirect.wgsl.
// Both forms sum in the same order: d, then j or i ascending. Units and VEC4 as in attention.wgsl.
// conditions: VEC4 MASK CAUSAL WIDE
import package::lib::attention::{
  TILE, COLUMNS, WIDTH, BLOCKS, DE, HEAD, p, outer, q_at, k_at, q_rows, k_rows, q_base, k_base, v_base,
  visible, visible_4, mask_of_queries, is_open
};
import package::lib::attentionGradient::{
  g_at, v_rows, g_rows, g_base, store, rows_at, keep_rows, row_part, within, first_query, mask_of_keys, lse_4, weights, slopes
};

override USED: u32 = min(COLUMNS, (DE + 7u) / 8u); // of COLUMNS, by this head

// For each half of the threads: its own rows [d][row / 4], then the others [d][row / 4], 16 d at a time; or p, and dS, [other][own / 4].
var<workgroup> tile: array<vec4f, 512>;
var<workgroup> parts: array<vec2f, 128>; // of D: [i / 2 % 2][thread along the head][i / 4]

// A thread: which half it belongs to, its four own rows, and its four others, then its first column.
struct Thread {
  half: u32,
  mine: u32,
  part: u32,
}

fn thread_of(lane: u32) -> Thread {
  return Thread(lane / 64u, lane % 8u, lane / 8u % 8u);
}

// Puts a block of 4 rows into the half's tile; every thread calls it.
fn lay(lane: u32, rows: mat4x4f) {
  let block = transpose(rows);
  let to = lane / 32u * 128u + lane / 8u % 4u * 32u + lane % 8u;
  workgroupBarrier(); // everyone has read what lay here
  tile[to] = block[0];
  tile[to + 8u] = block[1];
  tile[to + 16u] = block[2];
  tile[to + 24u] = block[3];
  workgroupBarrier(); // all parts are whole
}

// The half's products of 4 own rows with 4 others over 16 numbers.
fn add_products(sum: mat4x4f, t: Thread) -> mat4x4f {
  var s = sum;
  let from_own = t.half * 256u + t.mine;
  let from_other = t.half * 256u + 128u + t.part;
  for (var d = 0u; d < 16u; d++) { s = outer(s, tile[from_other + d * 8u], tile[from_own + d * 8u]); }
  return s;
}

// Where a thread's pairs with its other n lie: in the first half p, in the second dS.
fn pair_at(t: Thread, half: u32, n: u32) -> u32 {
  return half * 256u + (4u * t.part + n) * 8u + t.mine;
}

// What a thread has of D: two of four rows from i on, and every eighth vec4 of the head.
fn rows_part(base: u32, i: u32, t: Thread) -> vec2f {
  let first = i + 2u * t.half;
  return vec2f(row_part(base, first, t.part), row_part(base, first + 1u, t.part));
}

// D of four rows from i on, i / 4 being the tile's n-th.
fn rows_of_parts(n: u32, i: u32) -> vec4f {
  var rows = vec4f();
  for (var part = 0u; part < 8u; part++) { rows += vec4f(parts[part * 8u + n], parts[64u + part * 8u + n]); }
  return within(rows, i);
}

@compute @workgroup_size(128)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  // With CAUSAL the last queries and the first keys have the most to do, so they begin.
  let of_queries = (p.queries + TILE - 1u) / TILE * BLOCKS;
  if (group.x < of_queries) { dq(vec3u(of_queries - 1u - group.x, group.yz), lane); }
  else if (group.y < p.key_heads) { dkv(vec3u(group.x - of_queries, group.yz), lane); }
}

fn dq(group: vec3u, lane: u32) {
  let i0 = group.x / BLOCKS * TILE;
  let t = thread_of(lane);
  let h = group.y;
  let b = group.z;
  let i = i0 + 4u * t.mine;
  let kh = h / (p.heads / p.key_heads);
  let own_row = select(g_base(b, h), q_base(b, h), t.half == 0u);
  let other_row = select(v_base(b, kh), k_base(b, kh), t.half == 0u);
  let k_row = k_base(b, kh);
  let mask_head = b * p.mask_batch + h * p.mask_head;
  let block = group.x % BLOCKS * WIDTH;
  let first = block + 8u * t.half + t.part;
  parts[lane] = rows_part(g_base(b, h), i, t);
  workgroupBarrier(); // the parts are there
  let rows = rows_of_parts(t.mine, i);
  if (block + 8u * t.half + t.part == 0u && i < p.queries) { keep_rows(rows_at(b, h, i), rows); }
  let row_lse = lse_4((b * p.heads + h) * p.queries, i);
  let count = visible_4(i);
  let end = visible(min(i0 + TILE, p.queries) - 1u);
  var d_q: array<mat4x4f, COLUMNS / 2u>; // column r of a matrix belongs to query i + r
  for (var j0 = 0u; j0 < end; j0 += TILE) {
    let j = j0 + 4u * t.part;
    @if(MASK) { if (!is_open(lane, mask_head, i, j)) { continue; } }
    var s = mat4x4f(); // column n belongs to key j + n
    for (var c0 = 0u; c0 < DE; c0 += 4u) {
      // Of each half, one half loads a block of 4 x 4 numbers of its own rows, one of the others.
      let c = c0 + t.part % 4u;
      var x = mat4x4f();
      if (c < DE) {
        if (lane < 32u) { x = q_rows(own_row, i, c); }
        else if (lane < 64u) { x = k_rows(other_row, j0 + 4u * t.mine, c); }
        else if (lane < 96u) { x = g_rows(own_row, i, c); }
        else { x = v_rows(other_row, j0 + 4u * t.mine, c); }
      }
      lay(lane, x);
      s = add_products(s, t);
    }
    workgroupBarrier(); // everyone has read the tile
    if (t.half == 0u) {
      let mask_at = mask_head + i * p.mask_query + j;
      for (var n = 0u; n < 4u; n++) {
        tile[pair_at(t, 0u, n)] = weights(s[n], mask_of_queries(mask_at + n), row_lse, vec4u(j + n) < count);
      }
    }
    workgroupBarrier(); // p is whole
    if (t.half == 1u) {
      for (var n = 0u; n < 4u; n++) { tile[pair_at(t, 1u, n)] = slopes(tile[pair_at(t, 0u, n)], s[n], rows); }
    }
    workgroupBarrier(); // dS is whole
    for (var n = 0u; n < min(TILE, end - j0); n++) {
      let w = tile[256u + n * 8u + t.mine];
      let row = k_row + (j0 + n) * p.k_row;
      for (var m = 0u; m < COLUMNS / 2u; m++) { d_q[m] = outer(d_q[m], w, k_at(row, first + 16u * m)); }
    }
  }
  for (var r = 0u; r < 4u; r++) {
    if (i + r >= p.queries) { break; }
    let row = p.dq_from + (b * p.queries + i + r) * p.q_row + h * HEAD;
    for (var m = 0u; m < COLUMNS / 2u; m++) { store(row, first + 16u * m, d_q[m][r]); }
  }
}

fn dkv(group: vec3u, lane: u32) {
  let j0 = group.x / BLOCKS * TILE;
  let t = thread_of(lane);
  let kh = group.y;
  let b = group.z;
  let j = j0 + 4u * t.mine;
  let shared_by = p.heads / p.key_heads;
  let own_row = select(v_base(b, kh), k_base(b, kh), t.half == 0u);
  let first = group.x % BLOCKS * WIDTH + t.part;
  let keys = vec4u(j, j + 1u, j + 2u, j + 3u);
  var d: array<mat4x4f, COLUMNS>; // of dV in the first half, of dK in the second; column r of a matrix belongs to key j + r
  for (var h = kh * shared_by; h < (kh + 1u) * shared_by; h++) {
    let q_row = q_base(b, h);
    let g_row = g_base(b, h);
    let mask_head = b * p.mask_batch + h * p.mask_head;
    for (var i0 = first_query(j0) / TILE * TILE; i0 < p.queries; i0 += TILE) {
      let i = i0 + 4u * t.part;
      @if(MASK) { if (!is_open(lane, mask_head, i, j)) { continue; } }
      parts[lane] = rows_part(g_row, i0 + 4u * t.mine, t);
      var s = mat4x4f(); // column n belongs to query i + n
      for (var c0 = 0u; c0 < DE; c0 += 4u) {
        let c = c0 + t.part % 4u;
        var x = mat4x4f();
        if (c < DE) {
          if (lane < 32u) { x = k_rows(own_row, j, c); }
          else if (lane < 64u) { x = q_rows(q_row, i0 + 4u * t.mine, c); }
          else if (lane < 96u) { x = v_rows(own_row, j, c); }
          else { x = g_rows(g_row, i0 + 4u * t.mine, c); }
        }
        lay(lane, x);
        s = add_products(s, t);
      }
      workgroupBarrier(); // everyone has read the tile
      if (t.half == 0u) {
        let row_lse = lse_4((b * p.heads + h) * p.queries, i);
        let mask_at = mask_head + i * p.mask_query + j;
        for (var n = 0u; n < 4u; n++) {
          let there = keys < vec4u(visible(i + n));
          tile[pair_at(t, 0u, n)] = weights(s[n], mask_of_keys(mask_at + n * p.mask_query), vec4f(row_lse[n]), there);
        }
      }
      workgroupBarrier(); // p is whole
      if (t.half == 1u) {
        let rows = rows_of_parts(t.part, i);
        for (var n = 0u; n < 4u; n++) { tile[pair_at(t, 1u, n)] = slopes(tile[pair_at(t, 0u, n)], s[n], vec4f(rows[n])); }
      }
      workgroupBarrier(); // dS is whole
      for (var n = 0u; n < min(TILE, p.queries - i0); n++) {
        let w = tile[t.half * 256u + n * 8u + t.mine];
        let row = select(q_row + (i0 + n) * p.q_row, g_row + (i0 + n) * p.heads * HEAD, t.half == 0u);
        for (var m = 0u; m < USED; m++) {
          if (t.half == 0u) { d[m] = outer(d[m], w, g_at(row, first + 8u * m)); }
          else { d[m] = outer(d[m], w, q_at(row, first + 8u * m)); }
        }
      }
    }
  }
  let to = select(p.dk_from, p.dv_from, t.half == 0u) + kh * HEAD;
  let stride = select(p.k_row, p.v_row, t.half == 0u);
  for (var r = 0u; r < 4u; r++) {
    if (j + r >= p.keys) { break; }
    for (var m = 0u; m < USED; m++) { store(to + (b * p.keys + j + r) * stride, first + 8u * m, d[m][r]); }
  }
}
