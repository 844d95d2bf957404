/** Whisper in two files: joined it is the model of one file, down to the names; merged and taken apart it runs as two again. */
import { expect, test } from 'vitest';
import type { FeedTensor } from '../../src/inference/session.ts';
import { openSession } from '../../src/inference/session.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { loadModel } from '../../src/models/load.ts';
import { mergeWeights } from '../../src/models/merge.ts';
import { joinEncoderDecoder, separateEncoderDecoder } from '../../src/models/readOnnx.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { parity } from '../../src/training/parity.ts';
import { whisper, whisperHalves } from '../tools/graphsSpeech.ts';
import { contents, inRuntime, run } from '../tools/importRun.ts';

const named = (model: OnnxModel): string[] =>
  importModel(model)
    .modules.map((m) => m.name)
    .sort();

test('the join is the model of one file', async () => {
  const joined = joinEncoderDecoder(whisperHalves());
  expect(named(joined)).toEqual(named(whisper()));
  expect(importModel(joined).inputs.map((i) => i.name)).toEqual(['input_features', 'decoder_input_ids']);
  expect(parity(run(joined, true).logits.data, await inRuntime(joined)).maxRel).toBeLessThan(2e-5);
});

/** The two files one after the other, as they are deployed. */
async function inTwo({
  encoder,
  decoder,
}: {
  encoder: OnnxModel;
  decoder: OnnxModel;
}): Promise<ArrayLike<number>> {
  const specs = importModel(joinEncoderDecoder({ encoder, decoder })).inputs;
  const feed = (name: string, dtype: 'float32' | 'int64'): FeedTensor =>
    ({ dtype, ...contents(specs.find((s) => s.name === name)!) }) as FeedTensor;
  const first = await openSession(encodeModel(encoder), { providers: ['wasm'] });
  const { last_hidden_state } = await first.run({ input_features: feed('input_features', 'float32') });
  await first.release();
  const second = await openSession(encodeModel(decoder), { providers: ['wasm'] });
  const { logits } = await second.run({
    encoder_hidden_states: last_hidden_state as FeedTensor,
    input_ids: feed('decoder_input_ids', 'int64'),
  });
  await second.release();
  return logits!.data;
}

test('changed and taken apart, both files have the new weights and their own names', async () => {
  const parts = whisperHalves();
  const joined = joinEncoderDecoder(parts);
  const { modules } = importModel(joined);
  const before = run(joined, true);
  const weights = new Map(
    ['model.encoder.layers.0.fc1.weight', 'model.decoder.layers.1.encoder_attn.q_proj.weight'].map((name) => {
      const value = before.parameters.find((p) => p.name === name)!;
      return [name, Float32Array.from(value.source!(), (x) => 1.5 * x)];
    }),
  );
  const merged = mergeWeights(joined, modules, weights).onnx;
  const apart = separateEncoderDecoder(merged, parts);
  for (const half of ['encoder', 'decoder'] as const) {
    const [was, is] = [parts[half].graph, apart[half].graph];
    expect([...is.initializers.keys()]).toEqual([...was.initializers.keys()]);
    expect(is.inputs).toEqual(was.inputs);
    expect(is.nodes.map((n) => n.name)).toEqual(was.nodes.map((n) => n.name));
  }
  const { logits } = run(merged, true);
  expect(parity(logits.data, before.logits.data).maxRel).toBeGreaterThan(1e-2);
  expect(parity(logits.data, await inTwo(apart)).maxRel).toBeLessThan(2e-5);
});

test('two files are loaded as one model, which no task of one text or picture trains, and separate again', () => {
  const { encoder, decoder } = whisperHalves();
  const files = [
    { name: 'decoder_model_merged.onnx', bytes: encodeModel(decoder) },
    { name: 'encoder_model.onnx', bytes: encodeModel(encoder) },
  ];
  const model = loadModel(files);
  expect(model.modules.map((m) => m.name)).toContain('model.encoder.layers.1.fc2');
  expect([model.family, model.task, model.targets.layers.length]).toEqual(['whisper', 'other', 34]);
  const again = model.separate!(model.onnx);
  expect(again.map(({ name }) => name)).toEqual(['encoder_model.onnx', 'decoder_model_merged.onnx']);
  expect(again.map(({ onnx }) => encodeModel(onnx))).toEqual([encodeModel(encoder), encodeModel(decoder)]);
  expect(loadModel(files.slice(1)).separate).toBeNull();
});

test('a file that is no decoder of the other is refused', () => {
  const { encoder } = whisperHalves();
  expect(() => joinEncoderDecoder({ encoder, decoder: encoder })).toThrow(PapilioError);
  expect(() => joinEncoderDecoder({ encoder, decoder: encoder })).toThrow(/encoder_hidden_states/);
});
