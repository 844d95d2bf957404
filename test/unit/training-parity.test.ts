/**
 * The bound on merged files: what was merged rightly passes at every precision, and deliberately wrong bytes do not, whichever way they are
 * wrong. Trainer: the float64 interpreter; the files run in onnxruntime-web.
 *
 * Seen to fail with: a bound of 1 for files of fewer bits, NaN on both sides taken for agreement, padding compared.
 */
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import type { LoadedAdapter } from '../../src/adapters/peft.ts';
import { methodById } from '../../src/adapters/registry.ts';
import { openSession } from '../../src/inference/session.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { rng } from '../../src/lib/rng.ts';
import { type LoadedModel, loadModel } from '../../src/models/load.ts';
import { roundsSomewhere } from '../../src/models/rounding.ts';
import { replaceRaw } from '../../src/onnx/edit.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import {
  differing,
  madeSamples,
  mergeAdapters,
  mergeModel,
  parityFiles,
} from '../../src/training/merging.ts';
import {
  checkParity,
  type OpenFile,
  type ParityReport,
  type ParitySample,
} from '../../src/training/parity.ts';
import { castWeights } from '../tools/castWeights.ts';
import { encoder, gpt2 } from '../tools/graphs.ts';
import { quantiseFile } from '../tools/quantiseFile.ts';
import { interpreted } from './adapters-interpreted.ts';

const open: OpenFile<Uint8Array> = (file) => openSession(file, { providers: ['wasm'] });

/** LoRA on every linear layer, with numbers that change the answers. */
function adapterFor(model: LoadedModel, seed = 5): LoadedAdapter {
  const method = methodById('lora');
  const { config } = validateConfig(method, { r: 2, lora_alpha: 4, target_modules: '.*' });
  const random = rng(seed);
  const layers = model.targets.layers.filter(({ kind }) => kind === 'linear' || kind === 'conv1d');
  const tensors = layers.map((layer) => {
    const own = method.tensors(layer, config).map((spec) => {
      const data = Float32Array.from(
        { length: spec.shape.reduce((a, b) => a * b, 1) },
        () => 0.1 * random.normal(),
      );
      return [spec.name, { shape: spec.shape, data }] as const;
    });
    return [layer.name, new Map(own)] as const;
  });
  const named = { ...config, target_modules: layers.map(({ name }) => name) };
  return { method, config: named, tensors: new Map(tensors), parameters: new Map(), kept: {}, warnings: [] };
}

interface Prepared {
  readonly model: LoadedModel;
  readonly samples: ParitySample[];
  readonly merged: ReturnType<typeof mergeModel>;
}

async function prepared(
  onnx: OnnxModel,
  quantised: 'requantise' | 'float' = 'requantise',
): Promise<Prepared> {
  const opened = loadModel([{ name: 'model.onnx', bytes: encodeModel(onnx) }]);
  const made = await mergeAdapters(opened, [adapterFor(opened)], interpreted);
  const { model } = made;
  const samples = await madeSamples(made, interpreted, roundsSomewhere(model.onnx));
  return { model, samples, merged: mergeModel(model, new Map(made.weights), quantised) };
}

const check = (
  { model, samples, merged }: Prepared,
  file: OnnxModel = merged.onnx,
  quantised: 'requantise' | 'float' = 'requantise',
): Promise<ParityReport> =>
  checkParity(
    samples,
    parityFiles(model, { onnx: encodeModel(file), written: merged.written }, quantised, encodeModel),
    open,
  );

/** Ways to write wrong bytes; a file of 4 bits is so coarse that only the last is beyond its own rounding. */
type Fault = 'unadapted' | 'halves swapped' | 'all bits set';

/** The merged file with the bytes of one changed tensor made wrong. */
function spoilt({ model, merged }: Prepared, how: Fault): OnnxModel {
  const size = (name: string): number => merged.onnx.graph.initializers.get(name)?.byteLength ?? 0;
  const name = differing(model.onnx, merged).find((one) => size(one) >= 64)!;
  const bytes = merged.onnx.graph.initializers.get(name)!.bytes().slice();
  const half = (bytes.length >> 4) << 3;
  if (how === 'unadapted') bytes.set(model.onnx.graph.initializers.get(name)!.bytes());
  else if (how === 'halves swapped') {
    const first = bytes.slice(0, half);
    bytes.copyWithin(0, bytes.length - half);
    bytes.set(first, bytes.length - half);
  } else bytes.fill(0xff);
  return replaceRaw(merged.onnx, new Map([[name, bytes]]));
}

const subtle: readonly Fault[] = ['unadapted', 'halves swapped'];

describe.each<[string, () => OnnxModel, readonly Fault[]]>([
  ['an encoder', () => encoder({ family: 'roberta' }), subtle],
  ['a decoder in f16', () => castWeights(gpt2(), 'float16'), subtle],
  ['an encoder in bf16', () => castWeights(encoder({ family: 'bert' }), 'bfloat16'), subtle],
  ['an encoder in int8', () => castWeights(encoder({ family: 'distilbert' }), 'int8'), ['halves swapped']],
  ['an encoder in 4 bits', () => quantiseFile(encoder({ family: 'bert' })), ['all bits set']],
])('%s', (name, make, faults) => {
  it('passes when merged rightly, and fails with wrong bytes', async () => {
    const right = await prepared(make());
    const report = await check(right);
    expect(report.verdict, report.sentence).toBe('passed');
    expect(report.maxRel).toBeLessThanOrEqual(report.bound);
    expect(report.bound === 1e-4 && report.base === null).toBe(name === 'an encoder');
    for (const how of faults) {
      const wrong = await check(right, spoilt(right, how));
      expect(wrong.verdict, `${how}: ${wrong.sentence}`).toBe('failed');
      expect(wrong.sentence).toMatch(
        /^The merged file does not compute what was trained: its output logits (differs by|holds values)/,
      );
    }
  });
});

it('layers written as floats pass too', async () => {
  const right = await prepared(quantiseFile(encoder({ family: 'bert' })), 'float');
  const report = await check(right, right.merged.onnx, 'float');
  expect(report.verdict, report.sentence).toBe('passed');
});

describe('the verdict', () => {
  it('knows who cannot run: the merged file, or the model', async () => {
    const right = await prepared(encoder({ family: 'bert' }));
    const refuse = () => Promise.reject(new PapilioError('unsupported-onnx', 'no kernel for Foo.'));
    const files = parityFiles(
      right.model,
      { onnx: encodeModel(right.merged.onnx), written: [] },
      'requantise',
      encodeModel,
    );
    expect(await checkParity(right.samples, files, refuse)).toMatchObject({
      verdict: 'unchecked',
      sentence: expect.stringMatching(
        /was not checked: this model does not run here even without the adapter \(no kernel for Foo\)/,
      ),
    });
    let first = true;
    const once: typeof open = (file) => {
      const now = first;
      first = false;
      return now ? refuse() : open(file);
    };
    expect(await checkParity(right.samples, files, once)).toMatchObject({
      verdict: 'failed',
      sentence: expect.stringMatching(
        /does not run although the model without the adapter does: no kernel for Foo/,
      ),
    });
  });

  it('takes no NaN, neglects padding and what is all but 0', async () => {
    const right = await prepared(gpt2());
    const changed = (change: (adapted: Float32Array, counts: Uint8Array) => void): Prepared => ({
      ...right,
      samples: right.samples.map((sample) => {
        const adapted = sample.adapted.slice();
        change(adapted, sample.counts!);
        return { ...sample, adapted };
      }),
    });
    const width = right.samples[0]!.adapted.length / right.samples[0]!.counts!.length;
    const padded = right.samples[0]!.counts!.indexOf(0);
    expect(padded).toBeGreaterThan(0);
    const inPadding = changed((adapted, counts) =>
      adapted.fill(99, counts.indexOf(0) * width, counts.indexOf(0) * width + 3),
    );
    expect((await check(inPadding)).verdict).toBe('passed');
    const notANumber = await check(changed((adapted) => adapted.fill(Number.NaN, 0, 1)));
    expect(notANumber.verdict).toBe('failed');
    expect(notANumber.sentence).toMatch(/not numbers/);
    const off = await check(changed((adapted) => (adapted[0]! += 0.05)));
    expect(off).toMatchObject({
      verdict: 'failed',
      output: 'logits',
      worst: 'made-up texts of up to 12 tokens',
    });
    const session = { ...(await open(encodeModel(right.merged.onnx))) };
    const tiny: typeof open = async () => ({
      ...session,
      run: async (feeds, wanted) => {
        const outputs = await session.run(feeds, wanted);
        return Object.fromEntries(
          Object.entries(outputs).map(([name, t]) => [
            name,
            { ...t, data: new Float32Array(t.data.length).fill(1e-9) },
          ]),
        );
      },
      release: async () => {},
    });
    const zeros = changed((adapted) => adapted.fill(-4e-8));
    const files = parityFiles(
      right.model,
      { onnx: new Uint8Array(), written: [] },
      'requantise',
      encodeModel,
    );
    expect(await checkParity(zeros.samples, files, tiny)).toMatchObject({ verdict: 'passed' });
  });
});

it('a tensor that merging wrote as it was is not counted as changed', async () => {
  const { model, merged } = await prepared(encoder({ family: 'bert' }));
  const all = differing(model.onnx, merged);
  expect(all.length).toBeGreaterThan(4);
  const same = replaceRaw(
    merged.onnx,
    new Map([[all[0]!, model.onnx.graph.initializers.get(all[0]!)!.bytes().slice()]]),
  );
  expect(differing(model.onnx, { onnx: same, changed: merged.changed })).toEqual(all.slice(1));
});
