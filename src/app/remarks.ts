/** What is to be said of a run that has ended: that it ended worse than it began, why, and what scores mean that are no numbers. */
import { METHODS } from '../adapters/registry.ts';
import { methodFacts, outcomeOf } from '../training/outcome.ts';
import { derive } from './derive.ts';
import { metricsOf } from './series.ts';
import { fullConfig, layersOf, runTraining } from './settings.ts';
import type { RunView } from './stores.ts';

/** Empty while it goes on. */
export function remarksOf({ state, current, open }: RunView): readonly string[] {
  if (state !== 'finished' || current === null || open === null) return [];
  const { settings, series } = current;
  const [before, after] = [series.evals[0], series.evals.at(-1)];
  if (before === undefined || after === undefined || before === after) return [];
  const targets = new Set(derive(settings, open.model).selection?.targets ?? []);
  const steps = metricsOf(series);
  const config = { ...fullConfig(settings, open.model) };
  const layers = layersOf(open.model);
  const adapted = layers.filter(({ name }) => targets.has(name));
  return outcomeOf({
    ...{ before, after, steps, config, training: runTraining(settings, open.model) },
    method: methodFacts(METHODS[settings.method], adapted, layers, config),
    trainExamples: open.data.trainExamples,
    classes: open.data.labels.length > 0 ? open.data.labels.length : null,
  }).remarks;
}
