/** What the pictures of one wiring share: what is pointed at, what is lit by it, and whose parameters are listed. */
import { createStore, type StoreApi } from 'zustand/vanilla';
import { carried, entryOf, type Focus, litNodes } from './focus.ts';
import type { Wiring } from './wiring.ts';

export interface ViewState {
  /** Pointed at now. */
  readonly hover: Focus | null;
  /** Stays lit while nothing is pointed at. */
  readonly pinned: Focus | null;
  /** The block whose parameters are listed. */
  readonly listed: { readonly factor: number; readonly block: number };
}

export interface View {
  readonly wiring: Wiring;
  readonly store: StoreApi<ViewState>;
  /** Points at something, or at nothing; the list follows an entry of a factor. */
  point(focus: Focus | null): void;
  /** Keeps it lit; the same once more lets it go. */
  pin(focus: Focus | null): void;
  /** The lit nodes of every column; null where nothing is lit. */
  lit(): readonly Uint8Array[] | null;
}

export const shownFocus = ({ hover, pinned }: ViewState): Focus | null => hover ?? pinned;

const same = (a: Focus | null, b: Focus | null): boolean => JSON.stringify(a) === JSON.stringify(b);

/** @param before of the wiring that was drawn until now: what was kept lit stays, as far as it is there */
export function createView(wiring: Wiring, before: View | null = null): View {
  const kept = before?.store.getState().pinned ?? null;
  const store = createStore<ViewState>(() => ({
    hover: null,
    pinned: kept && carried(kept, before!.wiring, wiring),
    listed: { factor: 0, block: 0 },
  }));
  let known: { readonly focus: Focus; readonly lit: readonly Uint8Array[] } | null = null;
  return {
    wiring,
    store,
    point(hover) {
      const before = store.getState();
      if (same(hover, before.hover)) return;
      const entry = hover && entryOf(hover);
      const block = entry && wiring.stages[entry.factor]!.group[entry.row]!;
      const isOther =
        entry !== null && (before.listed.factor !== entry.factor || before.listed.block !== block);
      store.setState({ hover, ...(isOther ? { listed: { factor: entry.factor, block: block! } } : {}) });
    },
    pin: (focus) => store.setState(({ pinned }) => ({ pinned: same(focus, pinned) ? null : focus })),
    lit() {
      const focus = shownFocus(store.getState());
      if (focus === null) return null;
      if (known?.focus !== focus) known = { focus, lit: litNodes(wiring, focus) };
      return known.lit;
    },
  };
}
