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
import { createLock } from '../../lib/lock.ts';
import type { LoadedModel } from '../../models/load.ts';
import { readGiven } from '../givenFiles.ts';
import { inspectModule } from '../inspect.ts';
import { fileOf, mergeModel, mergeReport } from '../mergeReport.ts';
import type { Surroundings } from '../openModel.ts';
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
  return new OpenedAdapters(around, device);
}

/** One command at a time: each starts from what the one before left. */
class OpenedAdapters implements Shelf {
  private readonly around: Surroundings;
  private readonly device: () => Promise<Device>;
  private readonly once: ReturnType<typeof graphRunner>;
  private readonly inTurn = createLock();
  private readonly members = new Map<string, Member>();
  private state: State = { adapters: new Map(), bound: null, set: noSet, weights: null };
  private base: { readonly of: Bound; readonly metric: EvalMetric } | null = null;

  constructor(around: Surroundings, device: () => Promise<Device>) {
    this.around = around;
    this.device = device;
    this.once = graphRunner(device);
  }

  readonly run = (command: ShelfCommand): Promise<ShelfReport> =>
    this.inTurn(async () => {
      const before = this.state;
      try {
        return this.report(await this.obey(command));
      } catch (error) {
        this.state = before;
        throw error;
      }
    });

  readonly score = (names: readonly string[] | null): Promise<ShelfScore> =>
    this.inTurn(async () => {
      const on = await this.device();
      const how = names === null ? this.standing() : this.alone(names);
      const bound = this.bound();
      if (this.base?.of !== bound)
        this.base = { of: bound, metric: await scoreHeld(on, bound, nothingApplied) };
      return { before: this.base.metric, after: await scoreHeld(on, bound, how) };
    });

  readonly inspect = (name: string, module: string): Promise<Inspection> =>
    this.inTurn(async () => {
      const { plan, packed } = this.memberAt(name);
      const { parameters } = this.bound();
      return inspectModule({ plan, parameters, initial: () => packed, module, once: this.once, packed });
    });

  readonly mergeOut = (): Promise<MergeReport> =>
    this.inTurn(async () => {
      const { opened, model } = this.bound();
      const weights = replaced(await this.merging());
      return mergeReport(opened, model, mergeModel(model, weights, 'requantise'), fileOf);
    });

  readonly paritySamples = (withBase: boolean): Promise<readonly ParitySample[]> =>
    this.inTurn(async () => {
      const standing = this.standing();
      // Several adapters may answer otherwise before merging than after it, as PEFT's do; then the merged weights count.
      const how = standing.active.length > 1 ? { ...(await this.merging()), active: [] } : standing;
      return samplesHeld(await this.device(), this.bound(), how, withBase);
    });

  readonly model = (): LoadedModel => this.bound().model;

  readonly files = (names: readonly string[]): Promise<readonly NamedFile[]> =>
    this.inTurn(async () => {
      const chosen = new Map(
        names.map((name) => [names.length === 1 ? DEFAULT_NAME : name, this.adapterOf(name)]),
      );
      return [...folderOf(chosen)].map(([name, bytes]) => ({ name, bytes }));
    });

  private bound(): Bound {
    return (
      this.state.bound ??
      fail('bad-argument', 'There is no model to hold the adapters against; choose one under Model.')
    );
  }

  private adapterOf(name: string): LoadedAdapter {
    return (
      this.state.adapters.get(name) ?? fail('not-found', `There is no adapter ${name} among the opened ones.`)
    );
  }

  private memberAt(name: string): Member {
    let member = this.members.get(name);
    if (!member) {
      const adapter = this.adapterOf(name);
      fitToBound(adapter, this.bound());
      member = memberOf(name, adapter, this.bound());
      this.members.set(name, member);
    }
    return member;
  }

  /** The set with these adapters; of another method than those in it, they start a new one unless something is merged. */
  private withAdapters(names: readonly string[]): {
    readonly set: Set;
    readonly warnings: readonly string[];
  } {
    const warnings: string[] = [];
    const { set: now } = this.state;
    const isNew = now.merged.length === 0 && names.every((name) => !now.adapters.has(name));
    let set = isNew ? { ...noSet, enabled: now.enabled } : now;
    for (const name of names) {
      this.memberAt(name);
      if (set.adapters.has(name)) continue;
      const added = addAdapter(set, name, this.adapterOf(name));
      set = added.set;
      warnings.push(...added.warnings);
    }
    return { set, warnings };
  }

  /** Carries a command of the set out on the weights, then takes its state over. */
  private async settle({ set, steps, warnings }: Change<LoadedAdapter>): Promise<readonly string[]> {
    let { weights } = this.state;
    if (steps.length > 0) {
      const all = new Map(steps.map(({ name }) => [name, this.memberAt(name)]));
      weights = await doSteps(weights ?? startWeights(this.bound().parameters), steps, all, this.once);
    }
    this.state = { ...this.state, set, weights };
    return warnings;
  }

  private remove(name: string): readonly string[] {
    this.adapterOf(name);
    const { state } = this;
    const { set, warnings } = state.set.adapters.has(name)
      ? deleteAdapter(state.set, name)
      : { set: state.set, warnings: [] };
    this.state = {
      ...state,
      set,
      adapters: new Map([...state.adapters].filter(([other]) => other !== name)),
    };
    this.members.delete(name);
    return warnings;
  }

  private async obey(command: ShelfCommand): Promise<readonly string[]> {
    const { state } = this;
    switch (command.kind) {
      case 'bind': {
        const next = command.task && (await openBound(command.task, this.around));
        this.members.clear();
        const forgotten = state.set.merged;
        this.state = { ...state, bound: next, set: noSet, weights: null };
        return forgotten.length > 0 ? [`${forgotten.join(', ')} had been merged into another model.`] : [];
      }
      case 'open': {
        const files = await readGiven(command.files);
        const found = readDropped(files, command.name ?? 'adapter', new Set(state.adapters.keys()));
        this.state = { ...state, adapters: new Map([...state.adapters, ...found]) };
        return [];
      }
      case 'activate': {
        const { set, warnings } = this.withAdapters(command.names);
        return [...warnings, ...(await this.settle(activate(set, command.names)))];
      }
      case 'enable':
        return this.settle(enable(state.set));
      case 'disable':
        return this.settle(disable(state.set));
      case 'delete':
        return this.remove(command.name);
      case 'merge': {
        const { set, warnings } = this.withAdapters(command.names);
        const active = set.active.length > 0 ? set.active : command.names;
        const change = merge({ ...set, active }, { names: command.names, safe: true });
        return [...warnings, ...(await this.settle(change))];
      }
      case 'unmerge':
        return this.settle(unmerge(state.set));
      case 'combine': {
        const adapters = command.names.map((name) => this.adapterOf(name));
        const { adapter, warnings } = combineAdapters(adapters, command.options);
        const name = freeName(command.name.trim() || 'combined', (one) => state.adapters.has(one));
        const loaded: LoadedAdapter = { ...adapter, kept: {}, warnings };
        this.state = { ...state, adapters: new Map([...state.adapters, [name, loaded]]) };
        return warnings;
      }
    }
  }

  private report(warnings: readonly string[]): ShelfReport {
    const { adapters, set, bound } = this.state;
    return {
      rows: [...adapters].map(([name, adapter]) => rowOf(name, adapter, bound)),
      active: set.active,
      enabled: set.enabled,
      merged: set.merged,
      warnings,
    };
  }

  private standing(): Applied {
    const { set, weights } = this.state;
    return {
      active: applied(set).map((name) => this.memberAt(name)),
      members: this.members,
      owners: parameterOwners(set),
      weights,
    };
  }

  /** What stands with the active adapters merged as well. */
  private async merging(): Promise<Applied> {
    const how = this.standing();
    const { set, weights } = this.state;
    if (how.active.length > 0) {
      const { steps } = merge(set, { safe: true });
      const start = weights ?? startWeights(this.bound().parameters);
      return { ...how, weights: await doSteps(start, steps, this.members, this.once) };
    }
    if (set.merged.length > 0) return how;
    return fail('bad-argument', 'No adapter is active or merged, so the model would be as it was.');
  }

  /** As if only these were on the model. */
  private alone(names: readonly string[]): Applied {
    let set = noSet;
    for (const name of names) set = addAdapter(set, name, this.adapterOf(name)).set;
    return {
      active: names.map((name) => this.memberAt(name)),
      members: this.members,
      owners: parameterOwners(activate(set, names).set),
      weights: null,
    };
  }
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
