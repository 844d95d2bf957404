/** What `reproduce` runs: the presets, the guide's run and the head alone beside the first of them, and every method as it starts. */
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { PRESETS } from '../../src/page/features/setup/presets.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';

export interface Trial {
  readonly name: string;
  readonly model: string;
  readonly data: string;
  readonly method: MethodId;
  readonly config: Readonly<Record<string, unknown>>;
  readonly training: Partial<TrainingSettings>;
  /** Runs with each of these: the figure is the mean over seeds, at the rate that is best in it. */
  readonly seeds?: readonly number[];
  readonly rates?: readonly number[];
}

const SEEDS = [1, 2, 3];
/** Of a head alone, whose best is not known before. */
const HEAD_RATES = [0.003, 0.01, 0.03, 0.1, 0.3];

/** As many held-out letters as there are: shares near 96 % are known to half a point, near 80 % to one. */
const COUNTED = { evalEvery: 0, evalExamples: 2000 };

/** The guide's run in full, and what every method gets on the same task: enough to tell that it learns. */
const LONG = { steps: 1000, batchSize: 16, evalEvery: 250, evalExamples: 1040 };
const PICTURES = { steps: 200, batchSize: 16, evalEvery: 0, evalExamples: 1040 };

/** The preset of the language model: every method gets its steps. */
export const VOICE = 'tales-recipes';

/** The presets, the guide's run and the head alone beside the first of them, and every method as it starts, for equally many steps on two tasks. */
export function trials(): Trial[] {
  const own = PRESETS.filter((p) => p.model !== 'own').map((p) => ({ ...p, name: p.id }));
  const first = own[0]!;
  const guide = { ...first, name: 'letters-guide', training: { ...first.training, ...LONG } };
  const seeded = {
    ...{ ...first, name: `${first.name}-seeds`, seeds: SEEDS },
    training: { ...first.training, ...COUNTED },
  };
  const voice = own.find((p) => p.id === VOICE)!;
  const { learningRate: _, ...texts } = voice.training;
  const head: Trial = {
    ...{ ...seeded, name: 'letters-head-seeds', method: 'head', config: {}, rates: HEAD_RATES },
  };
  const beside = (data: string, model: string, training: Partial<TrainingSettings>) =>
    (Object.keys(METHODS) as MethodId[]).map(
      (method): Trial => ({ name: `${method}-${data}`, model, data, method, config: {}, training }),
    );
  return [
    guide,
    seeded,
    head,
    ...beside('letters', 'glyphs-vit', PICTURES),
    ...beside('recipes', 'tales-gpt', texts),
    ...own,
    { ...voice, name: `${VOICE}-seeds`, seeds: SEEDS },
  ];
}
