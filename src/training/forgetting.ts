/**
 * How the base model's own task goes with a run's adapter on: the model as it came, with its own head, and the adapter's weights in its layers, on
 * the held-out examples of the data that it was made for. A head that the run has made anew for other classes cannot answer that task and is
 * left out; one that it trained on the same classes answers.
 */
import { TRAINABLE } from '../adapters/inject.ts';
import { savedParameters } from '../adapters/plan.ts';
import { emitActive, type Member } from '../adapters/setWeights.ts';
import type { Builder } from '../graph/builder.ts';
import type { Graph } from '../graph/types.ts';
import { knownData } from '../models/catalogue.ts';
import type { Backend } from './backend.ts';
import { evaluateHeld } from './evaluation.ts';
import { emitWeights } from './merging.ts';
import type { Host } from './openModel.ts';
import type { Forgetting } from './protocol.ts';
import type { Session } from './session.ts';
import { scoringGraph } from './stepGraph.ts';
import { lossOf, type PreparedTask, prepareTask } from './task.ts';

/** Held-out examples of the base's task, at most. */
const MOST_EXAMPLES = 256;

/** The packed numbers of a run at a step. */
export interface TrainedRun {
  readonly session: Pick<Session, 'plan' | 'setup' | 'model'>;
  readonly packed: Float32Array;
  readonly step: number;
}

/** The same, of a session as it is now. */
export const trainedOf = async (session: Session): Promise<TrainedRun> => ({
  session,
  packed: await session.engine.readState(TRAINABLE),
  step: session.position().step,
});

/** @returns null where the model is none whose own task is known, or its head does not score that */
export async function measureForgetting(
  { session, packed, step }: TrainedRun,
  on: Pick<Backend, 'forwardPasses'>,
  host: Host,
  examples = MOST_EXAMPLES,
): Promise<Forgetting | null> {
  const { source, training } = session.setup;
  const data = source.kind === 'embedded' ? knownData(source.name) : null;
  if (data === null) return null;
  const bound = await prepareTask(source, { kind: 'embedded', name: data }, training, host);
  if (bound.model.fresh.length > 0) return null;
  const member: Member = { name: 'run', plan: session.plan, packed };
  const { weights, head } = wholeWeights(session, packed, bound);
  const emit = (g: Builder, base: Graph) => ({
    adapters: emitActive(g, [member], () => null, base).adapters,
    saved: emitWeights(g, weights, bound.parameters),
  });
  return on.forwardPasses(
    (which, withLogits, batch, sequence) => {
      const base = { ...bound.model.build(batch, sequence), loss: lossOf(bound.dataset) };
      const nothing = { adapters: new Map(), saved: new Map() };
      return scoringGraph(base, (g) => (which === 'base' ? nothing : emit(g, base.graph)), withLogits);
    },
    bound.batches,
    async (engine) => {
      const score = (which: 'base' | 'adapted') =>
        evaluateHeld(engine, bound.dataset, bound.batches, which, { step, limit: examples });
      return { data, head, before: await score('base'), after: await score('adapted') };
    },
  );
}

/** What the run trained whole, or came with, of what the model has as it came. */
function wholeWeights(
  { plan, setup, model }: TrainedRun['session'],
  packed: Float32Array,
  bound: PreparedTask,
): { readonly weights: Map<string, Float32Array>; readonly head: Forgetting['head'] } {
  const fresh = new Set(model.fresh);
  const weights = new Map<string, Float32Array>();
  for (const [name, { shape, data }] of [...setup.brought, ...savedParameters(plan, packed)]) {
    const own = bound.parameters.get(name);
    if (own && !fresh.has(moduleOf(name)) && own.shape.join() === shape.join()) weights.set(name, data);
  }
  const isHead = [...weights.keys()].some((name) => moduleOf(name) === bound.model.head);
  return { weights, head: isHead ? 'trained' : 'base' };
}

const moduleOf = (parameter: string): string => parameter.slice(0, parameter.lastIndexOf('.'));
