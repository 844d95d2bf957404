/** Does a loaded adapter belong to this model? What PEFT refuses is refused, what it only warns of is warned of. */
import { fail } from '../lib/errors.ts';
import type { LoadedAdapter } from './peft.ts';
import { sharedTensors } from './shared.ts';
import { completeConfig, requireTargets, type Selection, type TargetModel } from './targets.ts';

export interface Fit {
  readonly selection: Selection;
  readonly warnings: readonly string[];
}

/**
 * Matches an adapter's tensors with the modules its configuration targets.
 *
 * @param parameters shapes of the base parameters by PyTorch name, where known.
 * @throws PapilioError 'malformed-adapter' for a wrong shape or a missing saved module; as {@link requireTargets} otherwise.
 */
export function fitAdapter(
  adapter: LoadedAdapter,
  model: TargetModel,
  parameters: ReadonlyMap<string, readonly number[]> = new Map(),
): Fit {
  const { method } = adapter;
  const config = completeConfig(method, adapter.config, model);
  const selection = requireTargets(method, config, model);
  const layers = new Map(model.layers.map((layer) => [layer.name, layer]));
  const missing: string[] = [];
  for (const name of selection.targets) {
    for (const spec of method.tensors(layers.get(name)!, config)) {
      const given = adapter.tensors.get(name)?.get(spec.name);
      if (given) checkShape(`${name}.${spec.name}`, given.shape, spec.shape);
      else if (!spec.shape.includes(0)) missing.push(`${name}.${spec.name}`);
    }
  }
  sharedTensors(
    method,
    config,
    selection.targets.map((name) => layers.get(name)!),
    adapter.shared,
  );
  for (const name of selection.saved) {
    const needed = [`${name}.weight`, ...(layers.get(name)!.hasBias ? [`${name}.bias`] : [])];
    const absent = needed.find((parameter) => !adapter.parameters.has(parameter));
    if (absent !== undefined) {
      fail(
        'malformed-adapter',
        `modules_to_save covers ${name}, but the file has no ${absent}; PEFT refuses such an adapter too. Save it again with that module, or remove it from modules_to_save.`,
        { name },
      );
    }
  }
  for (const [name, tensor] of adapter.parameters) {
    const expected = parameters.get(name);
    if (expected) checkShape(name, tensor.shape, expected);
  }
  const targets = new Set(selection.targets);
  const extra = [...adapter.tensors.keys()].filter((name) => !targets.has(name));
  return {
    selection,
    warnings: [
      ...selection.warnings,
      ...(missing.length > 0 ? [`Missing adapter tensors stay at their start: ${some(missing)}.`] : []),
      ...(extra.length > 0 && method.fileNames !== 'any'
        ? [`Tensors of modules that are not targets are ignored: ${some(extra)}.`]
        : []),
    ],
  };
}

function checkShape(name: string, given: readonly number[], expected: readonly number[]): void {
  if (given.join() !== expected.join()) {
    fail(
      'malformed-adapter',
      `The adapter's ${name} has shape [${given.join(', ')}], but this model needs [${expected.join(', ')}]; the adapter was made for another model or another configuration.`,
      { name, given, expected },
    );
  }
}

function some(names: readonly string[]): string {
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}
