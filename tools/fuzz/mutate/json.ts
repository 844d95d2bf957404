/**
 * JSON spoiled as a tree: other types, numbers out of range, names of Object.prototype, doubled keys, deep nesting, long texts. The tree keeps
 * keys in order and several of one name, and writes numbers that JSON.stringify could not.
 */
import type { Rng } from '../../../src/lib/rng.ts';
import { mutateText } from './text.ts';

export type Tree =
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, Tree])[] }
  | { readonly kind: 'list'; readonly items: readonly Tree[] }
  | { readonly kind: 'text'; readonly text: string }
  /** As it stands in the file: a number, true, false, null, or something that is none. */
  | { readonly kind: 'raw'; readonly raw: string };

export function treeOf(value: unknown): Tree {
  if (typeof value === 'string') return { kind: 'text', text: value };
  if (Array.isArray(value)) return { kind: 'list', items: value.map(treeOf) };
  if (typeof value === 'object' && value !== null)
    return {
      kind: 'object',
      entries: Object.entries(value).map(([key, item]) => [key, treeOf(item)] as const),
    };
  return { kind: 'raw', raw: JSON.stringify(value) ?? 'null' };
}

export function writeTree(tree: Tree): string {
  switch (tree.kind) {
    case 'object':
      return `{${tree.entries.map(([key, item]) => `${JSON.stringify(key)}:${writeTree(item)}`).join(',')}}`;
    case 'list':
      return `[${tree.items.map(writeTree).join(',')}]`;
    case 'text':
      return JSON.stringify(tree.text);
    case 'raw':
      return tree.raw;
  }
}

const RAW = [
  ...['null', 'true', 'false', '0', '-0', '1', '-1', '2', '3', '0.5', '1.5', '-7', '64', '1000', '65536'],
  ...['1e9', '-1e9', '2147483647', '2147483648', '4294967295', '4294967296', '9007199254740991'],
  ...['9007199254740993', '1e15', '1e21', '1e308', '1e999', '-1e999', '1e-320', '9223372036854775807'],
  ...['[]', '{}', '[[]]', '[null]', '[0]', '[-1,1e12]', '{"":null}', '{"__proto__":1}', '{"toString":1}'],
];
const ODD_RAW = ['NaN', 'Infinity', 'undefined', "'a'", '', '{', ']', '01', '+1', '/**/1'];
export const ODD_NAMES = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'length', 'then'],
  ...['', ' ', '0', '-1', '1e3', 'a.b', '../x', '/', '\\', '\u0000', '\u202e', '\u001b[2J', 'Ã©', '😀'],
];

const raw = (text: string): Tree => ({ kind: 'raw', raw: text });

function odd(random: Rng): Tree {
  const what = random.int(20);
  if (what < 12) return raw(random.pick(RAW));
  if (what < 15) return { kind: 'text', text: random.pick(ODD_NAMES) };
  if (what === 15)
    return { kind: 'text', text: random.pick(['a', 'ab ', '(', '\n', '1']).repeat(1 << random.int(13)) };
  if (what === 16) return raw('['.repeat(1 << random.int(16)));
  if (what === 17) {
    const depth = 1 << random.int(15);
    return random.chance(0.5)
      ? raw('['.repeat(depth) + ']'.repeat(depth))
      : raw(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
  }
  if (what === 18)
    return raw(
      `[${Array(1 << random.int(12))
        .fill(random.pick(RAW))
        .join(',')}]`,
    );
  return raw(random.pick(ODD_RAW));
}

function otherNumber(text: string, random: Rng): string {
  const value = Number(text);
  return String(
    random.pick([
      value + 1,
      value - 1,
      -value,
      value * 2,
      value + 0.5,
      value * 1e6,
      value / 3,
      value * 1e12,
      0,
    ]),
  );
}

/** One change somewhere in the tree. `root` is where other parts may be taken from. */
function change(tree: Tree, random: Rng, root: Tree): Tree {
  const goesOn =
    random.chance(0.88) &&
    ((tree.kind === 'object' && tree.entries.length > 0) || (tree.kind === 'list' && tree.items.length > 0));
  if (!goesOn) return changeHere(tree, random, root);
  if (tree.kind === 'list') {
    const at = random.int(tree.items.length);
    return { kind: 'list', items: tree.items.with(at, change(tree.items[at]!, random, root)) };
  }
  if (tree.kind !== 'object') return tree;
  const at = random.int(tree.entries.length);
  const [key, item] = tree.entries[at]!;
  const entries = [...tree.entries];
  switch (random.int(9)) {
    case 0:
      entries.splice(at, 1);
      break;
    case 1:
      entries.splice(at, 0, [key, odd(random)]);
      break;
    case 2:
      entries[at] = [random.chance(0.5) ? random.pick(ODD_NAMES) : mutateText(key, random), item];
      break;
    default:
      entries[at] = [key, change(item, random, root)];
  }
  return { kind: 'object', entries };
}

function changeHere(tree: Tree, random: Rng, root: Tree): Tree {
  const what = random.int(8);
  if (what === 0) return partOf(root, random);
  if (tree.kind === 'list' && tree.items.length > 0 && what < 5) {
    const at = random.int(tree.items.length);
    if (what === 1) return { ...tree, items: tree.items.toSpliced(at, 1) };
    if (what === 2) return { ...tree, items: tree.items.toSpliced(at, 0, odd(random)) };
    if (what === 3) return { ...tree, items: [...tree.items].reverse() };
    const times = random.chance(0.1) ? 300 : 2;
    return tree.items.length * times > 5000
      ? tree
      : { ...tree, items: Array.from({ length: times }, () => tree.items).flat() };
  }
  if (tree.kind === 'raw' && what < 4) return raw(otherNumber(tree.raw, random));
  if (tree.kind === 'text' && what < 5) return { kind: 'text', text: mutateText(tree.text, random) };
  if (what === 5) return { kind: 'list', items: [tree] };
  if (what === 6) return { kind: 'object', entries: [[random.pick(ODD_NAMES), tree]] };
  return odd(random);
}

function partOf(tree: Tree, random: Rng): Tree {
  if (random.chance(0.3)) return tree;
  if (tree.kind === 'list' && tree.items.length > 0) return partOf(random.pick(tree.items), random);
  if (tree.kind === 'object' && tree.entries.length > 0) return partOf(random.pick(tree.entries)[1], random);
  return tree;
}

const MOST_LETTERS = 400_000;

/** JSON text with one to three changes, as text again; what is no JSON is changed as a text. */
export function mutateJson(text: string, random: Rng): string {
  if (random.chance(0.08)) return mutateText(text, random);
  try {
    return mutateTree(treeOf(JSON.parse(text)), random);
  } catch {
    // No JSON, or too deep to be walked.
    return mutateText(text, random);
  }
}

/** As {@link mutateJson}, from the value. */
export function mutateTree(given: Tree, random: Rng): string {
  let tree = given;
  for (let changes = 1 + random.int(3); changes > 0; changes--) tree = change(tree, random, tree);
  const text = writeTree(tree);
  return text.length > MOST_LETTERS ? text.slice(0, MOST_LETTERS) : text;
}
