// What attention's kernels share: how q, k, v and the mask lie and are read, who sees whom, and the outer product that all their sums are
// made of. The mask is the binding of its number in every kernel.
// conditions: VEC4 MASK CAUSAL WIDE

// A key whose masked score is not above this does not exist.
const LOWEST = -1.0e30;

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
  dq_from: u32, // of the gradients, whose rows have the strides of what they are of; 0 forward
  dk_from: u32,
  dv_from: u32,
  rows_from: u32, // of D
}

@if(VEC4) alias E = vec4f;
@else alias E = f32;

override D: u32 = 64u; // numbers of a head
override DE: u32 = (D + 3u) / 4u; // in vec4
@if(VEC4) override HEAD: u32 = DE;
@else override HEAD: u32 = D;

const TILE = 32u; // queries and keys of a tile
// vec4 of the head and row that a thread sums; heads of more than 128 numbers are shared by several workgroups.
@if(WIDE) const COLUMNS = 4u;
@else const COLUMNS = 2u;
const WIDTH = 8u * COLUMNS;
override BLOCKS: u32 = (DE + WIDTH - 1u) / WIDTH;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<E>;
@group(0) @binding(2) var<storage, read> k: array<E>;
@group(0) @binding(3) var<storage, read> v: array<E>;
@if(MASK) @group(0) @binding(4) var<storage, read> mask: array<f32>;

// `sum` with by[n] times x added to column n. As FMAs, so that kernels that sum in one order get the same bits.
fn outer(sum: mat4x4f, by: vec4f, x: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(by.x), x, sum[0]), fma(vec4f(by.y), x, sum[1]), fma(vec4f(by.z), x, sum[2]), fma(vec4f(by.w), x, sum[3]),
  );
}

// vec4 number c of the row that begins at `row`, zero beyond the head.
@if(VEC4) fn q_at(row: u32, c: u32) -> vec4f { return q[row + c]; }
@if(VEC4) fn k_at(row: u32, c: u32) -> vec4f { return k[row + c]; }
@if(VEC4) fn v_at(row: u32, c: u32) -> vec4f { return v[row + c]; }
@if(!VEC4) fn inside(x: vec4f, c: u32) -> vec4f {
  return select(vec4f(), x, vec4u(4u * c, 4u * c + 1u, 4u * c + 2u, 4u * c + 3u) < vec4u(D));
}
@if(!VEC4) fn q_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return inside(vec4f(q[at], q[at + 1u], q[at + 2u], q[at + 3u]), c);
}
@if(!VEC4) fn k_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return inside(vec4f(k[at], k[at + 1u], k[at + 2u], k[at + 3u]), c);
}
@if(!VEC4) fn v_at(row: u32, c: u32) -> vec4f {
  let at = row + 4u * c;
  return inside(vec4f(v[at], v[at + 1u], v[at + 2u], v[at + 3u]), c);
}

// The same of four rows. Rows beyond the last are whatever robust access gives; their weights are 0.
fn q_rows(base: u32, i: u32, c: u32) -> mat4x4f {
  let at = base + i * p.q_row;
  return mat4x4f(q_at(at, c), q_at(at + p.q_row, c), q_at(at + 2u * p.q_row, c), q_at(at + 3u * p.q_row, c));
}
fn k_rows(base: u32, j: u32, c: u32) -> mat4x4f {
  let at = base + j * p.k_row;
  return mat4x4f(k_at(at, c), k_at(at + p.k_row, c), k_at(at + 2u * p.k_row, c), k_at(at + 3u * p.k_row, c));
}

// Where head h of one example begins.
fn q_base(b: u32, h: u32) -> u32 {
  return p.q_from + b * p.queries * p.q_row + h * HEAD;
}
fn k_base(b: u32, key_head: u32) -> u32 {
  return p.k_from + b * p.keys * p.k_row + key_head * HEAD;
}
fn v_base(b: u32, key_head: u32) -> u32 {
  return p.v_from + b * p.keys * p.v_row + key_head * HEAD;
}

// Number of keys that query i may see; none where there is no such query.
fn visible(i: u32) -> u32 {
  if (i >= p.queries) { return 0u; }
  @if(CAUSAL) { return u32(clamp(i32(i + 1u + p.keys) - i32(p.queries), 0, i32(p.keys))); }
  @else { return p.keys; }
}

fn visible_4(i: u32) -> vec4u {
  return vec4u(visible(i), visible(i + 1u), visible(i + 2u), visible(i + 3u));
}

// The mask at one key and four queries from `at` on.
fn mask_of_queries(at: u32) -> vec4f {
  @if(MASK) { return vec4f(mask[at], mask[at + p.mask_query], mask[at + 2u * p.mask_query], mask[at + 3u * p.mask_query]); }
  @else { return vec4f(); }
}

// The score of a product, with its mask.
fn scored(s: vec4f, shift: vec4f) -> vec4f {
  @if(MASK) { return fma(s, vec4f(p.scale), shift); }
  @else { return s * p.scale; }
}

@if(MASK) var<workgroup> shown: array<u32, 64>;
@if(MASK) var<workgroup> any_shown: u32;

// Whether the mask shows any of four keys to any of four queries of any of the first 64 threads; every thread calls it.
@if(MASK) fn is_open(lane: u32, mask_head: u32, i: u32, j: u32) -> bool {
  if (lane < 64u) {
    var seen = 0u;
    for (var n = 0u; n < 16u; n++) {
      let x = mask[mask_head + min(i + n % 4u, p.queries - 1u) * p.mask_query + min(j + n / 4u, p.keys - 1u)];
      if (!(x <= LOWEST)) { seen = 1u; }
    }
    shown[lane] = seen;
  }
  workgroupBarrier(); // every thread has looked
  if (lane == 0u) {
    var any = 0u;
    for (var t = 0u; t < 64u; t++) { any |= shown[t]; }
    any_shown = any;
  }
  return workgroupUniformLoad(&any_shown) != 0u;
}
