/**
 * Which parameters that the file stores once are one in PyTorch. Equal bytes alone say nothing: exporters and tools write equal biases,
 * norms and matrices once. One and the same are the table of word embeddings and the head that scores words with it, and the tables by
 * which an encoder and a decoder look up the same words.
 */
import type { FoldedNode, FoldedValue, Weight } from './folded.ts';
import type { ModuleKind, ModuleUse } from './uses.ts';
import { sameStored } from './uses.ts';

interface Candidate {
  readonly name: string;
  readonly kind: ModuleKind;
  readonly shape: readonly number[];
  readonly weight: Weight;
  readonly uses: readonly ModuleUse[];
}

/** What leaves token ids what they are. */
const KEEPS_IDS = new Set([
  'Cast',
  'Reshape',
  'Clip',
  'Where',
  'Slice',
  'Concat',
  'Transpose',
  'Gather',
  'Mul',
  'Max',
]);

/** Whether a table is looked up by the tokens that the model is fed, not by positions or segments. */
function readsTokens({ node }: { readonly node: FoldedNode }): boolean {
  const seen = new Set<FoldedValue>();
  const level = [node.inputs[1]];
  for (let v = level.pop(); v !== undefined; v = level.pop()) {
    if (v === null || seen.has(v)) continue;
    seen.add(v);
    if (v.input && !/position|token_type|segment|mask/.test(v.name)) return true;
    if (v.producer && KEEPS_IDS.has(v.producer.op)) level.push(...v.producer.inputs);
  }
  return false;
}

/**
 * @param config config.json: `tie_word_embeddings: false` says that a head is none
 * @returns names of parameters; the first of each owns the tensor
 */
export function tiesOf(
  candidates: readonly Candidate[],
  config: Readonly<Record<string, unknown>>,
): readonly (readonly string[])[] {
  const ties: (readonly string[])[] = [];
  const done = new Set<Candidate>();
  for (const table of candidates) {
    if (table.kind !== 'embedding' || done.has(table) || !table.uses.some(readsTokens)) continue;
    const alike = candidates.filter(
      (p) => p !== table && sameStored(p.weight, table.weight) && p.shape.join() === table.shape.join(),
    );
    const tables = alike.filter((p) => p.kind === 'embedding' && p.uses.some(readsTokens));
    const heads =
      config.tie_word_embeddings === false
        ? []
        : alike.filter((p) => (p.kind === 'linear' || p.kind === 'conv1d') && p.name.endsWith('.weight'));
    if (tables.length + heads.length === 0) continue;
    const tie = [table, ...tables, ...heads];
    for (const p of tie) done.add(p);
    ties.push(tie.map(({ name }) => name));
  }
  return ties;
}
