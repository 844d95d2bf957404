/**
 * Where what a compiler says of a linked text is in the files that a reader sees. The linker prints its tree anew and knows where names and numbers stood; of
 * keywords and signs it guesses. So a place is found by the nearest name or number, and by going as many tokens on from it in the file.
 */
import { WeslStream } from 'wesl/core';
import type { LinkedShader } from '../../gpu/pipelines.ts';
import type { ReaderPlace, ShaderTexts } from './protocol.ts';

interface Token {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** A name or a number. */
  readonly isFixed: boolean;
}

/** Tokens between a place and the name or number that tells where it is. */
const MOST_APART = 60;

function tokensOf(text: string): readonly Token[] {
  const stream = new WeslStream(text, false);
  const tokens: Token[] = [];
  for (let token = stream.nextToken(); token !== null; token = stream.nextToken()) {
    const { start, end, kind, text: own } = token;
    const isFixed = kind === 'word' || kind === 'number' || own === 'true' || own === 'false';
    tokens.push({ start, end, text: own, isFixed });
  }
  return tokens;
}

/** @param files all files that the text is linked from */
export function placesIn(linked: LinkedShader, files: ShaderTexts): (offset: number) => ReaderPlace | null {
  let own: readonly Token[] | undefined;
  const sources = new Map<
    string,
    { readonly tokens: readonly Token[]; readonly at: ReadonlyMap<number, number> }
  >();
  const sourceOf = (path: string) => {
    const known = sources.get(path);
    if (known) return known;
    const tokens = tokensOf(files[path] ?? '');
    const made = { tokens, at: new Map(tokens.map(({ start }, i) => [start, i])) };
    sources.set(path, made);
    return made;
  };
  return (offset) => {
    own ??= tokensOf(linked.code);
    const wanted = own.findIndex(({ end }) => end > offset);
    for (let apart = 0; wanted >= 0 && apart <= MOST_APART; apart++)
      for (const anchor of [wanted - apart, wanted + apart]) {
        const fixed = own[anchor];
        const place = fixed?.isFixed ? linked.placeOf(fixed.start) : null;
        if (place === null) continue;
        const { tokens, at } = sourceOf(place.path);
        const index = at.get(place.at);
        if (index === undefined || tokens[index]!.text !== fixed!.text) continue;
        const found = tokens[index + wanted - anchor];
        if (found?.text !== own[wanted]!.text) continue;
        return { path: place.path, line: files[place.path]!.slice(0, found.start).split('\n').length };
      }
    const guess = linked.placeOf(offset);
    return guess && { path: guess.path, line: guess.line };
  };
}
