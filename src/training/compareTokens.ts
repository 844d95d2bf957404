/** Base and adapted model at single tokens of held-out texts: tags of words, and guesses of hidden tokens. */
import { IGNORED_LABEL } from '../data/tensors.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { MaskedTextDataset, TokenClassDataset } from '../data/types.ts';
import { answers, type CompareOptions, DEFAULT_EXAMPLES, draw, probabilities } from './compareDraw.ts';
import type { Comparison } from './protocol.ts';
import type { Session } from './session.ts';

/** A position of a batch with a label, and both models' logits there. */
interface Position {
  readonly ids: Int32Array;
  readonly at: number;
  readonly label: number;
  readonly before: Float32Array;
  readonly after: Float32Array;
}

/** The first labelled positions of the chosen examples, at most `most`, the examples taking turns. */
async function positions(session: Session, options: CompareOptions): Promise<Position[]> {
  const found: Position[][] = [];
  for await (const { batch, base, adapted, members } of answers(session, draw(session, options))) {
    const length = batch.inputs.input_ids!.shape[1]!;
    const classes = base.length / batch.labels.length;
    const used = batch.inputs.attention_mask!.data;
    members.forEach((_, k) => {
      const row = k * length;
      const ids = (batch.inputs.input_ids!.data as Int32Array)
        .slice(row, row + length)
        .filter((_id, t) => used[row + t] === 1);
      const own: Position[] = [];
      for (let t = 0; t < ids.length; t++) {
        const label = batch.labels[row + t]!;
        const part = (logits: Float32Array) => logits.slice((row + t) * classes, (row + t + 1) * classes);
        if (label !== IGNORED_LABEL)
          own.push({ ids, at: t, label, before: part(base), after: part(adapted) });
      }
      found.push(own);
    });
  }
  const most = options.examples ?? DEFAULT_EXAMPLES;
  const longest = Math.max(0, ...found.map((own) => own.length));
  return Array.from({ length: longest }, (_, turn) => found.flatMap((own) => own[turn] ?? []))
    .flat()
    .slice(0, most);
}

/** The sentence with the token at `at` in brackets. */
const marked = (tokenizer: Tokenizer | null, { ids, at }: Position, shown?: string): string =>
  tokenizer === null
    ? ''
    : `${tokenizer.decode(ids.subarray(0, at))} [${(shown ?? tokenizer.decode(ids.subarray(at, at + 1))).trim()}] ${tokenizer.decode(ids.subarray(at + 1))}`.trim();

export async function compareTags(
  session: Session,
  dataset: TokenClassDataset,
  options: CompareOptions,
): Promise<Comparison> {
  const { tokenizer } = session.opened;
  const examples = (await positions(session, options)).map((p) => ({
    text: marked(tokenizer, p),
    label: p.label,
    before: probabilities(p.before, dataset.labels.length)[0]!,
    after: probabilities(p.after, dataset.labels.length)[0]!,
  }));
  return { kind: 'text-class', labels: dataset.labels, examples };
}

const LIKELIEST = 3;

/** Hidden tokens; the classes shown are the true ones and what either model finds likeliest. */
export async function compareHidden(
  session: Session,
  dataset: MaskedTextDataset,
  options: CompareOptions,
): Promise<Comparison> {
  const { tokenizer } = session.opened;
  const found = await positions(session, options);
  const likeliest = (p: Float32Array): number[] =>
    [...p.keys()].sort((a, b) => p[b]! - p[a]!).slice(0, LIKELIEST);
  const all = found.map((p) => {
    const [before] = probabilities(p.before, p.before.length);
    const [after] = probabilities(p.after, p.after.length);
    return { p, before: before!, after: after! };
  });
  const ids = [
    ...new Set(all.flatMap(({ p, before, after }) => [p.label, ...likeliest(before), ...likeliest(after)])),
  ];
  const pick = (values: Float32Array) => Float32Array.from(ids, (id) => values[id]!);
  const name = tokenizer?.token(dataset.masking.id) ?? '?';
  return {
    kind: 'text-class',
    labels: ids.map((id) => tokenizer?.decode([id], { specials: true }) ?? String(id)),
    examples: all.map(({ p, before, after }) => ({
      text: marked(tokenizer, p, name),
      label: ids.indexOf(p.label),
      before: pick(before),
      after: pick(after),
    })),
  };
}
