/** What the page says of a model and of data before a run. Seen to fail with: a model that is opened again to say what is wrong with the data. */
import { expect, test, vi } from 'vitest';
import { encodeModel } from '../../src/onnx/encode.ts';
import { type Host, openModel } from '../../src/training/openModel.ts';
import { previewData, reportModel } from '../../src/training/reports.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { around, json, labelled, textModel, tokenizer } from '../tools/contractModels.ts';
import { decoder } from '../tools/graphsDecoders.ts';

test.each([true, false])(
  'parameters are counted once where the head is the embedding (tied: %s)',
  async (tied) => {
    const onnx = decoder({ tied });
    const source = { kind: 'files' as const, files: [{ name: 'model.onnx', bytes: encodeModel(onnx) }] };
    const report = reportModel(await openModel(source, {} as Host));
    const [embedding, head] = ['model.embed_tokens', 'lm_head'].map(
      (name) => report.modules.find((row) => row.name === name)!.parameters,
    );
    expect(head).toBe(embedding);
    const all = report.modules.reduce((n, row) => n + row.parameters, 0);
    expect(report.parameters).toBe(tied ? all - head! : all);
  },
);

test.each([
  ['good', labelled([3, 4, 5, 6]), false],
  ['bad', json('rows.json', [{ number: 1 }]), true],
])('the model is opened once for a preview of %s data', async (_which, rows, isBad) => {
  const onnx = textModel({ ends: 'classes' });
  const file = new File([onnx.bytes as BlobPart], onnx.name);
  const read = vi.spyOn(file, 'arrayBuffer');
  const model = { kind: 'files' as const, files: [{ name: onnx.name, bytes: file }, tokenizer()] };
  const data = { kind: 'files' as const, files: [rows] };
  const previewed = previewData(model, data, trainingSchema.parse({}), around);
  const tasks = expect.arrayContaining(['text-classification']);
  if (isBad) await expect(previewed).rejects.toMatchObject({ kind: 'bad-data', details: { tasks } });
  else expect(await previewed).toMatchObject({ tasks });
  expect(read).toHaveBeenCalledTimes(1);
});
