/**
 * Everything that follows from settings and a model's modules, by integer arithmetic alone: what is targeted, what is illegal and why,
 * how many parameters train, how many bytes they take. No GPU, no worker.
 */
import { PapilioError } from '../../../common.ts';
import {
  type AdapterMethod,
  type CommonConfig,
  completeConfig,
  countTrainable,
  type Layer,
  METHODS,
  type ParameterCount,
  requireTargets,
  type Selection,
  selectTargets,
  type TargetModel,
  type TrainableCount,
} from '../../../methods.ts';
import type { ModelReport } from '../../../protocol.ts';
import {
  LAYER_KINDS,
  NO_MODEL,
  type PageSettings,
  refuseConfig,
  remembered,
  startedConfig,
  targetModel,
} from './settings.ts';

export interface LayerRow {
  readonly layer: Layer;
  readonly isTarget: boolean;
  readonly isSaved: boolean;
  /** Why the method cannot adapt this layer, or null. */
  readonly reason: string | null;
  readonly count: ParameterCount | null;
}

export interface Derived {
  readonly rows: readonly LayerRow[];
  readonly selection: Selection | null;
  readonly count: TrainableCount | null;
  /** Share of the base model's parameters that train, 0 … 1. */
  readonly share: number;
  readonly adapterBytes: number;
  readonly optimizerBytes: number;
  /** What keeps a run from starting, in one sentence, or null. */
  readonly problem: string | null;
  readonly warnings: readonly string[];
}

const nothing = {
  rows: [],
  selection: null,
  count: null,
  share: 0,
  adapterBytes: 0,
  optimizerBytes: 0,
  warnings: [],
};

const derivations = remembered<Derived>();
const selections = remembered<ReturnType<typeof tried<Selection>>>();

/** The derived facts; a broken expression becomes `problem`, never an exception. */
export function derive(settings: PageSettings, report: ModelReport | null): Derived {
  try {
    return derivations([settings, report ?? NO_MODEL], () => derived(settings, report));
  } catch (error) {
    // An expression of a single module's rank, which is asked about wherever that module is looked at.
    if (error instanceof PapilioError) return { ...nothing, problem: error.message };
    throw error;
  }
}

function derived(settings: PageSettings, report: ModelReport | null): Derived {
  const method = METHODS[settings.method];
  const illegal = refuseConfig(settings, report);
  if (report === null) return { ...nothing, problem: illegal };
  const model = targetModel(report);
  const started = startedConfig(settings, report);
  const config = completeConfig(method, started.config, model);
  const rowsOf = (chosen: Selection | null, isJudged: boolean) =>
    layerRows(method, config, model.layers, isJudged, chosen);
  const isLegal = illegal === null;
  const selection = selections([started.config, method, report], () =>
    tried(() => selectTargets(method, config, model)),
  );
  if ('problem' in selection) {
    const rows = tried(() => rowsOf(null, isLegal));
    return { ...nothing, rows: 'problem' in rows ? rowsOf(null, false) : rows.value, ...selection };
  }
  const counted = tried(() => ({
    rows: rowsOf(selection.value, isLegal),
    problem: illegal ?? problemOf(method, config, model),
    count: isLegal
      ? countTrainable(
          method,
          config,
          model.layers,
          selection.value,
          normBiases(report),
          wholes(report),
          report.ties,
        )
      : null,
  }));
  if ('problem' in counted) return { ...nothing, rows: rowsOf(selection.value, false), ...counted };
  const { rows, problem, count } = counted.value;
  const stored = count?.stored ?? 0;
  return {
    rows,
    selection: selection.value,
    count,
    share: report.parameters > 0 ? stored / report.parameters : 0,
    adapterBytes: stored * 4,
    optimizerBytes: stored * 4 * (settings.training.optimizer === 'adamw' ? 2 : 1),
    problem,
    warnings: [...started.notes, ...selection.value.warnings],
  };
}

/** What `make` gives, or the sentence with which it refuses. */
function tried<T>(make: () => T): { readonly value: T } | { readonly problem: string } {
  try {
    return { value: make() };
  } catch (error) {
    if (!(error instanceof PapilioError)) throw error;
    return { problem: error.message };
  }
}

function layerRows(
  method: AdapterMethod,
  config: CommonConfig,
  layers: readonly Layer[],
  isLegal: boolean,
  selection: Selection | null,
): LayerRow[] {
  const targets = new Set(selection?.targets);
  const saved = new Set(selection?.saved);
  const adapts = isLegal && method.targets !== 'none';
  return layers.map((layer) => {
    const reason = adapts ? method.check(layer, config) : null;
    return {
      layer,
      isTarget: targets.has(layer.name),
      isSaved: saved.has(layer.name),
      reason,
      count: adapts && reason === null ? method.count(layer, config) : null,
    };
  });
}

function wholes(report: ModelReport): Map<string, number> {
  return new Map(
    report.modules
      .filter(({ kind }) => !LAYER_KINDS.includes(kind))
      .map(({ name, parameters }) => [name, parameters] as const),
  );
}

function normBiases(report: ModelReport): Map<string, number> {
  return new Map(
    report.modules
      .filter(({ kind, hasBias }) => kind === 'norm' && hasBias)
      .map(({ name, out }) => [name, out] as const),
  );
}

/** The sentence with which a run would be refused, or null. */
function problemOf(method: AdapterMethod, config: CommonConfig, model: TargetModel): string | null {
  const found = tried(() => requireTargets(method, config, model));
  return 'problem' in found ? found.problem : null;
}
