/**
 * The presets: partial settings laid over the defaults, each with the question it answers. Pure data; the command line reads them too.
 */
import { say } from '../../../common.ts';
import { DEFAULT_METHOD, type MethodId } from '../../../methods.ts';
import type { TrainingSettings } from '../../../protocol.ts';

/** What a preset's run is held against, trained on the same model and data, by the same steps. */
export interface Side {
  readonly method: MethodId;
  readonly config: Readonly<Record<string, unknown>>;
  readonly learningRate: number;
}

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
  readonly sides: readonly Side[];
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

const waves = (n: number) => ({
  n_frequency: n,
  scaling: 150,
  init_weights: true,
  target_modules: GUIDE_TARGETS,
  modules_to_save: ['classifier'],
});

/** As many free numbers whichever way: (m, b) = (5, 4) and (1, 16) both have 7.5 for each input. */
const turned = (m: number, b: number) => ({
  boft_block_size: b,
  boft_n_butterfly_factor: m,
  target_modules: GUIDE_TARGETS,
  modules_to_save: ['classifier'],
});

/** Of the head alone on letters: the best of five (docs/figures.md). */
export const HEAD_RATE = 0.03;

const HEAD: Side = { method: 'head', config: {}, learningRate: HEAD_RATE };

/** Of runs on letters, with the 260 that they are scored on. */
const LETTERS = { steps: 300, batchSize: 16, evalEvery: 25, evalExamples: 260 };

/** OFT has the exact transform in all of these: at their rates PEFT's short series ends far from rotations (docs/performance.md). */
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
    training: { learningRate: 5e-3, ...LETTERS },
    sides: [HEAD],
  },
  {
    id: 'oft-equal-budget',
    title: () => say`OFT at BOFT’s budget`,
    question: () => say`With about as many numbers, does it matter how a rotation is wired?`,
    model: 'glyphs-vit',
    data: 'letters',
    method: 'oft',
    config: {
      oft_block_size: 8,
      use_cayley_neumann: false,
      target_modules: GUIDE_TARGETS,
      modules_to_save: ['classifier'],
    },
    training: { learningRate: 8e-3, ...LETTERS },
    sides: [{ method: 'boft', config: GUIDE_BOFT, learningRate: 5e-3 }],
  },
  {
    id: 'why-m',
    title: () => say`Does m matter?`,
    question: () =>
      say`Many small factors or one with large blocks: with as many numbers, which learns more?`,
    model: 'glyphs-vit',
    data: 'letters',
    method: 'boft',
    config: turned(5, 4),
    training: { learningRate: 5e-3, ...LETTERS },
    sides: [{ method: 'boft', config: turned(1, 16), learningRate: 5e-3 }],
  },
  {
    id: 'fourier-few',
    title: () => say`A handful of waves`,
    question: () => say`How few frequencies per layer are enough to learn a new alphabet?`,
    model: 'glyphs-vit',
    data: 'letters',
    method: 'fourierft',
    config: waves(200),
    training: { learningRate: 2e-2, ...LETTERS },
    sides: [{ method: 'fourierft', config: waves(50), learningRate: 2e-2 }, HEAD],
  },
  {
    id: 'tales-recipes',
    title: () => say`Tales to recipes`,
    question: () => say`How soon does a storyteller pick up the voice of a cookbook?`,
    model: 'tales-gpt',
    data: 'recipes',
    method: 'oft',
    config: { oft_block_size: 16, use_cayley_neumann: false, target_modules: LLAMA_TARGETS },
    training: {
      learningRate: 3e-2,
      steps: 300,
      batchSize: 8,
      sequenceLength: 64,
      evalEvery: 25,
      evalExamples: 64,
    },
    sides: [],
  },
  {
    id: 'wild-digits',
    title: () => say`The same digits, wilder`,
    question: () => say`If only the style changes, how small may the adapter be?`,
    model: 'glyphs-vit',
    data: 'wild-digits',
    method: 'ia3',
    config: { target_modules: GUIDE_TARGETS, feedforward_modules: [], modules_to_save: ['classifier'] },
    // A head alone ends five points lower: so many examples can tell that from chance, scored so seldom they take no longer.
    training: { learningRate: 2e-2, ...LETTERS, evalEvery: 100, evalExamples: 1000 },
    sides: [{ method: 'boft', config: GUIDE_BOFT, learningRate: 5e-3 }, HEAD],
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
    sides: [],
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
