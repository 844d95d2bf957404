/**
 * The training steps of a run, one program for each sequence length, made when first needed; and what they report, put together from the rings
 * of several programs and told in the order of submission.
 */
import type { StepInput } from '../adapters/inject.ts';
import type { Program } from '../gpu/program.ts';
import type { Ring } from '../gpu/readback.ts';
import type { StepResult } from './engine.ts';
import type { StepGraph } from './stepGraph.ts';
import { names } from './stepGraph.ts';

/** A submitted update whose numbers are on their way. */
export interface Pending {
  readonly step: number;
  readonly learningRate: number;
  readonly valid: number;
  /** Runs that have not been heard of. */
  missing: number;
  lossSum: number;
  normSquared: number;
}

export interface Reports {
  /** Notes an update of `runs` runs, before the first is submitted. */
  expect(update: Pick<Pending, 'step' | 'learningRate' | 'valid'>, runs: number): Pending;
  /** One run of an update has been heard of. */
  arrived(update: Pending): void;
  listen(listener: (result: StepResult) => void): void;
}

export function createReports(): Reports {
  const listeners: ((result: StepResult) => void)[] = [];
  const pending: Pending[] = [];
  return {
    expect(update, runs) {
      const entry: Pending = { ...update, missing: runs, lossSum: 0, normSquared: 0 };
      pending.push(entry);
      return entry;
    },
    arrived(update) {
      update.missing--;
      while (pending[0]?.missing === 0) {
        const { step, lossSum, valid, normSquared, learningRate } = pending.shift()!;
        // A batch without a label that counts has no loss, and no gradient either.
        const loss = lossSum / Math.max(1, valid);
        for (const listener of listeners)
          listener({ step, loss, gradNorm: Math.sqrt(normSquared), learningRate });
      }
    },
    listen: (listener) => listeners.push(listener),
  };
}

/** A training step at one sequence length. */
export interface Stepper {
  readonly program: Program;
  readonly ring: Ring<Pending>;
  readonly stepInputs: readonly StepInput[];
  readonly states: readonly string[];
}

export interface Steppers {
  at(sequence: number): Promise<Stepper>;
  /** Resolves when every number collected so far has been delivered. */
  drain(): Promise<void>;
}

/** @param onValue hears of each run's loss and, without accumulation, of its gradient's squared norm */
export function createSteppers(options: {
  readonly graph: (sequence: number) => StepGraph;
  readonly compiled: (graph: StepGraph['graph']) => Promise<Program>;
  readonly slots: number;
  readonly onValue: (update: Pending) => void;
}): Steppers {
  const made = new Map<number, Promise<Stepper>>();
  const create = async (sequence: number): Promise<Stepper> => {
    const { graph, stepInputs, states } = options.graph(sequence);
    const program = await options.compiled(graph);
    const outputs = [names.loss, names.normSquared].filter((name) => graph.outputs[name] !== undefined);
    const ring = await program.ring<Pending>(outputs, options.slots);
    ring.onValue(({ tag, data }) => {
      tag.lossSum += data[names.loss]![0]!;
      const normSquared = data[names.normSquared];
      if (normSquared) tag.normSquared = normSquared[0]!;
      options.onValue(tag);
    });
    return { program, ring, stepInputs, states };
  };
  return {
    at(sequence) {
      const known = made.get(sequence);
      if (known) return known;
      const stepper = create(sequence);
      made.set(sequence, stepper);
      stepper.catch(() => made.delete(sequence));
      return stepper;
    },
    async drain() {
      for (const stepper of made.values()) await (await stepper).ring.drain();
    },
  };
}
