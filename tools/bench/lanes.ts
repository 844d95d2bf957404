/** What a benchmark times: a lane makes steps, ours or a peer's; lanes that are compared take turns, so that noise hits both alike. */
import process from 'node:process';
import { validateConfig } from '../../src/adapters/config.ts';
import {
  type AdapterPlan,
  chooseAdapter,
  countPlan,
  initialValues,
  loadMethod,
  moduleTensors,
} from '../../src/adapters/plan.ts';
import type { MethodId } from '../../src/adapters/registry.ts';
import { methodById } from '../../src/adapters/registry.ts';
import type { Plan } from '../../src/graph/plan.ts';
import { schedule } from '../../src/graph/schedule.ts';
import type { Caps } from '../../src/graph/types.ts';
import { fail } from '../../src/lib/errors.ts';
import { median } from '../../src/lib/numbers.ts';
import { fuse } from '../../src/ops/fuse.ts';
import type { Backend } from '../../src/training/backend.ts';
import { type TrainingSettings, trainingSchema } from '../../src/training/settings.ts';
import { trainingGraph } from '../../src/training/stepGraph.ts';
import type { Peer, PlainTensor } from './peers.ts';
import type { Subject } from './subjects.ts';

/** Nothing is known of an engine that executes elsewhere. */
export interface StepCost {
  readonly dispatches: number | null;
  readonly submits: number | null;
  readonly peakBytes: number | null;
}

export interface Lane {
  /** Makes `count` updates and waits for the last; gives their losses where they were read. */
  run(count: number): Promise<readonly number[]>;
  /** What one step costs, of the latest run. */
  cost(): StepCost;
  dispose(): void | Promise<void>;
}

export interface EngineLane extends Lane {
  readonly plan: AdapterPlan;
  readonly counts: { readonly stored: number; readonly free: number };
}

const STEPS_AHEAD = 1_000_000;

/** The same update on both sides: AdamW with decay, without clipping or schedule. */
function benchSettings({ batchSize, sequence }: Subject): TrainingSettings {
  return trainingSchema.parse({
    learningRate: 1e-3,
    schedule: 'constant',
    warmupSteps: 0,
    weightDecay: 0.01,
    maxGradNorm: 0,
    batchSize,
    sequenceLength: Math.max(2, sequence),
    steps: STEPS_AHEAD,
    evalEvery: 0,
  });
}

export async function planFor(subject: Subject, method: MethodId, config: Readonly<Record<string, unknown>>) {
  const page = methodById(method);
  const { model } = subject;
  return chooseAdapter(
    await loadMethod(page),
    validateConfig(page, config).config,
    model.targets,
    model.parameters,
  ).plan;
}

/** Our own engine on a subject. */
export async function engineLane(on: Backend, subject: Subject, plan: AdapterPlan): Promise<EngineLane> {
  const settings = benchSettings(subject);
  const parameters = new Map(subject.model.parameters.map((p) => [p.name, p]));
  const engine = await on.engine({
    build: subject.model.build,
    plan,
    settings,
    totalSteps: STEPS_AHEAD,
    initial: () => initialValues(plan, settings.seed, parameters),
    onCompile: () => {},
  });
  let step = 0;
  let losses: number[] = [];
  engine.onResult((result) => losses.push(result.loss));
  return {
    plan,
    counts: countPlan(plan),
    async run(count) {
      losses = [];
      for (let i = 0; i < count; i++) await engine.train(step++, [subject.batch]);
      await engine.settle();
      return losses;
    },
    cost: () => {
      if (!engine.stats) return { dispatches: null, submits: null, peakBytes: null };
      const { dispatchesPerStep, submitsPerStep, training } = engine.stats;
      return { dispatches: dispatchesPerStep, submits: submitsPerStep, peakBytes: training.peakBytes };
    },
    dispose: () => engine.close(),
  };
}

/** A peer on the same subject: the same frozen weights, and LoRA that starts at the same numbers as `plan`. */
export async function peerLane(peer: Peer, subject: Subject, plan: AdapterPlan): Promise<Lane> {
  const settings = benchSettings(subject);
  const parameters = new Map(subject.model.parameters.map((p) => [p.name, p]));
  const lora = new Map<string, { A: PlainTensor; B: PlainTensor }>();
  for (const [module, tensors] of moduleTensors(plan, initialValues(plan, settings.seed, parameters))) {
    const [A, B] = [tensors.get('lora_A.weight'), tensors.get('lora_B.weight')];
    if (!A || !B) return fail('internal', `The peer only knows plain LoRA; ${module} has something else.`);
    lora.set(module, { A, B });
  }
  const { r, lora_alpha: alpha } = subject.configs.lora as { r: number; lora_alpha: number };
  const weights = new Map<string, PlainTensor>(subject.peer.tables);
  for (const p of subject.model.parameters) weights.set(p.name, { shape: p.shape, data: p.load() });
  const run = await peer.run({
    shape: subject.peer.shape,
    weights,
    lora,
    scaling: alpha / r,
    input: subject.peer.input,
    labels: subject.batch.labels,
    adamw: settings,
  });
  let cost: StepCost = { dispatches: 0, submits: 0, peakBytes: 0 };
  return {
    async run(count) {
      peer.takeCounts();
      const losses = await run.steps(count);
      const { dispatches, submits, peakBytes } = peer.takeCounts();
      cost = {
        dispatches: Math.round(dispatches / count),
        submits: Math.round(submits / count),
        peakBytes,
      };
      return losses;
    },
    cost: () => cost,
    dispose: () => run.dispose(),
  };
}

/** What a step takes. */
export interface StepTime {
  readonly secondsPerStep: number;
  /** Of all processors together: on a machine with other work a truer measure of what a processor computes. */
  readonly processorSeconds: number;
}

/** The step of every lane: the median over rounds in which each lane makes a few steps in turn. */
export async function race(lanes: readonly Lane[], steps: number): Promise<StepTime[]> {
  const rounds = Math.min(5, steps);
  const perRound = Math.ceil(steps / rounds);
  const seconds = lanes.map((): number[] => []);
  const processor = lanes.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, lane] of lanes.entries()) {
      const [begun, used] = [performance.now(), process.cpuUsage()];
      await lane.run(perRound);
      seconds[i]!.push((performance.now() - begun) / 1000 / perRound);
      const { user, system } = process.cpuUsage(used);
      processor[i]!.push((user + system) / 1e6 / perRound);
    }
  }
  return lanes.map((_, i) => ({
    secondsPerStep: median(seconds[i]!),
    processorSeconds: median(processor[i]!),
  }));
}

/** The plan of a subject's training step. */
export function stepPlan(caps: Caps, subject: Subject, adapter: AdapterPlan): Plan {
  const settings = benchSettings(subject);
  const parameters = new Map(subject.model.parameters.map((p) => [p.name, p]));
  const base = subject.model.build(settings.batchSize, settings.sequenceLength);
  const step = trainingGraph(base, adapter, settings, () =>
    initialValues(adapter, settings.seed, parameters),
  );
  return schedule(fuse(step.graph, caps), caps);
}
