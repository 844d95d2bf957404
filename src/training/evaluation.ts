/** Quality on held-out examples, and the curve as a table. */
import type { Dataset } from '../data/types.ts';
import type { BatchPlan, FullBatch } from './batchPlan.ts';
import type { Engine, Which } from './engine.ts';
import type { EvalMetric, StepMetric } from './protocol.ts';

/** Accuracy of classifiers, perplexity of language models, over at most `limit` held-out examples (0: all). */
export async function evaluateHeld(
  engine: Engine,
  dataset: Dataset,
  batches: BatchPlan,
  which: Which,
  at: { readonly step: number; readonly limit: number },
): Promise<EvalMetric> {
  const classify = dataset.kind !== 'text';
  let lossSum = 0;
  let valid = 0;
  let correct = 0;
  let examples = 0;
  for (const indices of batches.held(at.limit)) {
    const batch = batches.load('held', indices);
    const { loss, logits } = await engine.evaluate(which, batch, classify);
    lossSum += loss;
    valid += batch.validLabels;
    examples += batch.count;
    if (logits) correct += countCorrect(logits, batch);
  }
  const loss = lossSum / Math.max(1, valid);
  return {
    step: at.step,
    metric: classify ? 'accuracy' : 'perplexity',
    value: classify ? correct / Math.max(1, examples) : Math.exp(loss),
    loss,
    examples,
  };
}

/** Rows whose largest logit is at their label. */
function countCorrect(logits: Float32Array, batch: FullBatch): number {
  const classes = logits.length / batch.labels.length;
  let correct = 0;
  for (let i = 0; i < batch.count; i++) {
    let best = 0;
    for (let k = 1; k < classes; k++) if (logits[i * classes + k]! > logits[i * classes + best]!) best = k;
    if (best === batch.labels[i]) correct++;
  }
  return correct;
}

/** Metrics as CSV, one row per update, evaluations in their own columns. */
export function metricsCsv(steps: readonly StepMetric[], evals: readonly EvalMetric[]): string {
  const byStep = new Map(evals.map((e) => [e.step, e]));
  const metric = evals[0]?.metric ?? 'eval';
  const rows = steps.map((s) => {
    const e = byStep.get(s.step);
    const figures = [s.step, s.loss, s.learningRate, s.gradNorm, s.examples, s.tokens, s.seconds.toFixed(3)];
    return [...figures, e?.loss ?? '', e?.value ?? ''].join(',');
  });
  const header = `step,loss,learning_rate,grad_norm,examples,tokens,seconds,eval_loss,eval_${metric}`;
  return [header, ...rows, ''].join('\n');
}
