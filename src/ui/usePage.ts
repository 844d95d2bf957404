/** The page in React: one context, one hook per store. */
import { createContext, useContext } from 'react';
import { useStore } from 'zustand';
import type { Derived } from '../app/derive.ts';
import type { Page } from '../app/page.ts';
import type { ChoiceState, RunView, UiState } from '../app/stores.ts';

export const PageContext = createContext<Page | null>(null);

export function usePage(): Page {
  const page = useContext(PageContext);
  if (page === null) throw new Error('usePage outside of a page');
  return page;
}

export const useChoice = <T>(select: (state: ChoiceState) => T): T => useStore(usePage().choice, select);
export const useRun = <T>(select: (state: RunView) => T): T => useStore(usePage().run, select);
export const useUi = <T>(select: (state: UiState) => T): T => useStore(usePage().ui, select);

/** What follows from the settings; renders again when they or the model change. */
export function useDerived(): Derived {
  const page = usePage();
  return useStore(page.choice, () => page.derived());
}
