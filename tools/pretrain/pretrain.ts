/** `papilio pretrain NAME`: makes an embedded model from nothing - architecture, tokenizer, training on its own generator. */
import { join } from 'node:path';
import { engineOptions, openEngine, runtimeOf } from '../../src/cli/engine.ts';
import { scoreOf } from '../../src/cli/finetuneResult.ts';
import { command, type OptionTable, type Values } from '../../src/cli/options.ts';
import { withOut } from '../../src/cli/outFolder.ts';
import { writeInto } from '../../src/cli/runtime.ts';
import { cliHost } from '../../src/cli/sources.ts';
import { print, progressBar, wordsOf } from '../../src/cli/terminal.ts';
import { embeddedTexts } from '../../src/data/catalogue.ts';
import { type GlyphSet, glyphDataset } from '../../src/data/glyphs.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { InputFile } from '../../src/lib/bytes.ts';
import { fail } from '../../src/lib/errors.ts';
import type { EmbeddedName } from '../../src/models/catalogue.ts';
import { decodeModel } from '../../src/onnx/decode.ts';
import { replaceInitializers } from '../../src/onnx/edit.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { tensorToF32 } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import type { Backend } from '../../src/training/backend.ts';
import { openModel } from '../../src/training/openModel.ts';
import type { RunRequest } from '../../src/training/protocol.ts';
import { reportModel } from '../../src/training/reports.ts';
import { openSession } from '../../src/training/session.ts';
import { type TrainingSettings, trainingSchema } from '../../src/training/settings.ts';
import { glyphsVit, glyphsVitConfig, glyphsVitDefaults } from './architectures/glyphsVit.ts';
import { talesGpt, talesGptConfig, talesGptDefaults } from './architectures/talesGpt.ts';
import { wordVocabulary } from './bpe.ts';

interface Recipe {
  /** What the model may learn by; the first unless another is chosen. */
  readonly data: readonly [string, ...string[]];
  readonly training: Partial<TrainingSettings>;
  /** The untrained model with its sidecars. */
  readonly files: (seed: number, data: string) => readonly InputFile[];
  /** Where the model that ships reads the classes of `data` alone, and it learnt by more: what is made of the trained file. */
  readonly shipped?: {
    readonly files: (trained: Uint8Array) => readonly InputFile[];
    readonly data: string;
  };
}

const text = (name: string, value: unknown): InputFile => ({
  name,
  bytes: new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`),
});

/** Texts that hold every word of the grammar. */
const TOKENIZER_TEXTS = 4000;

const { labels: DIGITS } = glyphDataset('digits');

const glyphsFiles = (model: OnnxModel, labels: readonly string[]): readonly InputFile[] => [
  { name: 'model.onnx', bytes: encodeModel(model) },
  text('config.json', glyphsVitConfig(glyphsVitDefaults, labels)),
  // Grey values 0 … 255 become −1 … 1, as the batches here make them.
  text('preprocessor_config.json', {
    image_processor_type: 'BitImageProcessor',
    do_convert_rgb: false,
    do_convert_grayscale: true,
    // A BitImageProcessor cuts 224 × 224 out where nothing else is said.
    do_center_crop: false,
    do_resize: true,
    resample: 3,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: [0.5],
    image_std: [0.5],
    size: { height: glyphsVitDefaults.imageSize, width: glyphsVitDefaults.imageSize },
  }),
];

/** A trained glyphs-vit with the rows of its first `classes` classes alone. */
function firstClasses(trained: OnnxModel, classes: number): OnnxModel {
  const model = glyphsVit({ classes });
  const floats = [...model.graph.initializers.values()].filter(({ dtype }) => dtype === 'float32');
  return replaceInitializers(
    model,
    new Map(
      floats.map(({ name, dims }) => {
        const data = tensorToF32(trained.graph.initializers.get(name)!);
        return [name, { data: data.subarray(0, sizeOf(dims)) }];
      }),
    ),
  );
}

const recipes: Readonly<Record<EmbeddedName, Recipe>> = {
  'glyphs-vit': {
    data: ['signs-and-digits', 'digits'],
    training: {
      learningRate: 1e-3,
      weightDecay: 0.05,
      batchSize: 32,
      steps: 6000,
      warmupSteps: 100,
      evalEvery: 1000,
      evalExamples: 2000,
    },
    files: (seed, data) => {
      const { labels } = glyphDataset(data as GlyphSet);
      return glyphsFiles(glyphsVit({ seed, classes: labels.length }), labels);
    },
    shipped: {
      files: (trained) => glyphsFiles(firstClasses(decodeModel(trained), DIGITS.length), DIGITS),
      data: 'digits',
    },
  },
  'tales-gpt': {
    data: ['tales'],
    training: {
      learningRate: 3e-3,
      weightDecay: 0.05,
      batchSize: 16,
      steps: 700,
      warmupSteps: 50,
      evalEvery: 100,
      evalExamples: 64,
      sequenceLength: 128,
    },
    files: (seed) => {
      const tokenizer = wordVocabulary(embeddedTexts('tales', 'train', TOKENIZER_TEXTS, 0));
      const vocabulary = Object.keys(tokenizer.model.vocab).length;
      const options = { ...talesGptDefaults, seed, vocabulary };
      return [
        { name: 'model.onnx', bytes: encodeModel(talesGpt(options)) },
        text('config.json', talesGptConfig(options)),
        { name: 'tokenizer.json', bytes: new TextEncoder().encode(`${JSON.stringify(tokenizer)}\n`) },
        text('tokenizer_config.json', {
          tokenizer_class: 'PreTrainedTokenizerFast',
          eos_token: '<|endoftext|>',
          model_max_length: talesGptDefaults.context,
        }),
      ];
    },
  },
};

const options = {
  steps: { type: 'number', about: 'updates', otherwise: "the recipe's own" },
  'batch-size': { type: 'number', about: 'examples per update', otherwise: "the recipe's own" },
  lr: { type: 'number', about: 'learning rate', otherwise: "the recipe's own" },
  'eval-examples': {
    type: 'number',
    about: 'held-out examples of an evaluation',
    otherwise: "the recipe's own",
  },
  data: {
    type: 'string',
    value: 'NAME',
    about:
      "what it learns by: glyphs-vit by signs-and-digits, of which the digits' classes are kept, or by digits alone",
    otherwise: "the recipe's own",
  },
  seed: { type: 'number', default: 1, about: 'starts every random choice' },
  out: { type: 'string', value: 'DIR', about: 'where the model goes', otherwise: 'public/models/NAME' },
  ...engineOptions,
} as const satisfies OptionTable;

export const pretrainCommand = command(
  {
    name: 'pretrain',
    about: 'Makes an embedded model from nothing: architecture, tokenizer, training on its own generator.',
    positionals: Object.keys(recipes).join('|'),
    options,
  },
  pretrain,
);

async function pretrain(
  values: Values<typeof options>,
  positionals: readonly string[],
  args: readonly string[],
): Promise<number> {
  const name = positionals[0] as EmbeddedName;
  const recipe = Object.hasOwn(recipes, name ?? '') ? recipes[name] : undefined;
  if (!recipe) return fail('bad-argument', `pretrain needs a name: ${Object.keys(recipes).join(' or ')}.`);
  const out = values.out ?? join('public', 'models', name);
  // The models of the repository are made to be put in place of those before.
  return withOut([{ path: out, overwrite: true }], () => pretrainInto(values, args, name, recipe, out));
}

async function pretrainInto(
  values: Values<typeof options>,
  args: readonly string[],
  name: EmbeddedName,
  recipe: Recipe,
  out: string,
): Promise<number> {
  const { seed, steps, lr } = values;
  const training = trainingSchema.parse({
    ...recipe.training,
    seed,
    ...(steps === undefined ? {} : { steps }),
    ...(values['batch-size'] === undefined ? {} : { batchSize: values['batch-size'] }),
    ...(lr === undefined ? {} : { learningRate: lr }),
    ...(values['eval-examples'] === undefined ? {} : { evalExamples: values['eval-examples'] }),
  });
  const data = values.data ?? recipe.data[0];
  if (!recipe.data.includes(data))
    fail('bad-argument', `${name} learns by ${recipe.data.join(' or ')}, not by "${data}".`);
  const files = recipe.files(seed, data);
  const shipped = recipe.shipped?.data === data ? undefined : recipe.shipped;
  const request: RunRequest = {
    model: { kind: 'files', files },
    data: { kind: 'embedded', name: data },
    method: 'full',
    config: {},
    training,
  };
  const on = await openEngine(values);
  const bar = progressBar(name);
  const started = process.cpuUsage();
  let saved: Promise<void> = Promise.resolve();
  const session = await openSession(on, request, cliHost, (event) => {
    if (event.type === 'step') bar.update(event.metric.step, training.steps, wordsOf(event.metric));
    if (event.type !== 'eval') return;
    bar.log(`step ${event.metric.step}: held-out ${scoreOf(event.metric)}`);
    // Long runs are worth keeping when they are stopped early.
    saved = saved.then(save);
  });
  const save = async (): Promise<void> => {
    const { onnx } = await session.merge();
    const finished =
      shipped?.files(onnx) ?? files.map((f) => (f.name === 'model.onnx' ? { ...f, bytes: onnx } : f));
    const report = reportModel(await openModel({ kind: 'files', files: finished }, cliHost), name);
    const used = process.cpuUsage(started);
    const made = {
      command: `npm run -s papilio -- pretrain ${[name, ...args.filter((a) => a !== name)].join(' ')}`,
      seed,
      training,
      data,
      steps: session.history.steps.length,
      evaluations: session.history.evals,
      ...(shipped ? { shipped: await scoreOn(on, request, finished, shipped.data) } : {}),
      lastLoss: session.history.steps.at(-1)?.loss,
      processorSeconds: Math.round((used.user + used.system) / 1e6),
      runtime: runtimeOf(on),
      device: on.info,
    };
    for (const file of finished) await writeInto(out, file.name, file.bytes);
    await writeInto(out, 'card.json', `${JSON.stringify({ ...report, made }, null, 2)}\n`);
  };
  await session.play();
  bar.end();
  await saved;
  const last = session.history.evals.at(-1)!;
  print(`${name}: held-out ${scoreOf(last)}; written to ${out}\n`);
  await session.close();
  on.close();
  return 0;
}

/** How well a finished model reads the held-out examples of the data that it ships for. */
async function scoreOn(on: Backend, request: RunRequest, files: readonly InputFile[], name: string) {
  const data = { kind: 'embedded', name } as const;
  const session = await openSession(on, { ...request, model: { kind: 'files', files }, data }, cliHost);
  const { metric, value, examples } = await session.evaluate('base');
  await session.close();
  return { data: name, metric, value, examples };
}
