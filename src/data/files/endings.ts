/** What files are by the endings of their names. */

/** Delimited text. */
export const DELIMITED: readonly string[] = ['csv', 'tsv', 'tab', 'psv', 'data'];
export const TABLES: readonly string[] = [...DELIMITED, 'jsonl', 'ndjson', 'json', 'parquet'];
/** Words and tags one per line. */
export const CONLL: readonly string[] = ['conll', 'conllu', 'bio', 'iob', 'iob2', 'bioes'];
/** Running text. */
export const TEXTS: readonly string[] = ['txt', 'text', 'md'];
export const PICTURES: readonly string[] = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'bmp'];
