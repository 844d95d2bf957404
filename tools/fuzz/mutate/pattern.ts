/** Regular expressions made of a grammar, with repetitions inside of repetitions and alternatives that overlap. */
import type { Rng } from '../../../src/lib/rng.ts';
import { mutateText } from './text.ts';

const ATOMS = [
  ...['a', 'b', '.', '\\w', '\\d', '\\s', '\\.', '[a-z]', '[^.]', '[\\w.]', '[]a]', '[^]]', 'layer', 'query'],
  ...[
    'q_proj',
    '\\b',
    '^',
    '$',
    '\\A',
    '\\Z',
    '(?=a)',
    '(?!b)',
    '(?<=a)',
    '(?<!b)',
    '(?P<n>a)',
    '(?P=n)',
    '\\1',
  ],
  ...['', '\\p{L}', '\\u0041', '\\x41', '(?#x)', '(?i)', '[', ']', '{', '}', '\\', '*', '?'],
];
const REPEATS = [
  ...[
    '*',
    '+',
    '?',
    '*?',
    '+?',
    '{2}',
    '{1,}',
    '{,3}',
    '{0,30}',
    '{1000}',
    '{30,20}',
    '{,}',
    '{99999999}',
    '*+',
  ],
];

function pattern(random: Rng, depth: number): string {
  const what = random.int(depth > 0 ? 8 : 2);
  if (what < 2) return random.pick(ATOMS.slice(0, random.chance(0.9) ? 16 : ATOMS.length));
  const inner = () => pattern(random, depth - 1);
  if (what < 4) return `${inner()}${inner()}`;
  if (what === 4) return `(${inner()}|${inner()})`;
  if (what === 5) return `${random.pick(['(', '(?:', '(?P<g>'])}${inner()})`;
  return `(${inner()})${random.pick(random.chance(0.8) ? REPEATS.slice(0, 3) : REPEATS)}`;
}

/** A pattern of the grammar, or the given one with changes. */
export function mutatePattern(given: string, random: Rng): string {
  const what = random.int(5);
  if (what === 0) return mutateText(given, random, [...ATOMS, ...REPEATS]);
  if (what === 1) return `(${given})${random.pick(REPEATS)}${pattern(random, 2)}`;
  if (what === 2) return pattern(random, 1 + random.int(5)).repeat(1 << random.int(7));
  return pattern(random, 2 + random.int(5));
}
