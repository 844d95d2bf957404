/**
 * One combination of model, method and target: trained for two steps from an adapter that is not the identity, merged, run by onnxruntime, saved,
 * loaded into the model read anew, merged again. What is not legal has to end in a sentence.
 */
import { validateForRun } from '../../../src/adapters/config.ts';
import { TRAINABLE } from '../../../src/adapters/inject.ts';
import { type Adapter, readAdapter, writeAdapter } from '../../../src/adapters/peft.ts';
import {
  type AdapterPlan,
  type BaseParameter,
  chooseAdapter,
  initialValues,
  loadMethod,
  moduleTensors,
  savedParameters,
  sharedOf,
} from '../../../src/adapters/plan.ts';
import { METHODS, type MethodId } from '../../../src/adapters/registry.ts';
import { cliHost } from '../../../src/cli/sources.ts';
import type { FloatTensor, IntTensor } from '../../../src/data/types.ts';
import type { Graph, Tensor } from '../../../src/graph/types.ts';
import { completeFeeds } from '../../../src/inference/feeds.ts';
import { type FeedTensor, openSession as openOrt } from '../../../src/inference/session.ts';
import type { InputFile } from '../../../src/lib/bytes.ts';
import { fail, PapilioError } from '../../../src/lib/errors.ts';
import { rng } from '../../../src/lib/rng.ts';
import type { LoadedModel } from '../../../src/models/load.ts';
import type { Merged } from '../../../src/models/merge.ts';
import { encodeModel } from '../../../src/onnx/encode.ts';
import type { OnnxModel } from '../../../src/onnx/types.ts';
import { interpret } from '../../../src/ops/checks.ts';
import { readStored } from '../../../src/ops/fuse/stored.ts';
import type { RunsOn } from '../../../src/training/backend.ts';
import type { FullBatch } from '../../../src/training/batchPlan.ts';
import { mergedWeights, mergeModel, parityFiles } from '../../../src/training/merging.ts';
import { type Host, openModel } from '../../../src/training/openModel.ts';
import { checkParity, madeInputs, type ParitySample, parity } from '../../../src/training/parity.ts';
import type { RunRequest } from '../../../src/training/protocol.ts';
import { openSession, type Session } from '../../../src/training/session.ts';
import { type TrainingSettings, trainingSchema } from '../../../src/training/settings.ts';
import { fromTorch, toTorch } from '../../../src/training/setup.ts';
import { evaluationGraph } from '../../../src/training/stepGraph.ts';
import { configFor, type Subject, type TargetKind } from './subjects.ts';

export interface Combination {
  readonly subject: string;
  readonly method: MethodId;
  readonly target: TargetKind;
}

export type Outcome =
  | { readonly status: 'passed'; readonly parity: number }
  | { readonly status: 'refused'; readonly sentence: string }
  | { readonly status: 'failed'; readonly sentence: string };

/** Largest difference to onnxruntime, relative to the largest number, for weights in float32. */
const TOLERANCE = 1e-4;
/** The same adapter read again gives the same weights, but for the rounding of one operation more. */
const SAME = 1e-6;
/** Less than this is no effect of an adapter that was moved off its start. */
const EFFECT = 1e-6;

const SETTINGS: TrainingSettings = trainingSchema.parse({
  steps: 2,
  batchSize: 2,
  sequenceLength: 6,
  warmupSteps: 0,
  learningRate: 1e-2,
  evalEvery: 0,
  evalExamples: 2,
});

/** Whether there is such a combination at all. */
export const exists = (subject: Subject, method: MethodId, target: TargetKind): boolean =>
  configFor(method, target, subject.parts) !== null;

/** Runs one combination; never throws. */
export async function runCombination(
  engines: RunsOn,
  subject: Subject,
  method: MethodId,
  target: TargetKind,
): Promise<Outcome> {
  const config =
    configFor(method, target, subject.parts) ?? fail('internal', 'There is no such combination.');
  try {
    const worst = await (subject.training
      ? trained(engines, subject, method, config)
      : mergedOnly(subject, method, config));
    return { status: 'passed', parity: worst };
  } catch (error) {
    const refused = error instanceof PapilioError && error.kind !== 'internal';
    const sentence = error instanceof Error ? error.message : String(error);
    return refused ? { status: 'refused', sentence } : { status: 'failed', sentence };
  }
}

/** What a check found. It is no refusal: those have another kind. */
class Wrong extends PapilioError {
  constructor(sentence: string) {
    super('internal', sentence);
  }
}

function moved(data: Float32Array, seed: number): Float32Array {
  const random = rng(seed, 5);
  return data.map((v) => v + 0.05 * random.normal());
}

/** Through a run as the page and `finetune` make it. @returns the worst difference to onnxruntime */
async function trained(
  engines: RunsOn,
  subject: Subject,
  method: MethodId,
  config: Readonly<Record<string, unknown>>,
): Promise<number> {
  const request: RunRequest = {
    model: subject.source,
    data: subject.training!.data,
    method,
    config,
    training: SETTINGS,
  };
  const opened: Host = { ...cliHost, modelCache: async () => subject.opened };
  const session = await openSession(engines, request, opened);
  try {
    return await trainedParity(session, engines, request);
  } catch (error) {
    throw lateAs(error);
  } finally {
    await session.close();
  }
}

/** What begins to train has to end: a refusal after that is a failure. */
const lateAs = (error: unknown): Wrong =>
  error instanceof Wrong
    ? error
    : new Wrong(`after training began: ${error instanceof Error ? error.message : error}`);

async function trainedParity(session: Session, engines: RunsOn, request: RunRequest): Promise<number> {
  session.engine.writeState(TRAINABLE, moved(await session.engine.readState(TRAINABLE), 3));
  await session.play();
  const { steps } = session.history;
  if (steps.length !== SETTINGS.steps)
    throw new Wrong(`${steps.length} of ${SETTINGS.steps} steps were made`);
  if (!steps.every((s) => s.gradNorm > 0)) throw new Wrong('nothing has a gradient');
  const made = await session.mergeModel('float');
  const merged = made.onnx;
  const worst = await sessionParity(session, made);
  const { warnings: _, ...files } = await session.exportAdapter();
  await sameAgain(engines, { ...request, adapter: namedFiles(files) }, merged).catch(notAgain);
  return worst;
}

/** What was trained and saved can be read: a refusal here is none. */
function notAgain(error: unknown): never {
  if (error instanceof Wrong) throw error;
  throw new Wrong(
    `the saved adapter cannot be loaded again: ${error instanceof Error ? error.message : error}`,
  );
}

const namedFiles = (files: Readonly<Record<string, string | Uint8Array>>): InputFile[] =>
  Object.entries(files).map(([name, content]) => ({
    name,
    bytes: typeof content === 'string' ? new TextEncoder().encode(content) : content,
  }));

/** By the rule that merged files are held to everywhere: what their precision allows. @throws Wrong with its sentence */
async function sessionParity(session: Session, { onnx, written }: Merged): Promise<number> {
  const batch = everyToken(session.batches.load('held', session.batches.held(0)[0]!), session);
  const logits = await session.logits('adapted', batch);
  const base = await session.logits('base', batch);
  requireEffect(logits, base);
  const { output, feeds: names } = session.model;
  const sample: ParitySample = {
    ...{ what: 'every token', inputs: feedsOf(batch), output, names },
    ...{ adapted: logits, base, counts: null },
  };
  const files = parityFiles(session.model, { onnx: encodeModel(onnx), written }, 'float', encodeModel);
  const report = await checkParity([sample], files, (file) =>
    openOrt(file, { providers: ['wasm'], optimise: false }),
  );
  if (report.verdict !== 'passed') throw new Wrong(report.sentence);
  return report.maxRel;
}

const feedsOf = (batch: FullBatch): ParitySample['inputs'] =>
  Object.fromEntries(
    Object.entries(batch.inputs).map(([name, t]): [string, FeedTensor] => [
      name,
      { dtype: t.dtype, dims: t.shape, data: t.data },
    ]),
  );

/** Longer than any training row, so that every word of a small vocabulary and every position of a small table is looked up. */
const LENGTH = 24;

/** The batch with every token of the vocabulary in it, no padding; pictures as they are. */
function everyToken(batch: FullBatch, session: Session): FullBatch {
  const { tokenizer } = session.opened;
  if (!batch.inputs.input_ids || !tokenizer) return batch;
  const rows = SETTINGS.batchSize;
  const value = (name: string, i: number): number => {
    if (/mask/.test(name)) return 1;
    if (/position/.test(name)) return i % LENGTH;
    return /type/.test(name) ? i % 2 : i % tokenizer.vocabSize;
  };
  const inputs = Object.fromEntries(
    Object.entries(batch.inputs).map(([name, t]): [string, IntTensor | FloatTensor] => [
      name,
      t.dtype === 'int32'
        ? {
            ...t,
            shape: [rows, LENGTH],
            data: Int32Array.from({ length: rows * LENGTH }, (_, i) => value(name, i)),
          }
        : t,
    ]),
  );
  const perRow = batch.labels.length / rows;
  const labels =
    batch.labels instanceof Int32Array && perRow > 1
      ? new Int32Array(rows * LENGTH).fill(-100)
      : batch.labels;
  return { ...batch, inputs, labels, sequence: LENGTH };
}

function requireEffect(adapted: Float32Array, base: Float32Array): void {
  if (parity(adapted, base).maxRel < EFFECT) throw new Wrong('the adapter has no effect on the outputs');
}

/** Loads the saved adapter into the model read anew, and holds its merged weights against the first ones. */
async function sameAgain(engines: RunsOn, request: RunRequest, merged: OnnxModel): Promise<void> {
  const session = await openSession(engines, request, cliHost);
  try {
    requireSame((await session.mergeModel('float')).onnx, merged);
  } finally {
    await session.close();
  }
}

/** @throws Wrong naming the weight that differs */
function requireSame(again: OnnxModel, merged: OnnxModel): void {
  for (const [name, tensor] of merged.graph.initializers) {
    const other = again.graph.initializers.get(name);
    if (!other) throw new Wrong(`loaded again, the adapter makes no ${name}`);
    if (tensor.dtype !== 'float32') continue;
    const apart = parity(floats(other.bytes()), floats(tensor.bytes()));
    if (!(apart.maxRel <= SAME))
      throw new Wrong(`loaded again, the adapter makes another ${name}: ${apart.maxRel.toExponential(1)}`);
  }
}

const floats = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

/** Where nothing can be trained: the adapter as it starts, moved, in the model's own graph; then merged, saved and loaded as above. */
async function mergedOnly(
  subject: Subject,
  method: MethodId,
  given: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { model } = subject.opened;
  const { config } = validateForRun(METHODS[method], given, SETTINGS.steps!);
  const parameters = byName(model);
  const { plan } = chooseAdapter(await loadMethod(METHODS[method]), config, model.targets, model.parameters);
  const packed = moved(initialValues(plan, SETTINGS.seed, parameters), 3);
  return plannedParity(subject, plan, packed).catch((error) => {
    throw lateAs(error);
  });
}

async function plannedParity(subject: Subject, plan: AdapterPlan, packed: Float32Array): Promise<number> {
  const { model } = subject.opened;
  const { method } = plan;
  const merged = await mergedWith(model, plan, packed);
  const adapter: Adapter = {
    method,
    config: plan.config,
    tensors: moduleTensors(plan, packed),
    parameters: savedParameters(plan, packed),
    shared: sharedOf(plan),
  };
  const { 'adapter_config.json': json, 'adapter_model.safetensors': tensors } = writeAdapter(
    toTorch(adapter, model.modules),
    plan.groups.length > 0 ? plan.groups.flatMap((g) => g.layers.map((l) => l.name)) : undefined,
  );
  const fresh = (await openModel(subject.source, cliHost)).model;
  const read = readAdapter(json, tensors);
  const again = chooseAdapter(
    await loadMethod(read.method),
    read.config,
    fresh.targets,
    fresh.parameters,
    read.shared,
  ).plan;
  const values = initialValues(again, 0, byName(fresh), fromTorch(read, fresh.modules));
  requireSame(await mergedWith(fresh, again, values), merged);
  return graphParity(model, plan, packed, merged);
}

const byName = (model: LoadedModel): ReadonlyMap<string, BaseParameter> =>
  new Map(model.parameters.map((p) => [p.name, p]));

const once = async (graph: Graph): Promise<Record<string, Float32Array>> => {
  const result = interpret(graph, new Map());
  return Object.fromEntries(
    Object.entries(graph.outputs).map(([name, v]) => [name, Float32Array.from(result.get(v).data)]),
  );
};

async function mergedWith(model: LoadedModel, plan: AdapterPlan, packed: Float32Array): Promise<OnnxModel> {
  return mergeModel(model, await mergedWeights(plan, byName(model), once, packed.slice()), 'float').onnx;
}

/** The interpreter with the adapter in place against onnxruntime on the merged file, on inputs that are made up. */
async function graphParity(
  model: LoadedModel,
  plan: AdapterPlan,
  packed: Float32Array,
  merged: OnnxModel,
): Promise<number> {
  const base = model.build(2, 6);
  const run = (adapted: AdapterPlan | null) => {
    const whole = evaluationGraph(base, adapted, () => packed, true);
    const { data } = madeInputs(whole, 29, false);
    const graph = readStored(whole);
    const feeds = new Map(
      graph.inputs.map(({ name, dtype, shape }): [string, Tensor] => [
        name,
        { dtype, shape, data: Float64Array.from(data[name]!) },
      ]),
    );
    return { feeds, logits: interpret(graph, feeds).get(graph.outputs.logits!).data };
  };
  const adapted = run(plan);
  requireEffect(Float32Array.from(adapted.logits), Float32Array.from(run(null).logits));
  const ort = await openOrt(encodeModel(merged), { providers: ['wasm'], optimise: false });
  try {
    const known: Record<string, FeedTensor> = {};
    for (const { name } of ort.inputs) {
      const given = adapted.feeds.get(name);
      if (given)
        known[name] = {
          dtype: given.dtype === 'f32' ? 'float32' : 'int32',
          dims: given.shape,
          data: given.dtype === 'f32' ? Float32Array.from(given.data) : Int32Array.from(given.data),
        } as FeedTensor;
    }
    const outputs = await ort.run(completeFeeds(ort.inputs, known, undefined, model.feeds), [model.output]);
    const apart = parity(adapted.logits, outputs[model.output]!.data).maxRel;
    if (!(apart <= TOLERANCE)) throw new Wrong(`differs from onnxruntime by ${apart.toExponential(1)}`);
    return apart;
  } finally {
    await ort.release();
  }
}
