/**
 * Everything that follows from settings and a model's modules, by integer arithmetic alone: what is targeted, what is illegal and why,
 * how many parameters train, how many bytes they take. No GPU, no worker.
 */
import { countTrainable, type TrainableCount } from '../adapters/count.ts';
import type { CommonConfig } from '../adapters/fields.ts';
import { METHODS } from '../adapters/registry.ts';
import {
  completeConfig,
  requireTargets,
  type Selection,
  selectTargets,
  type TargetModel,
} from '../adapters/targets.ts';
import type { AdapterMethod, Layer, ParameterCount } from '../adapters/types.ts';
import { PapilioError } from '../lib/errors.ts';
import type { ModelReport } from '../training/protocol.ts';
import { LAYER_KINDS, type PageSettings, refuseConfig, startedConfig, targetModel } from './settings.ts';

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

/** The derived facts; a broken expression becomes `problem`, never an exception. */
export function derive(settings: PageSettings, report: ModelReport | null): Derived {
  try {
    return derived(settings, report);
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
  const rowsOf = (chosen: Selection | null) =>
    layerRows(method, config, model.layers, illegal === null, chosen);
  let selection: Selection;
  try {
    selection = selectTargets(method, config, model);
  } catch (error) {
    if (!(error instanceof PapilioError)) throw error;
    return { ...nothing, rows: rowsOf(null), problem: error.message };
  }
  const problem = illegal ?? problemOf(method, config, model);
  const count =
    illegal === null
      ? countTrainable(
          method,
          config,
          model.layers,
          selection,
          normBiases(report),
          wholes(report),
          report.ties,
        )
      : null;
  const stored = count?.stored ?? 0;
  return {
    rows: rowsOf(selection),
    selection,
    count,
    share: report.parameters > 0 ? stored / report.parameters : 0,
    adapterBytes: stored * 4,
    optimizerBytes: stored * 4 * (settings.training.optimizer === 'adamw' ? 2 : 1),
    problem,
    warnings: [...started.notes, ...selection.warnings],
  };
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
  try {
    requireTargets(method, config, model);
    return null;
  } catch (error) {
    if (error instanceof PapilioError) return error.message;
    throw error;
  }
}
