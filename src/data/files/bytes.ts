/** Files as they come from a disk, a drop or a zip: names and bytes, unpacked with a bound on what they may grow to; their text and its lines. */
import { Gunzip } from 'fflate';
import { createBudget, within } from '../../lib/budget.ts';
import { crc32, type InputFile } from '../../lib/bytes.ts';
import { fail, PapilioError } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { readZip } from '../../lib/zip.ts';

/** So much is given to the unpacker at once: the bound is seen before a thousand times as much is made. Large files go in larger pieces, which is quicker. */
const pieceOf = (bytes: number): number => Math.min(65536, Math.max(4096, Math.floor(bytes / 256)));

/** Unpacks .gz; each of its members is held against its checksum. */
export function gunzip(bytes: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const budget = createBudget('unpackedBytes', bytes.length);
  let total = 0;
  let ended = false;
  let crc = 0;
  const stream = new Gunzip((part, last) => {
    total += part.length;
    budget.take(part.length, name);
    parts.push(part);
    crc = crc32(part, crc);
    ended ||= last;
  });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const requireChecksum = (end: number): void => {
    if (end < 8 || view.getUint32(end - 8, true) !== crc)
      fail('bad-data', say`${name} is damaged: what is unpacked from it does not give its checksum.`);
    crc = 0;
  };
  stream.onmember = requireChecksum;
  try {
    const piece = pieceOf(bytes.length);
    for (let at = 0; at < bytes.length; at += piece)
      stream.push(bytes.subarray(at, at + piece), at + piece >= bytes.length);
  } catch (cause) {
    if (cause instanceof PapilioError) throw cause;
    fail('bad-data', say`${name} is not a complete gzip file (${(cause as Error).message}).`);
  }
  if (!ended) fail('bad-data', say`${name} is cut short: the gzip data ends too early.`);
  requireChecksum(bytes.length);
  const out = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Unpacks .zip; folders and the files that macOS adds are left out. */
export function unpackZip(bytes: Uint8Array, name: string): InputFile[] {
  const files = readZip(bytes, name, 'bad-data', (path) => !isHidden(path));
  return Array.from(files, ([path, data]) => ({ name: path, bytes: data }));
}

/** Files nobody means: `.DS_Store`, `__MACOSX/…`, `Thumbs.db`. */
export const isHidden = (path: string): boolean =>
  path.split('/').some((part) => part.startsWith('.') || part === '__MACOSX' || part === 'Thumbs.db');

export const extension = (path: string): string => /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? '';
export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

// Text from bytes: UTF-8, UTF-16 with or without its byte-order mark, and Windows-1252 (Latin-1) where the bytes look like it. What was not
// UTF-8 is said in a note; what is none of these is refused with its line.

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252';

/** Bytes that are looked at to guess an encoding. */
const SAMPLE = 32_768;
/** Western text in Latin-1 has letters beyond ASCII, but not many, and not in rows. */
const MOST_ACCENTS = 0.2;

/**
 * The text of a file.
 * @param notes hears of every encoding but UTF-8
 * @throws PapilioError 'bad-data' on empty files and bytes that are no text
 */
export function readText(bytes: Uint8Array, name: string, notes: string[] = []): string {
  if (bytes.length === 0) fail('bad-data', say`${name} is empty.`);
  within('textBytes', bytes.length, name);
  const encoding = markOf(bytes) ?? utf16Without(bytes) ?? 'utf-8';
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    text = encoding === 'utf-8' ? latin1(bytes, name, notes) : refuse(encoding, name);
  }
  // TextDecoder takes one mark of byte order away; programs that each add one leave more.
  text = text.replace(/^\ufeff+/, '');
  if (encoding !== 'utf-8') notes.push(say`${name} is ${encoding.toUpperCase()} and was read as such.`);
  if (text.includes('\u0000'))
    fail('bad-data', say`${name} is no text: some of its bytes are 0. Save it as UTF-8 text.`);
  if (text.trim() === '') fail('bad-data', say`${name} holds nothing but white space.`);
  return text;
}

const refuse = (encoding: string, name: string, line?: number): never =>
  fail(
    'bad-data',
    line === undefined
      ? say`${name} is not ${encoding.toUpperCase()} text; save it as UTF-8 and open it again.`
      : say`${name} is not ${encoding.toUpperCase()} text (line ${line} holds bytes that are none); save it as UTF-8 and open it again.`,
  );

function markOf(bytes: Uint8Array): Encoding | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : undefined;
}

/** UTF-16 of mostly Western text has a zero in every other byte. */
function utf16Without(bytes: Uint8Array): Encoding | undefined {
  const length = Math.min(bytes.length, SAMPLE) & ~1;
  if (length < 4 || bytes.length % 2 !== 0) return undefined;
  const zeros = [0, 0];
  for (let i = 0; i < length; i++) if (bytes[i] === 0) zeros[i & 1]!++;
  const [even = 0, odd = 0] = zeros;
  const most = length * 0.35;
  if (odd > most && even < length * 0.02) return 'utf-16le';
  return even > most && odd < length * 0.02 ? 'utf-16be' : undefined;
}

/** The text of bytes that are no UTF-8, if they look like Windows-1252. */
function latin1(bytes: Uint8Array, name: string, notes: string[]): string {
  const lenient = new TextDecoder('utf-8').decode(bytes);
  const at = lenient.indexOf('\ufffd');
  const line = lenient.slice(0, at).split('\n').length;
  let high = 0;
  let inRows = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte < 0x80) continue;
    high++;
    if ((bytes[i - 1] ?? 0) >= 0x80) inRows++;
  }
  let multibyte = 0;
  for (const character of lenient) if (character > '\u007f' && character !== '\ufffd') multibyte++;
  const isWestern =
    multibyte === 0 &&
    high <= bytes.length * MOST_ACCENTS &&
    inRows <= high * MOST_ACCENTS &&
    !bytes.some(
      (b) => (b < 0x20 && ![9, 10, 12, 13].includes(b)) || [0x81, 0x8d, 0x8f, 0x90, 0x9d].includes(b),
    );
  if (!isWestern) return refuse('utf-8', name, line);
  notes.push(
    say`${name} is not UTF-8 (line ${line}) and was read as Windows-1252 (Latin-1), ${high} accented letter(s); check them, or save it as UTF-8.`,
  );
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += SAMPLE)
    parts.push(
      String.fromCharCode(...bytes.subarray(at, at + SAMPLE)).replace(
        /[\u0080-\u009f]/g,
        (c) => WINDOWS_1252[c.charCodeAt(0) - 0x80]!,
      ),
    );
  return parts.join('');
}

/** Bytes 0x80 to 0x9f; the others are Latin-1. Node's own decoder of this name leaves them as control characters. */
const WINDOWS_1252 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

// What files are by the endings of their names.

/** Delimited text. */
export const DELIMITED: readonly string[] = ['csv', 'tsv', 'tab', 'psv', 'data'];
export const TABLES: readonly string[] = [...DELIMITED, 'jsonl', 'ndjson', 'json', 'parquet'];
/** Words and tags one per line. */
export const CONLL: readonly string[] = ['conll', 'conllu', 'bio', 'iob', 'iob2', 'bioes'];
/** Running text. */
export const TEXTS: readonly string[] = ['txt', 'text', 'md'];
export const PICTURES: readonly string[] = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'bmp'];

// Lines of a text, one after the other, so that no list of them is ever made.

/** Without their ends: \n, or \r\n and \r as well where `ends` is 'any'. */
export function* linesOf(text: string, ends: 'newline' | 'any' = 'newline'): Generator<string> {
  const { length } = text;
  /** Where `mark` stands next, looked for only when it has been passed. */
  const finder = (mark: string) => {
    let found = -1;
    return (at: number): number => {
      if (found < at) found = text.indexOf(mark, at);
      if (found < 0) found = length;
      return found;
    };
  };
  const newline = finder('\n');
  const carriage = ends === 'any' ? finder('\r') : () => length;
  for (let at = 0; at <= length; ) {
    const end = Math.min(newline(at), carriage(at));
    yield text.slice(at, end);
    at = end + (text[end] === '\r' && text[end + 1] === '\n' ? 2 : 1);
  }
}
