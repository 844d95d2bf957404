/** A dropped folder becomes the files of one model. */
import { expect, it } from 'vitest';
import { flatModel } from '../../src/page/features/setup/choice.ts';

const file = (name: string) => ({ name, bytes: new TextEncoder().encode(name) });

it('takes the most exact model, its data and the nearest sidecars, and leaves the rest', () => {
  const files = flatModel(
    [
      'm/onnx/model_q4.onnx',
      'm/onnx/model.onnx',
      'm/onnx/model.onnx_data',
      'm/config.json',
      'm/onnx/config.json',
      'm/tokenizer.json',
      'm/1_Pooling/config.json',
      'm/sentence_bert_config.json',
      'm/model.safetensors',
      'm/README.md',
    ].map(file),
  );
  expect(files.map(({ name, bytes }) => [name, new TextDecoder().decode(bytes)])).toEqual([
    ['model.onnx', 'm/onnx/model.onnx'],
    ['model.onnx_data', 'm/onnx/model.onnx_data'],
    ['config.json', 'm/onnx/config.json'],
    ['tokenizer.json', 'm/tokenizer.json'],
    ['1_Pooling/config.json', 'm/1_Pooling/config.json'],
    ['sentence_bert_config.json', 'm/sentence_bert_config.json'],
  ]);
});

it('leaves files that were chosen one by one as they are', () => {
  const files = ['a.onnx', 'weights.bin', 'config.json'].map(file);
  expect(flatModel(files)).toEqual(files);
});
