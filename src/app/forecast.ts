/**
 * What the next run will take, asked of the trainer before it begins: by itself for a person's own models, else when wanted. Ways to make
 * it fit are put into the settings; the forecast of the run that then begins is kept to stand beside what is measured.
 */
import { shallow } from 'zustand/shallow';
import { createStore, type StoreApi } from 'zustand/vanilla';
import { asPapilioError } from '../lib/errors.ts';
import { ASKED_ANEW } from '../lib/workers.ts';
import type { ErrorReport, ForecastReport, WayToFit } from '../training/protocol.ts';
import { chosenOf } from './data.ts';
import { runRequest } from './request.ts';
import type { ChoiceState, Stores } from './stores.ts';
import type { TrainerClient } from './trainerClient.ts';

export interface ForecastView {
  readonly isBusy: boolean;
  readonly report: ForecastReport | null;
  readonly error: ErrorReport | null;
  /** Something was changed since. */
  readonly isStale: boolean;
  /** GPU memory that a run may take; null: whatever the device gives. */
  readonly budgetBytes: number | null;
  /** The forecast that a run began with. */
  readonly ofRun: { readonly id: number; readonly report: ForecastReport } | null;
}

export interface ForecastDesk {
  readonly view: StoreApi<ForecastView>;
  ask(): Promise<void>;
  stop(): void;
  setBudget(bytes: number | null): void;
  apply(way: WayToFit): void;
}

/** Everything that a forecast follows from; compared part by part. */
function inputsOf(choice: ChoiceState): readonly unknown[] {
  const { settings, modelFiles, dataFiles, fetchedModel, fetchedData, text, drawings, startFrom } = choice;
  const { model, data, method, config, training } = settings;
  return [
    JSON.stringify([
      model,
      data,
      method,
      config,
      training,
      choice.precision,
      choice.recompute,
      choice.dataOptions,
    ]),
    modelFiles,
    dataFiles,
    fetchedModel,
    fetchedData,
    text,
    drawings,
    startFrom,
  ];
}

/** @param delayMs time without a change before the trainer is asked unasked */
export function createForecastDesk(
  { choice, run, ui }: Stores,
  trainer: Pick<TrainerClient, 'forecast'>,
  delayMs = 700,
): ForecastDesk {
  const view = createStore<ForecastView>(() => ({
    isBusy: false,
    report: null,
    error: null,
    isStale: false,
    budgetBytes: null,
    ofRun: null,
  }));
  let asking = new AbortController();
  let asked: readonly unknown[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** What the shown forecast, or its refusal, is of. */
  let inputs: readonly unknown[] = [];
  let started: { readonly id: number; readonly inputs: readonly unknown[] } | null = null;

  /** The forecast of the run that has begun, if it is of the same settings; it may come after the run was asked for. */
  function settle(): void {
    const { report, isBusy, ofRun } = view.getState();
    if (started === null || ofRun !== null || report === null || isBusy) return;
    if (shallow(started.inputs, inputs)) view.setState({ ofRun: { id: started.id, report } });
  }

  async function ask(): Promise<void> {
    const state = choice.getState();
    const chosen = chosenOf(state);
    asking.abort(shallow(chosen, asked) ? ASKED_ANEW : undefined);
    asked = chosen;
    asking = new AbortController();
    const { signal } = asking;
    clearTimeout(timer);
    inputs = inputsOf(state);
    view.setState({ isBusy: true, isStale: false });
    try {
      const { budgetBytes } = view.getState();
      const report = await trainer.forecast(runRequest(state), budgetBytes ?? undefined, signal);
      if (!signal.aborted) view.setState({ isBusy: false, report, error: null });
      settle();
    } catch (error) {
      const { kind, message, details } = asPapilioError(error);
      if (!signal.aborted) view.setState({ isBusy: false, report: null, error: { kind, message, details } });
    }
  }

  /** Own models are forecast unasked, and what is on screen follows the settings; a run is left alone. */
  function asksItself(): boolean {
    const state = choice.getState();
    const { report } = view.getState();
    const isOwn = state.settings.model === 'own' || state.settings.model === 'hub';
    if ((!isOwn && report === null) || state.report === null) return false;
    if (ui.getState().gpu?.state !== 'ready' || run.getState().current !== null) return false;
    try {
      runRequest(state);
      return true;
    } catch {
      return false;
    }
  }

  function refresh(): void {
    const isOther = !shallow(inputsOf(choice.getState()), inputs);
    if (!isOther) return;
    if (inputs.length > 0) view.setState({ isStale: true });
    clearTimeout(timer);
    if (asksItself())
      timer = setTimeout(() => {
        if (asksItself()) void ask();
      }, delayMs);
  }

  choice.subscribe((now, before) => {
    const isOther =
      now.settings.model !== before.settings.model ||
      now.modelFiles !== before.modelFiles ||
      now.fetchedModel !== before.fetchedModel;
    if (isOther) {
      asking.abort();
      inputs = [];
      view.setState({ isBusy: false, report: null, error: null, isStale: false });
      // These were chosen for the other model, unless they come with this one.
      const isKept = now.precision === before.precision && now.recompute === before.recompute;
      if (isKept && (now.precision !== 'file' || now.recompute)) {
        choice.setState({ precision: 'file', recompute: false });
        return;
      }
    }
    refresh();
  });
  ui.subscribe((now, before) => {
    if (now.gpu !== before.gpu) refresh();
  });
  run.subscribe(({ current }, before) => {
    if (current === null || current.id === before.current?.id) return;
    clearTimeout(timer);
    started = { id: current.id, inputs: inputsOf(choice.getState()) };
    view.setState({ ofRun: null });
    settle();
  });

  return {
    view,
    ask,
    stop() {
      asking.abort();
      view.setState({ isBusy: false });
    },
    setBudget(budgetBytes) {
      view.setState({ budgetBytes });
      if (view.getState().report !== null) void ask();
    },
    apply({ change }) {
      const { precision, recompute, modules, ...training } = change;
      choice.setState((s) => ({
        ...(precision === undefined ? {} : { precision }),
        ...(recompute === undefined ? {} : { recompute }),
        settings: {
          ...s.settings,
          training: { ...s.settings.training, ...training },
          config:
            modules === undefined
              ? s.settings.config
              : { ...s.settings.config, target_modules: [...modules] },
        },
      }));
    },
  };
}
