/** The page in React: one context, one hook per store. */
import { createContext, useContext, useEffect, useMemo } from 'react';
import { useStore } from 'zustand';
import { createStore } from 'zustand/vanilla';
import type { Derived } from '../app/derive.ts';
import type { Page } from '../app/page.ts';
import type { ChoiceState, RunView, UiState } from '../app/stores.ts';

export const PageContext = createContext<Page | null>(null);

export function usePage(): Page {
  const page = useContext(PageContext);
  if (page === null) throw new Error('usePage outside of a page');
  return page;
}

/**
 * The page for what follows from a choice and need not be there with it: told of choices once what was chosen is on screen, so that the next
 * input does not wait for pictures of the last.
 */
export function useLatePage(page: Page): Page {
  const late = useMemo(() => {
    const mirror = createStore<ChoiceState>(() => page.choice.getState());
    return { page: { ...page, choice: { ...mirror, setState: page.choice.setState } }, mirror };
  }, [page]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const follow = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        late.mirror.setState(page.choice.getState(), true);
      }, LATE_MS);
    };
    follow();
    const end = page.choice.subscribe(follow);
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [page, late]);
  return late.page;
}

/** Two frames. */
const LATE_MS = 34;

export const useChoice = <T>(select: (state: ChoiceState) => T): T => useStore(usePage().choice, select);
export const useRun = <T>(select: (state: RunView) => T): T => useStore(usePage().run, select);
export const useUi = <T>(select: (state: UiState) => T): T => useStore(usePage().ui, select);

/** What follows from the settings; renders again when they or the model change. */
export function useDerived(): Derived {
  const page = usePage();
  return useStore(page.choice, () => page.derived());
}
