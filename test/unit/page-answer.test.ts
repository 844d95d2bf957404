/**
 * What a run answers to its preset's question. Seen to fail: a side that is not recognised, a verdict that takes chance for a difference, a
 * perplexity for which more counts as better, a run of other length that is compared, a step at which too little had fallen.
 */
import { describe, expect, test } from 'vitest';
import type { RunFigures } from '../../src/page/features/runs/figures.ts';
import { PRESETS, presetById } from '../../src/page/features/setup/presets.ts';
import { baseSettings, refuseConfig } from '../../src/page/features/setup/settings.ts';
import { partIn, partsOf, partTitle } from '../../src/page/features/setup/sides.ts';
import { answerOf, reachOf } from '../../src/page/features/training/answer.ts';
import { baselinesOf } from '../../src/page/features/training/baselines.ts';
import { newRun, type RunRecord } from '../../src/page/features/training/runs.ts';
import { emptyRun, type RunView } from '../../src/page/stores.ts';
import type { EvalMetric } from '../../src/training/protocol.ts';
import { openReport, visionReport } from './page-fixtures.ts';

const figures = (value: number, change: Partial<RunFigures> = {}): RunFigures => ({
  ...{ model: 'glyphs-vit', data: 'letters', engine: 'webgpu', machine: 'd', rate: 1e-3, steps: 300 },
  ...{ totalSteps: 300, loss: 1, metric: 'accuracy', stored: 9, free: 7 },
  first: { step: 0, value: 0.05 },
  best: { step: 300, value },
  last: { step: 300, value },
  ...{ secondsPerStep: 1, seconds: 9, peakBytes: null },
  ...change,
});

let nextId = 1;

/** The `at`th part of a preset as a run; part 0 is its own. */
function runOf(
  preset: string,
  at: number,
  of: RunFigures | null,
  evals: readonly EvalMetric[] = [],
): RunRecord {
  const { settings } = partsOf(presetById(preset), { ...baseSettings(preset).training, seed: 1 })[at]!;
  const run = newRun(nextId++, settings, 0);
  for (const one of evals) run.series.addEval(one);
  return { ...run, outcome: of && { end: 'finished', link: '', figures: of } };
}

const scored = (step: number, value: number, loss = 1, examples = 260): EvalMetric => ({
  ...{ step, value, loss, examples, metric: 'accuracy' },
});

const viewOf = (current: RunRecord, runs: readonly RunRecord[] = []): RunView => ({
  ...emptyRun,
  ...{ saved: null, savedProblem: null, state: 'finished', current },
  runs: [current, ...runs],
  open: openReport({ steps: 300 }),
});

const ENDS = [scored(0, 0.05), scored(300, 0.954)];
const answer = (current: RunRecord, of: RunFigures, runs: readonly RunRecord[] = []) =>
  answerOf(viewOf(current, runs), of)!;

describe('the sides of a preset', () => {
  test.each(PRESETS.map(({ id }) => id))(
    '%s: each is legal, is recognised and has a title of its own',
    (id) => {
      const parts = partsOf(presetById(id), { ...baseSettings(id).training, seed: 7 });
      for (const part of parts) {
        expect(refuseConfig(part.settings, visionReport())).toBeNull();
        expect(partIn(parts, part.settings)).toBe(part);
        expect(part.settings.training.seed).toBe(7);
      }
      expect(new Set(parts.map((part) => partTitle(part, parts))).size).toBe(parts.length);
    },
  );

  test('what tells them apart is said, and nothing else', () => {
    const parts = partsOf(presetById('why-m'), { ...baseSettings('why-m').training, seed: 1 });
    expect(parts.map((part) => partTitle(part, parts))).toEqual([
      'BOFT, b = 4, m = 5',
      'BOFT, b = 16, m = 1',
    ]);
    const letters = partsOf(presetById('letters-boft'), {
      ...baseSettings('letters-boft').training,
      seed: 1,
    });
    expect(letters.map((part) => partTitle(part, letters))).toEqual(['BOFT', 'Head only']);
  });

  test('another method, other data or another preset is none of them', () => {
    const parts = partsOf(presetById('letters-boft'), { ...baseSettings('letters-boft').training, seed: 1 });
    const { settings } = parts[0]!;
    expect(partIn(parts, { ...settings, method: 'lora', config: {} })).toBeNull();
    expect(partIn(parts, { ...parts[1]!.settings, data: 'files' })).toBeNull();
    expect(partIn(parts, { ...settings, preset: 'why-m' })).toBeNull();
    // The same method with another setting is what the question is about.
    expect(partIn(parts, { ...settings, config: { ...settings.config, boft_block_size: 8 } })).toBe(parts[0]);
  });
});

describe('an answer', () => {
  test('says what the run came to and names the head that is not trained yet', () => {
    const { says, rows } = answer(runOf('letters-boft', 0, null, ENDS), figures(0.954));
    expect(says[0]).toBe(
      'Held-out accuracy was 5.00 % before and is 95.4 % after 300 steps, on 260 examples.',
    );
    expect(says[1]).toBe(
      'In the first layer each factor can differ from zero in 512 of 16,384 entries, and there are 2 of them.',
    );
    expect(rows.map(({ title, run }) => [title, run === null])).toEqual([
      ['BOFT', false],
      ['Head only', true],
    ]);
  });

  test('holds it against the latest finished run of the other side', () => {
    const head = runOf('letters-boft', 1, figures(0.779));
    const { says } = answer(runOf('letters-boft', 0, null, ENDS), figures(0.954), [head]);
    expect(says[1]).toBe('BOFT ends better than Head only: held-out accuracy 95.4 % against 77.9 %.');
    // From the other side it is the other way round.
    const back = answer(runOf('letters-boft', 1, null, ENDS), figures(0.779), [
      runOf('letters-boft', 0, figures(0.954)),
    ]);
    expect(back.says[1]).toBe('Head only ends worse than BOFT: held-out accuracy 77.9 % against 95.4 %.');
    expect(back.rows[0]!.isOnScreen).toBe(true);
  });

  test('does not take chance for a difference', () => {
    const other = runOf('why-m', 1, figures(0.942));
    const { says } = answer(runOf('why-m', 0, null, ENDS), figures(0.954), [other]);
    expect(says[1]).toMatch(/260 examples cannot tell that from chance/);
    // The same shares of more examples are apart.
    const many = ENDS.map((one) => ({ ...one, examples: 20_000 }));
    expect(answer(runOf('why-m', 0, null, many), figures(0.954), [other]).says[1]).toMatch(
      /ends better than/,
    );
  });

  test('of a perplexity less is better', () => {
    const parts = { metric: 'perplexity' as const };
    const evals = ENDS.map((one) => ({ ...one, metric: 'perplexity' as const }));
    const { says } = answer(runOf('why-m', 0, null, evals), figures(2.01, parts), [
      runOf('why-m', 1, figures(2.1, parts)),
    ]);
    expect(says[1]).toBe(
      'BOFT, b = 4, m = 5 ends better than BOFT, b = 16, m = 1: held-out perplexity 2.010 against 2.100.',
    );
  });

  test('a run of other length, of other data or one that did not end is not compared', () => {
    const head = runOf('letters-boft', 1, figures(0.779));
    const short = {
      ...head,
      settings: { ...head.settings, training: { ...head.settings.training, steps: 9 } },
    };
    const other = runOf('letters-boft', 1, figures(0.779, { data: 'mine.csv' }));
    const stopped = { ...head, outcome: { ...head.outcome!, end: 'stopped' as const } };
    for (const run of [short, other, stopped])
      expect(answer(runOf('letters-boft', 0, null, ENDS), figures(0.954), [run]).rows[1]!.run).toBeNull();
  });

  test('there is none before the end, and none to a question that is about something else', () => {
    const run = runOf('letters-boft', 0, null, ENDS);
    expect(answerOf({ ...viewOf(run), state: 'running' }, figures(0.9))).toBeNull();
    const other = { ...run, settings: { ...run.settings, method: 'lora' as const, config: {} } };
    expect(answerOf(viewOf(other), figures(0.9))).toBeNull();
  });

  test('with as many numbers, m is what decides how far an input reaches', () => {
    const parts = partsOf(presetById('why-m'), { ...baseSettings('why-m').training, seed: 1 });
    expect(parts.map(({ settings }) => reachOf(settings, visionReport()))).toEqual([
      { reached: 64, of: 128 },
      { reached: 16, of: 128 },
    ]);
  });

  test('how soon: the first scores by which half and nine tenths of the fall had gone', () => {
    const evals = [4, 3, 1.9, 1.4, 1].map((loss, i) => ({
      ...scored(25 * i, Math.exp(loss), loss),
      metric: 'perplexity' as const,
    }));
    const { says } = answer(runOf('tales-recipes', 0, null, evals), figures(2.7, { metric: 'perplexity' }));
    expect(says[1]).toMatch(/half was gone at step 50 and nine tenths at step 100,/);
  });

  test('what was kept and changed is said as the last evaluation measured it', () => {
    const last = { ...ENDS[1]!, others: { relativeChange: 0.123, orthogonality: 2e-6 } };
    const { says } = answer(runOf('why-m', 0, null, [ENDS[0]!, last]), figures(0.954));
    expect(says.at(-1)).toMatch(
      /have changed by 12.3 % of their size. The largest ‖RᵀR − I‖ of their rotations is 2.0\u00a0e−6:/,
    );
    const torn = { ...last, others: { relativeChange: 0.7, orthogonality: 6.2 } };
    const exact = runOf('tales-recipes', 0, null, [ENDS[0]!, torn]);
    const { settings } = exact;
    const short = { ...settings, config: { ...settings.config, use_cayley_neumann: true } };
    const saidOf = (run: RunRecord) => answer(run, figures(0.954)).says.at(-1);
    expect(saidOf({ ...exact, settings: short })).toMatch(
      /is 6.200: they are rotations no more,.* Cayley–Neumann series, which is on,/,
    );
    for (const run of [exact, runOf('why-m', 0, null, [ENDS[0]!, torn])]) {
      expect(saidOf(run)).toMatch(/is 6.200: they are rotations no more/);
      expect(saidOf(run)).not.toMatch(/Neumann/);
    }
    const lora = { ...last, others: { relativeChange: 0.5 } };
    expect(answer(runOf('why-m', 0, null, [ENDS[0]!, lora]), figures(0.954)).says.at(-1)).toBe(
      'By the curve of ‖ΔW‖ / ‖W‖ the adapted weights have changed by 50.0 % of their size.',
    );
  });

  test('of an own model: whether the merged file was held against the trainer', () => {
    const run = runOf('own-model', 0, null, ENDS);
    const parity = { verdict: 'passed', maxRel: 3e-6, bound: 1e-4 };
    const merged = { parity } as RunView['merged'];
    expect(answerOf(viewOf(run), figures(0.9))!.says[1]).toMatch(/is measured under Merge/);
    expect(answerOf({ ...viewOf(run), merged }, figures(0.9))!.says[1]).toMatch(/at most 3.0\u00a0e−6 apart/);
  });
});

describe('what a score is held against', () => {
  test('the model before training, and the head alone where it was trained on the same', () => {
    const run = runOf('letters-boft', 0, figures(0.954), ENDS);
    const head = runOf('letters-boft', 1, figures(0.779));
    const elsewhere = runOf('letters-boft', 1, figures(0.5, { data: 'mine.csv' }));
    const names = (runs: readonly RunRecord[]) => baselinesOf(run, [run, ...runs]).map(({ value }) => value);
    expect(names([])).toEqual([0.05]);
    expect(names([elsewhere])).toEqual([0.05]);
    expect(names([elsewhere, head])).toEqual([0.05, 0.779]);
    expect(baselinesOf(null, [head])).toEqual([]);
    // A run that goes on has no score of before.
    expect(baselinesOf(runOf('letters-boft', 0, figures(0.9), [ENDS[1]!]), [])).toEqual([]);
  });
});

test('a title names the numbers that were trained, and a side is trained for as long as the run', () => {
  const base = baseSettings('why-m');
  const training = { ...base.training, steps: 40, batchSize: 4, seed: 3 };
  const parts = partsOf(presetById('why-m'), training);
  for (const { settings } of parts)
    expect(settings.training).toMatchObject({ steps: 40, batchSize: 4, seed: 3 });
  const other = { ...base, training, config: { ...base.config, boft_block_size: 8 } };
  expect(partTitle(parts[0]!, parts, other)).toMatch(/^BOFT, b = 8, m = /);
});
