/** From a configuration and a model's modules and parameters to the plan of what trains. */

import type { CommonConfig } from './fields.ts';
import { type AdapterPlan, type BaseParameter, planAdapter, type SavedEntry } from './plan.ts';
import { completeConfig, requireTargets, type TargetModel, trainableBiases } from './targets.ts';
import type { AdapterMethod, AdapterTensor } from './types.ts';

export interface ChosenAdapter {
  readonly plan: AdapterPlan;
  readonly warnings: readonly string[];
}

/**
 * @param parameters every float parameter of the model, by PyTorch name
 * @param shared the shared tensors of a loaded adapter
 * @param brought base parameters that a loaded adapter's file holds beside what its configuration trains
 * @throws PapilioError 'no-target' or 'illegal-config' with PEFT's reason
 */
export function chooseAdapter(
  method: AdapterMethod,
  given: CommonConfig,
  model: TargetModel,
  parameters: readonly BaseParameter[],
  shared?: ReadonlyMap<string, AdapterTensor>,
  brought: readonly string[] = [],
): ChosenAdapter {
  const config = completeConfig(method, given, model);
  const selection = requireTargets(method, config, model);
  const chosen = new Set(selection.targets);
  const trainsWhole = method.fileNames === 'any';
  const layers = trainsWhole ? [] : model.layers.filter((l) => chosen.has(l.name));
  const everything = trainsWhole && (config.target_modules ?? null) === null;

  const wholeModules = new Set([...selection.saved, ...(trainsWhole ? selection.targets : [])]);
  const moduleOf = (name: string) => name.slice(0, name.lastIndexOf('.'));
  const biased = parameters.filter((p) => p.name.endsWith('.bias')).map((p) => moduleOf(p.name));
  const biases = new Set(
    trainableBiases(config, selection.targets, biased).map((module) => `${module}.bias`),
  );
  const extra = new Set(brought);
  const trained = parameters.filter(
    (p) => everything || wholeModules.has(moduleOf(p.name)) || biases.has(p.name) || extra.has(p.name),
  );
  // modules_to_save gives a module a copy of its own; whatever else trains a tied weight trains it in all its places.
  const copied = new Set(selection.saved);
  const ties = (model.ties ?? []).map((tie) => tie.filter((name) => !copied.has(moduleOf(name))));
  return {
    plan: planAdapter(method, config, layers, trainedOnce(trained, parameters, ties), shared),
    warnings: selection.warnings,
  };
}

/** What trains, each tied weight once, under the name of what owns it. */
function trainedOnce(
  trained: readonly BaseParameter[],
  parameters: readonly BaseParameter[],
  ties: readonly (readonly string[])[],
): (BaseParameter & Pick<SavedEntry, 'also'>)[] {
  const tieOf = new Map(ties.flatMap((tie) => tie.map((name) => [name, tie] as const)));
  const done = new Set<readonly string[]>();
  return trained.flatMap((p) => {
    const tie = tieOf.get(p.name);
    if (!tie || tie.length < 2) return [p];
    if (done.has(tie)) return [];
    done.add(tie);
    const [owner, ...also] = tie;
    const first = parameters.find(({ name }) => name === owner)!;
    return [{ ...first, also }];
  });
}
