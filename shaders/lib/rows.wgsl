// Sums and maxima over a row by 64 lanes: lane l has the row's numbers l, l + 64, ..., puts what they make into `lanes`, and a tree folds those.
// A workgroup has a row, each thread a lane, and all of them must fold. With ALONE, for adapters on a processor, where threads of a workgroup
// that wait for each other are dear, a thread has a row and goes through its lanes. Both fold in the same order.
// conditions: ALONE

const LANES = 64u;
override WG: u32 = 64u; // threads of a workgroup

@if(ALONE) var<private> lanes: array<f32, LANES>;
@else var<workgroup> lanes: array<f32, LANES>;

// The row of a workgroup, or of a thread.
fn row_of(group: vec3u, groups: vec3u, lane: u32) -> u32 {
  let workgroup = group.x + group.y * groups.x;
  @if(ALONE) { return workgroup * WG + lane; }
  @else { return workgroup; }
}

// Where a thread begins in a row that it stores, and how far it is to its next number.
fn first_column(lane: u32) -> u32 {
  @if(ALONE) { return 0u; }
  @else { return lane; }
}
@if(ALONE) const STEP = 1u;
@else const STEP = LANES;

fn sum_of_lanes(lane: u32) -> f32 {
  @if(ALONE) {
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      for (var l = 0u; l < half; l++) { lanes[l] += lanes[l + half]; }
    }
    return lanes[0];
  }
  @else {
    workgroupBarrier(); // every lane's share is there
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      if (lane < half) { lanes[lane] += lanes[lane + half]; }
      workgroupBarrier(); // this level of the tree is done
    }
    let sum = lanes[0];
    workgroupBarrier(); // everyone has read the result before the lanes are used again
    return sum;
  }
}

fn largest_of_lanes(lane: u32) -> f32 {
  @if(ALONE) {
    for (var l = 1u; l < LANES; l++) { lanes[0] = max(lanes[0], lanes[l]); }
    return lanes[0];
  }
  @else {
    workgroupBarrier(); // every lane's share is there
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
      if (lane < half) { lanes[lane] = max(lanes[lane], lanes[lane + half]); }
      workgroupBarrier(); // this level of the tree is done
    }
    let largest = lanes[0];
    workgroupBarrier(); // everyone has read the result before the lanes are used again
    return largest;
  }
}
