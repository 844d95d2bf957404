/** What is said of a run that ended worse, from its own figures; and of scores that are no numbers. */
import { describe, expect, it } from 'vitest';
import { METHODS } from '../../src/adapters/registry.ts';
import { methodFacts, outcomeOf, type RunFacts } from '../../src/training/outcome.ts';
import type { EvalMetric, StepMetric } from '../../src/training/protocol.ts';
import { trainingSchema } from '../../src/training/settings.ts';

const perplexity = (value: number, loss = Math.log(value)): EvalMetric => ({
  step: 0,
  metric: 'perplexity',
  value,
  loss,
  examples: 12,
});
const curve = (losses: readonly number[], gradNorm: (i: number) => number = () => 1): StepMetric[] =>
  losses.map((loss, i) => ({
    step: i + 1,
    loss,
    learningRate: 1e-3,
    gradNorm: gradNorm(i),
    examples: 16 * (i + 1),
    tokens: 0,
    seconds: i,
  }));
const line = (from: number, to: number, n = 20): number[] =>
  Array.from({ length: n }, (_, i) => from + ((to - from) * i) / (n - 1));
const facts = (change: Partial<RunFacts>): RunFacts => ({
  before: perplexity(6),
  after: perplexity(8),
  steps: curve(line(1.8, 1.2)),
  method: { startLearningRate: 2e-3, suitedScaling: null },
  config: {},
  training: trainingSchema.parse({ learningRate: 2e-3 }),
  trainExamples: 1000,
  classes: null,
  ...change,
});

it.each(['head', 'full'] as const)(
  'the usual rate of %s, which trains whole weights, is that of the layers of the model',
  (id) => {
    const wide = { name: 'a.fc', kind: 'linear', in: 256, out: 64, hasBias: true } as const;
    const { startLearningRate } = methodFacts(METHODS[id], [], [wide], {});
    expect(startLearningRate).toBeCloseTo(METHODS[id].start.learningRate / 2, 12);
  },
);

describe('a run that ended worse', () => {
  it.each<[string, Partial<RunFacts>, RegExp]>([
    [
      'a rate far beyond the usual one',
      {
        steps: curve(line(1.8, 2.6), (i) => 1 + 30 * i),
        training: trainingSchema.parse({ learningRate: 0.5 }),
      },
      /learning rate\. The training loss rose, from 1\.8\d+ to 2\.600 at step 20\. The gradient's norm grew to \S+ times its first\. 0\.5 is too high here; try 0\.0020/,
    ],
    [
      'FourierFT at the scaling of wide models',
      {
        method: { startLearningRate: 5e-3, suitedScaling: 36 },
        config: { scaling: 150, n_frequency: 1000, init_weights: false },
        steps: curve(line(5, 4)),
      },
      /the scaling\. FourierFT starts at random coefficients, and the first step's loss was 5\.000 already, against 1\.792 without the adapter\. A scaling of 150 weighs 42 times as much on layers of this size as the paper's does on its own\. Try "scaling": 3\.6, or "init_weights": true/,
    ],
    [
      'a rate that throws the model far off at once, and not all the way back',
      { steps: curve([1.8, 6, 5.8, 5, 4.6, 4.2, 4.1, 4, 3.9, 3.8]) },
      /learning rate\. The training loss rose, from 1\.800 to 6\.000 at step 2/,
    ],
    [
      'FourierFT from zero, at ten times the rate',
      {
        method: { startLearningRate: 5e-3, suitedScaling: 36 },
        config: { scaling: 36, init_weights: true },
        training: trainingSchema.parse({ learningRate: 0.05 }),
      },
      /the scaling\. A scaling of 36 weighs 10 times .*, at a learning rate of 0\.05\. Try "scaling": 3\.6, or a lower learning rate/,
    ],
    [
      'few examples',
      { trainExamples: 32 },
      /few examples\. The training loss went from 1\.7\d+ to 1\.2\d+ while each of the 32 training examples was seen 10 times/,
    ],
    ['held out of another kind', {}, /held-out examples unlike those trained on/],
    [
      'too short',
      { steps: curve(line(1.8, 1.799)) },
      /too little training\. .* in 20 steps, 20 of which warm up/,
    ],
    [
      'a classifier that guesses',
      {
        before: { step: 0, metric: 'accuracy', value: 0.3, loss: 1.5, examples: 12 },
        after: { step: 20, metric: 'accuracy', value: 0.25, loss: 1.39, examples: 12 },
        classes: 4,
        steps: curve(line(1.4, 1.38)),
      },
      /nothing is learnt\. The training loss, 1\.38, is that of guessing among 4 classes/,
    ],
    ['no step', { steps: [] }, /No step was made/],
  ])('%s', (_what, change, says) => {
    const { isWorse, remarks } = outcomeOf(facts(change));
    expect(isWorse).toBe(true);
    expect(remarks[0]).toMatch(
      /^The run ended worse than it began: held-out \w+ \S+ before, \S+ after, on the same 12 examples\./,
    );
    expect(remarks[0]).toMatch(says);
  });

  it('is one whose score is the same and whose loss rose', () => {
    const same = (loss: number): EvalMetric => ({
      step: 0,
      metric: 'accuracy',
      value: 0.5,
      loss,
      examples: 12,
    });
    expect(outcomeOf(facts({ before: same(1), after: same(1.5) })).remarks[0]).toMatch(
      /held-out loss 1\.000 before, 1\.500 after/,
    );
    expect(outcomeOf(facts({ before: same(1), after: same(1.001) })).isWorse).toBe(false);
  });
});

it('a run that ended better, or as it began, has no remark', () => {
  expect(outcomeOf(facts({ after: perplexity(5) }))).toEqual({ isWorse: false, remarks: [] });
  expect(outcomeOf(facts({ after: perplexity(6.001) }))).toEqual({ isWorse: false, remarks: [] });
});

describe('scores that are no numbers', () => {
  it.each<[EvalMetric, RegExp]>([
    [
      perplexity(Number.POSITIVE_INFINITY, 812),
      /after training is infinite: it is e to the mean loss, which is 812\.0/,
    ],
    [
      perplexity(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY),
      /after training is infinite: to some right answer .* a probability of 0/,
    ],
    [perplexity(Number.NaN, Number.NaN), /after training is not a number: .* overflow/],
  ])('%o', (after, says) => {
    const { isWorse, remarks } = outcomeOf(facts({ after }));
    expect(isWorse).toBe(true);
    expect(remarks.at(-1)).toMatch(says);
  });

  it('and a base that is so already is told, and no reason to call the run worse', () => {
    const { isWorse, remarks } = outcomeOf(
      facts({ before: perplexity(Number.POSITIVE_INFINITY, 900), after: perplexity(7) }),
    );
    expect(isWorse).toBe(false);
    expect(remarks).toEqual([expect.stringMatching(/before training is infinite/)]);
  });
});
