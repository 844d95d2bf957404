/** How fast a step of the chosen task is on the visitor's machine: asked of the trainer when wanted, kept until something else is chosen. */
import { shallow } from 'zustand/shallow';
import { createStore } from 'zustand/vanilla';
import { say } from '../../../common.ts';
import type { SpeedReport } from '../../../protocol.ts';
import type { Stores } from '../../stores.ts';
import { createTask, type TaskView } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import { type ChoiceState, engineOf, runRequest } from '../setup/choice.ts';

interface SpeedView extends TaskView {
  readonly report: SpeedReport | null;
}

const nothing: SpeedView = { busy: null, report: null, error: null };

/** What a measurement is of; compared part by part. */
const inputsOf = (state: ChoiceState): readonly unknown[] => [
  state.model,
  state.data,
  JSON.stringify([state.settings.method, state.settings.config, state.settings.training]),
  engineOf(state),
];

export function createSpeed({ choice }: Stores, trainer: Pick<TrainerClient, 'speed'>) {
  const view = createStore<SpeedView>(() => nothing);
  const task = createTask(view);
  let inputs: readonly unknown[] = [];
  const leave = (): void => {
    task.leave();
    view.setState(nothing);
  };
  choice.subscribe((now) => {
    const { report, busy } = view.getState();
    if ((report !== null || busy !== null) && !shallow(inputsOf(now), inputs)) leave();
  });
  return {
    view,
    leave,
    async ask(): Promise<void> {
      const state = choice.getState();
      inputs = inputsOf(state);
      await task.run(
        { busy: say`Measuring`, report: null },
        async (signal) => ({ report: await trainer.speed(runRequest(state), signal) }),
        { report: null },
      );
    },
  };
}
