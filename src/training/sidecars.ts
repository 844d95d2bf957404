/** The small files that go with a merged model, as they must be now, and the folder that transformers.js and the Hub expect. */
import { preprocessorConfig } from '../data/preprocessing.ts';
import { POOLING } from '../hub/layout.ts';
import type { OpenedModel } from './openModel.ts';

/** What a model has beside its weights, by the names that the Hub's tools give it. */
export const MODEL_SIDECARS: readonly string[] = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
  'chat_template.json',
  'special_tokens_map.json',
  'preprocessor_config.json',
  'generation_config.json',
  'sentence_bert_config.json',
  POOLING,
];

interface Sidecar {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const PREPROCESSOR = 'preprocessor_config.json';

const json = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/**
 * config.json names the classes that the model has now; a preprocessor is added, or put in place of one that says something else, where
 * the pictures that the run was fed need it; tokenizer and the rest stay as they came.
 */
export function sidecarsOf({ model, sidecars }: Pick<OpenedModel, 'model' | 'sidecars'>): Sidecar[] {
  const { config, labels, image } = model;
  const label2id = labels ? { label2id: Object.fromEntries(labels.map((label, i) => [label, i])) } : {};
  const own = image?.isAssumed ? [{ name: PREPROCESSOR, bytes: json(preprocessorConfig(image)) }] : [];
  const kept = sidecars.filter(({ name }) => !own.some((file) => file.name === name));
  return [
    ...kept.map(({ name, bytes }) => ({
      name,
      // Who gets them may give them on to another worker; the run keeps its own.
      bytes: name === 'config.json' ? json({ ...config, ...label2id }) : bytes.slice(),
    })),
    ...own,
  ];
}

/** Paths of a model folder on the Hub: the model under onnx/, everything else beside it. */
export const hubFolder = <Bytes>(
  onnx: Bytes,
  sidecars: readonly Sidecar[],
): { readonly name: string; readonly bytes: Bytes | Uint8Array }[] => [
  { name: 'onnx/model.onnx', bytes: onnx },
  ...sidecars,
];
