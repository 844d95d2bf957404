/** The permutation of BOFT's butterfly factors. */

/**
 * Permutation of factor `index`: element k of the input goes to place `perm[k]`, blocks act on consecutive places, and the result is
 * gathered back. Within superblocks of b*2^index elements the even half-blocks come first, then the odd ones; factor 0 is the identity.
 */
export function butterflyPermutation(dimension: number, block: number, index: number): Uint32Array {
  const perm = new Uint32Array(dimension);
  if (index === 0) return perm.map((_, k) => k);
  const half = block / 2;
  const superblock = block * 2 ** index;
  const halves = superblock / half;
  let k = 0;
  for (let start = 0; start < dimension; start += superblock) {
    for (const parity of [0, 1]) {
      for (let j = parity; j < halves; j += 2) {
        for (let e = 0; e < half; e++) perm[k++] = start + j * half + e;
      }
    }
  }
  return perm;
}
