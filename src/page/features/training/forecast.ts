/**
 * What the next run will take, asked of the trainer before it begins: by itself for a person's own models, else when wanted. Ways to make
 * it fit are put into the settings; the forecast of the run that then begins is kept to stand beside what is measured.
 */
import { shallow } from 'zustand/shallow';
import { createStore, type StoreApi } from 'zustand/vanilla';
import { say } from '../../../common.ts';
import type { ForecastReport, WayToFit } from '../../../protocol.ts';
import type { Stores } from '../../stores.ts';
import { createTask, type TaskView } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import {
  type ChoiceState,
  createLeaving,
  engineOf,
  isSamePlace,
  runRequest,
  withPrecision,
} from '../setup/choice.ts';
import { isLeft } from '../setup/holds.ts';

interface ForecastView extends TaskView {
  readonly report: ForecastReport | null;
  /** Something was changed since. */
  readonly isStale: boolean;
  /** GPU memory that a run may take; null: whatever the device gives. */
  readonly budgetBytes: number | null;
  /** The forecast that a run began with. */
  readonly ofRun: { readonly id: number; readonly report: ForecastReport } | null;
}

const nothing = { busy: null, report: null, error: null, isStale: false };

/** Everything that a forecast follows from; compared part by part. */
function inputsOf({
  settings,
  model,
  data,
  startFrom,
  recompute,
  ...engines
}: ChoiceState): readonly unknown[] {
  const { method, config, training } = settings;
  return [model, data, startFrom, JSON.stringify([method, config, training, recompute, engineOf(engines)])];
}

/** Own models are forecast unasked, and what is on screen follows the settings; a run is left alone. */
function asksItself({ choice, run, ui }: Stores, view: StoreApi<ForecastView>): boolean {
  const { model, data, report } = choice.getState();
  if (model === null || data === null || report === null) return false;
  if (model.kind === 'embedded' && view.getState().report === null) return false;
  return ui.getState().gpu !== null && run.getState().current === null;
}

/** The choice with a way to fit taken. */
function fitted({ model, recompute, settings }: ChoiceState, { change }: WayToFit): Partial<ChoiceState> {
  const { precision, modules, recompute: again = recompute, ...training } = change;
  const { config } = settings;
  return {
    model: precision === undefined ? model : withPrecision(model, precision),
    recompute: again,
    settings: {
      ...settings,
      training: { ...settings.training, ...training },
      config: modules === undefined ? config : { ...config, target_modules: [...modules] },
    },
  };
}

/** @param delayMs time without a change before the trainer is asked unasked */
export function createForecast(stores: Stores, trainer: Pick<TrainerClient, 'forecast'>, delayMs = 700) {
  const { choice, run, ui } = stores;
  const view = createStore<ForecastView>(() => ({ ...nothing, budgetBytes: null, ofRun: null }));
  const task = createTask(view);
  const leave = createLeaving(task);
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** What the shown forecast, or its refusal, is of. */
  let inputs: readonly unknown[] = [];
  let started: { readonly id: number; readonly inputs: readonly unknown[] } | null = null;

  /** The forecast of the run that has begun, if it is of the same settings; it may come after the run was asked for. */
  function settle(): void {
    const { report, busy, ofRun } = view.getState();
    if (started === null || ofRun !== null || report === null || busy !== null) return;
    if (shallow(started.inputs, inputs)) view.setState({ ofRun: { id: started.id, report } });
  }

  async function ask(): Promise<void> {
    const state = choice.getState();
    leave(state);
    clearTimeout(timer);
    inputs = inputsOf(state);
    const { budgetBytes } = view.getState();
    const isShown = await task.run(
      { busy: say`Planning the run`, isStale: false },
      async (signal) => ({
        report: await trainer.forecast(runRequest(state), budgetBytes ?? undefined, signal),
      }),
      { report: null },
    );
    if (isShown) settle();
  }

  function refresh(): void {
    if (shallow(inputsOf(choice.getState()), inputs)) return;
    if (inputs.length > 0) view.setState({ isStale: true });
    clearTimeout(timer);
    if (asksItself(stores, view))
      timer = setTimeout(() => {
        if (asksItself(stores, view)) void ask();
      }, delayMs);
  }

  choice.subscribe((now, before) => {
    if (!isSamePlace(now.model, before.model)) {
      task.leave();
      inputs = [];
      view.setState(nothing);
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
      task.leave();
      view.setState({ busy: null });
    },
    setBudget(budgetBytes: number | null) {
      view.setState({ budgetBytes });
      if (view.getState().report !== null) void ask();
    },
    apply(way: WayToFit) {
      const change = fitted(choice.getState(), way);
      if (!isLeft(stores, change)) choice.setState(change);
    },
  };
}
