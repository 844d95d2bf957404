// out = a X + b Y of n blocks of SIDE x SIDE numbers that lie one after the other, or, by conditions, a X + b Y^T or a X + b Y + I.
// What stands between the products of a Cayley series of large blocks (ops/cayleySeries.ts). One thread for WIDTH numbers of a row.
// conditions: TURNED WITH_UNIT QUADS
import package::lib::index::flat;

struct Params {
  threads: u32,
  a: f32,
  b: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@if(QUADS) @group(0) @binding(1) var<storage, read> x: array<vec4f>;
@if(QUADS) @group(0) @binding(2) var<storage, read> y: array<vec4f>;
@if(QUADS) @group(0) @binding(3) var<storage, read_write> mixed: array<vec4f>;
@if(!QUADS) @group(0) @binding(1) var<storage, read> x: array<f32>;
@if(!QUADS) @group(0) @binding(2) var<storage, read> y: array<f32>;
@if(!QUADS) @group(0) @binding(3) var<storage, read_write> mixed: array<f32>;

override WG: u32 = 64u;
override SIDE: u32 = 4u;

@if(QUADS) const WIDTH = 4u;
@if(!QUADS) const WIDTH = 1u;

@compute @workgroup_size(WG)
fn mix_blocks(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = flat(id, groups, WG);
  if (at >= p.threads) { return; }
  let across = SIDE / WIDTH; // threads of a row
  let i = (at / across) % SIDE;
  let j = WIDTH * (at % across);
  let base = at / (across * SIDE) * (across * SIDE); // of the block, in vectors
  @if(QUADS) {
    var other = y[at];
    @if(TURNED) {
      // Numbers j to j + 3 of column i.
      let top = base + j * across + i / 4u;
      other = vec4f(y[top][i % 4u], y[top + across][i % 4u], y[top + 2u * across][i % 4u], y[top + 3u * across][i % 4u]);
    }
    var sum = p.a * x[at] + p.b * other;
    @if(WITH_UNIT) { sum += select(vec4f(), vec4f(1.0), vec4u(j, j + 1u, j + 2u, j + 3u) == vec4u(i)); }
    mixed[at] = sum;
  }
  @if(!QUADS) {
    var other = y[at];
    @if(TURNED) { other = y[base + j * SIDE + i]; }
    var sum = p.a * x[at] + p.b * other;
    @if(WITH_UNIT) { sum += select(0.0, 1.0, i == j); }
    mixed[at] = sum;
  }
}
