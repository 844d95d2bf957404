/**
 * Vocabularies with little memory. The library copies them several times while it opens and keeps them as the file has them beside its own; tokens
 * with scores (Unigram) it keeps in a tree with a table for every letter, 700 MB for a file of five. So it opens a model without its vocabulary,
 * which is put in afterwards; tokens with scores stand in a sorted list, where what begins with the same letters stands together.
 */
import type { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';

interface ModelJson {
  readonly type?: string | null;
  readonly unk_token?: string | null;
  readonly unk_id?: number | null;
  /** Tokens with their ids, or in the order of their ids with scores. */
  readonly vocab: Readonly<Record<string, number>> | readonly (readonly [token: string, score: number])[];
}

/** The library's model, as far as its vocabulary is in it. */
interface Model {
  vocab: (string | undefined)[];
  tokens_to_ids: Map<string, number>;
  unk_token_id: number | undefined;
  unk_token: string | null | undefined;
}
interface UnigramModel extends Model {
  scores: number[];
  readonly bos_token: string;
  bos_token_id: number | undefined;
  readonly eos_token: string | null | undefined;
  eos_token_id: number | undefined;
  min_score: number;
  unk_score: number;
  trie: SortedTokens;
}

interface Inner {
  readonly model: Model;
  readonly added_tokens: readonly { readonly content: string; readonly id: number }[];
}

/** The library's own distance of an unknown letter from the least score. */
const UNKNOWN_PENALTY = 10;

/** A tokenizer.json's value without its vocabulary, for the library to make all else of, and what puts the vocabulary in. */
export function withoutVocabulary(json: object): {
  readonly value: object;
  readonly fill: (inner: HfTokenizer) => void;
} {
  const { model } = json as { readonly model: ModelJson };
  const empty = emptyOf(model);
  if (empty === null) return { value: json, fill: () => {} };
  return {
    value: { ...json, model: { ...model, ...empty } },
    fill(inner) {
      const { model: opened, added_tokens } = inner as unknown as Inner;
      if (Array.isArray(model.vocab)) fillScored(opened as UnigramModel, model);
      else fillNumbered(opened, model);
      for (const { content, id } of added_tokens) {
        opened.tokens_to_ids.set(content, id);
        opened.vocab[id] = content;
      }
    },
  };
}

/** What stands for the vocabulary meanwhile; null for kinds of models that are left as they are. */
function emptyOf({ type, vocab }: ModelJson): Partial<ModelJson> | null {
  if (Array.isArray(vocab))
    return (type ?? 'Unigram') === 'Unigram' && vocab.length > 0 ? { vocab: [['', 0]], unk_id: 0 } : null;
  return type === 'BPE' || type === 'WordPiece' ? { vocab: {} } : null;
}

/** As the constructors of BPE and WordPiece do. */
function fillNumbered(model: Model, config: ModelJson): void {
  const vocab = config.vocab as Readonly<Record<string, number>>;
  const tokens = Object.keys(vocab);
  model.tokens_to_ids = new Map();
  model.vocab = new Array<string | undefined>(tokens.length);
  for (const token of tokens) {
    const id = vocab[token]!;
    model.tokens_to_ids.set(token, id);
    model.vocab[id] = token;
  }
  model.unk_token_id = model.tokens_to_ids.get(config.unk_token!);
}

/** As the constructor of Unigram does. */
function fillScored(model: UnigramModel, config: ModelJson): void {
  const scored = config.vocab as readonly (readonly [string, number])[];
  const tokens = scored.map(([token]) => token);
  const unknown = config.unk_id ?? undefined;
  model.vocab = tokens;
  model.scores = scored.map(([, score]) => score);
  model.tokens_to_ids = new Map();
  for (const [id, token] of tokens.entries()) model.tokens_to_ids.set(token, id);
  model.bos_token_id = model.tokens_to_ids.get(model.bos_token);
  model.eos_token_id =
    typeof model.eos_token === 'string' ? model.tokens_to_ids.get(model.eos_token) : undefined;
  model.unk_token_id = unknown;
  model.unk_token = unknown === undefined ? undefined : tokens[unknown];
  model.min_score = model.scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY);
  model.unk_score = model.min_score - UNKNOWN_PENALTY;
  if (unknown !== undefined) model.scores[unknown] = model.unk_score;
  model.trie = new SortedTokens([...tokens].sort());
}

/** Has the library's name for its one question. */
class SortedTokens {
  /** Where the tokens that begin with a letter stand. */
  private readonly starts = new Map<number, readonly [from: number, to: number]>();

  constructor(private readonly tokens: readonly string[]) {
    let from = 0;
    for (let to = 1; to <= tokens.length; to++) {
      const letter = tokens[from]!.charCodeAt(0);
      if (to < tokens.length && tokens[to]!.charCodeAt(0) === letter) continue;
      this.starts.set(letter, [from, to]);
      from = to;
    }
  }

  /** The tokens that `letters` from `start` on begins with, shortest first. */
  *common_prefix_search(letters: readonly string[], start = 0): Generator<string> {
    const { tokens } = this;
    let [from, to, depth] = [0, tokens.length, 0];
    for (let at = start; at < letters.length; at++) {
      const letter = letters[at]!;
      for (let half = 0; half < letter.length; half++, depth++) {
        const code = letter.charCodeAt(half);
        if (depth === 0) [from, to] = this.starts.get(code) ?? [0, 0];
        else {
          from = this.firstFrom(code, depth, from, to);
          to = this.firstFrom(code + 1, depth, from, to);
        }
        if (from === to) return;
      }
      if (tokens[from]!.length === depth) yield tokens[from]!;
    }
  }

  /** The first token of a stretch with the same beginning whose next letter is `code` or more; one that has no more letters comes before all. */
  private firstFrom(code: number, depth: number, from: number, to: number): number {
    const { tokens } = this;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const token = tokens[middle]!;
      if (token.length > depth && token.charCodeAt(depth) >= code) to = middle;
      else from = middle + 1;
    }
    return from;
  }
}
