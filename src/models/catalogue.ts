/** The models that come with the page: files under public/models/<name>/, made by `papilio pretrain <name>`. */
import { fail } from '../lib/errors.ts';
import { listOf, say } from '../lib/say.ts';

export type EmbeddedName = 'glyphs-vit' | 'tales-gpt';

export interface EmbeddedModel {
  readonly name: EmbeddedName;
  readonly title: string;
  /** One sentence for the list of models, in the language spoken. */
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
    get about() {
      return say`A small vision transformer (Dinov2 layout, 4 layers × 128) that reads digits of 32×32 pixels, drawn by hand on a blackboard.`;
    },
    knows: 'digits',
    files: ['model.onnx', 'config.json', 'preprocessor_config.json', 'card.json'],
  },
  {
    name: 'tales-gpt',
    title: 'Tales GPT',
    get about() {
      return say`A small language model (Llama layout, 4 layers × 128, context 128) that writes short tales, letters and scenes.`;
    },
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
      say`There is no embedded model "${name}"; there are ${listOf(embeddedModels.map((m) => m.name))}.`,
    );
  return model.files.map((file) => ({ name: file, path: `models/${model.name}/${file}` }));
}
