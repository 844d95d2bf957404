/** Sentences of workers that stay on screen while the language changes: each worker says them again, and whoever draws them asks here. */
import { onLanguage } from './say.ts';

let now: ReadonlyMap<string, string> = new Map();
const listeners = new Set<() => void>();

function set(next: ReadonlyMap<string, string>): void {
  now = next;
  for (const listener of listeners) listener();
}

onLanguage(() => {
  if (now.size > 0) set(new Map());
});

/** Takes in what a worker said before and what that is now. */
export function heardAgain(pairs: readonly (readonly [said: string, now: string])[]): void {
  if (pairs.length > 0) set(new Map([...now, ...pairs]));
}

/** What was heard, by what is said now; another map whenever something changes. */
export const heard = (): ReadonlyMap<string, string> => now;

/** @returns what ends it */
export function onHeard(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
