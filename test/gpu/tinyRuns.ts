/** Runs small enough for a software adapter: one-layer models made on the spot, data that can be learnt in some twenty steps. */
import type { MethodId } from '../../src/adapters/registry.ts';
import { decodePng } from '../../src/data/files/png.ts';
import type { InputFile } from '../../src/lib/bytes.ts';
import { fail } from '../../src/lib/errors.ts';
import { rng } from '../../src/lib/rng.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { gpuBackend } from '../../src/training/backend.ts';
import type { Host } from '../../src/training/openModel.ts';
import type { DataSource, ModelSource, RunRequest } from '../../src/training/protocol.ts';
import { openSession, type Session } from '../../src/training/session.ts';
import { type TrainingSettings, trainingSchema } from '../../src/training/settings.ts';
import {
  glyphsVit,
  glyphsVitConfig,
  glyphsVitDefaults,
} from '../../tools/pretrain/architectures/glyphsVit.ts';
import { talesGpt, talesGptConfig, talesGptDefaults } from '../../tools/pretrain/architectures/talesGpt.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';
import { testDevice } from './device.ts';

const json = (name: string, value: unknown): InputFile => ({
  name,
  bytes: new TextEncoder().encode(JSON.stringify(value)),
});

const SIZE = 8;

/** A vision transformer of one layer for `classes` classes of 8 × 8 pictures. */
export function tinyVision(
  classes = 3,
  width = 16,
): { readonly kind: 'files'; readonly files: readonly InputFile[] } {
  const o = {
    ...glyphsVitDefaults,
    imageSize: SIZE,
    patchSize: 4,
    width,
    layers: 1,
    heads: 2,
    mlpRatio: 2,
    classes,
  };
  const labels = Array.from({ length: classes }, (_, i) => `class ${i}`);
  return {
    kind: 'files',
    files: [
      { name: 'model.onnx', bytes: encodeModel(glyphsVit(o)) },
      json('config.json', glyphsVitConfig(o, labels)),
    ],
  };
}

/** Bars at one of three heights under noise. */
export function bars() {
  const random = rng(7);
  const classes = [0, 1, 2].map((k) => ({
    label: `class ${k}`,
    images: Array.from({ length: 14 }, () =>
      Float32Array.from({ length: SIZE * SIZE }, (_, p) => {
        const inBar = Math.floor(p / SIZE / 3) === k;
        return (inBar ? 0.7 : 0.1) + 0.2 * random.uniform();
      }),
    ),
  }));
  return { kind: 'drawings' as const, size: SIZE, classes };
}

const TEXT = 'the cat sat on the mat and the dog ran to the cat. '.repeat(40);

/** A decoder of one layer with a tokenizer made from the text itself. */
export function tinyLanguage(): { readonly kind: 'files'; readonly files: readonly InputFile[] } {
  const tokenizer = trainBpe([TEXT], { vocabSize: 270 });
  const vocabulary = Object.keys(tokenizer.model.vocab).length + 1;
  const o = {
    ...talesGptDefaults,
    vocabulary,
    context: 12,
    width: 16,
    feedForward: 24,
    layers: 1,
    heads: 2,
    kvHeads: 1,
  };
  return {
    kind: 'files',
    files: [
      { name: 'model.onnx', bytes: encodeModel(talesGpt(o)) },
      json('config.json', talesGptConfig(o)),
      json('tokenizer.json', tokenizer),
    ],
  };
}
export const tinyText: DataSource = { kind: 'text', text: TEXT };

export const testHost: Host = {
  gpu: async () => fail('internal', 'The session gets its device from the test.'),
  readPublic: async (path) => fail('internal', `No test reads ${path}.`),
  decodeImage: decodePng,
};

export interface TinyRun {
  readonly method: MethodId;
  readonly config: Readonly<Record<string, unknown>>;
  readonly training?: Partial<TrainingSettings>;
  readonly model?: ModelSource;
  readonly data?: DataSource;
  /** Files of an adapter to go on from. */
  readonly adapter?: readonly InputFile[];
  readonly recompute?: boolean;
  readonly budgetBytes?: number;
  /** Off unless a test asks for it, whatever adapter runs it. */
  readonly tune?: boolean;
}

export function tinyRequest(run: TinyRun): RunRequest {
  return {
    model: run.model ?? tinyVision(),
    data: run.data ?? bars(),
    method: run.method,
    config: run.config,
    ...(run.adapter ? { adapter: run.adapter } : {}),
    ...(run.recompute ? { recompute: true } : {}),
    ...(run.budgetBytes === undefined ? {} : { budgetBytes: run.budgetBytes }),
    tune: run.tune ?? false,
    training: {
      ...trainingSchema.parse({
        batchSize: 8,
        steps: 24,
        warmupSteps: 2,
        sequenceLength: 12,
        evalEvery: 0,
        evalExamples: 0,
      }),
      ...run.training,
    },
  };
}

export async function openTiny(run: TinyRun, checkpoint?: Uint8Array): Promise<Session> {
  return openSession(
    gpuBackend(await testDevice()),
    tinyRequest(run),
    testHost,
    undefined,
    checkpoint ? { checkpoint } : {},
  );
}

export const losses = (session: Session): number[] => session.history.steps.map((s) => s.loss);
