/** Texts spoiled: letters, words and lines moved, doubled and cut, with signs that formats and patterns give a meaning to. */
import type { Rng } from '../../../src/lib/rng.ts';

const SIGNS = [
  ...[
    '"',
    "'",
    ',',
    ';',
    '\t',
    '|',
    '\n',
    '\r\n',
    '\r',
    '\0',
    '\\',
    '/',
    '{',
    '}',
    '[',
    ']',
    '(',
    ')',
    '<',
    '>',
  ],
  ...['{{', '}}', '{%', '%}', '#', '*', '+', '?', '.', '^', '$', ':', '=', '%', '&', '@', '~', '-', '_', ' '],
  ...[
    '\ufeff',
    '\u2028',
    '\u202e',
    '\ud800',
    '\u001b[31m',
    '😀',
    'é',
    'null',
    'NaN',
    '1e999',
    '-1',
    '0',
    '""',
  ],
];

/** The text with one to three changes. */
export function mutateText(given: string, random: Rng, words: readonly string[] = SIGNS): string {
  let text = given;
  for (let changes = 1 + random.int(3); changes > 0; changes--) text = edit(text, random, words);
  return text;
}

function edit(text: string, random: Rng, words: readonly string[]): string {
  const at = random.int(text.length + 1);
  const length = 1 + random.int(random.chance(0.3) ? 60 : 6);
  const before = text.slice(0, at);
  const after = text.slice(at);
  switch (random.int(9)) {
    case 0:
      return before + after.slice(length);
    case 1:
    case 2:
      return before + random.pick(words) + after;
    case 3:
      return before + random.pick(words) + after.slice(length);
    case 4: {
      const times = random.chance(0.15) ? 1 << (4 + random.int(8)) : 2;
      return before + after.slice(0, length).repeat(times) + after;
    }
    case 5:
      return before + random.pick(words).repeat(1 << random.int(random.chance(0.2) ? 13 : 4)) + after;
    case 6: {
      const from = random.int(text.length + 1);
      return before + text.slice(from, from + length) + after;
    }
    case 7:
      return before + String.fromCharCode(random.int(random.chance(0.7) ? 128 : 65536)) + after;
    default: {
      const lines = text.split('\n');
      const line = random.int(lines.length);
      const moved = lines.splice(line, 1);
      if (random.chance(0.7)) lines.splice(random.int(lines.length + 1), 0, ...moved);
      return lines.join('\n');
    }
  }
}
