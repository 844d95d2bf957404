/**
 * Graphs as they are really run, for training and evaluation, fused as the trainer does: of a small model of every family, of every
 * method, of every stored form of weights, and of a model wide and long enough for what only large products have.
 */
import { join } from 'node:path';
import { validateConfig } from '../../src/adapters/config.ts';
import type { AdapterPlan } from '../../src/adapters/plan.ts';
import { chooseAdapter } from '../../src/adapters/plan.ts';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { baseCaps, type Graph } from '../../src/graph/types.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { type LoadedModel, loadModel } from '../../src/models/load.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { fuse } from '../../src/ops/fuse.ts';
import { sparseDftOp } from '../../src/ops/sparseIdft.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { evaluationGraph, trainingGraph, updateGraph } from '../../src/training/stepGraph.ts';
import { glyphsVit } from '../../tools/pretrain/architectures/glyphsVit.ts';
import { talesGpt } from '../../tools/pretrain/architectures/talesGpt.ts';
import { ownModels } from '../../tools/verify/families/matrix.ts';
import {
  configFor,
  openSubject,
  partsOf,
  subjectNames,
  type TargetKind,
} from '../../tools/verify/families/subjects.ts';
import { casesOf, withGraph } from '../unit/adapters-layers.ts';
import { quantGraphs } from './graphsQuant.ts';

const METHOD_IDS = Object.keys(METHODS) as MethodId[];
const nothing = () => new Float32Array(0);

/** How the adapter of a graph is chosen, and the size of its batch. */
interface Choice {
  readonly method: MethodId;
  readonly config: Readonly<Record<string, unknown>>;
  readonly size: readonly [batch: number, sequence: number];
}

/** The graphs of one step, at once and accumulated, and of evaluation; none where the method cannot adapt the model. */
function* stepGraphs(model: LoadedModel, { method, config, size }: Choice): Generator<Graph> {
  let plan: AdapterPlan;
  try {
    const checked = validateConfig(METHODS[method], config).config;
    plan = chooseAdapter(withGraph(METHODS[method]), checked, model.targets, model.parameters).plan;
  } catch (error) {
    if (error instanceof PapilioError && error.kind !== 'internal') return;
    throw error;
  }
  const base = model.build(...size);
  const plain = trainingSchema.parse({});
  yield trainingGraph(base, plan, plain, nothing).graph;
  yield evaluationGraph(base, plan, nothing, true);
  const sgd = trainingSchema.parse({ optimizer: 'sgd', gradientAccumulation: 2 });
  yield trainingGraph(base, plan, sgd, nothing).graph;
  yield updateGraph(plan, sgd, nothing).graph;
}

/** A method's configurations for a kind of target. */
function choices(model: LoadedModel, method: MethodId, target: TargetKind, size: Choice['size']): Choice[] {
  const config = configFor(method, target, partsOf(model));
  return config ? casesOf(method).map((c) => ({ method, config: { ...config, ...c.config }, size })) : [];
}

/** Every family's model with one of the methods, in turn. */
async function* families(): AsyncGenerator<Graph> {
  const root = await ownModels();
  for (const [turn, name] of (await subjectNames(root)).entries()) {
    const { model } = (await openSubject(join(root, name))).opened;
    const method = METHOD_IDS[turn % METHOD_IDS.length]!;
    const [choice] = choices(model, method, turn % 2 === 0 ? 'all-linear' : 'saved norms', [2, 8]);
    if (choice) yield* stepGraphs(model, choice);
  }
}

/** All of a model that has several convolutions in a row. */
async function* convolutions(): AsyncGenerator<Graph> {
  const { model } = (await openSubject(join(await ownModels(), 'whisper-tied'))).opened;
  yield* stepGraphs(model, { method: 'full', config: {}, size: [2, 8] });
}

/** Every configuration of every method, on layers of the language model. */
function* methods(): Generator<Graph> {
  const model = loaded(talesGpt({ layers: 1, vocabulary: 30 }));
  for (const method of METHOD_IDS) {
    for (const target of ['all-linear', 'embedding'] as const)
      for (const choice of choices(model, method, target, [2, 6])) yield* stepGraphs(model, choice);
  }
}

/** Weights as files store them, and as loading rounds them. */
function* stored(): Generator<Graph> {
  for (const make of Object.values(quantGraphs)) {
    const g = createBuilder();
    const { outputs } = importModel(make().model).build(
      g,
      { batch: 3, sequence: 2 },
      { data: ['x', 'input_ids'] },
    );
    yield g.finish(outputs);
  }
  const model = loaded(talesGpt({ layers: 1 }));
  for (const precision of ['f16', 'q4'] as const)
    for (const choice of choices(model, 'lora', 'all-linear', [2, 8]).slice(0, 1))
      yield* stepGraphs(model.at(precision), choice);
}

/** Wide layers, wide heads, large blocks and many tokens: products in tiles and in splits, logits that are never whole. */
function* large(): Generator<Graph> {
  const gpt = loaded(
    talesGpt({
      layers: 1,
      vocabulary: 4100,
      width: 512,
      feedForward: 514,
      heads: 4,
      kvHeads: 2,
      context: 1024,
    }),
  );
  const vit = loaded(glyphsVit({ layers: 1, width: 512, heads: 4 }));
  for (const [oft_block_size, use_cayley_neumann, target] of [
    [32, false, 'q_proj'],
    [128, false, 'q_proj'],
    [64, true, 'q_proj'],
    [257, true, 'down_proj'],
  ] as const) {
    const config = { target_modules: [target], oft_block_size, use_cayley_neumann };
    yield* stepGraphs(gpt, { method: 'oft', config, size: [2, 8] });
  }
  for (const [boft_block_size, boft_n_butterfly_factor] of [
    [8, 2],
    [16, 2],
  ]) {
    const config = {
      target_modules: ['o_proj'],
      boft_block_size,
      boft_n_butterfly_factor,
      boft_dropout: 0.1,
    };
    yield* stepGraphs(gpt, { method: 'boft', config, size: [2, 8] });
  }
  // Sizes with and without a fast transform.
  const fourierft = { target_modules: ['q_proj', 'gate_proj'], n_frequency: 300 };
  yield* stepGraphs(gpt, { method: 'fourierft', config: fourierft, size: [2, 1024] });
  const biased = { target_modules: ['query'], boft_n_butterfly_factor: 2, bias: 'boft_only' };
  yield* stepGraphs(vit, { method: 'boft', config: biased, size: [2, 1] });
  for (const method of ['lora', 'boft', 'ia3', 'full'] as const) {
    for (const [model, size] of [
      [gpt, [2, 8]],
      [gpt, [2, 1024]],
      [vit, [2, 1]],
    ] as const)
      for (const choice of choices(model, method, method === 'full' ? 'default' : 'all-linear', size).slice(
        0,
        1,
      ))
        yield* stepGraphs(model, choice);
  }
}

/** What no family has, but files may: single operators of ONNX. */
function* operators(): Generator<Graph> {
  for (const [operator, type] of [
    ['LogSoftmax', 'float32'],
    ['IsNaN', 'bool'],
  ] as const) {
    const g = graphBuilder({ opset: 17, name: operator });
    const x = g.input('x', 'float32', [2, 5]);
    g.output(g.op(operator, [x]), type, [2, 5]);
    const built = createBuilder();
    const { outputs } = importModel(g.build()).build(built, { batch: 2, sequence: 1 }, { data: ['x'] });
    yield built.finish(outputs);
  }
}

const loaded = (model: OnnxModel): LoadedModel =>
  loadModel([{ name: 'model.onnx', bytes: encodeModel(model) }]);

export async function* realGraphs(): AsyncGenerator<Graph> {
  for (const part of [families, convolutions]) for await (const graph of part()) yield fuse(graph);
  for (const part of [methods, stored, large, operators]) {
    for (const graph of part()) {
      yield fuse(graph);
      // What is fused for a processor alone.
      if (graph.nodes.some(({ op }) => op === sparseDftOp))
        yield fuse(graph, { ...baseCaps, software: true });
    }
  }
}
