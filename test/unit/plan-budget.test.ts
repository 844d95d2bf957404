/**
 * How many dispatches a training step makes on a GPU, and how much memory its temporaries take, counted from real plans without a GPU:
 * GPT-2's shape at 4 × 128 and 4 × 1024 tokens and the embedded vision model at 16 pictures, each with four methods.
 *
 * BOUND holds what the plans need today and may only go down. AIM is where it had to go. Two depths are planned, and a layer is their difference.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { createPacing, FIRST_SPEED } from '../../src/gpu/pacing.ts';
import type { Plan } from '../../src/graph/plan.ts';
import { METHODS, type Method, MODELS, type ModelName, plannedStep } from '../tools/plans.ts';

/** Depths that are planned. */
const DEPTHS = [2, 3] as const;
const GPT2_LAYERS = 12;

/** Dispatches per layer of GPT-2 with all the rest spread over its layers, short and at 4 × 1024 tokens; of the vision model a layer, and the rest. */
interface Counts {
  readonly gpt2: number;
  readonly gpt2Long: number;
  readonly visionLayer: number;
  readonly visionRest: number;
}

const AIM = { gpt2: 30, visionLayer: 28, visionRest: 28, temporaries: 1.2, submits: 4 };

/** A slow step of GPT-2 small at 4 × 1024 tokens on a large GPU, in milliseconds: several times what its peak allows. */
const GPT2_MS = 206;

const BOUND: Readonly<Record<Method, Counts>> = {
  lora: { gpt2: 27, gpt2Long: 27.7, visionLayer: 27, visionRest: 14 },
  boft: { gpt2: 28.1, gpt2Long: 28.8, visionLayer: 26, visionRest: 27 },
  oft: { gpt2: 27.2, gpt2Long: 27.9, visionLayer: 27, visionRest: 15 },
  fourierft: { gpt2: 25.1, gpt2Long: 25.3, visionLayer: 22, visionRest: 26 },
};

interface Budget {
  readonly layer: number;
  readonly rest: number;
  /** Bytes of the pool of temporaries over the most that live at once. */
  readonly temporaries: number;
  /** Submits of the first step, and of the tenth. */
  readonly submits: readonly [number, number];
}

const dispatches = (plan: Plan): number => plan.steps.filter((s) => s.kind === 'dispatch').length;

/** Submits of a step's first run and of its tenth on a GPU where the whole takes `ms`, each dispatch by its work. @param times work of the model over that of the plan */
function submitsOf(plan: Plan, ms: number, times: number): readonly [number, number] {
  const work = plan.steps.map((step) => step.work * times);
  const whole = work.reduce((a, b) => a + b, 0);
  const pacing = createPacing(work, FIRST_SPEED.hardware);
  const first = pacing.cuts().length;
  for (let run = 0; run < 9; run++) {
    let from = 0;
    for (const to of pacing.cuts()) {
      const part = work.slice(from, to).reduce((a, b) => a + b, 0);
      pacing.measured(from, to, (ms * part) / whole);
      from = to;
    }
  }
  return [first, pacing.cuts().length];
}

/** What is planned: a model, and where it is not the usual size, examples and tokens of each. */
const SHAPES = {
  gpt2: ['gpt2'],
  gpt2Long: ['gpt2', [4, 1024]],
  vision: ['vision'],
} as const satisfies Record<string, readonly [ModelName, (readonly [number, number])?]>;
type Shape = keyof typeof SHAPES;

const budgets = new Map<string, Budget>();

beforeAll(async () => {
  for (const shape of Object.keys(SHAPES) as Shape[]) {
    const [name, size] = SHAPES[shape];
    const models = DEPTHS.map(MODELS[name].make);
    for (const method of METHODS) {
      const [short, long] = [
        await plannedStep(name, models[0]!, method, size),
        await plannedStep(name, models[1]!, method, size),
      ];
      const layer = dispatches(long) - dispatches(short);
      budgets.set(`${shape} ${method}`, {
        layer,
        rest: dispatches(short) - DEPTHS[0] * layer,
        temporaries: long.temporaryBytes / long.liveBytes,
        // GPT-2's plan is of three layers, and of an eighth of the tokens where they are 4 × 128.
        submits:
          name === 'gpt2'
            ? submitsOf(long, GPT2_MS, (GPT2_LAYERS / DEPTHS[1]) * (shape === 'gpt2' ? 8 : 1))
            : submitsOf(long, 5, 4 / DEPTHS[1]),
      });
    }
  }
  if (import.meta.env.VITE_SHOW_BUDGETS) console.table(Object.fromEntries(budgets));
}, 120_000);

const budget = (shape: Shape, method: Method): Budget => budgets.get(`${shape} ${method}`)!;

describe.each(METHODS)('a training step with %s', (method) => {
  const counts = (): Counts => {
    const spread = ({ layer, rest }: Budget): number => layer + rest / GPT2_LAYERS;
    const vit = budget('vision', method);
    return {
      gpt2: spread(budget('gpt2', method)),
      gpt2Long: spread(budget('gpt2Long', method)),
      visionLayer: vit.layer,
      visionRest: vit.rest,
    };
  };

  it('makes no more dispatches than before', () => {
    const { gpt2, gpt2Long, visionLayer, visionRest } = counts();
    const bound = BOUND[method];
    expect(gpt2).toBeLessThanOrEqual(bound.gpt2);
    expect(gpt2Long).toBeLessThanOrEqual(bound.gpt2Long);
    expect(visionLayer).toBeLessThanOrEqual(bound.visionLayer);
    expect(visionRest).toBeLessThanOrEqual(bound.visionRest);
  });

  it('makes as few dispatches as it shall on GPT-2', () => {
    expect(counts().gpt2).toBeLessThanOrEqual(AIM.gpt2);
    expect(counts().gpt2Long).toBeLessThanOrEqual(AIM.gpt2);
  });

  it('makes as few dispatches as it shall on the vision model', () => {
    expect(counts().visionLayer).toBeLessThanOrEqual(AIM.visionLayer);
    expect(counts().visionRest).toBeLessThanOrEqual(AIM.visionRest);
  });

  it('is cut into few submits once a GPU has made some', () => {
    expect(budget('gpt2', method).submits[1]).toBeLessThanOrEqual(AIM.submits);
    expect(budget('gpt2Long', method).submits[1]).toBeLessThanOrEqual(AIM.submits);
    expect(budget('vision', method).submits[0]).toBeLessThanOrEqual(AIM.submits);
  });

  it.each(['gpt2', 'gpt2Long', 'vision'] as const)(
    'has little more memory for temporaries than live at once: %s',
    (name) => {
      expect(budget(name, method).temporaries).toBeLessThanOrEqual(AIM.temporaries);
    },
  );
});

it('keeps to the same limit of memory where FourierFT goes by both ways: GPT-2 at 4 × 1024 tokens', async () => {
  const [lora, fourierft] = await Promise.all(
    (['lora', 'fourierft'] as const).map((method) =>
      plannedStep('gpt2', MODELS.gpt2.make(DEPTHS[0]), method, [4, 1024]),
    ),
  );
  const made = (op: string) => fourierft!.steps.filter(({ label }) => label.startsWith(op)).length;
  // ΔW is made and added to the weight, and the spectrum's gradient comes from rows.
  expect(made('sparseIdft')).toBeGreaterThan(0);
  expect(made('spectralGrad')).toBeGreaterThan(0);
  expect(made('sparseDft')).toBe(0);
  expect(fourierft!.temporaryBytes / fourierft!.liveBytes).toBeLessThanOrEqual(AIM.temporaries);
  // What it has beside LoRA: the changed weights of its layers, and what they are made with.
  const weights = DEPTHS[0] * 12 * 768 * 768 * 4;
  expect(fourierft!.temporaryBytes - lora!.temporaryBytes).toBeLessThanOrEqual(1.1 * weights);
}, 60_000);
