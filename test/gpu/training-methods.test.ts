/**
 * Every method from first step to file: it learns what it has not seen, its merged model says the same in onnxruntime, nothing but what it
 * trained has changed there, and its adapter files, read back and merged by the command line, give that very file.
 *
 * Seen to fail with: a merge that forgets the saved biases, one that writes a transposed weight, gradients that do not reach the adapter, a
 * resized head that is drawn anew on merging.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readAdapter } from '../../src/adapters/peft.ts';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { mergeCommand } from '../../src/cli/merge.ts';
import { writeBytes } from '../../src/cli/runtime.ts';
import { openSession as openOrt } from '../../src/inference/session.ts';
import { decodeModel } from '../../src/onnx/decode.ts';
import { tensorToF32 } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { readFiles } from '../../src/training/inputFiles.ts';
import type { Session } from '../../src/training/session.ts';
import { losses, openTiny, type TinyRun, tinyLanguage, tinyText, tinyVision } from './tinyRuns.ts';

const query = 'dinov2.encoder.layer.0.attention.attention.query';
const saved = { modules_to_save: ['classifier'] };
const language = { model: tinyLanguage(), data: tinyText };

interface Case extends TinyRun {
  readonly what: string;
  /** Some initialisers that must have changed; by ending. */
  readonly changes: readonly string[];
}

const special: readonly Case[] = [
  {
    what: 'with the biases of its layers and a saved classifier',
    method: 'oft',
    config: { target_modules: ['query', 'value', 'fc1'], oft_block_size: 4, bias: 'oft_only', ...saved },
    training: { learningRate: 0.02 },
    changes: ['query.bias', 'classifier.weight', 'classifier.bias'],
  },
  {
    what: 'on an embedding and on layers without bias',
    method: 'oft',
    config: {
      target_modules: ['embed_tokens', 'q_proj', 'down_proj'],
      oft_block_size: 8,
      coft: true,
      eps: 1,
      modules_to_save: ['lm_head'],
    },
    training: { learningRate: 0.02 },
    changes: ['embed_tokens.weight'],
    ...language,
  },
  {
    what: 'with every bias of the model and a new head for other classes',
    method: 'boft',
    config: {
      target_modules: [query, 'fc2'],
      boft_block_size: 4,
      boft_n_butterfly_factor: 2,
      boft_dropout: 0.5,
      bias: 'all',
      ...saved,
    },
    model: tinyVision(5),
    training: { learningRate: 0.02 },
    changes: ['query.bias', 'norm1.bias', 'projection.bias', 'classifier.weight'],
  },
  {
    what: 'on two shapes, by its own rates',
    method: 'fourierft',
    config: { target_modules: ['query', 'key', 'fc1'], n_frequency: 40, scaling: 20, ...saved },
    training: { learningRate: 0.02 },
    changes: ['classifier.weight'],
  },
  {
    what: 'on all linear layers, biases of both kinds, learned lengths',
    method: 'lora',
    config: {
      target_modules: 'all-linear',
      r: 3,
      use_dora: true,
      lora_alpha: 6,
      bias: 'lora_only',
      ...saved,
    },
    training: { learningRate: 0.02 },
    changes: ['query.bias', 'classifier.weight'],
  },
  {
    what: 'on the convolution that cuts the picture into patches',
    method: 'lokr',
    config: { target_modules: ['projection', 'fc1'], r: 2, decompose_both: true, ...saved },
    training: { learningRate: 0.02 },
    changes: ['projection.weight', 'classifier.weight'],
  },
  {
    what: 'on a language model',
    method: 'lora',
    config: { target_modules: ['q_proj', 'up_proj', 'lm_head', 'embed_tokens'], r: 4, lora_dropout: 0.1 },
    training: { learningRate: 0.02 },
    changes: [],
    ...language,
  },
  {
    what: 'on four layers, of which some may lose every triplet',
    method: 'adalora',
    config: { target_modules: ['query', 'value', 'fc1', 'fc2'], init_r: 6, target_r: 4, ...saved },
    training: { learningRate: 0.02 },
    changes: ['classifier.weight'],
  },
  {
    what: 'alone',
    method: 'head',
    config: saved,
    training: { learningRate: 0.05 },
    changes: ['classifier.weight'],
  },
  {
    what: 'of every weight',
    method: 'full',
    config: {},
    training: { learningRate: 0.01, optimizer: 'adamw', weightDecay: 0.05 },
    changes: ['position_embeddings', 'cls_token', 'lambda1', 'norm2.weight', 'projection.weight'],
  },
];

/** Every other method as it starts when chosen by hand. */
const cases: readonly Case[] = [
  ...special,
  ...Object.entries(METHODS)
    .filter(([id]) => !special.some((c) => c.method === id))
    .map(([id]) => ({
      what: 'as it starts',
      method: id as MethodId,
      config: {
        target_modules: ['query', 'value', 'fc1', 'fc2'],
        ...(id === 'ia3' ? { feedforward_modules: ['fc2'] } : {}),
        ...saved,
      },
      training: { learningRate: 0.02 },
      changes: ['classifier.weight'],
    })),
];

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'papilio-methods-'));
});
afterAll(() => rm(folder, { recursive: true }));

test.each(cases)('$method $what', async (run) => {
  const session = await openTiny(run);
  try {
    const before = await session.evaluate('base');
    const fresh = await session.evaluate('adapted');
    // Random coefficients apart, an untrained adapter has no effect.
    if (run.method !== 'fourierft') expect(fresh.loss).toBeCloseTo(before.loss, 5);
    await session.play();

    const curve = losses(session);
    expect(curve).toHaveLength(24);
    expect(mean(curve.slice(-4))).toBeLessThan(0.9 * mean(curve.slice(0, 4)));
    const after = session.history.evals.at(-1)!;
    expect(after.step).toBe(24);
    expect(after.loss).toBeLessThan(0.9 * before.loss);
    // The base beside it has not moved.
    expect((await session.evaluate('base')).loss).toBe(before.loss);

    await checkMerge(run, session);
  } finally {
    await session.close();
  }
});

/** The largest difference between equally named float initialisers, over the largest entry of each. */
function farthest(a: OnnxModel, b: OnnxModel): number {
  const distances = [...b.graph.initializers]
    .filter(([, tensor]) => tensor.dtype === 'float32')
    .map(([name, tensor]) => {
      const [x, y] = [tensorToF32(a.graph.initializers.get(name)!), tensorToF32(tensor)];
      const largest = y.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-30);
      return y.reduce((m, v, i) => Math.max(m, Math.abs(v - x[i]!)), 0) / largest;
    });
  return Math.max(...distances);
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

async function checkMerge(run: Case, session: Session): Promise<void> {
  const { onnx, changedInitializers, parity } = await session.mergeChecked((file) =>
    openOrt(file, { providers: ['wasm'] }),
  );
  expect(parity.verdict, parity.sentence).toBe('passed');
  expect(parity.bound).toBe(1e-4);
  expect(parity.maxRel).toBeGreaterThan(0);

  const base = session.model.onnx.graph.initializers;
  const merged = decodeModel(onnx).graph.initializers;
  expect([...merged.keys()].sort()).toEqual([...base.keys()].sort());
  const differing: string[] = [];
  for (const [name, tensor] of merged) {
    if (Buffer.compare(tensor.bytes(), base.get(name)!.bytes()) !== 0) differing.push(name);
  }
  // A bias of zeros stays one when it is scaled.
  const zeros = (name: string) =>
    merged
      .get(name)!
      .bytes()
      .every((byte) => byte === 0);
  const written = changedInitializers.filter((name) => differing.includes(name) || !zeros(name));
  expect(differing.sort()).toEqual(written.sort());
  for (const ending of run.changes) {
    expect(
      differing.some((name) => name.endsWith(ending)),
      ending,
    ).toBe(true);
  }

  const files = await session.exportAdapter();
  const read = readAdapter(files['adapter_config.json'], files['adapter_model.safetensors']);
  expect(read.method.id).toBe(run.method);
  const place = join(folder, `${run.method}-${cases.indexOf(run)}`);
  await writeBytes(join(place, 'adapter_config.json'), files['adapter_config.json']);
  await writeBytes(join(place, 'adapter_model.safetensors'), files['adapter_model.safetensors']);
  const model = run.model ?? tinyVision();
  if (model.kind === 'files') {
    for (const file of await readFiles(model.files))
      await writeBytes(join(place, 'base', file.name), file.bytes);
  }
  const out = join(place, 'merged.onnx');
  const said = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    expect(await mergeCommand(['--model', join(place, 'base'), '--adapter', place, '--out', out])).toBe(0);
  } finally {
    said.mockRestore();
  }
  const again = new Uint8Array(await readFile(out));
  if (!METHODS[run.method].beforeSave) expect(Buffer.compare(again, onnx)).toBe(0);
  // Sums over fewer rows: equal but for their rounding.
  else expect(farthest(decodeModel(again), decodeModel(onnx))).toBeLessThan(1e-6);
}
