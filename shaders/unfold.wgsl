// unfold: x [B, C, H, W] → patches [B, L, C*kh*kw], L = out_h*out_w windows in reading order, zero outside the picture.
// fold, its adjoint: every pixel sums the patch elements that hold it, in the order of its place in the window.
import package::lib::index::{flat, quotient};

struct Params {
  count: u32,
  channels: u32,
  height: u32,
  width: u32,
  kernel_h: u32,
  kernel_w: u32,
  stride_h: u32,
  stride_w: u32,
  pad_top: u32,
  pad_left: u32,
  out_h: u32,
  out_w: u32,
  // Divisors: numbers in a row of a window, rows of one, channels, windows of a picture, in a row of it.
  in_row: vec4u,
  in_window: vec4u,
  in_patch: vec4u,
  in_picture: vec4u,
  in_line: vec4u,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn unfold(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count) { return; }
  let rows = quotient(i, p.in_row);
  let column = i - rows * p.kernel_w;
  let planes = quotient(rows, p.in_window);
  let row = rows - planes * p.kernel_h;
  let patch_index = quotient(planes, p.in_patch);
  let channel = planes - patch_index * p.channels;
  let batch = quotient(patch_index, p.in_picture);
  let window = patch_index - batch * p.in_picture.x;
  let line = quotient(window, p.in_line);
  // Outside on the left or top wraps to a large number.
  let h = line * p.stride_h + row - p.pad_top;
  let w = (window - line * p.out_w) * p.stride_w + column - p.pad_left;
  var v = 0.0;
  if (h < p.height && w < p.width) { v = x[((batch * p.channels + channel) * p.height + h) * p.width + w]; }
  y[i] = v;
}

@compute @workgroup_size(WG)
fn fold(@builtin(global_invocation_id) gid: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat(gid, groups, WG);
  if (i >= p.count) { return; }
  let w = i % p.width;
  let h = (i / p.width) % p.height;
  let channel = (i / (p.width * p.height)) % p.channels;
  let batch = i / (p.width * p.height * p.channels);
  var sum = 0.0;
  for (var row = 0u; row < p.kernel_h; row++) {
    let from_h = h + p.pad_top - row;
    if (h + p.pad_top < row || from_h % p.stride_h != 0u || from_h / p.stride_h >= p.out_h) { continue; }
    for (var column = 0u; column < p.kernel_w; column++) {
      let from_w = w + p.pad_left - column;
      if (w + p.pad_left < column || from_w % p.stride_w != 0u || from_w / p.stride_w >= p.out_w) { continue; }
      let window = (from_h / p.stride_h) * p.out_w + from_w / p.stride_w;
      let patch_index = batch * p.out_h * p.out_w + window;
      sum += x[((patch_index * p.channels + channel) * p.kernel_h + row) * p.kernel_w + column];
    }
  }
  y[i] = sum;
}
