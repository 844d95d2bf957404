/**
 * Text from elsewhere as it may be shown: what would steer a terminal, or turn the direction of what stands beside it, is written out. The form is
 * JSON's, so that JSON stays what it was.
 */

/** Escapes and other controls but for tabs and line breaks; separators of lines; marks, embeddings, overrides and isolates of direction. */
const STEERS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export const visible = (text: string): string =>
  text.replace(STEERS, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
