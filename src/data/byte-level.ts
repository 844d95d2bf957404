/**
 * GPT-2's byte-level alphabet and word splitting, as the published vocabularies have them: each of the 256 bytes is a
 * printable character, and merges never cross the pieces that the pattern cuts.
 */

/** `'s`, words with the space before them, numbers, runs of signs, white space. */
export const PIECES = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The character that stands for each byte: itself where it is printable Latin-1, else one from U+0100 on. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const printable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
})();

/** The byte of each of these characters. */
export const BYTE_OF: ReadonlyMap<string, number> = new Map(BYTE_CHARACTERS.map((c, byte) => [c, byte]));
