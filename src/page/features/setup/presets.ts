/**
 * The presets: partial settings laid over the defaults, each with the question it answers. Pure data; the command line reads them too.
 */
import { say } from '../../../common.ts';
import { DEFAULT_METHOD, type MethodId } from '../../../methods.ts';
import type { TrainingSettings } from '../../../protocol.ts';

export interface Preset {
  readonly id: string;
  /** In the language spoken. */
  title(): string;
  question(): string;
  /** An embedded model, or "own". */
  readonly model: string;
  /** An embedded dataset, or "text", "files", "drawings". */
  readonly data: string;
  readonly method: MethodId;
  readonly config: Readonly<Record<string, unknown>>;
  readonly training: Partial<TrainingSettings>;
}

const GUIDE_TARGETS = ['query', 'value', 'key', 'output.dense', 'mlp.fc1', 'mlp.fc2'];
const LLAMA_TARGETS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

/** The configuration of PEFT's BOFT guide, word for word. */
const GUIDE_BOFT = {
  boft_block_size: 4,
  boft_n_butterfly_factor: 2,
  target_modules: GUIDE_TARGETS,
  boft_dropout: 0.1,
  bias: 'boft_only',
  modules_to_save: ['classifier'],
};

export const PRESETS: readonly Preset[] = [
  {
    id: 'letters-boft',
    title: () => say`Digits to letters`,
    question: () =>
      say`Can sparse rotations teach a model that has only seen signs and digits on a blackboard to read letters on a grey pavement?`,
    model: 'glyphs-vit',
    data: 'letters',
    method: 'boft',
    config: GUIDE_BOFT,
    training: { learningRate: 5e-3, steps: 300, batchSize: 16, evalEvery: 25, evalExamples: 260 },
  },
  {
    id: 'oft-equal-budget',
    title: () => say`OFT at BOFT’s budget`,
    question: () => say`With about as many numbers, does it matter how a rotation is wired?`,
    model: 'glyphs-vit',
    data: 'letters',
    method: 'oft',
    config: { oft_block_size: 8, target_modules: GUIDE_TARGETS, modules_to_save: ['classifier'] },
    training: { learningRate: 8e-3, steps: 300, batchSize: 16, evalEvery: 25, evalExamples: 260 },
  },
  {
    id: 'fourier-few',
    title: () => say`A handful of waves`,
    question: () => say`How few frequencies per layer are enough to learn a new alphabet?`,
    model: 'glyphs-vit',
    data: 'letters',
    method: 'fourierft',
    config: {
      n_frequency: 200,
      scaling: 150,
      init_weights: true,
      target_modules: GUIDE_TARGETS,
      modules_to_save: ['classifier'],
    },
    training: { learningRate: 2e-2, steps: 300, batchSize: 16, evalEvery: 25, evalExamples: 260 },
  },
  {
    id: 'tales-recipes',
    title: () => say`Tales to recipes`,
    question: () => say`How soon does a storyteller pick up the voice of a cookbook?`,
    model: 'tales-gpt',
    data: 'recipes',
    method: 'oft',
    config: { oft_block_size: 16, target_modules: LLAMA_TARGETS },
    training: {
      learningRate: 3e-2,
      steps: 300,
      batchSize: 8,
      sequenceLength: 64,
      evalEvery: 25,
      evalExamples: 64,
    },
  },
  {
    id: 'wild-digits',
    title: () => say`The same digits, wilder`,
    question: () => say`If only the style changes, how small may the adapter be?`,
    model: 'glyphs-vit',
    data: 'wild-digits',
    method: 'boft',
    config: {
      boft_block_size: 4,
      boft_n_butterfly_factor: 1,
      target_modules: ['query', 'value'],
      modules_to_save: ['classifier'],
    },
    training: { learningRate: 4e-3, steps: 200, batchSize: 16, evalEvery: 25, evalExamples: 260 },
  },
  {
    id: 'own-model',
    title: () => say`Bring your own ONNX`,
    question: () => say`Does it work on your model and your data? Nothing is uploaded.`,
    model: 'own',
    data: 'files',
    method: DEFAULT_METHOD,
    config: {},
    training: {},
  },
];

/** Whether a preset's question is about what is chosen: another model, other data or another method have other questions. */
export const asksOf = (
  preset: Preset,
  chosen: { readonly model: string; readonly data: string; readonly method: MethodId },
): boolean =>
  preset.model === 'own' ||
  (preset.model === chosen.model && preset.data === chosen.data && preset.method === chosen.method);

/** A preset by id, or the first. */
export function presetById(id: string): Preset {
  return PRESETS.find((preset) => preset.id === id) ?? PRESETS[0]!;
}
