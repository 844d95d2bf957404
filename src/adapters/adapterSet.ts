/**
 * Several adapters on one model, as PEFT keeps them: which there are, which are active, whether they are switched off, which are merged
 * into the weights and in what order. Every command gives a new state, what to do to the weights, and what PEFT would warn of. No graph
 * and no numbers.
 */
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import type { CommonConfig } from './fields.ts';
import { savedEntries, savedTest } from './matching.ts';
import type { AdapterMethod } from './types.ts';

/** What the rules read of an adapter. */
export interface SetAdapter {
  readonly method: AdapterMethod;
  readonly config: CommonConfig;
  /** PyTorch names of the base parameters that it replaces: saved modules and trained biases. */
  readonly parameters: ReadonlyMap<string, unknown>;
}

export interface AdapterSet<A extends SetAdapter = SetAdapter> {
  /** In the order they were added. */
  readonly adapters: ReadonlyMap<string, A>;
  /** Names in the order the forward pass applies them. */
  readonly active: readonly string[];
  readonly enabled: boolean;
  /** Names in the order they were merged. */
  readonly merged: readonly string[];
}

/** What a command does to the weights, in order. */
export type WeightStep =
  | { readonly kind: 'merge'; readonly name: string; readonly safe: boolean }
  | { readonly kind: 'unmerge'; readonly name: string };

export interface Change<A extends SetAdapter> {
  readonly set: AdapterSet<A>;
  readonly steps: readonly WeightStep[];
  readonly warnings: readonly string[];
}

function changed<A extends SetAdapter>(
  set: AdapterSet<A>,
  steps: readonly WeightStep[] = [],
  warnings: readonly string[] = [],
): Change<A> {
  return { set, steps, warnings };
}

const refuse = (sentence: string): never => fail('illegal-config', sentence);

function known<A extends SetAdapter>(set: AdapterSet<A>, name: string): A {
  return set.adapters.get(name) ?? refuse(say`Adapter ${name} not found in ${listed(set)}`);
}

const listed = (set: AdapterSet) => `[${[...set.adapters.keys()].map((name) => `'${name}'`).join(', ')}]`;

/** A set with one adapter, which is active: what loading a folder gives. */
export function startSet<A extends SetAdapter>(name: string, adapter: A): Change<A> {
  const empty: AdapterSet<A> = { adapters: new Map(), active: [], enabled: true, merged: [] };
  const { set, warnings } = addAdapter(empty, name, adapter);
  return changed({ ...set, active: [name] }, [], warnings);
}

/**
 * Adds an adapter; it is not active.
 *
 * @throws PapilioError 'illegal-config' for a name there is, another method, or a second adapter with trained biases.
 */
export function addAdapter<A extends SetAdapter>(set: AdapterSet<A>, name: string, adapter: A): Change<A> {
  const { method, config } = adapter;
  if (name === '') refuse(say`An adapter needs a name.`);
  if (set.adapters.has(name)) {
    refuse(say`Adapter with name '${name}' already exists. Please use a different name.`);
  }
  const [first] = set.adapters.values();
  if (first && first.method.peftType !== method.peftType) {
    refuse(
      say`Cannot combine adapters with different peft types. Found ${first.method.peftType} and ${method.peftType}.`,
    );
  }
  const biased = (config: CommonConfig) => (config.bias ?? 'none') !== 'none';
  if (biased(config) && [...set.adapters.values()].some((other) => biased(other.config))) {
    refuse(
      say`${method.title} supports only 1 adapter with bias. When using multiple adapters, set bias to 'none' for all adapters.`,
    );
  }
  const prefix = prefixOf(method);
  return changed(
    { ...set, adapters: new Map([...set.adapters, [name, adapter]]) },
    [],
    prefix.includes(name)
      ? [
          say`Adapter name '${name}' should not be contained in the prefix '${prefix}'. This may lead to reinitialization of the adapter weights during loading.`,
        ]
      : [],
  );
}

/** `lora_` of `lora_A.weight`, `vera_lambda_` of `vera_lambda_b`: what all parameter names of a method begin with. */
function prefixOf({ fileNames }: AdapterMethod): string {
  if (fileNames === 'any') return '';
  const [first = '', ...others] = fileNames;
  let length = first.length;
  while (length > 0 && !others.every((name) => name.startsWith(first.slice(0, length)))) length--;
  return first.slice(0, first.lastIndexOf('_', length) + 1);
}

/**
 * Makes these adapters the active ones, in this order. Merged weights are taken back first, with PEFT's warning.
 *
 * @throws PapilioError 'illegal-config' for an unknown name or two active adapters that both save a module whole.
 */
export function activate<A extends SetAdapter>(set: AdapterSet<A>, names: readonly string[]): Change<A> {
  const active = [...new Set(names)];
  for (const name of active) known(set, name);
  const saving = active.filter((name) => savedEntries(known(set, name).config).length > 0);
  if (saving.length > 1) {
    refuse(
      say`Attempted to set multiple ([${saving.map((name) => `'${name}'`).join(', ')}]) adapters at once for modules_to_save.`,
    );
  }
  if (set.merged.length === 0) return changed({ ...set, active });
  const back = unmerge(set);
  return changed({ ...back.set, active }, back.steps, [
    say`Adapter cannot be set when the model is merged. Unmerging the model first.`,
  ]);
}

/** Switches all adapters off; merged ones are taken out of the weights, as PEFT's next forward pass does. */
export function disable<A extends SetAdapter>(set: AdapterSet<A>): Change<A> {
  const warnings = set.active.flatMap((name) => {
    const bias = known(set, name).config.bias ?? 'none';
    return bias === 'none'
      ? []
      : [
          say`Careful, disabling adapter layers with bias configured to be '${bias}' does not produce the same output as the base model would without adaption.`,
        ];
  });
  const back = set.merged.length > 0 ? unmerge(set) : changed(set);
  return changed({ ...back.set, enabled: false }, back.steps, warnings);
}

/** Switches the active adapters on again. */
export function enable<A extends SetAdapter>(set: AdapterSet<A>): Change<A> {
  return changed({ ...set, enabled: true });
}

/**
 * Removes an adapter. If it was the only active one, the alphabetically first of the others becomes active, with PEFT's warning.
 *
 * @throws PapilioError 'illegal-config' for an unknown or merged adapter.
 */
export function deleteAdapter<A extends SetAdapter>(set: AdapterSet<A>, name: string): Change<A> {
  if (!set.adapters.has(name)) refuse(say`Adapter ${name} does not exist`);
  if (set.merged.includes(name)) {
    refuse(say`Adapter ${name} is merged into the weights; unmerge it before deleting it.`);
  }
  const adapters = new Map([...set.adapters].filter(([other]) => other !== name));
  const active = set.active.filter((other) => other !== name);
  if (active.length > 0 || !set.active.includes(name) || adapters.size === 0) {
    return changed({ ...set, adapters, active });
  }
  const next = [...adapters.keys()].sort()[0]!;
  const activated = activate({ ...set, adapters, active }, [next]);
  return changed(activated.set, activated.steps, [
    say`Adapter ${name} was active which is now deleted. Setting active adapter to ${next}.`,
    ...activated.warnings,
  ]);
}

/**
 * Merges adapters into the weights, in the given order; without names the active ones. What is merged already is left out.
 *
 * @param safe refuses weights that are no numbers and leaves the old ones
 * @throws PapilioError 'illegal-config' for an unknown name or a text in place of a list.
 */
export function merge<A extends SetAdapter>(
  set: AdapterSet<A>,
  { safe = false, names = set.active }: { readonly safe?: boolean; readonly names?: readonly string[] } = {},
): Change<A> {
  if (typeof names === 'string') {
    refuse(say`adapter_names should be a list of strings, got '${names}'.`);
  }
  for (const name of names) known(set, name);
  const left = [...new Set(names)].filter((name) => !set.merged.includes(name));
  const warnings =
    set.merged.length === 0
      ? []
      : left.length > 0
        ? [
            say`Already following adapters were merged ${set.merged.join(',')}. You are now additionally merging ${left.join(',')}.`,
          ]
        : [say`All adapters are already merged, nothing to do.`];
  return changed(
    { ...set, merged: [...set.merged, ...left] },
    left.map((name) => ({ kind: 'merge', name, safe })),
    warnings,
  );
}

/** Takes merged adapters out of the weights again, the last one first. */
export function unmerge<A extends SetAdapter>(set: AdapterSet<A>): Change<A> {
  if (set.merged.length === 0) return changed(set, [], [say`Already unmerged. Nothing to do.`]);
  const inexact = set.merged.some((name) => known(set, name).method.peftType === 'IA3');
  return changed(
    { ...set, merged: [] },
    set.merged.toReversed().map((name) => ({ kind: 'unmerge', name })),
    inexact ? [say`Unmerge result can be inaccurate for (IA)^3.`] : [],
  );
}

/** Leaves the base model: what is merged stays merged, nothing else does. */
export function unload<A extends SetAdapter>(set: AdapterSet<A>): Change<A> {
  return changed(
    { adapters: new Map(), active: [], enabled: true, merged: [] },
    [],
    set.merged.length > 0 ? [say`The adapters ${set.merged.join(',')} stay merged in the weights.`] : [],
  );
}

/** The adapters that the forward pass applies to the weights as they stand, in order. */
export function applied(set: AdapterSet): readonly string[] {
  return set.enabled && set.merged.length === 0 ? set.active : [];
}

/**
 * Whose copy of each base parameter counts: a trained bias is one for all and stays whatever is active; a module saved whole is each
 * adapter's own and only that of an active one is used.
 */
export function parameterOwners(set: AdapterSet): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const [name, { config, parameters }] of set.adapters) {
    const isSaved = savedTest(savedEntries(config));
    for (const parameter of parameters.keys()) {
      const module = parameter.slice(0, parameter.lastIndexOf('.'));
      if (!isSaved(module) || (set.enabled && set.active.includes(name))) owners.set(parameter, name);
    }
  }
  return owners;
}
