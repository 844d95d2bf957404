/** Quality on held-out examples, and the curve as a table. */
import { IGNORED_LABEL } from '../data/tensors.ts';
import type { Dataset } from '../data/types.ts';
import type { BatchPlan, FullBatch } from './batchPlan.ts';
import type { Engine, Which } from './engine.ts';
import type { ParityReport } from './parity.ts';
import type { EvalMetric, StepMetric } from './protocol.ts';

/** More logits than this are not read back only to count what was right. */
const MOST_LOGITS = 1 << 22;

/** Figures of a task, put together batch by batch. */
interface Tally {
  /** Whether {@link Tally.add} needs the logits of this batch. */
  readonly wants: (batch: FullBatch) => boolean;
  add(logits: Float32Array, batch: FullBatch): void;
  /** @param loss mean over the labels that count */
  result(loss: number): Pick<EvalMetric, 'metric' | 'value' | 'words' | 'others'>;
}

/** The task's own measure over at most `limit` held-out examples (0: all). */
export async function evaluateHeld(
  engine: Pick<Engine, 'evaluate'>,
  dataset: Dataset,
  batches: BatchPlan,
  which: Which,
  at: { readonly step: number; readonly limit: number },
): Promise<EvalMetric> {
  const tally = tallyFor(dataset);
  let lossSum = 0;
  let valid = 0;
  let examples = 0;
  for (const indices of batches.held(at.limit)) {
    const batch = batches.load('held', indices);
    const { loss, logits } = await engine.evaluate(which, batch, tally.wants(batch));
    lossSum += loss;
    valid += batch.validLabels;
    examples += batch.count;
    if (logits) tally.add(logits, batch);
  }
  const loss = lossSum / Math.max(1, valid);
  return { step: at.step, ...tally.result(loss), loss, examples };
}

function tallyFor(dataset: Dataset): Tally {
  switch (dataset.kind) {
    case 'text':
    case 'instruction':
      return {
        wants: () => false,
        add: () => {},
        result: (loss) => ({ metric: 'perplexity', value: Math.exp(loss) }),
      };
    case 'masked-text':
      return maskedTally(dataset.vocabSize);
    case 'text-value':
      return valueTally();
    case 'token-class':
      return classTally(dataset.labels.length, true);
    default:
      return classTally(dataset.labels.length, false);
  }
}

/** Calls `hear` with the likeliest class of each row that counts, and its label. */
function eachAnswer(
  logits: Float32Array,
  labels: ArrayLike<number>,
  hear: (answer: number, label: number) => void,
): void {
  const classes = logits.length / labels.length;
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === IGNORED_LABEL) continue;
    let best = 0;
    for (let k = 1; k < classes; k++) if (logits[i * classes + k]! > logits[i * classes + best]!) best = k;
    hear(best, labels[i]!);
  }
}

/** Accuracy over examples or tagged words; for tags also the mean of each class's F1. */
function classTally(classes: number, withF1: boolean): Tally {
  const right = new Int32Array(classes);
  const labelled = new Int32Array(classes);
  const answered = new Int32Array(classes);
  return {
    wants: () => true,
    add: (logits, batch) =>
      eachAnswer(logits, batch.labels, (answer, label) => {
        labelled[label]!++;
        if (answer < classes) answered[answer]!++;
        if (answer === label) right[label]!++;
      }),
    result() {
      const sum = (counts: Int32Array) => counts.reduce((a, b) => a + b, 0);
      const words = sum(labelled);
      const value = sum(right) / Math.max(1, words);
      if (!withF1) return { metric: 'accuracy', value };
      // Classes that neither stand in the data nor were answered say nothing.
      const seen = [...right.keys()].filter((c) => labelled[c]! + answered[c]! > 0);
      const f1 = seen.map((c) => (2 * right[c]!) / (labelled[c]! + answered[c]!));
      return {
        metric: 'accuracy',
        value,
        words,
        others: { macroF1: f1.reduce((a, b) => a + b, 0) / Math.max(1, f1.length) },
      };
    },
  };
}

function maskedTally(vocabulary: number): Tally {
  let right = 0;
  let hidden = 0;
  return {
    wants: (batch) => batch.labels.length * vocabulary <= MOST_LOGITS,
    add: (logits, batch) =>
      eachAnswer(logits, batch.labels, (answer, label) => {
        hidden++;
        if (answer === label) right++;
      }),
    result: (loss) => ({
      metric: 'pseudo-perplexity',
      value: Math.exp(loss),
      ...(hidden > 0 ? { others: { accuracy: right / hidden } } : {}),
    }),
  };
}

function valueTally(): Tally {
  const said: number[] = [];
  const truth: number[] = [];
  return {
    wants: () => true,
    add(logits, batch) {
      for (let i = 0; i < batch.count; i++) {
        said.push(logits[i]!);
        truth.push(batch.labels[i]!);
      }
    },
    result(loss) {
      const mean = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0) / Math.max(1, xs.length);
      const [ma, mb] = [mean(said), mean(truth)];
      const spread = (xs: readonly number[], m: number) => xs.reduce((sum, x) => sum + (x - m) ** 2, 0);
      const [sa, sb] = [spread(said, ma), spread(truth, mb)];
      const together = said.reduce((sum, x, i) => sum + (x - ma) * (truth[i]! - mb), 0);
      return {
        metric: 'rmse',
        value: Math.sqrt(loss),
        // Without any spread among the true numbers there is nothing to explain.
        others:
          sb > 0
            ? {
                r2: 1 - (loss * said.length) / sb,
                ...(sa > 0 ? { pearson: together / Math.sqrt(sa * sb) } : {}),
              }
            : {},
      };
    },
  };
}

/** Metrics as CSV, one row per update, evaluations in their own columns; of the last one also how the merged file was found. */
export function metricsCsv(
  steps: readonly StepMetric[],
  evals: readonly EvalMetric[],
  parity: Pick<ParityReport, 'maxRel' | 'bound' | 'verdict'> | null = null,
): string {
  const byStep = new Map(evals.map((e) => [e.step, e]));
  const metric = evals[0]?.metric ?? 'eval';
  // Some figures are of evaluations on the way alone.
  const others = [...new Set(evals.flatMap((one) => Object.keys(one.others ?? {})))];
  const rows = steps.map((s) => {
    const e = byStep.get(s.step);
    const figures = [s.step, s.loss, s.learningRate, s.gradNorm, s.examples, s.tokens, s.seconds.toFixed(3)];
    const merged = parity ? [parity.maxRel, parity.bound, parity.verdict] : [];
    return [
      ...figures,
      ...[e?.loss ?? '', e?.value ?? '', ...others.map((name) => e?.others?.[name] ?? '')],
      ...(s === steps.at(-1) ? merged : merged.map(() => '')),
    ].join(',');
  });
  const header = `step,loss,learning_rate,grad_norm,examples,tokens,seconds,eval_loss,eval_${[metric, ...others].join(',eval_')}${parity ? ',parity_max_rel,parity_bound,parity' : ''}`;
  return [header, ...rows, ''].join('\n');
}
