/** What a preset's run is held against: the settings of each side, and which side some settings are. */
import { fieldMeta } from '../../../methods.ts';
import { letterOf, methodTitle } from '../../format.ts';
import { asksOf, type Preset, presetById, type Side } from './presets.ts';
import { baseSettings, configShape, type PageSettings, sameValue } from './settings.ts';

/** What a question is answered by: a preset's own way, or one of its sides. */
export interface Part {
  /** Null: the preset's own. */
  readonly side: Side | null;
  /** Settings that train it. */
  readonly settings: PageSettings;
}

/** What makes two runs as long as each other, and as well scored. */
const LENGTH = ['steps', 'batchSize', 'sequenceLength', 'evalExamples'] as const;

/** The preset's own way first. @param of whose steps, batches, scorings and seed all have */
export function partsOf(preset: Preset, of: PageSettings['training']): Part[] {
  const base = baseSettings(preset.id);
  const asLong = Object.fromEntries(LENGTH.map((key) => [key, of[key]]));
  const own = { ...base, training: { ...base.training, ...asLong, seed: of.seed } };
  return [
    { side: null, settings: own },
    ...preset.sides.map((side) => ({
      side,
      settings: {
        ...own,
        method: side.method,
        config: side.config,
        training: { ...own.training, learningRate: side.learningRate },
      },
    })),
  ];
}

/** The part that a run with these settings is of; null where its preset asks something else. */
export function partIn(parts: readonly Part[], settings: PageSettings): Part | null {
  const [own] = parts;
  const { model, data } = settings;
  if (own === undefined || own.settings.preset !== settings.preset) return null;
  const side = parts.find(
    (part) =>
      part.side !== null &&
      part.settings.method === settings.method &&
      own.settings.model === model &&
      own.settings.data === data &&
      sameValue(part.settings.config, settings.config),
  );
  return side ?? (asksOf(presetById(settings.preset), settings) ? own : null);
}

/** Whether two runs can be held against each other: as many steps of as many examples, scored on as many. */
export const isAsLong = (a: PageSettings, b: PageSettings): boolean =>
  LENGTH.every((key) => a.training[key] === b.training[key]);

/** "BOFT, b = 4, m = 5": what tells it from the other parts of the same method. @param of the run that answers it, which may have other numbers */
export function partTitle(part: Part, parts: readonly Part[], of: PageSettings = part.settings): string {
  const { method, config } = of;
  const others = parts.filter((one) => one !== part && one.settings.method === method);
  const differing = Object.entries(config).flatMap(([key, value]) => {
    const symbol = fieldMeta(configShape(method)[key]!)?.symbol;
    const isSame = others.every((one) => sameValue(one.settings.config[key], value));
    return symbol === undefined || isSame ? [] : [`${letterOf(symbol)} = ${String(value)}`];
  });
  return [methodTitle(method), ...differing].join(', ');
}
