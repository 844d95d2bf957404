/** From a configuration and a model's modules and parameters to the plan of what trains. */

import type { CommonConfig } from './fields.ts';
import { type AdapterPlan, type BaseParameter, planAdapter } from './plan.ts';
import { completeConfig, requireTargets, type TargetModel, trainableBiases } from './targets.ts';
import type { AdapterMethod, AdapterTensor } from './types.ts';

export interface ChosenAdapter {
  readonly plan: AdapterPlan;
  readonly warnings: readonly string[];
}

/**
 * @param parameters every float parameter of the model, by PyTorch name
 * @param shared the shared tensors of a loaded adapter
 * @throws PapilioError 'no-target' or 'illegal-config' with PEFT's reason
 */
export function chooseAdapter(
  method: AdapterMethod,
  given: CommonConfig,
  model: TargetModel,
  parameters: readonly BaseParameter[],
  shared?: ReadonlyMap<string, AdapterTensor>,
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
  const saved = parameters.filter(
    (p) => everything || wholeModules.has(moduleOf(p.name)) || biases.has(p.name),
  );
  return { plan: planAdapter(method, config, layers, saved, shared), warnings: selection.warnings };
}
