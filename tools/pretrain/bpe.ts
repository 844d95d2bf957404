/**
 * Trains a byte-level BPE vocabulary and writes it as Hugging Face's tokenizer.json. Any text in any language has ids,
 * since all 256 bytes are in the vocabulary. Training counts distinct pieces, so a text of a few megabytes takes seconds.
 */
import { BYTE_CHARACTERS, PIECES } from '../../src/data/tokenSpans.ts';
import { fail } from '../../src/lib/errors.ts';

export interface BpeOptions {
  /** Entries in all: special tokens, 256 bytes, then merges. Fewer where the text has no pair left that repeats. */
  readonly vocabSize?: number;
  /** Special tokens, ids from 0 on; the first is the end of a text. */
  readonly specials?: readonly string[];
}

/** What a tokenizer.json holds, as far as this project writes it. */
export interface TokenizerJson {
  readonly version: '1.0';
  readonly truncation: null;
  readonly padding: null;
  readonly added_tokens: readonly Readonly<Record<string, unknown>>[];
  readonly normalizer: null;
  readonly pre_tokenizer: Readonly<Record<string, unknown>>;
  readonly post_processor: Readonly<Record<string, unknown>>;
  readonly decoder: Readonly<Record<string, unknown>>;
  readonly model: Readonly<Record<string, unknown>> & {
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (readonly [string, string])[];
  };
}

/** Trains on `texts`; the most frequent pair is merged first, ties by the pair's text, so the result is repeatable. */
export function trainBpe(texts: Iterable<string>, options: BpeOptions = {}): TokenizerJson {
  const { vocabSize = 1024, specials = ['<|endoftext|>'] } = options;
  const wanted = vocabSize - specials.length - 256;
  if (!Number.isInteger(vocabSize) || wanted < 0)
    fail(
      'bad-argument',
      `A vocabulary of ${vocabSize} has no room for 256 bytes and ${specials.length} special token(s).`,
    );

  const words = countPieces(texts);
  const pairs = new Map<string, { count: number; words: Set<number> }>();
  const note = (left: string, right: string, word: number, by: number): void => {
    const key = `${left} ${right}`;
    let pair = pairs.get(key);
    if (!pair) pairs.set(key, (pair = { count: 0, words: new Set() }));
    pair.count += by;
    if (by > 0) pair.words.add(word);
  };
  const noteWord = (w: number, sign: 1 | -1): void => {
    const { symbols, count } = words[w]!;
    for (let k = 0; k + 1 < symbols.length; k++) note(symbols[k]!, symbols[k + 1]!, w, sign * count);
  };
  words.forEach((_, w) => {
    noteWord(w, 1);
  });

  const merges: [string, string][] = [];
  while (merges.length < wanted) {
    let best = '';
    let most = 1;
    for (const [key, { count }] of pairs) {
      if (count > most || (count === most && count > 1 && key < best)) {
        best = key;
        most = count;
      }
    }
    if (best === '') break;
    const [left, right] = best.split(' ') as [string, string];
    merges.push([left, right]);
    for (const w of pairs.get(best)!.words) {
      noteWord(w, -1);
      words[w] = { ...words[w]!, symbols: mergeAll(words[w]!.symbols, left, right) };
      noteWord(w, 1);
    }
    pairs.delete(best);
  }
  return tokenizerJson(specials, merges);
}

/**
 * A vocabulary of the whole words (and numbers, signs and their runs, with the space before them) of `texts`, each one token; what is no such
 * word is spelt in bytes. Ids: special tokens, 256 bytes, then the words, the most frequent first.
 */
export function wordVocabulary(
  texts: Iterable<string>,
  specials: readonly string[] = ['<|endoftext|>'],
): TokenizerJson {
  const words = countPieces(texts).sort((a, b) => b.count - a.count);
  return tokenizerJson(
    specials,
    [],
    words.map(({ symbols }) => symbols.join('')),
  );
}

interface Word {
  readonly symbols: readonly string[];
  readonly count: number;
}

function countPieces(texts: Iterable<string>): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [piece] of text.matchAll(PIECES)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
  const utf8 = new TextEncoder();
  return [...counts].map(([piece, count]) => ({
    symbols: Array.from(utf8.encode(piece), (b) => BYTE_CHARACTERS[b]!),
    count,
  }));
}

function mergeAll(symbols: readonly string[], left: string, right: string): string[] {
  const out: string[] = [];
  for (let k = 0; k < symbols.length; k++) {
    if (symbols[k] === left && symbols[k + 1] === right) {
      out.push(left + right);
      k++;
    } else out.push(symbols[k]!);
  }
  return out;
}

function tokenizerJson(
  specials: readonly string[],
  merges: [string, string][],
  words: readonly string[] = [],
): TokenizerJson {
  const vocab: Record<string, number> = {};
  const merged = merges.map((pair) => pair.join(''));
  for (const token of [...specials, ...BYTE_CHARACTERS, ...merged, ...words]) {
    // Two merges may spell the same token; it keeps its first id.
    vocab[token] ??= Object.keys(vocab).length;
  }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      // Whole words are taken as they stand.
      ignore_merges: words.length > 0,
      vocab,
      merges,
    },
  };
}
