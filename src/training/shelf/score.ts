/** Held-out scores of several adapters on one model, without anything that trains. */
import { inject } from '../../adapters/inject.ts';
import { emitBase, savedParameters } from '../../adapters/plan.ts';
import { emitActive, type Member } from '../../adapters/set/forward.ts';
import type { WeightState } from '../../adapters/set/weights.ts';
import { compile } from '../../gpu/compile.ts';
import type { Device } from '../../gpu/device.ts';
import type { Program } from '../../gpu/program.ts';
import { createStore } from '../../gpu/store.ts';
import { createBuilder } from '../../graph/builder.ts';
import { schedule } from '../../graph/schedule.ts';
import type { Graph, Value } from '../../graph/types.ts';
import { fuse } from '../../ops/fuse.ts';
import type { Engine, Which } from '../engine.ts';
import { evaluateHeld } from '../evaluation.ts';
import { emitLossSum, labelsType } from '../loss.ts';
import type { ParitySample } from '../parity.ts';
import { paritySamples } from '../paritySamples.ts';
import type { EvalMetric } from '../protocol.ts';
import { names } from '../stepGraph.ts';
import { lossOf } from '../tasks.ts';
import type { Bound } from './bound.ts';

/** What a forward pass goes through besides the frozen model. */
export interface Applied {
  /** Active adapters, in order. */
  readonly active: readonly Member[];
  /** All that may own a base parameter, and who owns which. */
  readonly members: ReadonlyMap<string, Member>;
  readonly owners: ReadonlyMap<string, string>;
  /** Weights with what is merged. */
  readonly weights: WeightState | null;
}

export const nothingApplied: Applied = {
  active: [],
  members: new Map(),
  owners: new Map(),
  weights: null,
};

/** Base parameters in place of the model's own: merged weights, then what adapters bring whole. */
export function replaced({ members, owners, weights }: Applied): Map<string, Float32Array> {
  const out = new Map<string, Float32Array>();
  for (const name of weights?.touched ?? []) out.set(name, weights!.parameters.get(name)!.load());
  for (const [parameter, owner] of owners) {
    const member = members.get(owner);
    const own = member && savedParameters(member.plan, member.packed).get(parameter);
    // A bias that was merged with its layer is among the weights already.
    if (own && !out.has(parameter)) out.set(parameter, own.data);
  }
  return out;
}

function graphOf(bound: Bound, batch: number, sequence: number, how: Applied, withLogits: boolean): Graph {
  const { graph: base, logits: scored } = bound.model.build(batch, sequence);
  const g = createBuilder();
  const { adapters } = emitActive(g, how.active, () => null, base);
  const saved = new Map<string, Value>();
  for (const [name, data] of replaced(how)) {
    const { shape } = bound.parameters.get(name)!;
    saved.set(name, emitBase(g, { name, shape, load: () => data }));
  }
  const logits = inject(base, g, { adapters, saved })(scored);
  const kind = lossOf(bound.dataset);
  const labels = g.input(names.labels, labelsType(logits, kind));
  const loss = emitLossSum(g, logits, labels, { kind, withGradient: false });
  return g.finish(withLogits ? { loss, logits } : { loss });
}

/** Forward passes over held-out batches: of the bound model alone, and with everything that is applied. */
async function withPasses<T>(
  device: Device,
  bound: Bound,
  how: Applied,
  task: (engine: Pick<Engine, 'evaluate'>) => Promise<T>,
): Promise<T> {
  const { batchSize } = bound.task.training;
  const store = createStore(device);
  const programs = new Map<string, Program>();
  const programAt = async (which: Which, sequence: number, withLogits: boolean): Promise<Program> => {
    const key = `${which} ${sequence} ${withLogits}`;
    let program = programs.get(key);
    if (!program) {
      const applied = which === 'base' ? nothingApplied : how;
      const graph = graphOf(bound, batchSize, sequence, applied, withLogits);
      program = await compile(device, store, schedule(fuse(graph), device.caps));
      programs.set(key, program);
    }
    return program;
  };
  try {
    return await task({
      async evaluate(which, batch, logits) {
        const program = await programAt(which, batch.sequence ?? bound.batches.sequence, logits);
        for (const [name, tensor] of Object.entries(batch.inputs)) program.write(name, tensor.data);
        program.write(names.labels, batch.labels);
        program.run();
        const loss = (await program.read(names.loss))[0]!;
        return { loss, logits: logits ? ((await program.read(names.logits)) as Float32Array) : null };
      },
    });
  } finally {
    for (const program of programs.values()) program.destroy();
    store.destroy();
  }
}

/** The task's own measure on the held-out examples; `step` of the result is 0. */
export const scoreHeld = (device: Device, bound: Bound, how: Applied): Promise<EvalMetric> =>
  withPasses(device, bound, how, (engine) =>
    evaluateHeld(engine, bound.dataset, bound.batches, 'adapted', {
      step: 0,
      limit: bound.task.training.evalExamples,
    }),
  );

/** What a merged file is compared on, as in a run. */
export const samplesHeld = (
  device: Device,
  bound: Bound,
  how: Applied,
  withBase: boolean,
): Promise<ParitySample[]> =>
  withPasses(device, bound, how, (engine) => paritySamples({ engine, ...bound }, withBase));
