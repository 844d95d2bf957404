// Which of n numbers are kept: those that are not among the `drop` smallest. Equal numbers share their fate, so that more may go than
// asked. `choose` counts for every number how many are smaller; `zero` clears the entries whose number was dropped.
// mask [n]: 1 kept, 0 dropped; scores [n]; drop [1], negative: the mask stays; on [1], 0: nothing is cleared; norm2 [1], not finite:
// nothing happens. packed [N] holds `count` entries from `offset` on for the mask's entries from `first` on.

import package::lib::step::finite;

struct Params {
  count: u32,
  offset: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> changed: array<f32>; // the mask, or the packed buffer
@group(0) @binding(2) var<storage, read> source: array<f32>; // the scores, or the mask
@group(0) @binding(3) var<storage, read> control: array<f32>; // drop, or on
@group(0) @binding(4) var<storage, read> norm2: array<f32>;

override WG: u32 = 64u;

@compute @workgroup_size(WG)
fn choose(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * WG;
  if (i >= p.count) { return; }
  if (control[0] < 0.0 || !finite(norm2[0])) { return; }
  let own = source[i];
  var smaller = 0u;
  for (var j = 0u; j < p.count; j++) {
    if (source[j] < own) { smaller++; }
  }
  changed[i] = select(1.0, 0.0, f32(smaller) < control[0]);
}

@compute @workgroup_size(WG)
fn zero(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * WG;
  if (i >= p.count) { return; }
  if (control[0] == 0.0 || !finite(norm2[0])) { return; }
  if (source[p.first + i] == 0.0) { changed[p.offset + i] = 0.0; }
}
