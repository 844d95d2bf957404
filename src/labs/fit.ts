/** Fits targets by gradient descent on the given engine: AdamW with a rate that falls to nothing, on WebGPU inside the graph, elsewhere beside it. */
import type { Backend } from '../training/backend.ts';
import { type FitTask, firstRotations, fitGraph, fitNames } from './fitGraph.ts';

export interface FitLook {
  readonly step: number;
  /** ‖M − target‖ / ‖target‖ by shape, then by target; ‖target‖ is √d. */
  readonly errors: readonly (readonly number[])[];
}

export interface Fit {
  /** Takes up to so many steps more. */
  advance(steps: number): Promise<FitLook>;
  /** The fitted matrices of a shape, [targets, d, d], as of the last look. */
  products(shape: number): Float32Array;
  close(): Promise<void>;
}

const RATE = 0.05;
const [BETA1, BETA2] = [0.9, 0.99];

/** As `stepScalars` of a run has them: no decay, no clipping. */
function scalarsAt(step: number, total: number): Float32Array {
  const scalars = new Float32Array(16);
  const rate = RATE * 0.5 * (1 + Math.cos((Math.PI * step) / total));
  scalars.set([rate, 1 - BETA1 ** (step + 1), 1 - BETA2 ** (step + 1), BETA1, BETA2, 1e-8, 0, 0, 0]);
  return scalars;
}

export async function openFit(
  backend: Pick<Backend, 'open' | 'device'>,
  task: FitTask,
  total: number,
): Promise<Fit> {
  const isGpu = backend.device !== null;
  const graph = await backend.open(fitGraph(task, isGpu));
  const update = isGpu ? null : (await import('../training/onnxruntimeUpdate.ts')).applyAdamw;
  const params = firstRotations(task);
  const [m, v] = [new Float32Array(params.length), new Float32Array(params.length)];
  const outputs = task.shapes.flatMap((_, i) => [fitNames.errors(i), fitNames.products(i)]);
  let step = 0;
  let last: Readonly<Record<string, Float32Array>> = {};
  /** One run, of which the errors are those before its update. */
  const one = async (reads: boolean): Promise<void> => {
    const scalars = scalarsAt(step, total);
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
      const until = Math.min(total, step + steps);
      for (; step < until; step++) await one(step === until - 1);
      const root = Math.sqrt(task.d);
      return {
        step,
        errors: task.shapes.map((_, i) =>
          Array.from(last[fitNames.errors(i)] ?? [], (square) => Math.sqrt(square) / root),
        ),
      };
    },
    products: (shape) => last[fitNames.products(shape)]!,
    close: graph.close,
  };
}
