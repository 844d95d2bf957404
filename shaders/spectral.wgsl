// FourierFT by fast Fourier transforms. S has n numbers s_k at places (row_k, column_k) of [OUT, IN], and
//   delta[p, q] = scale sum_k s_k cos 2 pi (p row_k / OUT + q column_k / IN),   so  delta x = scale Re F_out* (S conj(F_in x)).
// `apply` takes rows of x through it. `backward` makes d_s_k = scale sum over the rows of Re(F_out dy [row_k] F_in x [column_k]) and
// dx = delta^T dy.
// A row of N real numbers lies in workgroup memory as N/2 complex ones (pairs of neighbours): the transform of the N comes from that of the
// N/2 (`separate`) and goes back into it (`join`). Passes of radix 4, 2, 3, 5 work in place, so frequencies come out in the order of reversed
// digits, which `tables` has. Sums over k stand in lists by row and by column, below N/2 by symmetry: conj X[N - c] = X[c] for real rows.
// One workgroup takes a range of `take` rows, ROWS at a time (1, 4 or 8). The spectra of these lie in `kept`, N/2 + 1
// frequencies of each side, the ROWS of a frequency side by side: four rows share what is looked up.
// Sides: 0 is out, 1 is in. x [rows, IN], dy, y [rows, OUT]; spectrum [stride]; tables and turns: src/ops/spectral.ts.

import package::lib::index::{flat, quotient};

struct Pass {
  each: vec4u, // butterflies of a row, as a divisor; the radix
  apart: vec4u, // numbers from one of a butterfly to the next, as a divisor; the step of its angle
}

struct Params {
  rows: u32,
  ranges: u32, // the workgroups that they are cut into
  take: u32, // rows of a range
  n: u32,
  half: vec2u, // OUT / 2, IN / 2
  stages: vec2u,
  halves: array<vec4u, 2>, // the halves as divisors
  passes: array<Pass, 16>, // at most 8 of out, then of in
  wanted: u32, // 1: dx as well
  scale: f32,
  stride: u32, // numbers that a spectrum takes, n or more; those behind mean nothing
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x_in: array<f32>;
@group(0) @binding(2) var<storage, read> spectrum: array<f32>;
@group(0) @binding(3) var<storage, read> tables: array<u32>;
@group(0) @binding(4) var<storage, read> turns: array<vec2f>; // (cos, sin) of the whole angles of OUT parts, then of IN parts
@group(0) @binding(5) var<storage, read_write> result: array<f32>;
@group(0) @binding(6) var<storage, read_write> kept: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> parts: array<f32>;
@group(0) @binding(8) var<storage, read> dy_in: array<f32>;

override WG: u32 = 64u;
override ROWS: u32 = 1u;
override SIZE: u32 = 64u; // ROWS times the longer half

var<workgroup> data: array<vec2f, SIZE>;

fn conj(a: vec2f) -> vec2f { return vec2f(a.x, -a.y); }

// a times i, or -i.
fn quarter(a: vec2f, sign: f32) -> vec2f { return sign * vec2f(-a.y, a.x); }

// a times e^(sign i angle).
fn turned(a: vec2f, angle: u32, sign: f32) -> vec2f {
  let t = turns[angle];
  let s = sign * t.y;
  return vec2f(a.x * t.x - a.y * s, a.x * s + a.y * t.x);
}

fn turns_at(side: u32) -> u32 { return side * 2u * p.half.x; }

// Where frequency f of a side lies after the passes.
fn place(side: u32, f: u32) -> u32 { return tables[side * p.half.x + f]; }

// Of a workgroup, where the spectra of a side begin.
fn kept_at(group: u32, side: u32) -> u32 {
  return ROWS * (group * (p.half.x + p.half.y + 2u) + side * (p.half.x + 1u));
}


// A butterfly of a pass: numbers at `at`, at + apart, ...; number u is turned by u `step`s after the sums, or backwards before them.
struct Place {
  at: u32,
  apart: u32,
  zero: u32, // where the angles of the side begin
  step: u32,
}

// Number u of a butterfly.
fn number(b: Place, u: u32, back: bool) -> vec2f {
  let a = data[b.at + u * b.apart];
  if (back) { return turned(a, b.zero + u * b.step, 1.0); }
  return a;
}

fn store(b: Place, u: u32, y: vec2f, back: bool) {
  if (back) { data[b.at + u * b.apart] = y; } else { data[b.at + u * b.apart] = turned(y, b.zero + u * b.step, -1.0); }
}

fn butterfly2(b: Place, back: bool) {
  let a0 = data[b.at];
  let a1 = number(b, 1u, back);
  data[b.at] = a0 + a1;
  store(b, 1u, a0 - a1, back);
}

fn butterfly3(b: Place, back: bool) {
  let sign = select(-1.0, 1.0, back);
  let a0 = data[b.at];
  let a1 = number(b, 1u, back);
  let a2 = number(b, 2u, back);
  let sum = a1 + a2;
  let middle = a0 - 0.5 * sum;
  let across = 0.8660254 * quarter(a1 - a2, sign);
  data[b.at] = a0 + sum;
  store(b, 1u, middle + across, back);
  store(b, 2u, middle - across, back);
}

fn butterfly4(b: Place, back: bool) {
  let sign = select(-1.0, 1.0, back);
  let a0 = data[b.at];
  let a1 = number(b, 1u, back);
  let a2 = number(b, 2u, back);
  let a3 = number(b, 3u, back);
  let even = a0 + a2;
  let odd = a1 + a3;
  let middle = a0 - a2;
  let across = quarter(a1 - a3, sign);
  data[b.at] = even + odd;
  store(b, 1u, middle + across, back);
  store(b, 2u, even - odd, back);
  store(b, 3u, middle - across, back);
}

fn butterfly5(b: Place, back: bool) {
  let sign = select(-1.0, 1.0, back);
  let a0 = data[b.at];
  let a1 = number(b, 1u, back);
  let a2 = number(b, 2u, back);
  let a3 = number(b, 3u, back);
  let a4 = number(b, 4u, back);
  let outer = a1 + a4;
  let inner = a2 + a3;
  let first = a0 + 0.30901699 * outer - 0.80901699 * inner;
  let second = a0 - 0.80901699 * outer + 0.30901699 * inner;
  let across1 = quarter(0.95105652 * (a1 - a4) + 0.58778525 * (a2 - a3), sign);
  let across2 = quarter(0.58778525 * (a1 - a4) - 0.95105652 * (a2 - a3), sign);
  data[b.at] = a0 + outer + inner;
  store(b, 1u, first + across1, back);
  store(b, 2u, second + across2, back);
  store(b, 3u, second - across2, back);
  store(b, 4u, first - across1, back);
}

// In which row number i of all rows lies, each of which has by.x. Where a workgroup has one there is nothing to divide.
fn row_of(i: u32, by: vec4u) -> u32 {
  if (ROWS == 1u) { return 0u; }
  return quotient(i, by);
}

// Where butterfly i of all rows stands.
fn place_of(i: u32, side: u32, pass_at: u32) -> Place {
  let each = p.passes[pass_at].each;
  let apart = p.passes[pass_at].apart;
  let row = row_of(i, each);
  let b = i - row * each.x;
  let group = quotient(b, apart);
  let j = b - group * apart.x;
  return Place(row * p.half[side] + group * each.w * apart.x + j, apart.x, turns_at(side), apart.w * j);
}

// The transform of N/2 numbers of every row: in their order to reversed digits with e^(-i angle), or back with e^(i angle). A loop for each
// radix: a processor that runs threads as one vector goes through all that a condition inside a loop leaves out.
fn transform(side: u32, back: bool, lane: u32) {
  let stages = p.stages[side];
  for (var s = 0u; s < stages; s++) {
    let pass_at = 8u * side + select(s, stages - 1u - s, back);
    let radix = p.passes[pass_at].each.w;
    let count = ROWS * p.passes[pass_at].each.x;
    if (radix == 4u) {
      for (var i = lane; i < count; i += WG) { butterfly4(place_of(i, side, pass_at), back); }
    } else if (radix == 3u) {
      for (var i = lane; i < count; i += WG) { butterfly3(place_of(i, side, pass_at), back); }
    } else if (radix == 2u) {
      for (var i = lane; i < count; i += WG) { butterfly2(place_of(i, side, pass_at), back); }
    } else {
      for (var i = lane; i < count; i += WG) { butterfly5(place_of(i, side, pass_at), back); }
    }
    workgroupBarrier(); // the pass is written
  }
}

// From the transform of N/2 complex numbers to frequencies 0 to N/2 of the N real ones, into `kept`.
fn separate(group: u32, side: u32, lane: u32) {
  let h = p.half[side];
  let to = kept_at(group, side);
  for (var i = lane; i < ROWS * (h / 2u + 1u); i += WG) {
    let row = i % ROWS;
    let f = i / ROWS;
    let a = data[row * h + place(side, f)];
    let b = conj(data[row * h + place(side, select(h - f, 0u, f == 0u))]);
    let even = 0.5 * (a + b);
    let odd = turned(0.5 * quarter(a - b, -1.0), turns_at(side) + f, -1.0);
    kept[to + f * ROWS + row] = even + odd;
    kept[to + (h - f) * ROWS + row] = conj(even - odd);
  }
}

// What the places of S on line f of side `to` add up to, times their numbers: of four rows, (real, imaginary) parts.
fn gathered4(to: u32, f: u32, from_rows: u32) -> array<vec4f, 2> {
  let list = list_at(to);
  var re = vec4f(0.0);
  var im = vec4f(0.0);
  for (var i = tables[list + f]; i < tables[list + f + 1u]; i++) {
    let entry = list + p.half[to] + 2u + 2u * i;
    let other = tables[entry + 1u];
    let at = from_rows + (other & 0xffffu) * ROWS;
    let s = spectrum[tables[entry]];
    let signed = select(-s, s, other > 0xffffu);
    let a = kept[at];
    let b = kept[at + 1u];
    let c = kept[at + 2u];
    let d = kept[at + 3u];
    re += s * vec4f(a.x, b.x, c.x, d.x);
    im += signed * vec4f(a.y, b.y, c.y, d.y);
  }
  // These two frequencies are real.
  if (f == 0u || f == p.half[to]) { return array(2.0 * re, vec4f(0.0)); }
  return array(re, im);
}

// The same of one row.
fn gathered(to: u32, f: u32, from_rows: u32) -> vec2f {
  let list = list_at(to);
  var re = 0.0;
  var im = 0.0;
  for (var i = tables[list + f]; i < tables[list + f + 1u]; i++) {
    let entry = list + p.half[to] + 2u + 2u * i;
    let other = tables[entry + 1u];
    let value = kept[from_rows + (other & 0xffffu)];
    let s = spectrum[tables[entry]];
    re += s * value.x;
    im += select(-s, s, other > 0xffffu) * value.y;
  }
  return select(vec2f(re, im), vec2f(2.0 * re, 0.0), f == 0u || f == p.half[to]);
}

fn list_at(to: u32) -> u32 { return p.half.x + p.half.y + p.n + to * (p.half.x + 2u + 2u * p.n); }

// Frequencies f and N/2 - f of a row, ready to be transformed back.
fn join_pair(to: u32, row: u32, f: u32, a: vec2f, b: vec2f) {
  let h = p.half[to];
  let even = a + conj(b);
  let odd = quarter(turned(a - conj(b), turns_at(to) + f, 1.0), 1.0);
  data[row * h + place(to, f)] = even + odd;
  if (f > 0u && 2u * f != h) { data[row * h + place(to, h - f)] = conj(even - odd); }
}

// The sums of every frequency of side `to`, from the spectra of the other side.
fn join(group: u32, to: u32, lane: u32) {
  let h = p.half[to];
  let from_rows = kept_at(group, 1u - to);
  if (ROWS >= 4u) {
    let fours = max(ROWS / 4u, 1u); // ROWS of 1 pass the compiler as well
    for (var i = lane; i < fours * (h / 2u + 1u); i += WG) {
      let row = i % fours * 4u;
      let f = i / fours;
      let a = gathered4(to, f, from_rows + row);
      let b = gathered4(to, h - f, from_rows + row);
      join_pair(to, row, f, vec2f(a[0].x, a[1].x), vec2f(b[0].x, b[1].x));
      join_pair(to, row + 1u, f, vec2f(a[0].y, a[1].y), vec2f(b[0].y, b[1].y));
      join_pair(to, row + 2u, f, vec2f(a[0].z, a[1].z), vec2f(b[0].z, b[1].z));
      join_pair(to, row + 3u, f, vec2f(a[0].w, a[1].w), vec2f(b[0].w, b[1].w));
    }
  } else {
    for (var f = lane; f < h / 2u + 1u; f += WG) {
      join_pair(to, 0u, f, gathered(to, f, from_rows), gathered(to, h - f, from_rows));
    }
  }
}

fn write_rows(to: u32, first: u32, end: u32, lane: u32) {
  let h = p.half[to];
  for (var i = lane; i < ROWS * h; i += WG) {
    let own = row_of(i, p.halves[to]);
    let row = first + own;
    if (row < end) {
      let at = 2u * (row * h + i - own * h);
      let y = 0.5 * p.scale * data[i];
      result[at] = y.x;
      result[at + 1u] = y.y;
    }
  }
}

@compute @workgroup_size(WG)
fn apply(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let group = id.x + id.y * groups.x;
  if (group >= p.ranges) { return; }
  let start = group * p.take;
  let end = min(start + p.take, p.rows);
  let h = p.half.y;
  for (var first = start; first < end; first += ROWS) {
    for (var i = lane; i < ROWS * h; i += WG) {
      let own = row_of(i, p.halves[1]);
      let row = first + own;
      data[i] = vec2f(0.0);
      if (row < end) {
        let at = 2u * (row * h + i - own * h);
        data[i] = vec2f(x_in[at], x_in[at + 1u]);
      }
    }
    workgroupBarrier(); // the rows are read
    transform(1u, false, lane);
    separate(group, 1u, lane);
    storageBarrier();
    workgroupBarrier(); // the spectra are kept
    join(group, 0u, lane);
    workgroupBarrier(); // the sums are written
    transform(0u, true, lane);
    write_rows(0u, first, end, lane);
    workgroupBarrier(); // the rows are written before the next are read
  }
}

// parts [ranges, stride].
@compute @workgroup_size(WG)
fn backward(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let group = id.x + id.y * groups.x;
  if (group >= p.ranges) { return; }
  let start = group * p.take;
  let end = min(start + p.take, p.rows);
  let parts_at = group * p.stride;
  for (var k = lane; k < p.stride; k += WG) { parts[parts_at + k] = 0.0; }
  for (var first = start; first < end; first += ROWS) {
    for (var side = 0u; side < 2u; side++) {
      let h = p.half[side];
      for (var i = lane; i < ROWS * h; i += WG) {
        let own = row_of(i, p.halves[side]);
        let row = first + own;
        data[i] = vec2f(0.0);
        if (row < end) {
          let at = 2u * (row * h + i - own * h);
          if (side == 0u) { data[i] = vec2f(dy_in[at], dy_in[at + 1u]); } else { data[i] = vec2f(x_in[at], x_in[at + 1u]); }
        }
      }
      workgroupBarrier(); // the rows are read
      transform(side, false, lane);
      separate(group, side, lane);
      storageBarrier();
      workgroupBarrier(); // the spectra are kept
    }
    for (var k = lane; k < p.n; k += WG) {
      let word = tables[p.half.x + p.half.y + k];
      let sign = select(-1.0, 1.0, word >= 0x1000000u);
      let y_at = kept_at(group, 0u) + (word & 0xfffu) * ROWS;
      let x_at = kept_at(group, 1u) + ((word >> 12u) & 0xfffu) * ROWS;
      var sum = parts[parts_at + k];
      for (var row = 0u; row < min(ROWS, end - first); row++) {
        let y = kept[y_at + row];
        let x = kept[x_at + row];
        sum += p.scale * (y.x * x.x + sign * y.y * x.y);
      }
      parts[parts_at + k] = sum;
    }
    if (p.wanted == 1u) {
      join(group, 1u, lane);
      workgroupBarrier(); // the sums are written
      transform(1u, true, lane);
      write_rows(1u, first, end, lane);
    }
    storageBarrier();
    workgroupBarrier(); // all is read before the next rows take its place
  }
}

@group(0) @binding(1) var<storage, read> sums_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

// The sum of the ranges, in their order.
@compute @workgroup_size(WG)
fn finish(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = flat(gid, groups, WG);
  if (at >= p.stride) { return; }
  var sum = sums_in[at];
  for (var r = 1u; r < p.ranges; r++) { sum += sums_in[at + r * p.stride]; }
  sums[at] = sum;
}
