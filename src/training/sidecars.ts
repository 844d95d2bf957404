/** The small files that go with a merged model, as they must be now, and the folder that transformers.js and the Hub expect. */
import type { OpenedModel } from './source.ts';

interface File {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** config.json names the classes that the model has now; tokenizer, preprocessor and the rest stay as they came. */
export function sidecarsOf({ model, sidecars }: Pick<OpenedModel, 'model' | 'sidecars'>): File[] {
  const { config, labels } = model;
  const label2id = labels ? { label2id: Object.fromEntries(labels.map((label, i) => [label, i])) } : {};
  return sidecars.map(({ name, bytes }) => ({
    name,
    bytes:
      name === 'config.json'
        ? new TextEncoder().encode(`${JSON.stringify({ ...config, ...label2id }, null, 2)}\n`)
        : // Who gets them may give them on to another worker; the run keeps its own.
          bytes.slice(),
  }));
}

/** Paths of a model folder on the Hub: the model under onnx/, everything else beside it. */
export const hubFolder = <Bytes>(
  onnx: Bytes,
  sidecars: readonly File[],
): { readonly name: string; readonly bytes: Bytes | Uint8Array }[] => [
  { name: 'onnx/model.onnx', bytes: onnx },
  ...sidecars,
];
