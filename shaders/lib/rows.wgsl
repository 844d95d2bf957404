// Folds over the lanes of a workgroup that shares a row. Every lane must call them, and all get the result.

override WG: u32 = 64u;
var<workgroup> lanes: array<f32, WG>;

fn row_sum(value: f32, lane: u32) -> f32 {
  lanes[lane] = value;
  workgroupBarrier(); // every lane's share is there
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { lanes[lane] += lanes[lane + half]; }
    workgroupBarrier(); // this level of the tree is done
  }
  let sum = lanes[0];
  workgroupBarrier(); // everyone has read the result before the lanes are used again
  return sum;
}

fn row_max(value: f32, lane: u32) -> f32 {
  lanes[lane] = value;
  workgroupBarrier(); // every lane's share is there
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { lanes[lane] = max(lanes[lane], lanes[lane + half]); }
    workgroupBarrier(); // this level of the tree is done
  }
  let largest = lanes[0];
  workgroupBarrier(); // everyone has read the result before the lanes are used again
  return largest;
}
