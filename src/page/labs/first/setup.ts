/** What the lab asks the trainer for: the settings of the main page, so that a link can carry them there, and the run that follows from them. */
import { METHODS } from '../../../methods.ts';
import { type ModelReport, type RunRequest, trainingSchema } from '../../../protocol.ts';
import { derive } from '../../features/setup/derive.ts';
import { encodeHash } from '../../features/setup/link.ts';
import { HEAD_RATE, presetById } from '../../features/setup/presets.ts';
import { isOwnRate, type PageSettings } from '../../features/setup/settings.ts';
import type { Values } from '../controls.ts';
import { chosenEngine } from '../EnginePicker.tsx';
import { type FirstMethod, OWN_RATE } from './settings.ts';

/** Whose model, data, batches and scoring the lab has. */
const PRESET = presetById('letters-boft');
const ABOUT = { preset: PRESET.id, model: PRESET.model, data: PRESET.data } as const;
/** Every layer of every block, as there, and the classifier, which has new classes. */
const { target_modules, modules_to_save } = PRESET.config;
const WHERE = { target_modules, modules_to_save };
/** Of BOFT, where the preset has them: neither biases nor dropout. */
const PLAIN = { bias: 'none', boft_dropout: 0 };
/** Scored often enough for a curve. */
const EVALUATIONS = 8;
/** Letters that each score is of. */
export const HELD_OUT = trainingSchema.parse(PRESET.training).evalExamples;

export const firstModel = { kind: 'embedded', name: PRESET.model } as const;
export const firstData = { kind: 'embedded', name: PRESET.data } as const;

const configOf = (values: Values): Readonly<Record<FirstMethod, Readonly<Record<string, unknown>>>> => ({
  lora: { r: Number(values.r), lora_alpha: 2 * Number(values.r), ...WHERE },
  oft: { oft_block_size: Number(values.b), ...WHERE },
  boft: { boft_block_size: Number(values.b), boft_n_butterfly_factor: Number(values.m), ...WHERE, ...PLAIN },
  fourierft: { n_frequency: Number(values.n), scaling: 50, init_weights: true, ...WHERE },
});

const trainingOf = (values: Values, learningRate: number) =>
  trainingSchema.parse({
    ...PRESET.training,
    learningRate,
    steps: Number(values.steps),
    seed: Number(values.seed),
    evalEvery: Math.max(5, Math.ceil(Number(values.steps) / EVALUATIONS)),
  });

/** The settings of the chosen method. */
export function firstSettings(values: Values): PageSettings {
  const method = values.method as FirstMethod;
  const rate = values.rate === OWN_RATE ? METHODS[method].start.learningRate : Number(values.rate);
  return {
    ...ABOUT,
    ...{ method, config: configOf(values)[method] },
    training: trainingOf(values, rate),
  };
}

/** The head alone, for as many steps. */
const headSettings = (values: Values): PageSettings => ({
  ...ABOUT,
  ...{ method: 'head', config: {} },
  training: trainingOf(values, HEAD_RATE),
});

/** What is trained: the classifier alone, or an adapter with it. */
export type Which = 'head' | 'adapter';

export const settingsOf = (which: Which, values: Values): PageSettings =>
  which === 'head' ? headSettings(values) : firstSettings(values);

export function requestOf(which: Which, values: Values): RunRequest {
  const settings = settingsOf(which, values);
  const { method, config, training } = settings;
  const engine = chosenEngine();
  return {
    ...(engine === null ? {} : { engine }),
    ...{ model: firstModel, data: firstData, method, config, training },
    ...(isOwnRate(settings) ? { ownRate: true } : {}),
  };
}

/** Free numbers that train with the chosen method, those of a new head for so many classes among them; null while that is not known. */
export function numbersIn(values: Values, model: ModelReport, classes: number): number | null {
  const { count } = derive(firstSettings(values), model);
  const head = model.modules.find(({ name }) => name === model.head);
  // The model's own head is of other classes.
  return count && head ? count.free - count.saved + (head.in + 1) * classes : null;
}

/** The main page with the same setup. */
export const mainPage = (values: Values): string => `./#${encodeHash(firstSettings(values))}`;
