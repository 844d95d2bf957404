/** Opened adapters, as the page sees them: what is asked of them and what is told. Types only: the page may import this file freely. */
import type { CombineOptions } from '../../adapters/combine.ts';
import type { MethodId } from '../../adapters/registry.ts';
import type { EvalMetric, GivenFile, RunRequest } from '../protocol.ts';

/** The model that adapters are held against, and the data they are scored on. */
export type ShelfTask = Pick<RunRequest, 'model' | 'data' | 'training'>;

export type ShelfCommand =
  /** Holds all adapters against this model; merged weights are forgotten. Null: against none. */
  | { readonly kind: 'bind'; readonly task: ShelfTask | null }
  /** Folders, loose files and zips. All of them are taken, or none. `name` is for an adapter without a folder's name. */
  | { readonly kind: 'open'; readonly files: readonly GivenFile[]; readonly name?: string }
  | { readonly kind: 'activate'; readonly names: readonly string[] }
  | { readonly kind: 'enable' }
  | { readonly kind: 'disable' }
  | { readonly kind: 'delete'; readonly name: string }
  /** In this order, each into the weights that the one before left. */
  | { readonly kind: 'merge'; readonly names: readonly string[] }
  | { readonly kind: 'unmerge' }
  | {
      readonly kind: 'combine';
      readonly name: string;
      readonly names: readonly string[];
      readonly options: CombineOptions;
    };

export interface ShelfRow {
  readonly name: string;
  readonly method: MethodId;
  readonly title: string;
  /** Modules that the file has tensors for. */
  readonly modules: readonly string[];
  /** Names of the base parameters that it brings along: saved modules and trained biases. */
  readonly saved: readonly string[];
  /** Numbers in the file. */
  readonly parameters: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
  /** Whether it belongs to the bound model; null while there is none. */
  readonly fit: { readonly reason: string | null; readonly warnings: readonly string[] } | null;
}

export interface ShelfReport {
  readonly rows: readonly ShelfRow[];
  /** Names in the order of the forward pass. */
  readonly active: readonly string[];
  readonly enabled: boolean;
  /** Names in the order they were merged. */
  readonly merged: readonly string[];
  /** What the last command is worth saying. */
  readonly warnings: readonly string[];
}

/** Held-out scores of the base model and of some adapters on it. */
export interface ShelfScore {
  readonly before: EvalMetric;
  readonly after: EvalMetric;
}
