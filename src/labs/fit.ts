/** Fits by gradient descent on the given engine: AdamW with a rate that falls to nothing, on WebGPU inside the graph, elsewhere beside it. */
import type { Backend } from '../training/backend.ts';
import { type FitPart, firstNumbers, fitGraph, fitNames } from './fitGraph.ts';

export interface FitLook {
  readonly step: number;
  /** By part. */
  readonly losses: readonly (readonly number[])[];
}

export interface Fit {
  /** Takes up to so many steps more. */
  advance(steps: number): Promise<FitLook>;
  /** What a part shows, as of the last look. */
  shown(part: number): Float32Array;
  close(): Promise<void>;
}

/** How a fit goes: AdamW's rate falls from its first value to zero in a half cosine, over so many steps. */
export interface FitCourse {
  readonly steps: number;
  /** {@link RATE} unless given. */
  readonly rate?: number;
}

const RATE = 0.05;

const [BETA1, BETA2] = [0.9, 0.99];

/** As `stepScalars` of a run has them: no decay, no clipping. */
function scalarsAt(step: number, { steps, rate: first = RATE }: FitCourse): Float32Array {
  const scalars = new Float32Array(16);
  const rate = first * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
  scalars.set([rate, 1 - BETA1 ** (step + 1), 1 - BETA2 ** (step + 1), BETA1, BETA2, 1e-8, 0, 0, 0]);
  return scalars;
}

export async function openFit(
  backend: Pick<Backend, 'open' | 'device'>,
  parts: readonly FitPart[],
  course: FitCourse,
): Promise<Fit> {
  const isGpu = backend.device !== null;
  const graph = await backend.open(fitGraph(parts, isGpu));
  const update = isGpu ? null : (await import('../training/onnxruntimeUpdate.ts')).applyAdamw;
  const params = firstNumbers(parts);
  const [m, v] = [new Float32Array(params.length), new Float32Array(params.length)];
  const outputs = parts.flatMap((_, i) => [fitNames.losses(i), fitNames.shown(i)]);
  let step = 0;
  let last: Readonly<Record<string, Float32Array>> = {};
  /** One run, of which the losses are those before its update. */
  const one = async (reads: boolean): Promise<void> => {
    const scalars = scalarsAt(step, course);
    if (update === null) {
      const out = await graph.run({ [fitNames.step]: scalars }, reads ? outputs : []);
      if (reads) last = out;
      return;
    }
    last = await graph.run();
    update({ params, grads: last[fitNames.gradients]!, m, v }, scalars);
    graph.writeState(fitNames.params, params);
  };
  return {
    async advance(steps) {
      const until = Math.min(course.steps, step + steps);
      for (; step < until; step++) await one(step === until - 1);
      return { step, losses: parts.map((_, i) => [...(last[fitNames.losses(i)] ?? [])]) };
    },
    shown: (part) => last[fitNames.shown(part)]!,
    close: graph.close,
  };
}
