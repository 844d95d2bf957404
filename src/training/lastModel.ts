/** The model that was opened last: describing, previewing, forecasting and training the same files read and import them once. */
import type { ModelSource } from './protocol.ts';
import type { OpenedModel } from './source.ts';

/** Gives the model of a key; `open` is asked when it is another one than last time, or cannot be told apart (null). */
export type LastModel = (key: string | null, open: () => Promise<OpenedModel>) => Promise<OpenedModel>;

export function lastModel(): LastModel {
  let kept: { readonly key: string; readonly opened: Promise<OpenedModel> } | null = null;
  return (key, open) => {
    if (key !== null && kept?.key === key) return kept.opened;
    // The former's memory is free before the next is read.
    kept = null;
    const opened = open();
    if (key === null) return opened;
    const mine = { key, opened };
    kept = mine;
    opened.catch(() => {
      if (kept === mine) kept = null;
    });
    return opened;
  };
}

/** What tells the content of two sources apart, however they are rounded; null where only reading could tell. */
export function keyOf({ precision: _, ...source }: ModelSource): string | null {
  if (source.kind !== 'files') return JSON.stringify(source);
  const files = source.files.map(({ name, bytes }) =>
    bytes instanceof File ? [name, bytes.size, bytes.lastModified] : null,
  );
  return files.includes(null) ? null : JSON.stringify(files);
}
