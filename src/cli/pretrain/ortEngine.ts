/**
 * A training engine that executes on onnxruntime's CPU provider: our own forward, loss and gradients as ONNX, AdamW over the
 * packed parameters here.
 * For pretraining on machines whose WebGPU is software.
 */
import { STEP_SEED, type StepInput, TRAINABLE } from '../../adapters/inject.ts';
import { createBuilder } from '../../graph/builder.ts';
import { checkOf } from '../../graph/references.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { DeviceData, Graph, Value } from '../../graph/types.ts';
import { fail, PapilioError } from '../../lib/errors.ts';
import { rng } from '../../lib/rng.ts';
import { encodeModel } from '../../onnx/encode.ts';
import '../../ops/projectRows.check.ts';
import { projectRowsOp } from '../../ops/projectRows.ts';
import type { FullBatch } from '../../training/batchPlan.ts';
import type { Engine, MakeEngine, StepResult, Which } from '../../training/engine.ts';
import { learningRateAt } from '../../training/settings.ts';
import { evaluationGraph, lossAndGradients, names, optimizerStates } from '../../training/stepGraph.ts';
import { stepScalars } from '../../training/stepScalars.ts';
import { applyAdamw } from './adamw.ts';
import { createAfterStep } from './afterStep.ts';
import { machineBytes, requireMemory } from './ortMemory.ts';
import type { OrtModelSession, OrtRuntime } from './ortRuntime.ts';
import { toOnnx } from './toOnnx.ts';

interface Runner {
  run(feeds: ReadonlyMap<string, DeviceData>): Promise<Readonly<Record<string, Float32Array>>>;
}

/** What onnxruntime throws, with the first line of what it says. */
async function typed<T>(doing: string, task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    if (error instanceof PapilioError) throw error;
    const [first = ''] = (error instanceof Error ? error.message : String(error)).trim().split('\n');
    const says = first.length > MOST_SAID ? `${first.slice(0, MOST_SAID)}…` : first;
    return /bad.?alloc|failed to allocate|out of memory|allocation failed/i.test(first)
      ? fail(
          'out-of-memory',
          `onnxruntime has too little memory ${doing} (${says}); take a smaller batch or shorter texts.`,
        )
      : fail('unsupported-onnx', `onnxruntime fails ${doing} (${says}); train with --executor webgpu.`);
  }
}

const MOST_SAID = 300;

/**
 * Engines on the given onnxruntime.
 * @param available bytes of memory that a graph may take
 */
export const ortEngines =
  (ort: OrtRuntime, available = machineBytes()): MakeEngine =>
  async ({ build, plan, settings, totalSteps, sequence: longest = settings.sequenceLength, initial }) => {
    if (settings.optimizer !== 'adamw')
      return fail('bad-argument', `onnxruntime trains with adamw only, not with ${settings.optimizer}.`);
    const params = initial();
    const zeros = () => new Float32Array(plan.size);
    const [m, v] = [zeros(), zeros()];
    const [first, second] = optimizerStates(settings) as [string, string];
    const afterStep = createAfterStep(plan, initial);
    const states = new Map([[TRAINABLE, params], [first, m], [second, v], ...afterStep.states]);
    const sessions: OrtModelSession[] = [];
    const contents = (value: Value): DeviceData =>
      value.role === 'parameter' ? value.source!() : states.get(value.name)!;

    const runner = async (graph: Graph): Promise<Runner> => {
      requireMemory(graph, available);
      const { model, inputs, projections } = toOnnx(graph);
      const session = await typed('to open what trains this model', ort.open(encodeModel(model)));
      sessions.push(session);
      return {
        async run(feeds) {
          for (const attrs of projections) {
            const state = { dtype: 'f32' as const, shape: [plan.size], data: Float64Array.from(params) };
            params.set(checkOf(projectRowsOp).reference([state], attrs)[0]!.data);
          }
          const tensors = new Map(
            [...inputs].map(([name, value]) => {
              const data = value.role === 'input' ? feeds.get(value.name) : contents(value);
              if (!data) fail('internal', `ortEngine: the input ${value.name} was not given.`);
              return [name, { shape: value.shape, data }] as const;
            }),
          );
          return typed('to train this model', session.run(tensors));
        },
      };
    };

    const steppers = new Map<number, Promise<{ run: Runner['run']; stepInputs: readonly StepInput[] }>>();
    const createStepper = async (sequence: number) => {
      const g = createBuilder();
      const base = build(settings.batchSize, sequence);
      const { loss, gradients, stepInputs } = lossAndGradients(
        g,
        base,
        plan,
        settings.gradientAccumulation,
        initial,
      );
      const { run } = await runner(g.finish({ loss, gradients }));
      return { run, stepInputs };
    };
    const stepperFor = (sequence: number) => {
      const made = steppers.get(sequence) ?? createStepper(sequence);
      steppers.set(sequence, made);
      return made;
    };
    await stepperFor(longest);

    const evaluations = new Map<string, Promise<Runner>>();
    const evaluation = (which: Which, logits: boolean, batch: number, sequence: number) => {
      const key = `${which} ${logits} ${batch} ${sequence}`;
      let made = evaluations.get(key);
      if (!made) {
        made = runner(
          evaluationGraph(build(batch, sequence), which === 'base' ? null : plan, initial, logits),
        );
        evaluations.set(key, made);
        made.catch(() => evaluations.delete(key));
      }
      return made;
    };

    const feedsOf = (batch: FullBatch) => {
      const feeds = new Map<string, DeviceData>([[names.labels, batch.labels]]);
      for (const [name, tensor] of Object.entries(batch.inputs)) feeds.set(name, tensor.data);
      return feeds;
    };

    const drawn = (input: StepInput, seed: number, step: number): DeviceData => {
      const data = new Float32Array(sizeOf(input.type.shape));
      input.fill(data, seed, step);
      return data;
    };

    const listeners: ((result: StepResult) => void)[] = [];
    const engine: Engine = {
      async train(step, batches) {
        const valid = batches.reduce((n, b) => n + b.validLabels, 0);
        const learningRate = learningRateAt(settings, step, totalSteps);
        const sum = zeros();
        let lossSum = 0;
        for (const [micro, batch] of batches.entries()) {
          const { run, stepInputs } = await stepperFor(batch.sequence ?? longest);
          const seed = rng(settings.seed, step).fork(micro).next();
          const feeds = feedsOf(batch);
          feeds.set(names.lossScale, Float32Array.of(1 / Math.max(1, valid)));
          feeds.set(STEP_SEED, Int32Array.of(seed | 0, 0, 0, 0));
          for (const input of stepInputs) feeds.set(input.name, drawn(input, seed, step));
          const out = await run(feeds);
          lossSum += out.loss![0]!;
          const part = out.gradients!;
          for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + part[i]!;
        }
        const scalars = stepScalars(settings, step, learningRate);
        const normSquared = applyAdamw({ params, grads: sum, m, v }, scalars);
        const seed = rng(settings.seed, step).next();
        afterStep.run({ params, gradients: sum, normSquared, scalars, seed, step });
        const result = { step, loss: lossSum / valid, gradNorm: Math.sqrt(normSquared), learningRate };
        for (const listener of listeners) listener(result);
      },
      onResult(listener) {
        listeners.push(listener);
      },
      settle: async () => {},
      async evaluate(which, batch, logits) {
        const sequence = batch.sequence ?? longest;
        const program = await evaluation(which, logits, settings.batchSize, sequence);
        const out = await program.run(feedsOf(batch));
        return { loss: out.loss![0]!, logits: logits ? out.logits! : null };
      },
      async logits(which, ids) {
        const sequence = settings.sequenceLength;
        const padded = new Int32Array(sequence);
        padded.set(ids);
        const feeds = new Map<string, DeviceData>([
          ['input_ids', padded],
          ['attention_mask', new Int32Array(sequence).fill(1)],
          [names.labels, new Int32Array(sequence).fill(-100)],
        ]);
        return (await (await evaluation(which, true, 1, sequence)).run(feeds)).logits!;
      },
      async once(graph) {
        return (await runner(graph)).run(new Map());
      },
      readState: async (name) => states.get(name)!.slice(),
      writeState: (name, data) => states.get(name)!.set(data),
      states: new Map([...states].map(([name, data]) => [name, data.length])),
      stats: null,
      destroy() {
        for (const session of sessions) void session.release();
      },
    };
    return engine;
  };
