// ΔW of a stack of spectra, and the gradient of the spectra by that of ΔW, as products. With each frequency folded to the lower half of its side,
// ΔW[p, q] = A[p, q] - B[p, q] for p and q in the lower halves, where A is the sum of cosines' products and B of sines', and its three mirror
// images are A - B or A + B. One side is a sum over what stands in lists: L[line, p], for each frequency of the shorter side that occurs (a
// `line`), of the numbers there, with the waves of the longer side. The other is a product of L with the shorter side's waves.
// `spread` makes L of the spectra, `combine` ΔW of L; backwards `fold` makes the gradient of L, `gather` that of the spectra.
// Lines of even frequencies come first: half a side less q, their waves are those of q, and those of odd ones the opposite.
// A thread of `combine` and `fold` has four places p along the longer side and four of the other index, numbers q or lines; for adapters on a
// CPU, where loads are dear, eight places with eight numbers or sixteen lines (WIDE). No form changes the order of a sum.
// p: 0 to long / 2, filled up to a multiple of 8. lines [count, 2 (of A, of B), lines, p]; spectra [stack, n]; delta [stack, ...], long_step and
// short_step numbers from a place to the next. tables: the frequency of each line, where its numbers begin in the list, then the list of
// (number, frequency of the longer side with 1 at bit 16 where one of its two was folded alone), then groups of up to four of the list that
// stand on one line (first, how many, line). Made in src/ops/spectralProducts.ts.
// With MIRRORED the gradient of ΔW comes folded, as mirroredProduct.wgsl leaves it: of each place, `images` numbers from the sums' product to the
// differences'.
// conditions: WIDE MIRRORED

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
  evens: u32, // lines of even frequencies
  quads: u32, // fours of places of a line
  last_q: u32, // up to which `combine` goes, and half of an even shorter side, or 0
  half_q: u32,
  matrix: u32, // numbers of a matrix of ΔW or of its gradient
  images: u32, // from A to B of a folded gradient
  blocks: vec4u, // divisors: places, what stands beside them, lines or groups, numbers of the longer side
  across: vec4u,
  by_lines: vec4u,
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

// Places and numbers or lines of a thread.
override PLACES: u32 = 4u;
override NUMBERS: u32 = 4u;
override LINES: u32 = 4u;
// Threads that share numbers of the spectra, up to four, or two of the four at a time where registers are few.
override LANES: u32 = 8u;
override SHARES: u32 = 2u;

// (cos, sin) of four angles.
struct Waves {
  cos: vec4f,
  sin: vec4f,
}

// angle + step of `size` parts of a turn, both below it: below zero a whole number is a large one.
fn after(angle: u32, step: u32, size: u32) -> u32 { return min(angle + step, angle + step - size); }

fn after4(angles: vec4u, steps: vec4u, size: u32) -> vec4u { return min(angles + steps, angles + steps - size); }

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
fn line_at(matrix: u32, line: u32) -> u32 { return (matrix * 2u * p.lines + line) * p.quads; }

fn b_after() -> u32 { return p.lines * p.quads; }

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
    let k = tables[list + 2u * e];
    let word = tables[list + 2u * e + 1u];
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
  for (var m = 0u; m < 4u; m++) {
    if (4u * four + m < p.count) {
      let at = line_at(4u * four + m, line) + 2u * block;
      lines_out[at] = a_0[m];
      lines_out[at + 1u] = a_1[m];
      lines_out[at + b_after()] = b_0[m];
      lines_out[at + b_after() + 1u] = b_1[m];
    }
  }
}

// What of ΔW lies at one place of the lower halves and at its mirror images.
fn store(matrix: u32, x: u32, y: u32, a: f32, b: f32) {
  let base = (p.first + matrix) * p.matrix;
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

// Sums at a thread's places for four numbers q or four lines, a row each: of A, of B.
struct Sums {
  a_0: mat4x4f,
  b_0: mat4x4f,
  @if(WIDE) a_1: mat4x4f,
  @if(WIDE) b_1: mat4x4f,
}

// What is multiplied with waves, at a thread's places.
struct Places {
  a_0: vec4f,
  b_0: vec4f,
  @if(WIDE) a_1: vec4f,
  @if(WIDE) b_1: vec4f,
}

fn more(to: Sums, w: Waves, x: Places) -> Sums {
  var sums = to;
  sums.a_0 = plus(to.a_0, w.cos, x.a_0);
  sums.b_0 = plus(to.b_0, w.sin, x.b_0);
  @if(WIDE) {
    sums.a_1 = plus(to.a_1, w.cos, x.a_1);
    sums.b_1 = plus(to.b_1, w.sin, x.b_1);
  }
  return sums;
}

// Matrix, places, and numbers or lines beside them.
fn block_of(i: u32) -> vec3u {
  let rest = quotient(i, p.across);
  let matrix = quotient(rest, p.blocks);
  return vec3u(matrix, rest - matrix * p.blocks.x, i - rest * p.across.x);
}

// The sums over even and over odd frequencies of a number at four places: both together are at q, their difference half a side less q.
fn store_row(matrix: u32, x: u32, q: u32, even_a: vec4f, even_b: vec4f, odd_a: vec4f, odd_b: vec4f) {
  if (q > p.last_q) { return; }
  for (var i = 0u; i < 4u; i++) {
    if (2u * (x + i) <= p.long) {
      store(matrix, x + i, q, even_a[i] + odd_a[i], even_b[i] + odd_b[i]);
      if (2u * q < p.half_q) { store(matrix, x + i, p.half_q - q, even_a[i] - odd_a[i], odd_b[i] - even_b[i]); }
    }
  }
}

fn store_sums(matrix: u32, x: u32, q: u32, even_a: mat4x4f, even_b: mat4x4f, odd_a: mat4x4f, odd_b: mat4x4f) {
  store_row(matrix, x, q, even_a[0], even_b[0], odd_a[0], odd_b[0]);
  store_row(matrix, x, q + 1u, even_a[1], even_b[1], odd_a[1], odd_b[1]);
  store_row(matrix, x, q + 2u, even_a[2], even_b[2], odd_a[2], odd_b[2]);
  store_row(matrix, x, q + 3u, even_a[3], even_b[3], odd_a[3], odd_b[3]);
}

fn line_places(at: u32) -> Places {
  var x = Places();
  x.a_0 = lines_in[at];
  x.b_0 = lines_in[at + b_after()];
  @if(WIDE) {
    x.a_1 = lines_in[at + 1u];
    x.b_1 = lines_in[at + b_after() + 1u];
  }
  return x;
}

fn following_numbers(q: u32) -> vec4u { return min(vec4u(q, q + 1u, q + 2u, q + 3u), vec4u(p.short - 1u)); }

@compute @workgroup_size(WG)
fn combine(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.threads) { return; }
  let own = block_of(i);
  let q = own.z * NUMBERS;
  let q_0 = following_numbers(q);
  @if(WIDE) let q_1 = following_numbers(q + 4u);
  // Of even frequencies, kept while those of odd ones are added up.
  var even_0 = Sums();
  var sums_0 = Sums();
  @if(WIDE) var even_1 = Sums();
  @if(WIDE) var sums_1 = Sums();
  var at = line_at(own.x, 0u) + PLACES / 4u * own.y;
  var line = 0u;
  for (var half = 0u; half < 2u; half++) {
    even_0 = sums_0;
    sums_0 = Sums();
    @if(WIDE) {
      even_1 = sums_1;
      sums_1 = Sums();
    }
    var frequency = 0u;
    var angles_0 = vec4u(0u);
    @if(WIDE) var angles_1 = vec4u(0u);
    let end = select(p.evens, p.lines, half == 1u);
    for (; line < end; line++) {
      for (; frequency < tables[line]; frequency++) {
        angles_0 = after4(angles_0, q_0, p.short);
        @if(WIDE) { angles_1 = after4(angles_1, q_1, p.short); }
      }
      let x = line_places(at);
      sums_0 = more(sums_0, waves(p.short_turns, angles_0), x);
      @if(WIDE) { sums_1 = more(sums_1, waves(p.short_turns, angles_1), x); }
      at += p.quads;
    }
  }
  let x = PLACES * own.y;
  store_sums(own.x, x, q, even_0.a_0, even_0.b_0, sums_0.a_0, sums_0.b_0);
  @if(WIDE) {
    store_sums(own.x, x + 4u, q, even_0.a_1, even_0.b_1, sums_0.a_1, sums_0.b_1);
    store_sums(own.x, x, q + 4u, even_1.a_0, even_1.b_0, sums_1.a_0, sums_1.b_0);
    store_sums(own.x, x + 4u, q + 4u, even_1.a_1, even_1.b_1, sums_1.a_1, sums_1.b_1);
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

@if(MIRRORED)
fn folded(base: u32, first: u32, y: u32) -> Folded {
  let x = vec4u(first, first + 1u, first + 2u, first + 3u);
  let inside = 2u * x <= vec4u(p.long);
  let own = select(vec4u(0u), x, inside);
  let at = base + y * p.short_step;
  return Folded(
    select(vec4f(0.0), four_of(at, own), inside), select(vec4f(0.0), four_of(at + p.images, own), inside),
  );
}

@if(!MIRRORED)
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

fn folded_places(base: u32, first: u32, q: u32) -> Places {
  var x = Places();
  let d_0 = folded(base, first, q);
  x.a_0 = d_0.a;
  x.b_0 = d_0.b;
  @if(WIDE) {
    let d_1 = folded(base, first + 4u, q);
    x.a_1 = d_1.a;
    x.b_1 = d_1.b;
  }
  return x;
}

fn store_lines(matrix: u32, line: u32, block: u32, sums: Sums) {
  var own = sums;
  for (var j = 0u; j < 4u; j++) {
    if (line + j < p.lines) {
      let at = line_at(matrix, line + j) + PLACES / 4u * block;
      lines_out[at] = own.a_0[j];
      lines_out[at + b_after()] = own.b_0[j];
      @if(WIDE) {
        lines_out[at + 1u] = own.a_1[j];
        lines_out[at + b_after() + 1u] = own.b_1[j];
      }
    }
  }
}

// The frequencies of four lines; beyond the last, its own.
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
  let line = own.z * LINES;
  let steps_0 = four_lines(line);
  var angles_0 = vec4u(0u);
  var sums_0 = Sums();
  @if(WIDE) let steps_1 = four_lines(line + 4u);
  @if(WIDE) var angles_1 = vec4u(0u);
  @if(WIDE) var sums_1 = Sums();
  @if(WIDE) let steps_2 = four_lines(line + 8u);
  @if(WIDE) var angles_2 = vec4u(0u);
  @if(WIDE) var sums_2 = Sums();
  @if(WIDE) let steps_3 = four_lines(line + 12u);
  @if(WIDE) var angles_3 = vec4u(0u);
  @if(WIDE) var sums_3 = Sums();
  let base = (p.first + own.x) * p.matrix;
  for (var q = 0u; 2u * q <= p.short; q++) {
    let x = folded_places(base, PLACES * own.y, q);
    sums_0 = more(sums_0, waves(p.short_turns, angles_0), x);
    angles_0 = after4(angles_0, steps_0, p.short);
    @if(WIDE) {
      sums_1 = more(sums_1, waves(p.short_turns, angles_1), x);
      angles_1 = after4(angles_1, steps_1, p.short);
      sums_2 = more(sums_2, waves(p.short_turns, angles_2), x);
      angles_2 = after4(angles_2, steps_2, p.short);
      sums_3 = more(sums_3, waves(p.short_turns, angles_3), x);
      angles_3 = after4(angles_3, steps_3, p.short);
    }
  }
  store_lines(own.x, line, own.y, sums_0);
  @if(WIDE) {
    store_lines(own.x, line + 4u, own.y, sums_1);
    store_lines(own.x, line + 8u, own.y, sums_2);
    store_lines(own.x, line + 12u, own.y, sums_3);
  }
}

override EACH: u32 = 4u / SHARES;
// Of a thread, the sums of these, with those of four matrices each.
var<workgroup> sums: array<mat4x4f, WG>;

// One of a group's numbers, and of its last one again where there are fewer: its word, as in the tables.
fn word_of(list: u32, first: u32, j: u32, count: u32) -> u32 {
  return tables[list + 2u * (first + min(j, max(count, 1u) - 1u)) + 1u];
}

// Waves of the longer side at four places, and the angle of the next four that a thread has.
struct Turning {
  f: u32,
  is_odd: bool,
  angle: u32,
  step: u32,
}

fn turning(word: u32, lane: u32) -> Turning {
  let f = word & 0xffffu;
  return Turning(f, word > 0xffffu, long_angle(f * 4u * lane), long_angle(f * 4u * LANES));
}

fn waves_of(t: Turning) -> Waves {
  let w = waves(p.long_turns, following(t.angle, t.f, p.long));
  return Waves(w.cos, select(-w.sin, w.sin, t.is_odd));
}

fn turned(t: Turning) -> Turning { return Turning(t.f, t.is_odd, after(t.angle, t.step, p.long), t.step); }

fn total(v: vec4f) -> f32 { return v.x + v.y + (v.z + v.w); }

// The lines of four matrices at four places: of A, of B.
struct Fours {
  a: mat4x4f,
  b: mat4x4f,
}

fn dotted(to: mat4x4f, w: Waves, x: Fours) -> mat4x4f {
  return mat4x4f(
    fma(w.sin, x.b[0], fma(w.cos, x.a[0], to[0])), fma(w.sin, x.b[1], fma(w.cos, x.a[1], to[1])),
    fma(w.sin, x.b[2], fma(w.cos, x.a[2], to[2])), fma(w.sin, x.b[3], fma(w.cos, x.a[3], to[3])),
  );
}

fn totals(m: mat4x4f) -> vec4f { return vec4f(total(m[0]), total(m[1]), total(m[2]), total(m[3])); }

@compute @workgroup_size(WG)
fn gather(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let wanted = (id.x + id.y * groups.x) * (WG / LANES) + local / LANES;
  let i = min(wanted, p.threads - 1u) / SHARES;
  let share = EACH * (wanted % SHARES);
  let lane = local % LANES;
  let four = quotient(i, p.by_lines);
  let list = 2u * p.lines + 1u;
  let group = list + 2u * p.n + 3u * (i - four * p.by_lines.x);
  let numbers = tables[group + 1u] - min(share, tables[group + 1u]);
  let first = tables[group] + select(0u, share, numbers > 0u);
  let count = min(4u, p.count - 4u * four);
  // Of a matrix beyond the last, the first one's numbers are read.
  let start = line_at(4u * four, tables[group + 2u]);
  let next = 2u * b_after();
  let second = start + select(0u, next, count > 1u);
  let third = start + select(0u, 2u * next, count > 2u);
  let fourth = start + select(0u, 3u * next, count > 3u);
  var t_0 = turning(word_of(list, first, 0u, numbers), lane);
  var t_1 = turning(word_of(list, first, 1u, numbers), lane);
  @if(WIDE) var t_2 = turning(word_of(list, first, 2u, numbers), lane);
  @if(WIDE) var t_3 = turning(word_of(list, first, 3u, numbers), lane);
  // A row for each matrix.
  var sum_0 = mat4x4f();
  var sum_1 = mat4x4f();
  @if(WIDE) var sum_2 = mat4x4f();
  @if(WIDE) var sum_3 = mat4x4f();
  for (var q = lane; q < p.quads; q += LANES) {
    let b = q + b_after();
    let x = Fours(
      mat4x4f(lines_in[start + q], lines_in[second + q], lines_in[third + q], lines_in[fourth + q]),
      mat4x4f(lines_in[start + b], lines_in[second + b], lines_in[third + b], lines_in[fourth + b]),
    );
    sum_0 = dotted(sum_0, waves_of(t_0), x);
    sum_1 = dotted(sum_1, waves_of(t_1), x);
    t_0 = turned(t_0);
    t_1 = turned(t_1);
    @if(WIDE) {
      sum_2 = dotted(sum_2, waves_of(t_2), x);
      sum_3 = dotted(sum_3, waves_of(t_3), x);
      t_2 = turned(t_2);
      t_3 = turned(t_3);
    }
  }
  @if(WIDE) { sums[local] = mat4x4f(totals(sum_0), totals(sum_1), totals(sum_2), totals(sum_3)); }
  @else { sums[local] = mat4x4f(totals(sum_0), totals(sum_1), vec4f(0.0), vec4f(0.0)); }
  workgroupBarrier(); // the sums of all threads are there
  // Each thread finishes two of the group's sixteen, or one of eight.
  for (var own = lane; own < 4u * EACH; own += LANES) {
    let k = own / 4u;
    let matrix = own % 4u;
    if (k < numbers && matrix < count && wanted < p.threads) {
      var all = sums[local - lane][k][matrix];
      for (var other = 1u; other < LANES; other++) { all += sums[local - lane + other][k][matrix]; }
      spectra_out[(p.first + 4u * four + matrix) * p.n + tables[list + 2u * (first + k)]] = p.scale * all;
    }
  }
}
