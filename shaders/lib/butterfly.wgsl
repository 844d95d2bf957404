// Index arithmetic of butterfly factors. Factor i joins half-blocks that lie `width` = 2^i half-blocks apart (width 1: plain blocks):
// block c of superblock s = c / width takes its first half from half-block c % width of s, its second from `width` half-blocks later.

// Position in the row of element e of block c.
fn position(c: u32, e: u32, b: u32, width: u32) -> u32 {
  if (width == 1u) { return c * b + e; }
  let h = b / 2u;
  let upper = select(0u, width * h - h, e >= h);
  return (c / width) * b * width + (c % width) * h + e + upper;
}

// Block and element at a position of the row: the inverse of `position`.
fn locate(at: u32, b: u32, width: u32) -> vec2u {
  if (width == 1u) { return vec2u(at / b, at % b); }
  let h = b / 2u;
  let super_length = b * width;
  let within = at % super_length;
  let piece = within / h;
  return vec2u((at / super_length) * width + piece % width, (piece / width) * h + within % h);
}
