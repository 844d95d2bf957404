// What happens to an element of a product before it is stored, in this order, each step under its condition:
//   raw = v; v *= scale[column]; v += bias[column]; v *= gain[column]; v += addend[at]; pre = v; v = activate(v); v *= slope(at); c = v.
// conditions: VEC_C RAW SCALE BIAS GAIN KEEP_PRE ACTIVATE SLOPE ADD
import package::lib::activation::{activate, activate_slope};

@if(VEC_C) alias element = vec4f;
@else alias element = f32;
@group(0) @binding(3) var<storage, read_write> c: array<element>;
@if(SCALE) @group(0) @binding(4) var<storage, read> scale: array<element>;
@if(SLOPE) @group(0) @binding(4) var<storage, read> slope_at: array<element>;
@if(BIAS) @group(0) @binding(5) var<storage, read> bias: array<element>;
@if(KEEP_PRE) @group(0) @binding(6) var<storage, read_write> pre: array<element>;
@if(GAIN) @group(0) @binding(6) var<storage, read> gain: array<element>;
@if(RAW) @group(0) @binding(7) var<storage, read_write> raw: array<element>;
@if(ADD) @group(0) @binding(8) var<storage, read> addend: array<element>;

override ACTIVATION: u32 = 0u; // of the activation, or of the one whose slope is taken

fn bend(v: element) -> element {
  @if(VEC_C) { return vec4f(activate(ACTIVATION, v.x), activate(ACTIVATION, v.y), activate(ACTIVATION, v.z), activate(ACTIVATION, v.w)); }
  @else { return activate(ACTIVATION, v); }
}

fn slope_of(v: element) -> element {
  @if(VEC_C) {
    return vec4f(
      activate_slope(ACTIVATION, v.x), activate_slope(ACTIVATION, v.y),
      activate_slope(ACTIVATION, v.z), activate_slope(ACTIVATION, v.w),
    );
  }
  @else { return activate_slope(ACTIVATION, v); }
}

// Stores element `at` of the result, which stands in `column`; both counted in elements of the alias.
fn store_element(product: element, at: u32, column: u32) {
  var v = product;
  @if(RAW) raw[at] = v;
  @if(SCALE) v *= scale[column];
  @if(BIAS) v += bias[column];
  @if(GAIN) v *= gain[column];
  @if(ADD) v += addend[at];
  @if(KEEP_PRE) pre[at] = v;
  @if(ACTIVATE) v = bend(v);
  @if(SLOPE) v *= slope_of(slope_at[at]);
  c[at] = v;
}
