// Square blocks of B = 2, 4 or 8 numbers a side, in quarters, and the row vectors that they turn, in halves:
//   (u v) R = (u v) [ uu uv ; vu vv ]  =  (u uu + v vu, u uv + v vv).
// A WGSL matrix is made of columns: column e of a quarter holds its row e, so that u Q is `Q * u` and g Qᵀ is `g * Q`.
// conditions: B2 B8

@if(B2) alias Half = f32;
@elif(B8) alias Half = vec4f;
@else alias Half = vec2f;
@if(B2) alias Quarter = f32;
@elif(B8) alias Quarter = mat4x4f;
@else alias Quarter = mat2x2f;

struct Row {
  u: Half,
  v: Half,
}

struct Block {
  uu: Quarter,
  uv: Quarter,
  vu: Quarter,
  vv: Quarter,
}

// A block's rows lie one after the other, so many vec4f in all.
@if(B2) const WORDS = 1u;
@elif(B8) const WORDS = 16u;
@else const WORDS = 4u;

// x R.
fn turn(R: Block, x: Row) -> Row {
  return Row(R.uu * x.u + R.vu * x.v, R.uv * x.u + R.vv * x.v);
}

// g Rᵀ.
fn turn_back(R: Block, g: Row) -> Row {
  return Row(g.u * R.uu + g.v * R.uv, g.u * R.vu + g.v * R.vv);
}

// uᵀ g.
fn outer(u: Half, g: Half) -> Quarter {
  @if(B2) { return u * g; }
  @elif(B8) { return mat4x4f(u.x * g, u.y * g, u.z * g, u.w * g); }
  @else { return mat2x2f(u.x * g, u.y * g); }
}

// sum + xᵀ g.
fn add_outer(sum: Block, x: Row, g: Row) -> Block {
  return Block(sum.uu + outer(x.u, g.u), sum.uv + outer(x.u, g.v), sum.vu + outer(x.v, g.u), sum.vv + outer(x.v, g.v));
}

fn identity() -> Block {
  @if(B2) { return Block(1.0, 0.0, 0.0, 1.0); }
  @else {
    @if(B8) const one = mat4x4f(vec4f(1, 0, 0, 0), vec4f(0, 1, 0, 0), vec4f(0, 0, 1, 0), vec4f(0, 0, 0, 1));
    @else const one = mat2x2f(1, 0, 0, 1);
    return Block(one, Quarter(), Quarter(), one);
  }
}
