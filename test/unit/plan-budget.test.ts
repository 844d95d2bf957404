/**
 * How many dispatches a training step makes on a GPU, and how much memory its temporaries take, counted from real plans without a GPU:
 * GPT-2's shape at 4 × 128 tokens and the embedded vision model at 16 pictures, each with four methods.
 *
 * BOUND holds what the plans need today and may only go down. AIM is where it had to go. Two depths are planned, and a layer is their difference.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from '../../src/graph/plan.ts';
import { METHODS, type Method, MODELS, type ModelName, plannedStep } from '../tools/plans.ts';

/** Depths that are planned. */
const DEPTHS = [2, 3] as const;
const GPT2_LAYERS = 12;

/** Dispatches per layer of GPT-2 with all the rest spread over its layers; of the vision model a layer, and the rest. */
interface Counts {
  readonly gpt2: number;
  readonly visionLayer: number;
  readonly visionRest: number;
}

const AIM = { gpt2: 30, visionLayer: 28, visionRest: 28, temporaries: 1.2 };

const BOUND: Readonly<Record<Method, Counts>> = {
  lora: { gpt2: 28, visionLayer: 28, visionRest: 14 },
  boft: { gpt2: 29.1, visionLayer: 27, visionRest: 27 },
  oft: { gpt2: 29, visionLayer: 28, visionRest: 19 },
  fourierft: { gpt2: 26.1, visionLayer: 23, visionRest: 26 },
};

interface Budget {
  readonly layer: number;
  readonly rest: number;
  /** Bytes of the pool of temporaries over the most that live at once. */
  readonly temporaries: number;
}

const dispatches = (plan: Plan): number => plan.steps.filter((s) => s.kind === 'dispatch').length;

const budgets = new Map<string, Budget>();

beforeAll(async () => {
  for (const name of Object.keys(MODELS) as ModelName[]) {
    const models = DEPTHS.map(MODELS[name].make);
    for (const method of METHODS) {
      const [short, long] = [
        await plannedStep(name, models[0]!, method),
        await plannedStep(name, models[1]!, method),
      ];
      const layer = dispatches(long) - dispatches(short);
      budgets.set(`${name} ${method}`, {
        layer,
        rest: dispatches(short) - DEPTHS[0] * layer,
        temporaries: long.temporaryBytes / long.liveBytes,
      });
    }
  }
  if (import.meta.env.VITE_SHOW_BUDGETS) console.table(Object.fromEntries(budgets));
}, 120_000);

const budget = (name: ModelName, method: Method): Budget => budgets.get(`${name} ${method}`)!;

describe.each(METHODS)('a training step with %s', (method) => {
  const counts = (): Counts => {
    const [gpt, vit] = [budget('gpt2', method), budget('vision', method)];
    return { gpt2: gpt.layer + gpt.rest / GPT2_LAYERS, visionLayer: vit.layer, visionRest: vit.rest };
  };

  it('makes no more dispatches than before', () => {
    const { gpt2, visionLayer, visionRest } = counts();
    const bound = BOUND[method];
    expect(gpt2).toBeLessThanOrEqual(bound.gpt2);
    expect(visionLayer).toBeLessThanOrEqual(bound.visionLayer);
    expect(visionRest).toBeLessThanOrEqual(bound.visionRest);
  });

  it('makes as few dispatches as it shall on GPT-2', () => {
    expect(counts().gpt2).toBeLessThanOrEqual(AIM.gpt2);
  });

  it('makes as few dispatches as it shall on the vision model', () => {
    expect(counts().visionLayer).toBeLessThanOrEqual(AIM.visionLayer);
    expect(counts().visionRest).toBeLessThanOrEqual(AIM.visionRest);
  });

  it.each(['gpt2', 'vision'] as const)(
    'has little more memory for temporaries than live at once: %s',
    (name) => {
      expect(budget(name, method).temporaries).toBeLessThanOrEqual(AIM.temporaries);
    },
  );
});
