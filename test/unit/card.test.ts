/**
 * What was predicted for a card finds its kernels in the plans of the steps, and stands in docs/performance.md as it is printed. Seen to fail with: a
 * kernel that is called something else, kernels of the head counted as other products, a figure that is changed in one place.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from '../../src/graph/plan.ts';
import type { KernelCost } from '../../src/training/kernels.ts';
import type { MethodResult } from '../../tools/bench/measure.ts';
import { besidePredictions, CHANGES, STEPS } from '../../tools/bench/predictions.ts';
import { METHODS, type Method, MODELS, plannedStep } from '../tools/plans.ts';

const plans = new Map<string, Plan>();
beforeAll(async () => {
  const model = MODELS.gpt2.make(1);
  for (const method of METHODS) plans.set(method, await plannedStep('gpt2', model, method, [4, 1024]));
}, 60_000);

/** The kernels of a plan as they would come from a device, each taking a millisecond. */
const kernelsIn = (method: string): KernelCost[] =>
  plans.get(method)!.steps.flatMap((step) =>
    step.kind === 'copy'
      ? []
      : [
          {
            label: step.label,
            kernel: `${step.dispatch.shader.replace('.wgsl', '')} ${step.dispatch.entry}`,
            ...{ workgroups: step.dispatch.workgroups, count: 1, microseconds: 1000 },
            ...{ bytes: 0, work: null, rooflineShare: null },
          },
        ],
  );
const result = (method: Method): MethodResult =>
  ({
    ...{ method, secondsPerStep: 0.5, dispatches: 100 },
    kernels: { kernels: kernelsIn(method) },
  }) as unknown as MethodResult;

describe('predictions', () => {
  it('are of kernels that the steps have; a copy of queries, keys and values there is none', () => {
    for (const { change, method, isOf, milliseconds } of CHANGES)
      expect(kernelsIn(method).some(isOf), change).toBe(milliseconds > 0);
  });

  it('count each kernel for one change at most', () => {
    for (const method of METHODS)
      for (const kernel of kernelsIn(method)) {
        const counted = CHANGES.filter((one) => one.method === method && one.isOf(kernel));
        expect(counted.length, `${method} ${kernel.label}`).toBeLessThanOrEqual(1);
      }
  });

  it('stand beside the sum of what their kernels take, and beside whole steps', () => {
    const found = besidePredictions([result('lora')]);
    const attention = found.find(({ what }) => what === 'Attention in tiles');
    // Forwards, and the two kernels backwards.
    expect(attention).toMatchObject({ method: 'lora', predicted: 6, measured: 3 });
    expect(found.filter(({ what, method }) => what === 'a step' && method === 'lora')).toMatchObject([
      { predicted: STEPS.lora!.milliseconds, measured: 500 },
    ]);
    const without = { ...result('lora'), kernels: { kernels: [] } } as unknown as MethodResult;
    const none = besidePredictions([without]).filter(({ what }) => what !== 'a step');
    for (const { what, predicted, measured } of none) expect(measured, what).toBe(predicted > 0 ? null : 0);
    expect(found.filter(({ method }) => method !== 'lora').every(({ measured }) => measured === null)).toBe(
      true,
    );
  });

  it('stand in the document, by the headings of the changes', () => {
    const document = readFileSync('docs/performance.md', 'utf8');
    for (const { change, method, milliseconds } of CHANGES) {
      expect(document).toContain(`\n### ${change}\n`);
      const anchor = change
        .toLowerCase()
        .replace(/[^a-z0-9 ]/g, '')
        .replaceAll(' ', '-');
      expect(document).toContain(`| [${change}](#${anchor}) | ${method} | ${milliseconds} |`);
    }
    for (const [method, { milliseconds }] of Object.entries(STEPS))
      expect(document).toContain(`| a step | ${method} | ${milliseconds} |`);
  });
});
