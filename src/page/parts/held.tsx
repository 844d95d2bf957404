/**
 * What is on screen holds beside links and stores: texts that are being written, answers, runs. Another language draws everything anew and finds it
 * again; it goes when what holds it leaves the screen.
 */
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react';

interface Hold {
  readonly values: Map<string, unknown>;
  readonly ends: Map<string, () => void>;
  /** How many are on screen: none for a moment while everything is drawn anew. */
  users: number;
}

const holds = new Map<string, Hold>();
const HoldContext = createContext<Hold | null>(null);

function enter(name: string): Hold {
  const hold = holds.get(name) ?? { values: new Map(), ends: new Map(), users: 0 };
  holds.set(name, hold);
  return hold;
}

function leave(name: string, hold: Hold): void {
  hold.users--;
  setTimeout(() => {
    if (hold.users > 0 || holds.get(name) !== hold) return;
    holds.delete(name);
    for (const end of hold.ends.values()) end();
  });
}

/** @param props.name of one place alone; another one is another place, and needs a `key` */
export function Holding({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  const [hold] = useState(() => enter(name));
  useEffect(() => {
    hold.users++;
    return () => leave(name, hold);
  }, [hold, name]);
  return <HoldContext value={hold}>{children}</HoldContext>;
}

/** As `useState`, with a name of its own among all that the nearest {@link Holding} holds; outside of one it is `useState`. */
export function useHeld<T>(name: string, initial: () => T) {
  const hold = useContext(HoldContext);
  const state = useState<T>(() => (hold?.values.has(name) ? (hold.values.get(name) as T) : initial()));
  const [value] = state;
  useEffect(() => void hold?.values.set(name, value), [hold, name, value]);
  return state;
}

/** Something that is made once and ended when it leaves the screen for good. */
export function useHeldUntil<T>(name: string, make: () => T, end: (made: T) => void): T {
  const hold = useContext(HoldContext);
  if (hold === null) throw new Error('useHeldUntil outside of a Holding');
  const [made] = useState(() => {
    if (!hold.values.has(name)) {
      const own = make();
      hold.values.set(name, own);
      hold.ends.set(name, () => end(own));
    }
    return hold.values.get(name) as T;
  });
  return made;
}
