/**
 * A network of three layers, tanh between them, under AdaLoRA: as a graph of the house, and as plain loops in float64 written from PEFT's
 * rules (forward, gradients, orthogonality loss, clipping, AdamW, importance, budget, ranking), which share nothing with it.
 */
import { validateConfig } from '../../src/adapters/config.ts';
import { type AdapterPlan, planAdapter } from '../../src/adapters/plan.ts';
import { methodById } from '../../src/adapters/registry.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { rng } from '../../src/lib/rng.ts';
import { linear, unary, view } from '../../src/ops/index.ts';
import type { FullBatch } from '../../src/training/batchPlan.ts';
import { type TrainingSettings, trainingSchema } from '../../src/training/settings.ts';
import type { BaseGraph } from '../../src/training/stepGraph.ts';

type Matrix = number[][];

const SIZES = [9, 9, 9, 5] as const;
const EXAMPLES = 8;
const STEPS = 30;
const NAMES = ['fc1', 'fc2', 'fc3'] as const;

export const toyConfig = {
  target_modules: [...NAMES],
  init_r: 4,
  target_r: 2,
  tinit: 4,
  tfinal: 6,
  deltaT: 3,
  total_step: STEPS,
  beta1: 0.7,
  beta2: 0.8,
  lora_alpha: 6,
  orth_reg_weight: 0.2,
};

export const toySettings = (over: Partial<TrainingSettings> = {}): TrainingSettings =>
  trainingSchema.parse({
    learningRate: 0.03,
    schedule: 'constant',
    warmupSteps: 0,
    weightDecay: 0.01,
    maxGradNorm: 0.2,
    batchSize: EXAMPLES,
    steps: STEPS,
    evalEvery: 0,
    ...over,
  });

// ---- numbers ----------------------------------------------------------------------------------------------------------

const random = (seed: number, rows: number, columns: number, size: number): Matrix => {
  const draw = rng(seed, 5);
  return Array.from({ length: rows }, () =>
    Array.from({ length: columns }, () => Math.fround(size * draw.normal())),
  );
};
const flat = (m: Matrix): Float32Array => Float32Array.from(m.flat());

interface Layer {
  readonly W: Matrix;
  readonly b: number[];
  A: Matrix;
  E: number[];
  B: Matrix;
}

const start = (): Layer[] =>
  NAMES.map((_, i) => {
    const [inputs, out] = [SIZES[i]!, SIZES[i + 1]!];
    const r = toyConfig.init_r;
    return {
      W: random(10 + i, out, inputs, 0.4),
      b: random(20 + i, 1, out, 0.1)[0]!,
      A: random(30 + i, r, inputs, 0.2),
      E: random(40 + i, 1, r, 0.2)[0]!,
      B: random(50 + i, out, r, 0.2),
    };
  });
const x = random(60, EXAMPLES, SIZES[0], 1);
const target = random(61, EXAMPLES, SIZES[3], 1);

// ---- the house's side -------------------------------------------------------------------------------------------------

/** The frozen network for batches of `size` examples. */
export function toyBase(size: number): BaseGraph {
  const g = createBuilder();
  let h = g.input('x', { dtype: 'f32', shape: [size, SIZES[0]] });
  start().forEach(({ W, b }, i) => {
    const name = NAMES[i]!;
    const weight = g.parameter(`${name}.weight`, { dtype: 'f32', shape: [b.length, W[0]!.length] }, () =>
      flat(W),
    );
    const bias = g.parameter(`${name}.bias`, { dtype: 'f32', shape: [b.length] }, () => Float32Array.from(b));
    const y = linear(g, h, weight, bias, { module: name });
    h = i < 2 ? unary(g, y, { fn: 'tanh' }) : y;
  });
  const logits = view(g, h, [size * SIZES[3], 1]);
  return { graph: g.finish({ logits }), logits, loss: 'squared-error' };
}

export function toyPlan(): AdapterPlan {
  const method = methodById('adalora');
  const { config } = validateConfig(method, toyConfig);
  const layers = NAMES.map((name, i) => ({
    name,
    kind: 'linear' as const,
    in: SIZES[i]!,
    out: SIZES[i + 1]!,
    hasBias: true,
  }));
  return planAdapter(method, config, layers, []);
}

/** The packed buffer at the start. */
export function toyInitial(plan: AdapterPlan): Float32Array {
  const packed = new Float32Array(plan.size);
  const layers = start();
  for (const group of plan.groups) {
    for (const { spec, offset, shape } of group.tensors) {
      const size = shape.slice(1).reduce((n, d) => n * d, 1);
      group.layers.forEach(({ name }, i) => {
        const own = layers[NAMES.indexOf(name as (typeof NAMES)[number])]!;
        const data = spec.name === 'lora_A' ? own.A.flat() : spec.name === 'lora_B' ? own.B.flat() : own.E;
        packed.set(data, offset + i * size);
      });
    }
  }
  return packed;
}

/** All examples in `parts` batches. */
export function toyBatches(parts: number): FullBatch[] {
  const size = EXAMPLES / parts;
  return Array.from({ length: parts }, (_, p) => {
    const values = flat(target.slice(p * size, (p + 1) * size));
    const labels = new Float32Array(2 * values.length).fill(1);
    labels.set(values);
    return {
      inputs: { x: { shape: [size, SIZES[0]], data: flat(x.slice(p * size, (p + 1) * size)) } },
      labels,
      count: size,
      validLabels: values.length,
    } as unknown as FullBatch;
  });
}

// ---- the plain loops --------------------------------------------------------------------------------------------------

const zeros = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
const times = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((s, v, k) => s + v * b[k]![j]!, 0)));
const turned = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));

interface Tracked {
  readonly read: () => Matrix;
  readonly write: (m: Matrix) => void;
  m: Matrix;
  v: Matrix;
  importance: Matrix;
  uncertainty: Matrix;
}

export interface Simulated {
  /** Mean squared error before each update. */
  readonly losses: number[];
  /** After each update, layer by layer: which triplets are kept, and E. */
  readonly masks: boolean[][][];
  readonly E: number[][][];
  readonly layers: readonly Layer[];
  /** Of A, as last measured, layer by layer. */
  readonly importance: readonly Matrix[];
  readonly uncertainty: readonly Matrix[];
}

export function simulate(settings: TrainingSettings): Simulated {
  const layers = start();
  const config = toyConfig;
  const factor = config.lora_alpha / (config.init_r + 1e-5);
  const track = (read: () => Matrix, write: (m: Matrix) => void): Tracked => {
    const empty = () => zeros(read().length, read()[0]!.length);
    return { read, write, m: empty(), v: empty(), importance: empty(), uncertainty: empty() };
  };
  const tracked = layers.map((layer) => ({
    A: track(
      () => layer.A,
      (m) => {
        layer.A = m;
      },
    ),
    E: track(
      () => [layer.E],
      (m) => {
        layer.E = m[0]!;
      },
    ),
    B: track(
      () => layer.B,
      (m) => {
        layer.B = m;
      },
    ),
  }));
  let kept = layers.map(() => new Array<boolean>(config.init_r).fill(true));
  const result = { losses: [] as number[], masks: [] as boolean[][][], E: [] as number[][][], layers };

  for (let step = 0; step < STEPS; step++) {
    // Forward.
    const reads: Matrix[] = [];
    const weights = layers.map(({ W, A, B, E }) => {
      const update = times(
        B,
        A.map((row, k) => row.map((v) => v * E[k]!)),
      );
      return W.map((row, o) => row.map((v, i) => v + factor * update[o]![i]!));
    });
    let h = x;
    layers.forEach(({ b }, i) => {
      reads.push(h);
      const y = times(h, turned(weights[i]!)).map((row) => row.map((v, o) => v + b[o]!));
      h = i < 2 ? y.map((row) => row.map(Math.tanh)) : y;
    });
    const count = EXAMPLES * SIZES[3];
    const errors = h.map((row, n) => row.map((v, o) => v - target[n]![o]!));
    result.losses.push(errors.flat().reduce((s, e) => s + e * e, 0) / count);

    // Backward, with the orthogonality loss: the mean over all A and B of the Frobenius distance from orthonormal rows or columns.
    let upstream: Matrix = errors.map((row) => row.map((e) => (2 * e) / count));
    const gradients: { A: Matrix; E: Matrix; B: Matrix }[] = [];
    for (let i = 2; i >= 0; i--) {
      const { A, B, E } = layers[i]!;
      const dUpdate = times(turned(upstream), reads[i]!).map((row) => row.map((v) => v * factor));
      const BtD = times(turned(B), dUpdate);
      const dA = BtD.map((row, k) => row.map((v) => v * E[k]!));
      const dE = [BtD.map((row, k) => row.reduce((s, v, j) => s + v * A[k]![j]!, 0))];
      const dB = times(dUpdate, turned(A.map((row, k) => row.map((v) => v * E[k]!))));
      const share = config.orth_reg_weight / (2 * layers.length);
      const away = (gram: Matrix) => gram.map((row, r) => row.map((v, c) => v - (r === c ? 1 : 0)));
      const size = (m: Matrix) => Math.sqrt(m.flat().reduce((s, v) => s + v * v, 0));
      const offA = away(times(A, turned(A)));
      const offB = away(times(turned(B), B));
      const pullA = times(offA, A);
      const pullB = times(B, offB);
      gradients[i] = {
        A: dA.map((row, r) => row.map((v, c) => v + (share * 2 * pullA[r]![c]!) / size(offA))),
        E: dE,
        B: dB.map((row, r) => row.map((v, c) => v + (share * 2 * pullB[r]![c]!) / size(offB))),
      };
      upstream = times(upstream, weights[i]!);
      if (i > 0) upstream = upstream.map((row, n) => row.map((v, k) => v * (1 - reads[i]![n]![k]! ** 2)));
    }

    // Clipping and AdamW.
    const all = gradients.flatMap((g) => [g.A, g.E, g.B].flatMap((m) => m.flat()));
    const norm = Math.sqrt(all.reduce((s, v) => s + v * v, 0));
    const clip = Math.min(1, settings.maxGradNorm / (norm + 1e-6));
    const { beta1, beta2, learningRate: rate, weightDecay, epsilon } = settings;
    tracked.forEach((own, i) => {
      for (const name of ['A', 'E', 'B'] as const) {
        const t = own[name];
        const g = gradients[i]![name].map((row) => row.map((v) => v * clip));
        gradients[i]![name] = g;
        t.m = t.m.map((row, r) => row.map((v, c) => beta1 * v + (1 - beta1) * g[r]![c]!));
        t.v = t.v.map((row, r) => row.map((v, c) => beta2 * v + (1 - beta2) * g[r]![c]! ** 2));
        t.write(
          t.read().map((row, r) =>
            row.map((p, c) => {
              const mean = t.m[r]![c]! / (1 - beta1 ** (step + 1));
              const root = Math.sqrt(t.v[r]![c]! / (1 - beta2 ** (step + 1))) + epsilon;
              return p * (1 - rate * weightDecay) - (rate * mean) / root;
            }),
          ),
        );
      }
    });

    // Importance, unless the last phase has begun.
    const end = config.total_step - config.tfinal;
    if (step < end) {
      tracked.forEach((own, i) => {
        for (const name of ['A', 'E', 'B'] as const) {
          const t = own[name];
          const g = gradients[i]![name];
          const now = t.read().map((row, r) => row.map((p, c) => Math.abs(p * g[r]![c]!)));
          t.importance = t.importance.map((row, r) =>
            row.map((v, c) => config.beta1 * v + (1 - config.beta1) * now[r]![c]!),
          );
          t.uncertainty = t.uncertainty.map((row, r) =>
            row.map(
              (v, c) => config.beta2 * v + (1 - config.beta2) * Math.abs(now[r]![c]! - t.importance[r]![c]!),
            ),
          );
        }
      });
    }

    // Budget: all at first, then down on a cubic curve, then the target.
    const full = layers.length * config.init_r;
    const goal = layers.length * config.target_r;
    const chooses = step === end || (step > config.tinit && step < end && step % config.deltaT === 0);
    if (chooses) {
      const left = 1 - (step - config.tinit) / (end - config.tinit);
      const budget = step === end ? goal : Math.floor((full - goal) * left ** 3 + goal);
      const scores = tracked.map(({ A, E, B }) => {
        const score = ({ importance, uncertainty }: Tracked) =>
          importance.map((row, r) => row.map((v, c) => v * uncertainty[r]![c]!));
        const mean = (row: number[]) => row.reduce((s, v) => s + v, 0) / row.length;
        const ofA = score(A).map(mean);
        const ofB = turned(score(B)).map(mean);
        return score(E)[0]!.map((v, k) => v + ofA[k]! + ofB[k]!);
      });
      const threshold = scores.flat().sort((a, b) => a - b)[full - budget - 1]!;
      kept = scores.map((own) => own.map((score) => score > threshold));
    }
    if (chooses || step > end) {
      layers.forEach((layer, i) => {
        layer.E = layer.E.map((v, k) => (kept[i]![k] ? v : 0));
      });
    }
    result.masks.push(kept.map((own) => [...own]));
    result.E.push(layers.map(({ E }) => [...E]));
  }
  return {
    ...result,
    importance: tracked.map(({ A }) => A.importance),
    uncertainty: tracked.map(({ A }) => A.uncertainty),
  };
}
