/**
 * Learning-rate schedules and the scalars of a step. Seen to fail with: a warm-up that reaches its peak one step early, a cosine without its
 * half, bias corrections from update 0.
 */
import { describe, expect, it } from 'vitest';
import { METHODS } from '../../src/adapters/registry.ts';
import { learningRateAt, SCHEDULES, trainingSchema } from '../../src/training/settings.ts';
import { STEP_SCALARS, stepScalars } from '../../src/training/stepGraph.ts';

const settings = (changes: Record<string, unknown> = {}) =>
  trainingSchema.parse({ learningRate: 0.4, warmupSteps: 3, ...changes });
const curve = (changes: Record<string, unknown>, total: number, shown = total) =>
  Array.from({ length: shown }, (_, step) => learningRateAt(settings(changes), step, total));
const near = (got: readonly number[], want: readonly number[]) => {
  expect(got).toHaveLength(want.length);
  got.forEach((v, i) => {
    expect(v, `step ${i}`).toBeCloseTo(want[i]!, 12);
  });
};

describe('learning rate', () => {
  it('rises on a line, never from zero, then stays, falls on a line or on half a cosine', () => {
    near(curve({ schedule: 'constant' }, 20, 6), [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]);
    near(curve({ schedule: 'linear', warmupSteps: 1 }, 5), [0.2, 0.4, 0.3, 0.2, 0.1]);
    const half = 0.2;
    const root = Math.SQRT1_2;
    near(curve({ schedule: 'cosine', warmupSteps: 1 }, 5), [
      0.2,
      0.4,
      half * (1 + root),
      half,
      half * (1 - root),
    ]);
  });

  it('spends at most a fifth of a run on the warm-up', () => {
    near(curve({ schedule: 'constant', warmupSteps: 20 }, 10), [0.4 / 3, 0.8 / 3, ...Array(8).fill(0.4)]);
    near(curve({ schedule: 'linear', warmupSteps: 20 }, 4), [0.4, 0.3, 0.2, 0.1]);
  });

  it.each(SCHEDULES)('%s never exceeds its peak nor falls below zero, also past the end', (schedule) => {
    for (const warmupSteps of [0, 1, 50]) {
      for (let step = 0; step < 40; step++) {
        const rate = learningRateAt(settings({ schedule, warmupSteps }), step, 20);
        expect(rate).toBeGreaterThanOrEqual(0);
        expect(rate).toBeLessThanOrEqual(0.4);
      }
    }
    const end = learningRateAt(settings({ schedule }), 20, 20);
    expect(end).toBeCloseTo(schedule === 'constant' ? 0.4 : 0, 12);
  });

  it('has a default for every method that the schema accepts', () => {
    for (const { id, start } of Object.values(METHODS)) {
      const { learningRate } = trainingSchema.parse({ learningRate: start.learningRate });
      expect(learningRate, id).toBeGreaterThan(0);
    }
  });
});

describe('step scalars', () => {
  it('hold the optimiser numbers in the order that the kernels read, bias corrections as torch has them', () => {
    const s = settings({
      beta1: 0.9,
      beta2: 0.99,
      epsilon: 1e-6,
      weightDecay: 0.05,
      maxGradNorm: 2,
      momentum: 0.5,
    });
    for (const update of [0, 1, 9]) {
      const t = update + 1;
      const scalars = stepScalars(s, update, 0.25);
      expect(scalars).toHaveLength(STEP_SCALARS);
      expect([...scalars]).toEqual([
        ...Float32Array.of(0.25, 1 - 0.9 ** t, 1 - 0.99 ** t, 0.9, 0.99, 1e-6, 0.05, 2, 0.5),
        ...new Array<number>(STEP_SCALARS - 9).fill(0),
      ]);
    }
  });
});

describe('settings', () => {
  it.each([
    { learningRate: -1 },
    { batchSize: 0 },
    { batchSize: 2.5 },
    { steps: 0 },
    { optimizer: 'lion' },
    { schedule: 'step' },
    { beta2: 1 },
    { unknown: 1 },
  ])('refuse %o', (change) => {
    expect(trainingSchema.safeParse(change).success).toBe(false);
  });
});
