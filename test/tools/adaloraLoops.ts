/**
 * Thirty updates of the network of adaloraToy.ts as plain loops in float64, written from PEFT's rules (forward, gradients, orthogonality loss,
 * clipping, AdamW, importance, budget, ranking); they share nothing with the code that they are held against.
 */
import type { TrainingSettings } from '../../src/training/settings.ts';
import {
  EXAMPLES,
  type Layer,
  type Matrix,
  SIZES,
  STEPS,
  start,
  target,
  toyConfig,
  x,
} from './adaloraToy.ts';

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
