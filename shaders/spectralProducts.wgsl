// ΔW of a stack of spectra, and the gradient of the spectra by that of ΔW, as products. With each frequency folded to the lower half of its side,
// ΔW[p, q] = A[p, q] - B[p, q] for p and q in the lower halves, where A is the sum of cosines' products and B of sines', and its three mirror
// images are A - B or A + B. One side is a sum over what stands in lists: L[line, p], for each frequency of the shorter side that occurs (a
// `line`), of the numbers there, with the waves of the longer side. The other is a product of L with the shorter side's waves.
// `spread` makes L of the spectra, `combine` ΔW of L; backwards `fold` makes the gradient of L, `gather` that of the spectra.
// A thread has eight places p along the longer side, and four of the other index: numbers of ΔW or lines (eight with WIDE, for adapters on a
// CPU). No form changes the order of a sum.
// p: 0 to long / 2, filled up to a multiple of 8. lines [count, 2 (of A, of B), lines, p]; spectra [stack, n]; delta [stack, ...], long_step and
// short_step numbers from a place to the next. tables: the frequency of each line, where its numbers begin in the list, then the list of
// (number, frequency of the longer side with 1 at bit 16 where one of its two was folded alone, line). Made in src/ops/spectralProducts.ts.
// conditions: WIDE

import package::lib::index::{flat, quotient};

struct Params {
  long: u32, // numbers of the longer side
  short: u32,
  long_turns: u32, // where its angles begin in `turns`
  short_turns: u32,
  long_step: u32,
  short_step: u32,
  first: u32, // of the stack
  count: u32, // how many of it
  n: u32,
  scale: f32,
  threads: u32,
  lines: u32,
  blocks: vec4u, // divisors: eights of places
  by_lines: vec4u,
  across: vec4u, // fours or eights of the index beside the places
  by_n: vec4u,
  by_long: vec4u,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> tables: array<u32>;
@group(0) @binding(2) var<storage, read> turns: array<vec2f>; // (cos, sin) of every whole angle of a side
@group(0) @binding(3) var<storage, read> spectra: array<f32>;
@group(0) @binding(4) var<storage, read_write> lines_out: array<vec4f>;
@group(0) @binding(3) var<storage, read> lines_in: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> delta_out: array<f32>;
@group(0) @binding(3) var<storage, read> delta_in: array<f32>;
@group(0) @binding(4) var<storage, read_write> spectra_out: array<f32>;

override WG: u32 = 64u;

@if(WIDE) const ACROSS = 8u;
@else const ACROSS = 4u;

// (cos, sin) of four angles.
struct Waves {
  cos: vec4f,
  sin: vec4f,
}

// angle + step of `size` parts of a turn, both below it.
fn after(angle: u32, step: u32, size: u32) -> u32 {
  let next = angle + step;
  return select(next, next - size, next >= size);
}

fn after4(angles: vec4u, steps: vec4u, size: u32) -> vec4u {
  let next = angles + steps;
  return select(next, next - size, next >= vec4u(size));
}

// A whole number as an angle of the longer side.
fn long_angle(x: u32) -> u32 { return x - quotient(x, p.by_long) * p.long; }

// The angles of four places from `at` on, each a step after the other.
fn following(at: u32, step: u32, size: u32) -> vec4u {
  let second = after(at, step, size);
  let third = after(second, step, size);
  return vec4u(at, second, third, after(third, step, size));
}

fn waves(first: u32, angles: vec4u) -> Waves {
  let a = turns[first + angles.x];
  let b = turns[first + angles.y];
  let c = turns[first + angles.z];
  let d = turns[first + angles.w];
  return Waves(vec4f(a.x, b.x, c.x, d.x), vec4f(a.y, b.y, c.y, d.y));
}

// Four rows by four numbers, to which a product of a column and a row is added.
fn plus(to: mat4x4f, column: vec4f, row: vec4f) -> mat4x4f {
  return mat4x4f(
    fma(vec4f(column.x), row, to[0]), fma(vec4f(column.y), row, to[1]),
    fma(vec4f(column.z), row, to[2]), fma(vec4f(column.w), row, to[3]),
  );
}

// Where vectors of a line begin, of A; those of B come `lines` lines later.
fn line_at(matrix: u32, line: u32) -> u32 {
  return (matrix * 2u * p.lines + line) * p.blocks.x * 2u;
}

fn b_after() -> u32 { return p.lines * p.blocks.x * 2u; }

fn spectrum_at(matrix: u32) -> u32 { return (p.first + min(matrix, p.count - 1u)) * p.n; }

// A thread: eight places of a line of four matrices.
@compute @workgroup_size(WG)
fn spread(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.threads) { return; }
  let rest = quotient(i, p.blocks);
  let block = i - rest * p.blocks.x;
  let four = quotient(rest, p.by_lines);
  let line = rest - four * p.lines;
  let of_four = vec4u(
    spectrum_at(4u * four), spectrum_at(4u * four + 1u), spectrum_at(4u * four + 2u), spectrum_at(4u * four + 3u),
  );
  // A row for each matrix.
  var a_0 = mat4x4f();
  var a_1 = mat4x4f();
  var b_0 = mat4x4f();
  var b_1 = mat4x4f();
  let list = 2u * p.lines + 1u;
  for (var e = tables[p.lines + line]; e < tables[p.lines + line + 1u]; e++) {
    let k = tables[list + 3u * e];
    let word = tables[list + 3u * e + 1u];
    let f = word & 0xffffu;
    let s = vec4f(spectra[of_four.x + k], spectra[of_four.y + k], spectra[of_four.z + k], spectra[of_four.w + k]);
    let signed = select(s, -s, word > 0xffffu);
    let angles = following(long_angle(f * block * 8u), f, p.long);
    let w_0 = waves(p.long_turns, angles);
    let w_1 = waves(p.long_turns, following(after(angles.w, f, p.long), f, p.long));
    a_0 = plus(a_0, s, w_0.cos);
    a_1 = plus(a_1, s, w_1.cos);
    b_0 = plus(b_0, signed, w_0.sin);
    b_1 = plus(b_1, signed, w_1.sin);
  }
  for (var m = 0u; m < min(4u, p.count - 4u * four); m++) {
    let at = line_at(4u * four + m, line) + 2u * block;
    lines_out[at] = a_0[m];
    lines_out[at + 1u] = a_1[m];
    lines_out[at + b_after()] = b_0[m];
    lines_out[at + b_after() + 1u] = b_1[m];
  }
}

// What of ΔW lies at one place of the lower halves and at its mirror images.
fn store(matrix: u32, x: u32, y: u32, a: f32, b: f32) {
  if (2u * x > p.long || 2u * y > p.short) { return; }
  let base = (p.first + matrix) * p.long * p.short;
  let to_x = base + x * p.long_step;
  let across = y > 0u && 2u * y < p.short;
  let to_y = y * p.short_step;
  let mirrored_y = (p.short - y) * p.short_step;
  let less = p.scale * (a - b);
  let more = p.scale * (a + b);
  delta_out[to_x + to_y] = less;
  if (across) { delta_out[to_x + mirrored_y] = more; }
  if (x > 0u && 2u * x < p.long) {
    let mirrored_x = base + (p.long - x) * p.long_step;
    delta_out[mirrored_x + to_y] = more;
    if (across) { delta_out[mirrored_x + mirrored_y] = less; }
  }
}

fn store_block(matrix: u32, x: u32, y: u32, a: mat4x4f, b: mat4x4f) {
  var own_a = a;
  var own_b = b;
  for (var i = 0u; i < 16u; i++) { store(matrix, x + i % 4u, y + i / 4u, own_a[i / 4u][i % 4u], own_b[i / 4u][i % 4u]); }
}

// Matrix, eight of places, and four or eight beside them.
fn block_of(i: u32) -> vec3u {
  let rest = quotient(i, p.across);
  let matrix = quotient(rest, p.blocks);
  return vec3u(matrix, rest - matrix * p.blocks.x, i - rest * p.across.x);
}

@compute @workgroup_size(WG)
fn combine(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.threads) { return; }
  let own = block_of(i);
  let y = own.z * ACROSS;
  let y_0 = min(vec4u(y, y + 1u, y + 2u, y + 3u), vec4u(p.short - 1u));
  // A row for each number along the shorter side.
  var a_00 = mat4x4f();
  var a_01 = mat4x4f();
  var b_00 = mat4x4f();
  var b_01 = mat4x4f();
  @if(WIDE) var a_10 = mat4x4f();
  @if(WIDE) var a_11 = mat4x4f();
  @if(WIDE) var b_10 = mat4x4f();
  @if(WIDE) var b_11 = mat4x4f();
  @if(WIDE) let y_1 = min(vec4u(y + 4u, y + 5u, y + 6u, y + 7u), vec4u(p.short - 1u));
  var frequency = 0u;
  var angles_0 = vec4u(0u);
  @if(WIDE) var angles_1 = vec4u(0u);
  var at = line_at(own.x, 0u) + 2u * own.y;
  for (var line = 0u; line < p.lines; line++) {
    for (; frequency < tables[line]; frequency++) {
      angles_0 = after4(angles_0, y_0, p.short);
      @if(WIDE) { angles_1 = after4(angles_1, y_1, p.short); }
    }
    let w_0 = waves(p.short_turns, angles_0);
    let la_0 = lines_in[at];
    let la_1 = lines_in[at + 1u];
    let lb_0 = lines_in[at + b_after()];
    let lb_1 = lines_in[at + b_after() + 1u];
    a_00 = plus(a_00, w_0.cos, la_0);
    a_01 = plus(a_01, w_0.cos, la_1);
    b_00 = plus(b_00, w_0.sin, lb_0);
    b_01 = plus(b_01, w_0.sin, lb_1);
    @if(WIDE) {
      let w_1 = waves(p.short_turns, angles_1);
      a_10 = plus(a_10, w_1.cos, la_0);
      a_11 = plus(a_11, w_1.cos, la_1);
      b_10 = plus(b_10, w_1.sin, lb_0);
      b_11 = plus(b_11, w_1.sin, lb_1);
    }
    at += 2u * p.blocks.x;
  }
  let x = 8u * own.y;
  store_block(own.x, x, y, a_00, b_00);
  store_block(own.x, x + 4u, y, a_01, b_01);
  @if(WIDE) {
    store_block(own.x, x, y + 4u, a_10, b_10);
    store_block(own.x, x + 4u, y + 4u, a_11, b_11);
  }
}

// Four places of the gradient of ΔW at y with their mirror images: those of A, and less those of B.
struct Folded {
  a: vec4f,
  b: vec4f,
}

fn four_of(start: u32, x: vec4u) -> vec4f {
  let at = start + x * p.long_step;
  return vec4f(delta_in[at.x], delta_in[at.y], delta_in[at.z], delta_in[at.w]);
}

fn folded(base: u32, first: u32, y: u32) -> Folded {
  let x = vec4u(first, first + 1u, first + 2u, first + 3u);
  let inside = 2u * x <= vec4u(p.long);
  let own = select(vec4u(0u), x, inside);
  // Places that are their own image are read twice and count once.
  let image = select(vec4u(p.long) - own, own, own == vec4u(0u));
  let in_x = select(vec4f(0.0), vec4f(1.0), image != own);
  let is_own_y = y == 0u || 2u * y == p.short;
  let in_y = select(1.0, 0.0, is_own_y);
  let at = base + y * p.short_step;
  let image_at = base + select(p.short - y, y, is_own_y) * p.short_step;
  let here = four_of(at, own);
  let below = in_y * four_of(image_at, own);
  let across = four_of(at, image);
  let opposite = in_y * four_of(image_at, image);
  let a = here + below + in_x * (across + opposite);
  let b = here - below - in_x * (across - opposite);
  return Folded(select(vec4f(0.0), a, inside), select(vec4f(0.0), b, inside));
}

fn store_lines(matrix: u32, line: u32, block: u32, a_0: mat4x4f, a_1: mat4x4f, b_0: mat4x4f, b_1: mat4x4f) {
  var rows = array(a_0, a_1, b_0, b_1);
  for (var j = 0u; j < min(4u, p.lines - min(line, p.lines)); j++) {
    let at = line_at(matrix, line + j) + 2u * block;
    lines_out[at] = rows[0][j];
    lines_out[at + 1u] = rows[1][j];
    lines_out[at + b_after()] = rows[2][j];
    lines_out[at + b_after() + 1u] = rows[3][j];
  }
}

// The frequencies of four lines; of none beyond the last.
fn four_lines(line: u32) -> vec4u {
  let last = p.lines - 1u;
  return vec4u(
    tables[min(line, last)], tables[min(line + 1u, last)], tables[min(line + 2u, last)], tables[min(line + 3u, last)],
  );
}

@compute @workgroup_size(WG)
fn fold(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.threads) { return; }
  let own = block_of(i);
  let line = own.z * ACROSS;
  let steps_0 = four_lines(line);
  @if(WIDE) let steps_1 = four_lines(line + 4u);
  var angles_0 = vec4u(0u);
  @if(WIDE) var angles_1 = vec4u(0u);
  // A row for each line.
  var a_00 = mat4x4f();
  var a_01 = mat4x4f();
  var b_00 = mat4x4f();
  var b_01 = mat4x4f();
  @if(WIDE) var a_10 = mat4x4f();
  @if(WIDE) var a_11 = mat4x4f();
  @if(WIDE) var b_10 = mat4x4f();
  @if(WIDE) var b_11 = mat4x4f();
  let base = (p.first + own.x) * p.long * p.short;
  for (var y = 0u; 2u * y <= p.short; y++) {
    let d_0 = folded(base, 8u * own.y, y);
    let d_1 = folded(base, 8u * own.y + 4u, y);
    let w_0 = waves(p.short_turns, angles_0);
    angles_0 = after4(angles_0, steps_0, p.short);
    a_00 = plus(a_00, w_0.cos, d_0.a);
    a_01 = plus(a_01, w_0.cos, d_1.a);
    b_00 = plus(b_00, w_0.sin, d_0.b);
    b_01 = plus(b_01, w_0.sin, d_1.b);
    @if(WIDE) {
      let w_1 = waves(p.short_turns, angles_1);
      angles_1 = after4(angles_1, steps_1, p.short);
      a_10 = plus(a_10, w_1.cos, d_0.a);
      a_11 = plus(a_11, w_1.cos, d_1.a);
      b_10 = plus(b_10, w_1.sin, d_0.b);
      b_11 = plus(b_11, w_1.sin, d_1.b);
    }
  }
  store_lines(own.x, line, own.y, a_00, a_01, b_00, b_01);
  @if(WIDE) { store_lines(own.x, line + 4u, own.y, a_10, a_11, b_10, b_11); }
}

fn total(v: vec4f) -> f32 { return v.x + v.y + (v.z + v.w); }

// Threads that share a number of the spectra.
const LANES = 8u;
var<workgroup> sums: array<vec4f, WG>;

@compute @workgroup_size(WG)
fn gather(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let wanted = (id.x + id.y * groups.x) * (WG / LANES) + local / LANES;
  let i = min(wanted, p.threads - 1u);
  let lane = local % LANES;
  let four = quotient(i, p.by_n);
  let list = 2u * p.lines + 1u + 3u * (i - four * p.n);
  let word = tables[list + 1u];
  let f = word & 0xffffu;
  let count = min(4u, p.count - 4u * four);
  // Of a matrix beyond the last, the first one's numbers are read.
  let start = line_at(4u * four, tables[list + 2u]);
  let next = 2u * b_after();
  let second = start + select(0u, next, count > 1u);
  let third = start + select(0u, 2u * next, count > 2u);
  let fourth = start + select(0u, 3u * next, count > 3u);
  let step = long_angle(f * 4u * LANES);
  var angle = long_angle(f * 4u * lane);
  // A row for each matrix.
  var sum = mat4x4f();
  for (var q = lane; q < 2u * p.blocks.x; q += LANES) {
    let w = waves(p.long_turns, following(angle, f, p.long));
    angle = after(angle, step, p.long);
    let s = select(-w.sin, w.sin, word > 0xffffu);
    let at = q + b_after();
    sum = mat4x4f(
      fma(s, lines_in[start + at], fma(w.cos, lines_in[start + q], sum[0])),
      fma(s, lines_in[second + at], fma(w.cos, lines_in[second + q], sum[1])),
      fma(s, lines_in[third + at], fma(w.cos, lines_in[third + q], sum[2])),
      fma(s, lines_in[fourth + at], fma(w.cos, lines_in[fourth + q], sum[3])),
    );
  }
  sums[local] = vec4f(total(sum[0]), total(sum[1]), total(sum[2]), total(sum[3]));
  workgroupBarrier(); // the sums of all threads are there
  if (lane >= count || wanted > i) { return; }
  let first = local - lane;
  var all = sums[first][lane];
  for (var other = 1u; other < LANES; other++) { all += sums[first + other][lane]; }
  spectra_out[(p.first + 4u * four + lane) * p.n + tables[list]] = p.scale * all;
}
