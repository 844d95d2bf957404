/** Sentences of workers in the language that is spoken now: they may have been said in another. */
import { useSyncExternalStore } from 'react';
import { heard, onHeard } from '../../common.ts';

export function useHeard(): (sentence: string) => string {
  const now = useSyncExternalStore(onHeard, heard, heard);
  return (sentence) => now.get(sentence) ?? sentence;
}
