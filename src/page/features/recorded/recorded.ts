/**
 * The recorded run: fetched once the page is there, on screen before the first run wherever its settings are the chosen ones, and again when it is
 * asked for. It is a run of its own beside the page's; what shows a run shows this one where it is given.
 */
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { RunView, Stores } from '../../stores.ts';
import type { ChoiceState } from '../setup/choice.ts';
import { type PageSettings, sameValue } from '../setup/settings.ts';
import type { RecordedFile } from './recordedFile.ts';

export interface Recorded extends Pick<RecordedFile, 'date' | 'runtime' | 'hardware' | 'settings'> {
  readonly run: StoreApi<RunView>;
  /** As if its settings and its model were chosen. */
  readonly choice: StoreApi<ChoiceState>;
}

export interface RecordedView {
  /** Null until it is there; it may never come. */
  readonly recorded: Recorded | null;
  /** Whether somebody wants to see it; null: as long as there is no run, where it is of the chosen settings. */
  readonly isWanted: boolean | null;
}

/** Where it lies in `public/`. */
export const RECORDED_PATH = 'recorded/first-run.json';

export function createRecorded({ run, choice }: Pick<Stores, 'run' | 'choice'>) {
  const view = createStore<RecordedView>(() => ({ recorded: null, isWanted: null }));
  // A run that begins, or ends, is what one wants to see.
  run.subscribe((now, before) => {
    if (now.current !== before.current) view.setState({ isWanted: null });
  });
  return {
    view,
    want: (isWanted: boolean): void => view.setState({ isWanted }),
    /** @param root of the page's own files, with a slash at the end; without a network, and nothing kept, there is no recorded run */
    async load(root: string): Promise<void> {
      const [{ runIn }, file] = await Promise.all([
        import('./recordedFile.ts'),
        fetch(`${root}${RECORDED_PATH}`).then((answer) =>
          answer.ok ? (answer.json() as Promise<RecordedFile>) : null,
        ),
      ]);
      if (file === null) return;
      view.setState({ recorded: recordedOf(file, runIn(file), choice.getState()) });
    },
  };
}

export function recordedOf(
  { date, runtime, hardware, settings, open }: RecordedFile,
  run: StoreApi<RunView>,
  chosen: ChoiceState,
): Recorded {
  const choice = createStore<ChoiceState>(() => ({ ...chosen, settings, report: open.model }));
  return { date, runtime, hardware, settings, run, choice };
}

/** Whether two settings give the same run but for its seed. */
function isSameRun(a: PageSettings, b: PageSettings): boolean {
  const essence = ({ model, data, method, config, training: { seed: _, ...training } }: PageSettings) => ({
    ...{ model, data, method, config, training },
  });
  return sameValue(essence(a), essence(b));
}

/** Whether the recorded run is on screen. */
export const isRecordedShown = (
  { recorded, isWanted }: RecordedView,
  { current }: Pick<RunView, 'current'>,
  settings: PageSettings,
): boolean => recorded !== null && (isWanted ?? (current === null && isSameRun(recorded.settings, settings)));
