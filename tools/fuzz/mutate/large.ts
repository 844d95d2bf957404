/** Inputs of which one element comes very many times: what is small in a file and large in memory. */
import type { Rng } from '../../../src/lib/rng.ts';
import { textOf, utf8 } from '../door.ts';
import { joined } from './bytes.ts';
import { type Tree, treeOf, writeTree } from './json.ts';

/** Bytes of what is made large: about 1 to 3 MB. */
export const largeSize = (random: Rng): number => Math.round(2 ** (20 + 1.5 * random.uniform()));

/** `piece` again and again, up to so many letters. */
export const many = (piece: string, letters: number): string =>
  piece.repeat(Math.max(1, Math.floor(letters / Math.max(1, piece.length))));

/** What stands for next to nothing in one format or another. */
const TINY = [
  ...[
    ',',
    ';',
    '\t',
    '|',
    '\n',
    ' ',
    '"',
    '""',
    ',\n',
    ',,\n',
    '"",',
    '"","\n',
    'a',
    'a\n',
    'a,b\n',
    'a\tb\n',
  ],
  ...[
    '"a",b\n',
    '\t\n',
    '1,2\n',
    '#\n',
    'a b\n',
    'a O\n',
    'a O\n\n',
    '{}',
    '{}\n',
    '[]\n',
    '0\n',
    '{"a":1}\n',
  ],
  ...[
    '[0]\n',
    '[0,1]\n',
    '{"text":"a","label":"b"}\n',
    '__label__a b\n',
    'A b:c d\n',
    'é',
    '😀',
    '\u2028',
    '<a>',
  ],
];

/** A text with a piece of its own, or one of the tiny ones, repeated somewhere. */
export function enlargeText(text: string, random: Rng, size = largeSize(random)): string {
  const lines = text.split('\n');
  const at = random.chance(0.3) ? 0 : lines.slice(0, random.int(lines.length + 1)).join('\n').length;
  const from = random.int(text.length + 1);
  const own = random.chance(0.5)
    ? `${random.pick(lines)}\n`
    : text.slice(from, from + 1 + random.int(random.chance(0.5) ? 3 : 40));
  const piece = many(random.chance(0.35) && own !== '' ? own : random.pick(TINY), size);
  if (random.chance(0.15)) return piece;
  return random.chance(0.6) ? `${text}\n${piece}` : text.slice(0, at) + piece + text.slice(at);
}

const VALUES = ['0', '""', '"a"', '[]', '{}', 'null', '[0]', '{"a":0}', '["a","b"]', '-1.5', '[[]]', '"a b"'];

/** JSON with one value in one of its lists, or one key in one of its objects, many times. */
export function enlargeJson(text: string, random: Rng, size = largeSize(random)): string {
  let tree: Tree;
  try {
    tree = treeOf(JSON.parse(text));
  } catch {
    return enlargeText(text, random, size);
  }
  const places: Tree[] = [];
  const visit = (part: Tree): void => {
    if (part.kind === 'text' || part.kind === 'raw') return;
    places.push(part);
    for (const item of part.kind === 'list' ? part.items : part.entries.map(([, value]) => value))
      visit(item);
  };
  visit(tree);
  if (places.length === 0) return `[${many('0,', size)}0]`;
  const place = random.pick(places);
  const own =
    place.kind === 'list' ? place.items : place.kind === 'object' ? place.entries.map((e) => e[1]) : [];
  const item = random.chance(0.5) && own.length > 0 ? writeTree(random.pick(own)) : random.pick(VALUES);
  let more: string;
  if (place.kind === 'list') more = many(`${item},`, size).slice(0, -1);
  else {
    const parts: string[] = [];
    for (let i = 0, letters = 0; letters < size; i++)
      letters += parts[parts.push(`"${i.toString(36)}":${item}`) - 1]!.length;
    more = parts.join(',');
  }
  const raw: Tree = { kind: 'raw', raw: more };
  const replaced = (part: Tree): Tree => {
    if (part === place)
      return part.kind === 'list'
        ? { kind: 'list', items: [...part.items, raw] }
        : { kind: 'raw', raw: writeTree(part).replace(/\}$/, () => `${own.length > 0 ? ',' : ''}${more}}`) };
    if (part.kind === 'list') return { kind: 'list', items: part.items.map(replaced) };
    if (part.kind === 'object')
      return { kind: 'object', entries: part.entries.map(([key, value]) => [key, replaced(value)] as const) };
    return part;
  };
  return writeTree(replaced(tree));
}

export const enlargedJson = (bytes: Uint8Array, random: Rng): Uint8Array =>
  utf8(enlargeJson(textOf(bytes), random));

function varint(n: number): number[] {
  const out: number[] = [];
  for (; n > 127; n = Math.floor(n / 128)) out.push((n & 127) | 128);
  return [...out, n];
}

/** A field that holds bytes. */
export const field = (number: number, body: Uint8Array): Uint8Array =>
  joined([Uint8Array.from([...varint(number * 8 + 2), ...varint(body.length)]), body]);

function repeated(piece: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(piece.length * Math.max(1, Math.floor(size / piece.length)));
  for (let at = 0; at < out.length; at += piece.length) out.set(piece, at);
  return out;
}

const of = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const named = (number: number): Uint8Array => field(number, field(1, utf8('a')));

/** Numbers of fields down from the model to the message in which something comes again. */
const PATHS: Readonly<Record<string, readonly number[]>> = {
  model: [],
  graph: [7],
  node: [7, 1],
  attribute: [7, 1, 5],
  tensor: [7, 5],
  shape: [7, 13, 2, 1, 2],
  function: [25],
  functionNode: [25, 7],
};

/** An ONNX file with one message, or one entry of a list, many times: an empty one, a named one, or a number. */
export function enlargeModel(bytes: Uint8Array, random: Rng, size = largeSize(random)): Uint8Array {
  const path = PATHS[random.pick(Object.keys(PATHS))]!;
  const number = random.pick([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 20, 25, 99]);
  const piece = random.pick([
    field(number, of()),
    named(number),
    field(number, named(1)),
    field(number, utf8('a')),
    of(...varint(number * 8), 1),
  ]);
  let body = repeated(piece, size);
  // What is told twice of one message is one message with both.
  for (const step of [...path].reverse()) body = field(step, body);
  return joined([bytes, body]);
}
