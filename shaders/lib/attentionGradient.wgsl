// What the kernels of attention's gradient share, tiled or not: dOut and the forward pass's results, where gradients go, weights and slopes again.
// conditions: VEC4 MASK CAUSAL WIDE
import package::lib::attention::{LOWEST, D, DE, HEAD, E, p, v_at, inside, visible, scored, mask};

@group(0) @binding(5) var<storage, read> d_out: array<E>;
@group(0) @binding(6) var<storage, read> lse: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradient: array<E>;
@group(0) @binding(8) var<storage, read> result: array<E>;

// vec4 number c of the row that begins at `row`, zero beyond the head.
@if(VEC4) fn g_at(row: u32, c: u32) -> vec4f { return d_out[row + c]; }
@if(VEC4) fn o_at(row: u32, c: u32) -> vec4f { return result[row + c]; }
@if(!VEC4) fn g_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return inside(vec4f(d_out[at], d_out[at + 1u], d_out[at + 2u], d_out[at + 3u]), c);
}
@if(!VEC4) fn o_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return inside(vec4f(result[at], result[at + 1u], result[at + 2u], result[at + 3u]), c);
}

// The same of four rows. Rows beyond the last are whatever robust access gives; their weights are 0.
fn v_rows(base: u32, j: u32, c: u32) -> mat4x4f {
  let at = base + j * p.v_row;
  return mat4x4f(v_at(at, c), v_at(at + p.v_row, c), v_at(at + 2u * p.v_row, c), v_at(at + 3u * p.v_row, c));
}
fn g_rows(base: u32, i: u32, c: u32) -> mat4x4f {
  let row = p.heads * HEAD;
  let at = base + i * row;
  return mat4x4f(g_at(at, c), g_at(at + row, c), g_at(at + 2u * row, c), g_at(at + 3u * row, c));
}

// Where head h of one example begins in dOut and out.
fn g_base(b: u32, h: u32) -> u32 {
  return (b * p.queries * p.heads + h) * HEAD;
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

// The part of D of a query that columns part, part + 8, ... give.
fn row_part(base: u32, i: u32, part: u32) -> f32 {
  let row = base + i * p.heads * HEAD;
  var sum = 0.0;
  for (var c = part; c < DE; c += 8u) {
    let g = g_at(row, c);
    let o = o_at(row, c);
    sum = fma(g.w, o.w, fma(g.z, o.z, fma(g.y, o.y, fma(g.x, o.x, sum))));
  }
  return sum;
}

// x of queries from i on, 0 beyond the last.
fn within(x: vec4f, i: u32) -> vec4f {
  return select(vec4f(), x, vec4u(i, i + 1u, i + 2u, i + 3u) < vec4u(p.queries));
}

// The first query that may see key j.
fn first_query(j: u32) -> u32 {
  @if(CAUSAL) { return u32(clamp(i32(j + p.queries) - i32(p.keys), 0, i32(p.queries))); }
  @else { return 0u; }
}

// The mask at one query and four keys from `at` on.
fn mask_of_keys(at: u32) -> vec4f {
  @if(MASK) { return vec4f(mask[at], mask[at + 1u], mask[at + 2u], mask[at + 3u]); }
  @else { return vec4f(); }
}

fn lse_4(at: u32, i: u32) -> vec4f {
  let last = p.queries - 1u;
  return vec4f(lse[at + min(i, last)], lse[at + min(i + 1u, last)], lse[at + min(i + 2u, last)], lse[at + min(i + 3u, last)]);
}

// The weights of scores s whose keys are there or not.
fn weights(s: vec4f, shift: vec4f, row_lse: vec4f, there: vec4<bool>) -> vec4f {
  let x = scored(s, shift);
  return select(vec4f(), exp(x - row_lse), there & !(x <= vec4f(LOWEST)));
}

// dS, from the weights, dOut . v and D.
fn slopes(w: vec4f, d_w: vec4f, rows: vec4f) -> vec4f {
  return w * (d_w - rows) * p.scale;
}
