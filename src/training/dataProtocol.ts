/** What passes between the page (or the command line) and the trainer about data: where it comes from, how it is read, what was found. Types only. */
import type { StartTask } from '../adapters/start.ts';
import type { ColumnMapping, FoundColumns } from '../data/files/columns.ts';
import type { TableOptions } from '../data/files/dialect.ts';
import type { ExamplePreview } from '../data/preview.ts';
import type { Dataset } from '../data/types.ts';
import type { HubSource, UrlSource } from '../hub/types.ts';
import type { GivenFile } from './protocol.ts';

/** What a model can be trained for. A model's own task follows from what it takes and gives; some take another with a new head. */
export type Task = StartTask;

/** How files are read. What is left out is guessed, and the guess is noted. */
export interface DataOptions extends TableOptions {
  /** Which column is text, label, prompt …: `{"text": "review", "label": "stars"}`. */
  readonly mapping?: ColumnMapping;
  readonly task?: Task;
  /** Labels that the model does not have are errors, instead of reason for a new classifier. */
  readonly keepClasses?: boolean;
  /** Rows are padded with others of their length ('length'), or all to the longest. Default 'length'. */
  readonly padding?: 'length' | 'longest';
}

/** Embedded by name, dropped or fetched files, pasted text, or drawings (classes with 32×32 grey pictures, 0 … 1). */
export type DataSource = (
  | { readonly kind: 'embedded'; readonly name: string }
  | { readonly kind: 'files'; readonly files: readonly GivenFile[] }
  | HubSource
  | UrlSource
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'drawings';
      readonly size: number;
      readonly classes: readonly { readonly label: string; readonly images: readonly Float32Array[] }[];
    }
) & { readonly options?: DataOptions };

type DatasetKind = Dataset['kind'];

export interface DataReport {
  readonly name: string;
  readonly kind: DatasetKind;
  readonly labels: readonly string[];
  readonly trainExamples: number;
  readonly heldExamples: number;
  /** Of pictures: what the model is fed, (x − mean) / std per channel for x in 0 … 1. */
  readonly picture?: {
    readonly width: number;
    readonly height: number;
    readonly channels: number;
    readonly mean: readonly number[];
    readonly std: readonly number[];
  };
  /** What was dropped, truncated or assumed while reading: sentences. */
  readonly notes: readonly string[];
}

/** Data as it will be trained on, before a run: what was found in the files, and the first examples as tokens with their loss mask. */
export interface DataPreview {
  readonly report: DataReport;
  readonly task: Task;
  /** Every task that the model can be trained for. */
  readonly tasks: readonly Task[];
  /** The table's columns and which is read as what; empty without a table. */
  readonly columns: readonly string[];
  readonly mapping: FoundColumns;
  /** Whether the first row names the columns, and what each column begins with; null without a table. */
  readonly hasHeader: boolean | null;
  readonly firstCells: Readonly<Record<string, string>>;
  readonly examples: readonly ExamplePreview[];
}
