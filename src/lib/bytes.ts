/** Bytes as they come from outside. */

/**
 * The same memory as a plain Uint8Array. Node's Buffer is one too, but its `slice` gives a view: what a reader of files means as a
 * copy would be the caller's own bytes. Every door that takes bytes passes them through here.
 */
export const plainBytes = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  (bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)) as Uint8Array<ArrayBuffer>;
