/**
 * Holds settings and data against what the model reads, before memory is taken: the length of texts, token ids below the rows of their
 * table, token types below theirs, labels below the scores.
 */
import { exampleCount } from '../data/batches.ts';
import { IGNORED_LABEL } from '../data/tensors.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { type Dataset, isRows, type Rows, type SplitName } from '../data/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { type Limit, leastLimit } from '../models/contract.ts';
import type { LoadedModel } from '../models/load.ts';

/** What texts are cut to, and why. */
export interface Length {
  readonly sequenceLength: number;
  /** Every example is padded to this length, since the file takes no other. */
  readonly exactly: number | null;
  readonly notes: readonly string[];
}

interface Reader {
  readonly model: LoadedModel;
  /** What the tokenizer's files say, beside the model's own limits. */
  readonly limits: readonly Limit[];
}

/** The strictest limit on the tokens of a text; null where nothing says one. */
export const mostTokens = ({ model, limits }: Reader): Limit | null =>
  leastLimit([...model.contract.limits, ...limits]);

/**
 * The length that texts are cut to: what was asked for, no more than graph, config and tokenizer allow.
 * @throws PapilioError 'unsupported-onnx' for a model that reads less than two tokens
 */
export function fitLength(reader: Reader, asked: number): Length {
  const { contract } = reader.model;
  if (reader.model.image !== null) return { sequenceLength: asked, exactly: null, notes: [] };
  const limit = mostTokens(reader);
  if (limit && limit.tokens < 2)
    return fail('unsupported-onnx', say`The model reads ${limit.tokens} token(s) only (${limit.because}).`);
  const { exactly } = contract;
  if (exactly !== null) {
    if (limit && limit.tokens < exactly)
      fail(
        'unsupported-onnx',
        say`The file takes exactly ${exactly} tokens, but ${limit.because}; export it with a free sequence length.`,
      );
    const notes =
      exactly === asked
        ? []
        : [
            say`Texts are padded or cut to ${exactly} tokens instead of ${asked}: the file takes no other length.`,
          ];
    return { sequenceLength: exactly, exactly, notes };
  }
  if (!limit || limit.tokens >= asked) return { sequenceLength: asked, exactly: null, notes: [] };
  return {
    sequenceLength: limit.tokens,
    exactly: null,
    notes: [say`Texts are cut at ${limit.tokens} tokens: ${limit.because}.`],
  };
}

/** A token as people see it. */
const shown = (tokenizer: Tokenizer | null, id: number): string => {
  const text = tokenizer?.token(id);
  return text === undefined ? say`a token` : say`the token "${text}"`;
};

const SPLITS: readonly SplitName[] = ['train', 'held'];
const textOf = (split: SplitName): string => (split === 'train' ? say`training text` : say`held-out text`);

interface Place {
  readonly id: number;
  /** Where it stands: "row 12 of a.csv". */
  readonly where: string;
}

/** Where a token stands in a running text: the text of several, the line, or the token, and what is before it. */
function placeIn(tokens: Int32Array, at: number, tokenizer: Tokenizer | null, what: string): string {
  const shownBefore = tokenizer?.decode(tokens.subarray(Math.max(0, at - 8), at)).trim() ?? '';
  const after = (place: string): string =>
    shownBefore === '' ? place : say`${place}, after ${JSON.stringify(shownBefore)}`;
  const ends = (part: Int32Array): number => part.reduce((n, id) => n + (id === tokenizer?.eos ? 1 : 0), 0);
  // Documents follow each other, each with the end token behind it.
  if (ends(tokens) > 1) return after(say`in text ${ends(tokens.subarray(0, at)) + 1} of the ${what}`);
  const lines = tokenizer ? tokenizer.decode(tokens.subarray(0, at)).split('\n').length : 1;
  return after(lines > 1 ? say`in line ${lines} of the ${what}` : say`at token ${at + 1} of the ${what}`);
}

/** The first id of the examples that `isBad` says, as far as they are read. */
function firstOf(
  dataset: Dataset,
  tokenizer: Tokenizer | null,
  length: number,
  isBad: (id: number) => boolean,
): Place | null {
  for (const split of SPLITS) {
    if (isRows(dataset)) {
      const part: Rows[SplitName] = dataset[split];
      for (let i = 0; i < part.count; i++) {
        const id = part.ids(i).subarray(0, length).find(isBad);
        if (id !== undefined) return { id, where: say`in ${part.origin(i)}` };
      }
    } else if (dataset.kind !== 'image') {
      const { tokens } = dataset[split];
      const at = tokens.findIndex(isBad);
      if (at < 0) continue;
      return { id: tokens[at]!, where: placeIn(tokens, at, tokenizer, textOf(split)) };
    }
  }
  return null;
}

/** Ids that batches hold besides those of the examples: padding, frames, the mask. */
function addedIds(dataset: Dataset): readonly { readonly id: number; readonly what: string }[] {
  if (dataset.kind === 'image') return [];
  if (isRows(dataset)) return [{ id: dataset.padId, what: say`fills up short rows` }];
  const frame = dataset.prefix.map((id) => ({ id, what: say`begins every window` }));
  if (dataset.kind === 'text') return frame;
  const { masking } = dataset;
  return [
    ...frame,
    { id: masking.id, what: say`hides words` },
    { id: masking.padId, what: say`fills up short rows` },
    ...masking.suffix.map((id) => ({ id, what: say`ends every window` })),
  ];
}

/**
 * Checks every row of both splits.
 * @param model with the head that it is trained with
 * @throws PapilioError 'bad-data' naming the first token or label that the model has no row or score for
 */
export function checkData(
  model: LoadedModel,
  dataset: Dataset,
  tokenizer: Tokenizer | null,
  length: number,
): void {
  if (dataset.kind !== 'image') checkIds(model, dataset, tokenizer, length);
  checkSegments(model, dataset);
  checkLabels(model, dataset);
}

function checkIds(
  { contract, scores }: LoadedModel,
  dataset: Exclude<Dataset, { kind: 'image' }>,
  tokenizer: Tokenizer | null,
  length: number,
): void {
  const isLanguage =
    dataset.kind === 'text' || dataset.kind === 'masked-text' || dataset.kind === 'instruction';
  const tables = [
    ...(contract.tokens ? [{ rows: contract.tokens.rows, isTable: true }] : []),
    ...(isLanguage ? [{ rows: scores, isTable: false }] : []),
  ];
  for (const { rows, isTable } of tables) {
    const place = firstOf(dataset, tokenizer, length, (id) => id >= rows || id < 0);
    if (place)
      failToken(tokenizer, place, rows, isTable ? tableRows(rows) : say`the model scores ${rows} tokens`);
    if (!isTable) continue;
    const added = addedIds(dataset).find(({ id }) => id >= rows);
    if (added)
      fail(
        'bad-data',
        say`The tokenizer gives ${shown(tokenizer, added.id)}, which ${added.what}, the id ${added.id}, but ${tableRows(rows)} (ids 0 to ${rows - 1}); name another token for it in tokenizer_config.json, or export the model with its embeddings resized.`,
        { id: added.id, rows },
      );
  }
}

/** The ids of one text that somebody gives. @throws PapilioError 'bad-data' as {@link checkData} */
export function checkText(
  { model, tokenizer }: { readonly model: LoadedModel; readonly tokenizer: Tokenizer | null },
  ids: ArrayLike<number>,
  where: string,
): void {
  const rows = model.contract.tokens?.rows ?? Number.POSITIVE_INFINITY;
  const bad = Array.from(ids).find((id) => id >= rows || id < 0);
  if (bad !== undefined) failToken(tokenizer, { id: bad, where }, rows, tableRows(rows));
}

const tableRows = (rows: number): string => say`the model's token table has ${rows} rows`;

/** @param bound what has no more than `rows`, in words */
function failToken(tokenizer: Tokenizer | null, { id, where }: Place, rows: number, bound: string): never {
  return fail(
    'bad-data',
    say`The tokenizer gives ${shown(tokenizer, id)} the id ${id} (${where}), but ${bound} (ids 0 to ${rows - 1}); take the tokenizer that belongs to the model, leave such tokens out, or export the model with its embeddings resized.`,
    { id, rows },
  );
}

function checkSegments({ contract, inputs }: LoadedModel, dataset: Dataset): void {
  const rows = contract.segments?.rows;
  if (rows === undefined || !isRows(dataset) || !inputs.some(({ feed }) => feed === 'token_type_ids')) return;
  for (const split of SPLITS) {
    const { count, segments, origin } = dataset[split];
    if (!segments) continue;
    for (let i = 0; i < count; i++) {
      const id = segments(i).find((s) => s >= rows);
      if (id !== undefined)
        fail(
          'bad-data',
          rows === 1
            ? say`The second text of ${origin(i)} has the token type ${id}, but the model's table of token types has one row; give rows of one text each.`
            : say`The second text of ${origin(i)} has the token type ${id}, but the model's table of token types has ${rows} rows; give rows of one text each.`,
        );
    }
  }
}

/** Class numbers and the numbers of a regression, of every example. */
function checkLabels(model: LoadedModel, dataset: Dataset): void {
  const complain = (label: number, where: string): never =>
    fail(
      'bad-data',
      say`The label ${label} ${where} is none of the ${model.scores} classes that the model scores (0 to ${model.scores - 1}).`,
    );
  const isBad = (label: number): boolean =>
    label !== IGNORED_LABEL && !(Number.isInteger(label) && label >= 0 && label < model.scores);
  for (const split of SPLITS) {
    const count = 'tokens' in dataset[split] ? 0 : exampleCount(dataset, split);
    for (let i = 0; i < count; i++) {
      if (dataset.kind === 'image') {
        const label = dataset[split].label(i);
        if (isBad(label)) complain(label, say`of picture ${i + 1}`);
      } else if (dataset.kind === 'text-class') {
        const label = dataset[split].label(i);
        if (isBad(label)) complain(label, say`in ${dataset[split].origin(i)}`);
      } else if (dataset.kind === 'token-class') {
        const label = dataset[split].labels(i).find(isBad);
        if (label !== undefined) complain(label, say`in ${dataset[split].origin(i)}`);
      } else if (dataset.kind === 'text-value' && !Number.isFinite(dataset[split].value(i)))
        fail('bad-data', say`The number in ${dataset[split].origin(i)} is not finite; mend or delete it.`);
    }
  }
}

/** A dataset whose random tokens are drawn from those that the model has: the tokenizer may know more. */
export function withinVocabulary(dataset: Dataset, { contract, scores }: LoadedModel): Dataset {
  if (dataset.kind !== 'masked-text') return dataset;
  const most = Math.min(contract.tokens?.rows ?? Number.POSITIVE_INFINITY, scores);
  return dataset.vocabSize <= most ? dataset : { ...dataset, vocabSize: most };
}
