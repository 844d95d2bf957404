// What the page says of a model before a run.
import { expect, test } from 'vitest';
import { encodeModel } from '../../src/onnx/encode.ts';
import { type Host, openModel } from '../../src/training/openModel.ts';
import { reportModel } from '../../src/training/reports.ts';
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
