// Finishes many sums at once: for each sum of the table, y[to + i] = partials[from + i] + partials[from + count + i] + ..., in order.
// y is the packed gradient of a step, partials hold what the kernels of the step left of it. A workgroup takes 256 numbers of one sum. A thread has
// eight reads under way at a time, since few threads may have many parts each.

struct Params {
  sums: u32,
  groups: u32, // workgroups in all
}

struct Sum {
  group: u32, // the first workgroup that works at it
  start: u32, // its partial sums [parts, count]
  parts: u32,
  count: u32,
  to: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> sums: array<Sum>;
@group(0) @binding(2) var<storage, read> partials: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn add_parts(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let group = id.x + id.y * groups.x;
  if (group >= p.groups) { return; }
  // The last sum that begins at this workgroup or before.
  var low = 0u;
  var high = p.sums;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (sums[middle].group <= group) { low = middle; } else { high = middle; }
  }
  let sum = sums[low];
  let i = (group - sum.group) * 256u + thread;
  if (i >= sum.count) { return; }
  let step = sum.count;
  let end = sum.start + sum.parts * step;
  var at = sum.start + i;
  var v = partials[at];
  at += step;
  for (; at + 7u * step < end; at += 8u * step) {
    let one = vec4f(partials[at], partials[at + step], partials[at + 2u * step], partials[at + 3u * step]);
    let next = at + 4u * step;
    let other = vec4f(partials[next], partials[next + step], partials[next + 2u * step], partials[next + 3u * step]);
    v = v + one.x + one.y + one.z + one.w + other.x + other.y + other.z + other.w;
  }
  for (; at < end; at += step) { v += partials[at]; }
  y[sum.to + i] = v;
}
