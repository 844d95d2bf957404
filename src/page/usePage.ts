/** The page in React: one context, one hook per store. */
import { createContext, useContext, useEffect, useMemo, useState } from 'react';
import { useStore } from 'zustand';
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { ChoiceState } from './features/setup/choice.ts';
import { classesIn, reportFor } from './features/setup/classes.ts';
import { type Derived, derive } from './features/setup/derive.ts';
import type { Series } from './features/training/series.ts';
import { holdOfSetting } from './lessons/state.ts';
import type { Page } from './page.ts';
import { numbersEveryMs } from './parts/share.ts';
import type { RunView, UiState } from './stores.ts';

export const PageContext = createContext<Page | null>(null);

export function usePage(): Page {
  const page = useContext(PageContext);
  if (page === null) throw new Error('usePage outside of a page');
  return page;
}

/** Where the parts of a panel see choices, if not in the page's own store; what a handler asks the page is always as it is. */
export const ChoiceContext = createContext<StoreApi<ChoiceState> | null>(null);

/** Where another run than the page's own is shown. */
export const RunContext = createContext<StoreApi<RunView> | null>(null);

/**
 * Choices for what follows from them and need not be there with them: told once what was chosen is on screen, so that the next input does not
 * wait for pictures of the last.
 */
export function useLateChoice(page: Page): StoreApi<ChoiceState> {
  const late = useMemo(() => createStore<ChoiceState>(() => page.choice.getState()), [page]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const follow = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        late.setState(page.choice.getState(), true);
      }, LATE_MS);
    };
    follow();
    const end = page.choice.subscribe(follow);
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [page, late]);
  return late;
}

/** Two frames. */
const LATE_MS = 34;

function useChoiceStore(): StoreApi<ChoiceState> {
  const page = usePage();
  return useContext(ChoiceContext) ?? page.choice;
}

export const useChoice = <T>(select: (state: ChoiceState) => T): T => useStore(useChoiceStore(), select);
/** The run that is shown here: the page's own, or the recorded one. */
export function useRunStore(): StoreApi<RunView> {
  const page = usePage();
  return useContext(RunContext) ?? page.run;
}

/** Whether the run that is shown here is recorded: nobody can be asked about it. */
export const useIsRecorded = (): boolean => useContext(RunContext) !== null;

export const useRun = <T>(select: (state: RunView) => T): T => useStore(useRunStore(), select);
export const useUi = <T>(select: (state: UiState) => T): T => useStore(usePage().ui, select);

/** Whether the lesson that is open locks or hides a setting. */
export const useHold = (name: string): 'locked' | 'hidden' | null =>
  useUi((s) => holdOfSetting(s.lesson, name));

/** Whether a field of the configuration (c) or the training (t) is not hidden by the lesson that is open. */
export function useIsShown(part: 'c' | 't'): (key: string) => boolean {
  const lesson = useUi((s) => s.lesson);
  return (key) => holdOfSetting(lesson, `${part}.${key}`) !== 'hidden';
}

/** As {@link useDerived}, of the page as it is now. */
export const derivedOf = (page: Page): Derived => {
  const { settings, report, data } = page.choice.getState();
  const found = page.data.view.getState().preview?.report.labels.length ?? null;
  return derive(settings, reportFor(report, classesIn(data, found)));
};

/** What follows from the settings; renders again when they, the model or the classes of the data change. */
export function useDerived(): Derived {
  const found = useStore(usePage().data.view, ({ preview }) => preview?.report.labels.length ?? null);
  return useChoice((s) => derive(s.settings, reportFor(s.report, classesIn(s.data, found))));
}

/** Renders again when the series has grown, not more often than the numbers of a run are read (share.ts). */
export function useSeries(series: Series | null): void {
  const [, setVersion] = useState(0);
  useEffect(() => {
    if (series === null) return;
    setVersion(series.version);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = series.subscribe(() => {
      timer ??= setTimeout(() => {
        timer = undefined;
        setVersion(series.version);
      }, numbersEveryMs());
    });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [series]);
}
