/**
 * Python's `re` on JavaScript's engine, for the patterns people write in target_modules and rank_pattern: the syntax is translated
 * where the two differ and refused where JavaScript has no equivalent. Module names are single-line ASCII, so Unicode classes and
 * line ends do not matter.
 */
import { fail } from '../lib/errors.ts';

/** `re.fullmatch(pattern, text) is not None`. */
export function fullMatcher(pattern: string, where: string): (text: string) => boolean {
  const regex = compile(pattern, where, '^(?:', ')$');
  return (text) => regex.test(text);
}

/** `re.match(before + pattern + after, text)`: anchored at the start only; null if it does not match. */
export function prefixSearch(
  pattern: string,
  where: string,
  before = '',
  after = '',
): (text: string) => RegExpExecArray | null {
  const regex = compile(pattern, where, `^(?:${before}`, `${after})`);
  return (text) => regex.exec(text);
}

/** As {@link prefixSearch}, only whether it matches. */
export function prefixMatcher(
  pattern: string,
  where: string,
  before = '',
  after = '',
): (text: string) => boolean {
  const search = prefixSearch(pattern, where, before, after);
  return (text) => search(text) !== null;
}

/** `(.*)*`, `(?:\w+)+`: as many ways to match as there are subsets of the characters, all tried before it fails. */
const REPEATED_REPETITION = /\((?:\?:|\?<\w+>)?(?:\\?[^()[\]]|\[[^\]]*\])[*+]\)(?:[*+]|\{\d*,\})/;

function compile(pattern: string, where: string, before: string, after: string): RegExp {
  try {
    const { source, flags } = translate(pattern);
    if (REPEATED_REPETITION.test(source)) {
      throw new SyntaxError(
        'a repetition of a repetition can take forever on a long name; leave one of them out',
      );
    }
    // The pattern must stand on its own: "a)(b" would otherwise pair its brackets with ours.
    new RegExp(source, flags);
    return new RegExp(before + source + after, flags);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const reason = error.message.replace(/^Invalid regular expression: /, '');
    return fail(
      'illegal-config',
      `${where}: ${JSON.stringify(pattern)} is not a regular expression that can be used here: ${reason}.`,
      {
        pattern,
      },
    );
  }
}

/** Rewrites Python syntax; throws SyntaxError for what cannot be expressed. */
function translate(pattern: string): { source: string; flags: string } {
  let rest = pattern;
  let flags = '';
  const global = /^\(\?([aimsxuL]+)\)/.exec(rest);
  if (global) {
    if (global[1]!.includes('x')) throw new SyntaxError('the verbose flag (?x) is not supported');
    flags = [...new Set(global[1])].filter((flag) => 'ims'.includes(flag)).join('');
    rest = rest.slice(global[0].length);
  }
  let source = '';
  let at = 0;
  while (at < rest.length) {
    const char = rest[at]!;
    if (char === '\\') {
      const pair = rest.slice(at, at + 2);
      if (pair === '\\') throw new SyntaxError('it ends in a backslash');
      source += pair === '\\A' ? '^' : pair === '\\Z' ? '$' : checkedEscape(pair);
      at += 2;
    } else if (char === '[') {
      const end = classEnd(rest, at);
      source += characterClass(rest.slice(at, end));
      at = end;
    } else if (rest.startsWith('(?', at)) {
      const group = openGroup(rest.slice(at));
      source += group.source;
      at += group.length;
    } else if (char === '{' && /^\{,\d+\}/.test(rest.slice(at))) {
      source += '{0';
      at += 1;
    } else {
      source += char;
      at += 1;
    }
  }
  return { source, flags };
}

function checkedEscape(pair: string): string {
  if (/\\[A-Za-z]/.test(pair) && !/\\[AZbBdDsSwWnrtfvxu]/.test(pair)) {
    throw new SyntaxError(`bad escape ${pair}`);
  }
  return pair;
}

/** Python takes a `]` right after the opening bracket literally. */
function classEnd(text: string, start: number): number {
  let at = start + 1;
  if (text[at] === '^') at++;
  if (text[at] === ']') at++;
  while (at < text.length && text[at] !== ']') at += text[at] === '\\' ? 2 : 1;
  if (at >= text.length) throw new SyntaxError('unterminated character set');
  return at + 1;
}

function characterClass(text: string): string {
  return text.replace(/^\[(\^?)\]/, '[$1\\]');
}

function openGroup(text: string): { source: string; length: number } {
  const named = /^\(\?P<([A-Za-z_]\w*)>/.exec(text);
  if (named) return { source: `(?<${named[1]}>`, length: named[0].length };
  const backreference = /^\(\?P=([A-Za-z_]\w*)\)/.exec(text);
  if (backreference) return { source: `\\k<${backreference[1]}>`, length: backreference[0].length };
  const comment = /^\(\?#[^)]*\)/.exec(text);
  if (comment) return { source: '', length: comment[0].length };
  const plain = /^\(\?(?::|=|!|<=|<!)/.exec(text);
  if (plain) return { source: plain[0], length: plain[0].length };
  throw new SyntaxError(`the group ${text.slice(0, 4)} is not supported`);
}
