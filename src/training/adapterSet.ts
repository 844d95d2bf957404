/**
 * The set of opened adapters, held by the trainer: read, held against a model, several of one method active together or merged, combined
 * into new ones, scored, looked into, written out again. Commands change all or nothing.
 */
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
} from '../adapters/adapterSet.ts';
import { combineAdapters } from '../adapters/combine.ts';
import {
  DEFAULT_NAME,
  type Files,
  filesFromZip,
  folderOf,
  isAdapterFile,
  readFolder,
} from '../adapters/folder.ts';
import type { LoadedAdapter } from '../adapters/peft.ts';
import { type LoadedMethod, loadMethod, savedParameters } from '../adapters/plan.ts';
import type { MethodId } from '../adapters/registry.ts';
import { doSteps, emitActive, type Member, startWeights, type WeightState } from '../adapters/setWeights.ts';
import type { Builder } from '../graph/builder.ts';
import type { Graph } from '../graph/types.ts';
import type { InputFile } from '../lib/bytes.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { createLock } from '../lib/lock.ts';
import { say } from '../lib/say.ts';
import { isZip } from '../lib/zip.ts';
import type { LoadedModel } from '../models/load.ts';
import type { Backend } from './backend.ts';
import type { Engine } from './engine.ts';
import { evaluateHeld } from './evaluation.ts';
import type { RunGraph } from './graphRuns.ts';
import { readFiles } from './inputFiles.ts';
import { inspectModule } from './inspect.ts';
import { emitWeights, fileOf, mergeModel, mergeReport } from './merging.ts';
import type { Host } from './openModel.ts';
import { type ParitySample, paritySamples } from './parity.ts';
import type {
  AdapterCommand,
  AdapterRow,
  AdapterScore,
  AdapterSetReport,
  EngineName,
  EvalMetric,
  Inspection,
  MergeReport,
  TrainerApi,
} from './protocol.ts';
import { fitToModel, planOfFile } from './setup.ts';
import { scoringGraph } from './stepGraph.ts';
import { lossOf, type PreparedTask, prepareTask } from './task.ts';

export interface OpenedAdapters
  extends Pick<
    TrainerApi,
    'changeAdapters' | 'scoreAdapters' | 'inspectAdapter' | 'mergeAdapters' | 'adapterFiles'
  > {
  /** What the merged file is compared on: the trainer's answers with everything as it stands. */
  paritySamples(withBase: boolean): Promise<readonly ParitySample[]>;
  /** The bound model, unadapted. */
  model(): LoadedModel;
}

const noSet: AdapterSet<LoadedAdapter> = { adapters: new Map(), active: [], enabled: true, merged: [] };

interface State {
  readonly adapters: ReadonlyMap<string, LoadedAdapter>;
  readonly bound: PreparedTask | null;
  /** What computes for it. */
  readonly engine: EngineName | undefined;
  /** Those of one method that work together; others lie beside it. */
  readonly set: AdapterSet<LoadedAdapter>;
  /** As merging and taking out again left them, with PEFT's rounding; null: the model's own. */
  readonly weights: WeightState | null;
}

export function createAdapterSet(
  host: Host,
  backend: (engine: EngineName | undefined) => Promise<Backend>,
): OpenedAdapters {
  return new AdapterCommands(host, backend);
}

/** One command at a time: each starts from what the one before left. */
class AdapterCommands implements OpenedAdapters {
  private readonly host: Host;
  private readonly backendOf: (engine: EngineName | undefined) => Promise<Backend>;
  private readonly inTurn = createLock();
  private readonly members = new Map<string, Member>();
  /** The methods of the opened adapters, by id. */
  private readonly methods = new Map<string, LoadedMethod>();
  private state: State = {
    ...{ adapters: new Map(), bound: null, engine: undefined },
    ...{ set: noSet, weights: null },
  };
  private base: { readonly of: PreparedTask; readonly metric: EvalMetric } | null = null;

  constructor(host: Host, backend: (engine: EngineName | undefined) => Promise<Backend>) {
    this.host = host;
    this.backendOf = backend;
  }

  /** What computes for the task that adapters are held against. */
  private backend(): Promise<Backend> {
    return this.backendOf(this.state.engine);
  }

  private readonly once: RunGraph = async (graph, inputs) => (await this.backend()).once(graph, inputs);

  readonly changeAdapters = (command: AdapterCommand): Promise<AdapterSetReport> =>
    this.inTurn(async () => {
      const before = this.state;
      try {
        return this.report(await this.obey(command));
      } catch (error) {
        this.state = before;
        throw error;
      }
    });

  readonly scoreAdapters = (names: readonly string[] | null): Promise<AdapterScore> =>
    this.inTurn(async () => {
      const on = await this.backend();
      const how = names === null ? this.standing() : this.alone(names);
      const bound = this.bound();
      if (this.base?.of !== bound)
        this.base = { of: bound, metric: await scoreHeld(on, bound, nothingApplied) };
      return { before: this.base.metric, after: await scoreHeld(on, bound, how) };
    });

  readonly inspectAdapter = (name: string, module: string): Promise<Inspection> =>
    this.inTurn(async () => {
      const { plan, packed } = this.memberAt(name);
      const { parameters } = this.bound();
      return inspectModule({ plan, parameters, initial: () => packed, module, once: this.once, packed });
    });

  readonly mergeAdapters = (): Promise<MergeReport> =>
    this.inTurn(async () => {
      const { opened, model } = this.bound();
      // The merge takes over and turns what it is given; the set keeps its own.
      const weights = new Map(
        [...replaced(await this.merging())].map(([name, data]) => [name, data.slice()] as const),
      );
      return mergeReport(opened, model, mergeModel(model, weights, 'requantise'), fileOf);
    });

  readonly paritySamples = (withBase: boolean): Promise<readonly ParitySample[]> =>
    this.inTurn(async () => {
      const standing = this.standing();
      // Several adapters may answer otherwise before merging than after it, as PEFT's do; then the merged weights count.
      const how = standing.active.length > 1 ? { ...(await this.merging()), active: [] } : standing;
      const bound = this.bound();
      return withPasses(await this.backend(), bound, how, (engine) =>
        paritySamples({ engine, ...bound }, withBase),
      );
    });

  readonly model = (): LoadedModel => this.bound().model;

  readonly adapterFiles = (names: readonly string[]): Promise<readonly InputFile[]> =>
    this.inTurn(async () => {
      const chosen = new Map(
        names.map((name) => [names.length === 1 ? DEFAULT_NAME : name, this.adapterOf(name)]),
      );
      return [...folderOf(chosen)].map(([name, bytes]) => ({ name, bytes }));
    });

  private bound(): PreparedTask {
    return (
      this.state.bound ??
      fail('bad-argument', say`There is no model to hold the adapters against; choose one under Model.`)
    );
  }

  private adapterOf(name: string): LoadedAdapter {
    return (
      this.state.adapters.get(name) ??
      fail('not-found', say`There is no adapter ${name} among the opened ones.`)
    );
  }

  private memberAt(name: string): Member {
    let member = this.members.get(name);
    if (!member) {
      const adapter = this.adapterOf(name);
      const { model, parameters } = this.bound();
      const method = this.methods.get(adapter.method.id)!;
      member = { name, ...planOfFile(adapter, method, model, parameters) };
      this.members.set(name, member);
    }
    return member;
  }

  /** The set with these adapters; of another method than those in it, they start a new one unless something is merged. */
  private withAdapters(names: readonly string[]): {
    readonly set: AdapterSet<LoadedAdapter>;
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

  private async obey(command: AdapterCommand): Promise<readonly string[]> {
    const { state } = this;
    switch (command.kind) {
      case 'bind': {
        const { task } = command;
        const next = task && (await prepareTask(task.model, task.data, task.training, this.host));
        this.members.clear();
        const forgotten = state.set.merged;
        this.state = { ...state, bound: next, engine: task?.engine, set: noSet, weights: null };
        return forgotten.length > 0 ? [say`${forgotten.join(', ')} had been merged into another model.`] : [];
      }
      case 'open': {
        const files = await readFiles(command.files);
        const found = readDropped(files, command.name ?? 'adapter', new Set(state.adapters.keys()));
        for (const { method } of found.values()) this.methods.set(method.id, await loadMethod(method));
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

  private report(warnings: readonly string[]): AdapterSetReport {
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
    return fail('bad-argument', say`No adapter is active or merged, so the model would be as it was.`);
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

function rowOf(name: string, adapter: LoadedAdapter, bound: PreparedTask | null): AdapterRow {
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

function fitOf(adapter: LoadedAdapter, bound: PreparedTask): NonNullable<AdapterRow['fit']> {
  try {
    return { reason: null, warnings: fitToModel(adapter, bound.model).warnings };
  } catch (error) {
    if (error instanceof PapilioError) return { reason: error.message, warnings: [] };
    throw error;
  }
}

// Files that were dropped, as adapters by name: zips, folders, subfolders and loose pairs of files.

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** `name`, or with the first number that makes it a new one. */
function freeName(name: string, taken: (name: string) => boolean): string {
  if (!taken(name)) return name;
  for (let i = 2; ; i++) if (!taken(`${name}-${i}`)) return `${name}-${i}`;
}

/**
 * @param fallback the name of an adapter that no folder and no zip names
 * @param taken names that are in use
 * @throws PapilioError as {@link readFolder}; of several zips, the first that cannot be read
 */
function readDropped(
  files: readonly InputFile[],
  fallback: string,
  taken: ReadonlySet<string>,
): Map<string, LoadedAdapter> {
  const folders: [string, Files][] = files
    .filter(({ bytes }) => isZip(bytes))
    .map(({ name, bytes }) => [baseName(name).replace(/\.zip$/i, ''), filesFromZip(bytes)]);
  const loose = files.filter(({ name, bytes }) => !isZip(bytes) && isAdapterFile(name));
  if (loose.length > 0) folders.push([fallback, new Map(loose.map(({ name, bytes }) => [name, bytes]))]);
  if (folders.length === 0) {
    const names = files.map(({ name }) => baseName(name));
    fail(
      'not-found',
      say`There is no adapter among ${names.length === 0 ? say`no files` : names.slice(0, 3).join(', ')}; drop adapter_config.json and adapter_model.safetensors together, their folder, or a zip of it.`,
    );
  }
  const found = new Map<string, LoadedAdapter>();
  for (const [given, folder] of folders) {
    for (const [own, adapter] of readFolder(folder)) {
      const wanted = own === DEFAULT_NAME ? given : own;
      found.set(
        freeName(wanted, (name) => taken.has(name) || found.has(name)),
        adapter,
      );
    }
  }
  return found;
}

// Held-out scores of several adapters on one model, without anything that trains.

/** What a forward pass goes through besides the frozen model. */
export interface Applied {
  /** Active adapters, in order. */
  readonly active: readonly Member[];
  /** All that may own a base parameter, and who owns which. */
  readonly members: ReadonlyMap<string, Member>;
  readonly owners: ReadonlyMap<string, string>;
  /** Weights with what is merged. */
  readonly weights: WeightState | null;
}

const nothingApplied: Applied = {
  active: [],
  members: new Map(),
  owners: new Map(),
  weights: null,
};

/** Base parameters in place of the model's own: merged weights, then what adapters bring whole. */
function replaced({ members, owners, weights }: Applied): Map<string, Float32Array> {
  const out = new Map<string, Float32Array>();
  for (const name of weights?.touched ?? []) out.set(name, weights!.parameters.get(name)!.load());
  for (const [parameter, owner] of owners) {
    const member = members.get(owner);
    const own = member && savedParameters(member.plan, member.packed).get(parameter);
    // A bias that was merged with its layer is among the weights already.
    if (own && !out.has(parameter)) out.set(parameter, own.data);
  }
  return out;
}

/** Forward passes over held-out batches: of the bound model alone, and with everything that is applied. */
function withPasses<T>(
  on: Backend,
  bound: PreparedTask,
  how: Applied,
  task: (engine: Pick<Engine, 'evaluate'>) => Promise<T>,
): Promise<T> {
  const { model, dataset, parameters, batches } = bound;
  const emit = (g: Builder, base: Graph, applied: Applied) => ({
    adapters: emitActive(g, applied.active, () => null, base).adapters,
    saved: emitWeights(g, replaced(applied), parameters),
  });
  return on.forwardPasses(
    (which, withLogits, batch, sequence) => {
      const base = { ...model.build(batch, sequence), loss: lossOf(dataset) };
      const applied = which === 'base' ? nothingApplied : how;
      return scoringGraph(base, (g) => emit(g, base.graph, applied), withLogits);
    },
    batches,
    task,
  );
}

/** The task's own measure on the held-out examples; `step` of the result is 0. */
const scoreHeld = (on: Backend, bound: PreparedTask, how: Applied): Promise<EvalMetric> =>
  withPasses(on, bound, how, (engine) =>
    evaluateHeld(engine, bound.dataset, bound.batches, 'adapted', {
      step: 0,
      limit: bound.training.evalExamples,
    }),
  );
