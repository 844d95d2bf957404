// The gradient of attention.wgsl, from the log-sum-exp of each row, for adapters on a processor: a thread for 4 rows, without workgroup memory.
// What it is, and the buffers: attentionBackward.wgsl, whose sums these make in the same order.
// conditions: VEC4 MASK CAUSAL WIDE
import package::lib::attention::{
  WIDTH, BLOCKS, DE, HEAD, p, outer, q_rows, k_rows, q_base, k_base, v_base, visible, visible_4, mask_of_queries
};
import package::lib::attentionGradient::{
  v_rows, g_rows, g_base, store, rows_at, keep_rows, kept_rows, row_part, within, first_query, mask_of_keys, lse_4, weights, slopes
};
import package::lib::index::flat;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn dq_direct(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = flat(id, groups, WG);
  let blocks = (p.queries + 3u) / 4u;
  let first = at % BLOCKS * WIDTH;
  let i = at / BLOCKS % blocks * 4u;
  let h = at / BLOCKS / blocks % p.heads;
  let b = at / BLOCKS / blocks / p.heads;
  if (b >= p.batch) { return; }
  let kh = h / (p.heads / p.key_heads);
  let q_row = q_base(b, h);
  let k_row = k_base(b, kh);
  let v_row = v_base(b, kh);
  let g_row = g_base(b, h);
  var rows = vec4f();
  for (var t = 0u; t < 8u; t++) {
    rows += vec4f(row_part(g_row, i, t), row_part(g_row, i + 1u, t), row_part(g_row, i + 2u, t), row_part(g_row, i + 3u, t));
  }
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
      let x = transpose(q_rows(q_row, i, c));
      let y = transpose(k_rows(k_row, j, c));
      s = outer(outer(outer(outer(s, y[0], x[0]), y[1], x[1]), y[2], x[2]), y[3], x[3]);
      let g = transpose(g_rows(g_row, i, c));
      let z = transpose(v_rows(v_row, j, c));
      d_w = outer(outer(outer(outer(d_w, z[0], g[0]), z[1], g[1]), z[2], g[2]), z[3], g[3]);
    }
    let mask_at = b * p.mask_batch + h * p.mask_head + i * p.mask_query + j;
    for (var m = 0u; m < 4u; m++) {
      s[m] = slopes(weights(s[m], mask_of_queries(mask_at + m), row_lse, vec4u(j + m) < count), d_w[m], rows);
    }
    for (var c = 0u; c < columns; c++) {
      let y = k_rows(k_row, j, first + c);
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
  let at = flat(id, groups, WG);
  let blocks = (p.keys + 3u) / 4u;
  let first = at % BLOCKS * WIDTH;
  let j = at / BLOCKS % blocks * 4u;
  let kh = at / BLOCKS / blocks % p.key_heads;
  let b = at / BLOCKS / blocks / p.key_heads;
  if (b >= p.batch) { return; }
  let shared_by = p.heads / p.key_heads;
  let k_row = k_base(b, kh);
  let v_row = v_base(b, kh);
  let keys = vec4u(j, j + 1u, j + 2u, j + 3u);
  let columns = min(WIDTH, DE - first);
  var d_k: array<mat4x4f, WIDTH>;
  var d_v: array<mat4x4f, WIDTH>;
  for (var h = kh * shared_by; h < (kh + 1u) * shared_by; h++) {
    let q_row = q_base(b, h);
    let g_row = g_base(b, h);
    for (var i = first_query(j) / 4u * 4u; i < p.queries; i += 4u) {
      var w = mat4x4f();
      var d_w = mat4x4f();
      for (var c = 0u; c < DE; c++) {
        let x = transpose(k_rows(k_row, j, c));
        let y = transpose(q_rows(q_row, i, c));
        w = outer(outer(outer(outer(w, y[0], x[0]), y[1], x[1]), y[2], x[2]), y[3], x[3]);
        let z = transpose(v_rows(v_row, j, c));
        let g = transpose(g_rows(g_row, i, c));
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
        let g = g_rows(g_row, i, first + c);
        d_v[c] = outer(outer(outer(outer(d_v[c], w[0], g[0]), w[1], g[1]), w[2], g[2]), w[3], g[3]);
        let y = q_rows(q_row, i, first + c);
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
