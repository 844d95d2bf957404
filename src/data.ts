/** `papilio/data`: pictures, tokens, column mappings and zips, for who shows or writes data. Datasets are opened by `papilio` itself. */
export { checkMapping } from './data/files/columns.ts';
export { decodePicture } from './data/files/decodePicture.ts';
export { promptIds, stopIds } from './data/instructions.ts';
export { frame } from './data/rows.ts';
export type { Tokenizer } from './data/tokenizer.ts';
export type { Dataset } from './data/types.ts';
export { isZip } from './lib/zip.ts';
