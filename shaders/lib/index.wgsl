// Indices of kernels with one thread per element, laid out over x and y (src/ops/dispatch.ts, `spread`).

fn flat(gid: vec3u, groups: vec3u, width: u32) -> u32 {
  return gid.x + gid.y * groups.x * width;
}
