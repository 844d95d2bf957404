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
import type { InputFile } from '../../src/lib/bytes.ts';
import { fail } from '../../src/lib/errors.ts';
import type { EmbeddedName } from '../../src/models/catalogue.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { openModel } from '../../src/training/openModel.ts';
import type { RunRequest } from '../../src/training/protocol.ts';
import { reportModel } from '../../src/training/reports.ts';
import { openSession } from '../../src/training/session.ts';
import { type TrainingSettings, trainingSchema } from '../../src/training/settings.ts';
import { glyphsVit, glyphsVitConfig, glyphsVitDefaults } from './architectures/glyphsVit.ts';
import { talesGpt, talesGptConfig, talesGptDefaults } from './architectures/talesGpt.ts';
import { trainBpe } from './bpe.ts';

interface Recipe {
  readonly data: string;
  readonly training: Partial<TrainingSettings>;
  /** The untrained model with its sidecars. */
  readonly files: (seed: number) => readonly InputFile[];
}

const text = (name: string, value: unknown): InputFile => ({
  name,
  bytes: new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`),
});

/** Texts that the tokenizer learns its pieces from: both styles, so that recipes are not spelt out byte by byte. */
const TOKENIZER_TEXTS = 1500;

const recipes: Readonly<Record<EmbeddedName, Recipe>> = {
  'glyphs-vit': {
    data: 'digits',
    training: {
      learningRate: 1e-3,
      weightDecay: 0.05,
      batchSize: 32,
      steps: 2400,
      warmupSteps: 100,
      evalEvery: 300,
      evalExamples: 2000,
    },
    files: (seed) => [
      { name: 'model.onnx', bytes: encodeModel(glyphsVit({ seed })) },
      text('config.json', glyphsVitConfig(glyphsVitDefaults, [...'0123456789'])),
      // Grey values 0 … 255 become −1 … 1, as the batches here make them.
      text('preprocessor_config.json', {
        image_processor_type: 'BitImageProcessor',
        do_convert_rgb: false,
        do_convert_grayscale: true,
        do_resize: true,
        resample: 3,
        do_rescale: true,
        rescale_factor: 1 / 255,
        do_normalize: true,
        image_mean: [0.5],
        image_std: [0.5],
        size: { height: glyphsVitDefaults.imageSize, width: glyphsVitDefaults.imageSize },
      }),
    ],
  },
  'tales-gpt': {
    data: 'tales',
    training: {
      learningRate: 2e-3,
      weightDecay: 0.05,
      batchSize: 16,
      steps: 2000,
      warmupSteps: 100,
      evalEvery: 200,
      evalExamples: 256,
      sequenceLength: 128,
    },
    files: (seed) => {
      const { vocabulary: vocabSize } = talesGptDefaults;
      const samples = (['tales', 'recipes'] as const).flatMap((name) =>
        embeddedTexts(name, 'train', TOKENIZER_TEXTS, seed),
      );
      const tokenizer = trainBpe(samples, { vocabSize });
      return [
        { name: 'model.onnx', bytes: encodeModel(talesGpt({ seed })) },
        text('config.json', talesGptConfig(talesGptDefaults)),
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
  const files = recipe.files(seed);
  const request: RunRequest = {
    model: { kind: 'files', files },
    data: { kind: 'embedded', name: recipe.data },
    method: 'full',
    config: {},
    training,
  };
  const on = await openEngine(values);
  const bar = progressBar(name);
  const started = performance.now();
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
    const finished = files.map((f) => (f.name === 'model.onnx' ? { ...f, bytes: onnx } : f));
    const report = reportModel(await openModel({ kind: 'files', files: finished }, cliHost), name);
    const made = {
      command: `npm run -s papilio -- pretrain ${[name, ...args.filter((a) => a !== name)].join(' ')}`,
      seed,
      training,
      data: recipe.data,
      steps: session.history.steps.length,
      evaluations: session.history.evals,
      lastLoss: session.history.steps.at(-1)?.loss,
      seconds: Math.round((performance.now() - started) / 1000),
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
