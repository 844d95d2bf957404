/**
 * The shelf of opened adapters, held by the trainer: read, held against a model, several of one method active together or merged, combined
 * into new ones, scored, looked into, written out again. Commands change all or nothing.
 */
import { combineAdapters } from '../../adapters/combine.ts';
import { DEFAULT_NAME, folderOf } from '../../adapters/folder.ts';
import type { LoadedAdapter } from '../../adapters/peft.ts';
import type { MethodId } from '../../adapters/registry.ts';
import type { Member } from '../../adapters/set/forward.ts';
import {
  type AdapterSet,
  activate,
  addAdapter,
  applied,
  type Change,
  deleteAdapter,
  disable,
  enable,
  merge,
  parameterOwners,
  unmerge,
} from '../../adapters/set/state.ts';
import { doSteps, startWeights, type WeightState } from '../../adapters/set/weights.ts';
import type { Device } from '../../gpu/device.ts';
import { fail, PapilioError } from '../../lib/errors.ts';
import type { LoadedModel } from '../../models/load.ts';
import { readGiven } from '../givenFiles.ts';
import { inspectModule } from '../inspect.ts';
import { fileOf, mergeModel, mergeReport } from '../mergeReport.ts';
import type { ParitySample } from '../parity.ts';
import type {
  EvalMetric,
  Inspection,
  MergeReport,
  NamedFile,
  ShelfCommand,
  ShelfReport,
  ShelfRow,
  ShelfScore,
} from '../protocol.ts';
import { graphRunner } from '../runGraph.ts';
import type { Surroundings } from '../source.ts';
import { type Bound, fitToBound, memberOf, openBound } from './bound.ts';
import { freeName, readDropped } from './reading.ts';
import { type Applied, nothingApplied, replaced, samplesHeld, scoreHeld } from './score.ts';

export interface Shelf {
  run(command: ShelfCommand): Promise<ShelfReport>;
  /** Held-out scores: of these adapters alone on the model's own weights, or, with null, of everything as it stands. */
  score(names: readonly string[] | null): Promise<ShelfScore>;
  inspect(name: string, module: string): Promise<Inspection>;
  /** The model's file with what is merged, or, if nothing is, with the active adapters. */
  mergeOut(): Promise<MergeReport>;
  /** What the merged file is compared on: the trainer's answers with everything as it stands. */
  paritySamples(withBase: boolean): Promise<readonly ParitySample[]>;
  /** The bound model, unadapted. */
  model(): LoadedModel;
  /** One adapter as a folder, several as its subfolders. */
  files(names: readonly string[]): Promise<readonly NamedFile[]>;
}

type Set = AdapterSet<LoadedAdapter>;

const noSet: Set = { adapters: new Map(), active: [], enabled: true, merged: [] };

interface State {
  readonly adapters: ReadonlyMap<string, LoadedAdapter>;
  readonly bound: Bound | null;
  /** Those of one method that work together; others lie beside it. */
  readonly set: Set;
  /** As merging and taking out again left them, with PEFT's rounding; null: the model's own. */
  readonly weights: WeightState | null;
}

export function createShelf(around: Surroundings, device: () => Promise<Device>): Shelf {
  let state: State = { adapters: new Map(), bound: null, set: noSet, weights: null };
  const members = new Map<string, Member>();
  let base: { readonly of: Bound; readonly metric: EvalMetric } | null = null;
  const once = graphRunner(device);
  let queue: Promise<unknown> = Promise.resolve();
  /** One command at a time: each starts from what the one before left. */
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const result = queue.then(task);
    queue = result.catch(() => {});
    return result;
  };

  const bound = (): Bound =>
    state.bound ??
    fail('bad-argument', 'There is no model to hold the adapters against; choose one under Model.');
  const adapterOf = (name: string): LoadedAdapter =>
    state.adapters.get(name) ?? fail('not-found', `There is no adapter ${name} among the opened ones.`);
  const memberAt = (name: string): Member => {
    let member = members.get(name);
    if (!member) {
      const adapter = adapterOf(name);
      fitToBound(adapter, bound());
      member = memberOf(name, adapter, bound());
      members.set(name, member);
    }
    return member;
  };

  /** The set with these adapters; of another method than those in it, they start a new one unless something is merged. */
  function withAdapters(names: readonly string[]): {
    readonly set: Set;
    readonly warnings: readonly string[];
  } {
    const warnings: string[] = [];
    const isNew = state.set.merged.length === 0 && names.every((name) => !state.set.adapters.has(name));
    let set = isNew ? { ...noSet, enabled: state.set.enabled } : state.set;
    for (const name of names) {
      memberAt(name);
      if (set.adapters.has(name)) continue;
      const added = addAdapter(set, name, adapterOf(name));
      set = added.set;
      warnings.push(...added.warnings);
    }
    return { set, warnings };
  }

  /** Carries a command of the set out on the weights, then takes its state over. */
  async function settle({ set, steps, warnings }: Change<LoadedAdapter>): Promise<readonly string[]> {
    let { weights } = state;
    if (steps.length > 0) {
      const all = new Map(steps.map(({ name }) => [name, memberAt(name)]));
      weights = await doSteps(weights ?? startWeights(bound().parameters), steps, all, once);
    }
    state = { ...state, set, weights };
    return warnings;
  }

  function remove(name: string): readonly string[] {
    adapterOf(name);
    const { set, warnings } = state.set.adapters.has(name)
      ? deleteAdapter(state.set, name)
      : { set: state.set, warnings: [] };
    state = { ...state, set, adapters: new Map([...state.adapters].filter(([other]) => other !== name)) };
    members.delete(name);
    return warnings;
  }

  async function obey(command: ShelfCommand): Promise<readonly string[]> {
    switch (command.kind) {
      case 'bind': {
        const next = command.task && (await openBound(command.task, around));
        members.clear();
        const forgotten = state.set.merged;
        state = { ...state, bound: next, set: noSet, weights: null };
        return forgotten.length > 0 ? [`${forgotten.join(', ')} had been merged into another model.`] : [];
      }
      case 'open': {
        const found = readDropped(
          await readGiven(command.files),
          command.name ?? 'adapter',
          new Set(state.adapters.keys()),
        );
        state = { ...state, adapters: new Map([...state.adapters, ...found]) };
        return [];
      }
      case 'activate': {
        const { set, warnings } = withAdapters(command.names);
        return [...warnings, ...(await settle(activate(set, command.names)))];
      }
      case 'enable':
        return settle(enable(state.set));
      case 'disable':
        return settle(disable(state.set));
      case 'delete':
        return remove(command.name);
      case 'merge': {
        const { set, warnings } = withAdapters(command.names);
        const active = set.active.length > 0 ? set.active : command.names;
        return [
          ...warnings,
          ...(await settle(merge({ ...set, active }, { names: command.names, safe: true }))),
        ];
      }
      case 'unmerge':
        return settle(unmerge(state.set));
      case 'combine': {
        const { adapter, warnings } = combineAdapters(command.names.map(adapterOf), command.options);
        const name = freeName(command.name.trim() || 'combined', (one) => state.adapters.has(one));
        const loaded: LoadedAdapter = { ...adapter, kept: {}, warnings };
        state = { ...state, adapters: new Map([...state.adapters, [name, loaded]]) };
        return warnings;
      }
    }
  }

  function report(warnings: readonly string[]): ShelfReport {
    const { adapters, set } = state;
    return {
      rows: [...adapters].map(([name, adapter]) => rowOf(name, adapter, state.bound)),
      active: set.active,
      enabled: set.enabled,
      merged: set.merged,
      warnings,
    };
  }

  const standing = (): Applied => ({
    active: applied(state.set).map(memberAt),
    members,
    owners: parameterOwners(state.set),
    weights: state.weights,
  });

  /** What stands with the active adapters merged as well. */
  const merging = async (): Promise<Applied> => {
    const how = standing();
    if (how.active.length > 0) {
      const { steps } = merge(state.set, { safe: true });
      const start = state.weights ?? startWeights(bound().parameters);
      return { ...how, weights: await doSteps(start, steps, members, once) };
    }
    if (state.set.merged.length > 0) return how;
    return fail('bad-argument', 'No adapter is active or merged, so the model would be as it was.');
  };

  /** As if only these were on the model. */
  const alone = (names: readonly string[]): Applied => {
    let set = noSet;
    for (const name of names) set = addAdapter(set, name, adapterOf(name)).set;
    return {
      active: names.map(memberAt),
      members,
      owners: parameterOwners(activate(set, names).set),
      weights: null,
    };
  };

  return {
    run: (command) =>
      inTurn(async () => {
        const before = state;
        try {
          return report(await obey(command));
        } catch (error) {
          state = before;
          throw error;
        }
      }),
    score: (names) =>
      inTurn(async () => {
        const on = await device();
        const how = names === null ? standing() : alone(names);
        if (base?.of !== bound())
          base = { of: bound(), metric: await scoreHeld(on, bound(), nothingApplied) };
        return { before: base.metric, after: await scoreHeld(on, bound(), how) };
      }),
    inspect: (name, module) =>
      inTurn(async () => {
        const { plan, packed } = memberAt(name);
        return inspectModule({
          plan,
          parameters: bound().parameters,
          initial: () => packed,
          module,
          once,
          packed,
        });
      }),
    mergeOut: () =>
      inTurn(async () => {
        const { opened, model } = bound();
        return mergeReport(opened, model, mergeModel(model, replaced(await merging()), 'requantise'), fileOf);
      }),
    paritySamples: (withBase) =>
      inTurn(async () => {
        // Several adapters may answer otherwise before merging than after it, as PEFT's do; then the merged weights count.
        const how = standing().active.length > 1 ? { ...(await merging()), active: [] } : standing();
        return samplesHeld(await device(), bound(), how, withBase);
      }),
    model: () => bound().model,
    files: (names) =>
      inTurn(async () => {
        const [only] = names;
        const chosen = new Map(names.map((name) => [name, adapterOf(name)]));
        const folder = folderOf(names.length === 1 ? new Map([[DEFAULT_NAME, adapterOf(only!)]]) : chosen);
        return [...folder].map(([name, bytes]) => ({ name, bytes }));
      }),
  };
}

function rowOf(name: string, adapter: LoadedAdapter, bound: Bound | null): ShelfRow {
  const { method, config, tensors, parameters, shared, warnings } = adapter;
  const sizes = [
    ...[...tensors.values()].flatMap((own) => [...own.values()]),
    ...parameters.values(),
    ...(shared?.values() ?? []),
  ].map(({ data }) => data.length);
  return {
    name,
    // Every method of a loaded adapter is registered: its file was read by it.
    method: method.id as MethodId,
    title: method.title,
    modules: [...tensors.keys()],
    saved: [...parameters.keys()],
    parameters: sizes.reduce((sum, size) => sum + size, 0),
    config: { ...config },
    warnings,
    fit: bound && fitOf(adapter, bound),
  };
}

function fitOf(adapter: LoadedAdapter, bound: Bound): NonNullable<ShelfRow['fit']> {
  try {
    return { reason: null, warnings: fitToBound(adapter, bound).warnings };
  } catch (error) {
    if (error instanceof PapilioError) return { reason: error.message, warnings: [] };
    throw error;
  }
}
