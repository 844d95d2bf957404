/** The models that come with the page: files under public/models/<name>/, made by `papilio pretrain <name>`. */
import { fail } from '../lib/errors.ts';

export type EmbeddedName = 'glyphs-vit' | 'tales-gpt';

export interface EmbeddedModel {
  readonly name: EmbeddedName;
  readonly title: string;
  /** One sentence for the list of models. */
  readonly about: string;
  /** The embedded dataset that it was made for. */
  readonly knows: 'digits' | 'tales';
  /** File names in its folder. */
  readonly files: readonly string[];
}

export const embeddedModels: readonly EmbeddedModel[] = [
  {
    name: 'glyphs-vit',
    title: 'Glyphs ViT',
    about:
      'A small vision transformer (Dinov2 layout, 4 layers × 128) that reads digits of 32×32 pixels, drawn by hand on a blackboard.',
    knows: 'digits',
    files: ['model.onnx', 'config.json', 'preprocessor_config.json', 'card.json'],
  },
  {
    name: 'tales-gpt',
    title: 'Tales GPT',
    about:
      'A small language model (Llama layout, 4 layers × 128, context 128) that writes short tales, letters and scenes.',
    knows: 'tales',
    files: ['model.onnx', 'config.json', 'tokenizer.json', 'tokenizer_config.json', 'card.json'],
  },
];

/** The embedded dataset that an embedded model was made for; null where there is no such model. */
export const knownData = (name: string): string | null =>
  embeddedModels.find((model) => model.name === name)?.knows ?? null;

/** The files of an embedded model, with their paths under public/. @throws PapilioError 'not-found' */
export function embeddedFiles(name: string): { readonly name: string; readonly path: string }[] {
  const model =
    embeddedModels.find((m) => m.name === name) ??
    fail(
      'not-found',
      `There is no embedded model "${name}"; there are ${embeddedModels.map((m) => m.name).join(' and ')}.`,
    );
  return model.files.map((file) => ({ name: file, path: `models/${model.name}/${file}` }));
}
