/**
 * What a file gives: word scores, class scores of a text, of each token or of a picture, one number, hidden states, or one vector for a
 * whole input. Decided from the outputs' names, config.json, the shapes and the tables together.
 */
import type { Value } from '../graph/types.ts';
import { numberFrom, plainWords } from '../lib/json.ts';
import { say } from '../lib/say.ts';
import type { Table } from './import/tables.ts';

export type ModelTask =
  | 'image-classification'
  | 'causal-lm'
  | 'masked-lm'
  | 'token-classification'
  | 'text-classification'
  | 'regression'
  /** Hidden states or one vector, and no scores: a new head makes them. */
  | 'bare-text'
  | 'bare-decoder'
  | 'bare-pictures'
  | 'other';

export interface Output {
  readonly name: string;
  readonly value: Value;
}

export interface Gives {
  readonly task: ModelTask;
  /** Tasks that the file may just as well be for; empty where it is certain. */
  readonly orElse: readonly ModelTask[];
  /** The output that is scored, or that a new head reads. */
  readonly output: string;
  /** For `other`: what the file gives instead, as the rest of "… gives". */
  readonly instead: string;
}

export interface Evidence {
  readonly outputs: readonly Output[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly tokens: Table | null;
  readonly decoder: boolean;
  readonly reads: 'text' | 'picture';
}

const SCORES = /(^|[._])(logits?|scores?|predictions?)$/i;
const HIDDEN = /last_hidden_state|hidden_states?$|token_embeddings|sequence_output/i;
const POOLED = /pooler_output|pooled|sentence_embedding|text_embeds?$|image_embeds?$|(^|[._])embeddings?$/i;

type Said = 'words' | 'tags' | 'classes' | 'bare' | null;

/** What the class of the model in config.json gives. */
function saidBy(config: Evidence['config']): Said {
  const names = Array.isArray(config.architectures) ? config.architectures.map(plainWords) : [];
  for (const name of names) {
    if (/For(CausalLM|MaskedLM|PreTraining)$|LMHead(Model)?$|ConditionalGeneration$/.test(name))
      return 'words';
    if (name.endsWith('ForTokenClassification')) return 'tags';
    if (/For(Sequence|Image)Classification(WithTeacher)?$/.test(name)) return 'classes';
    if (/(Model|Encoder|WithProjection)$/.test(name) && !/For[A-Z]/.test(name)) return 'bare';
  }
  return null;
}

/** The operator and module at the end of an output, changes of shape left out. */
export function endOf(value: Value): {
  readonly op: string;
  readonly module: string | null;
  readonly weight: Value | null;
} {
  let v = value;
  while (v.producer?.op.name === 'view') v = v.producer.inputs[0]!;
  const { producer } = v;
  const fn = (producer?.attrs as { readonly fn?: string } | undefined)?.fn;
  return {
    op: fn ?? producer?.op.name ?? '',
    module: producer?.op.name === 'linear' ? (producer.module ?? null) : null,
    weight: producer?.op.name === 'linear' ? (producer.inputs[1] ?? null) : null,
  };
}

/** Whether words are scored from those before alone: config.json knows it, else the masks in the graph show it. */
function isCausal({ config, decoder }: Evidence): boolean {
  const names = Array.isArray(config.architectures) ? config.architectures.map(plainWords) : [];
  if (names.some((name) => /ForMaskedLM$/.test(name))) return false;
  return decoder || names.some((name) => /ForCausalLM$|LMHeadModel$/.test(name));
}

const classCount = ({ id2label, num_labels }: Evidence['config']): number | null =>
  typeof id2label === 'object' && id2label !== null
    ? Object.keys(id2label).length
    : typeof num_labels === 'number'
      ? num_labels
      : null;

const certain = (task: ModelTask, output: string): Gives => ({ task, orElse: [], output, instead: '' });
const other = (instead: string, output = ''): Gives => ({ task: 'other', orElse: [], output, instead });

/** Scores that went through a softmax already: a loss of their own would be wrong on them. */
const isProbability = (value: Value): boolean => /^(softmax|sigmoid)$/i.test(endOf(value).op);

function rowsOfText(output: Output, e: Evidence): Gives {
  const { name, value } = output;
  const width = value.shape.at(-1)!;
  const words: ModelTask = isCausal(e) ? 'causal-lm' : 'masked-lm';
  const bare: ModelTask = e.decoder ? 'bare-decoder' : 'bare-text';
  const hiddenSize = numberFrom(
    e.config.hidden_size ?? e.config.n_embd ?? e.config.dim ?? e.tokens?.width ?? 0,
  );
  const vocabulary = e.tokens?.rows ?? (numberFrom(e.config.vocab_size) || null);
  const isVocabulary = width === vocabulary || width === e.config.vocab_size;
  const said = saidBy(e.config);
  const { op } = endOf(value);
  // A text tower of two that reads left to right gives its vector at the end.
  const isTower = e.decoder && e.outputs.some((o) => POOLED.test(o.name) && rankOf(o) === 2);
  if (HIDDEN.test(name) && !(isVocabulary && width !== hiddenSize))
    return certain(isTower ? 'bare-text' : bare, name);
  if (said === 'words') return certain(words, name);
  if (said === 'tags') return certain('token-classification', name);
  if (isVocabulary && width !== hiddenSize) return certain(words, name);
  if (said === 'bare' && !SCORES.test(name)) return certain(bare, name);
  if (e.config.id2label !== undefined && classCount(e.config) === width && said !== 'bare')
    return certain('token-classification', name);
  if (!SCORES.test(name)) {
    // A norm at the end is how encoders end, a linear layer how heads do.
    if (width === hiddenSize && op !== 'linear') return certain(bare, name);
    if (width === hiddenSize)
      return { task: bare, orElse: [words, 'token-classification'], output: name, instead: '' };
  }
  if (e.decoder) return certain(words, name);
  if (vocabulary !== null && width * 2 < vocabulary) return certain('token-classification', name);
  return { task: words, orElse: ['token-classification'], output: name, instead: '' };
}

function wholeText(output: Output, e: Evidence): Gives {
  const { name, value } = output;
  const width = value.shape.at(-1)!;
  const said = saidBy(e.config);
  const scored: ModelTask = width === 1 ? 'regression' : 'text-classification';
  if (POOLED.test(name) && !SCORES.test(name)) return certain('bare-text', name);
  if (said === 'classes' || SCORES.test(name)) return certain(scored, name);
  if (said === 'bare') return certain('bare-text', name);
  if (endOf(value).op === 'linear') return certain(scored, name);
  return { task: 'bare-text', orElse: [scored], output: name, instead: '' };
}

function ofPicture(output: Output, e: Evidence): Gives {
  const { name, value } = output;
  const rank = value.shape.length;
  const said = saidBy(e.config);
  if (rank === 2) {
    const isBare = (POOLED.test(name) || said === 'bare') && !SCORES.test(name);
    return certain(isBare ? 'bare-pictures' : 'image-classification', name);
  }
  if (rank === 3 && !SCORES.test(name)) return certain('bare-pictures', name);
  return other(
    say`${name} [${value.shape.join(', ')}], which is neither scores of classes nor hidden states of patches`,
  );
}

const rankOf = ({ value }: Output): number => value.shape.length;

/** @param evidence outputs at the sizes of a probe, without the cache */
export function whatItGives(evidence: Evidence): Gives {
  const { outputs, reads } = evidence;
  const names = outputs.map(({ name }) => name);
  if (names.some((n) => /start_logits/.test(n)) && names.some((n) => /end_logits/.test(n)))
    return other(say`where answers begin and end (start_logits and end_logits)`);
  const scores = outputs.filter(({ name }) => SCORES.test(name));
  const hidden = outputs.filter((o) => HIDDEN.test(o.name) && rankOf(o) === 3);
  const pooled = outputs.filter((o) => POOLED.test(o.name) && rankOf(o) === 2);
  const exact = scores.filter(({ name }) => name === 'logits');
  const chosen = [...exact, ...scores, ...hidden, ...pooled, ...outputs][0];
  if (!chosen) return other(say`nothing but its cache`);
  if (isProbability(chosen.value) && rankOf(chosen) >= 2)
    return other(
      say`probabilities (${chosen.name} ends in a ${endOf(chosen.value).op}), where training needs the scores before; export it without the last ${endOf(chosen.value).op}`,
    );
  if (reads === 'picture') return ofPicture(chosen, evidence);
  if (rankOf(chosen) === 3) return rowsOfText(chosen, evidence);
  if (rankOf(chosen) === 2) return wholeText(chosen, evidence);
  return other(
    say`${chosen.name} [${chosen.value.shape.join(', ')}], which is neither scores nor hidden states`,
  );
}
