/**
 * The data as it will be trained on, before a run: asked anew when model, data or how it is read change, as long as somebody looks. Says which
 * column is read as what, and takes the user's word on it.
 */
import { shallow } from 'zustand/shallow';
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { ColumnMapping } from '../data/files/columns.ts';
import { asPapilioError } from '../lib/errors.ts';
import { ASKED_ANEW } from '../lib/workers.ts';
import type { DataOptions, DataPreview, ErrorReport, Task } from '../training/protocol.ts';
import { sources } from './request.ts';
import type { ChoiceState, Stores } from './stores.ts';
import type { TrainerClient } from './trainerClient.ts';

export type Role = keyof ColumnMapping;

/** What columns can be, by task, in groups that exclude each other. */
const ROLES: Readonly<Record<Task, readonly (readonly Role[])[]>> = {
  'text-classification': [['text', 'pair', 'label']],
  regression: [['text', 'pair', 'value']],
  'token-classification': [['tokens', 'tags']],
  'masked-lm': [['text']],
  'causal-lm': [['text'], ['prompt', 'context', 'answer', 'system'], ['messages']],
  'image-classification': [['image', 'label']],
};
const OPTIONAL: readonly Role[] = ['pair', 'context', 'system'];

export interface ColumnRow {
  readonly column: string;
  readonly role: Role | null;
  /** By the column's name or what it holds; nobody said so. */
  readonly isGuess: boolean;
  /** Whether it can be left out. */
  readonly canDrop: boolean;
  /** What its first row holds, cut short. */
  readonly begins: string;
}

export interface DataLook {
  readonly isBusy: boolean;
  readonly preview: DataPreview | null;
  /** Why there is no preview. */
  readonly error: ErrorReport | null;
}

export interface DataDesk {
  readonly view: StoreApi<DataLook>;
  /** Keeps the preview current until the returned function is called. */
  watch(): () => void;
  setColumn(column: string, role: Role | null): void;
  /** Whether the first row names the columns; what was said of columns is forgotten with their names. */
  setHeader(hasHeader: boolean): void;
  setTask(task: Task): void;
  setPadding(padding: NonNullable<DataOptions['padding']>): void;
}

const nothing: DataLook = { isBusy: false, preview: null, error: null };

/** Task and columns as far as they are known, also where the data could not be read. */
function known({ preview, error }: DataLook) {
  const details = error?.details ?? {};
  const list = <T extends string>(value: unknown): readonly T[] =>
    Array.isArray(value) ? (value as readonly T[]) : [];
  return {
    task: preview?.task ?? (typeof details.task === 'string' ? (details.task as Task) : null),
    tasks: preview?.tasks ?? list<Task>(details.tasks),
    columns: preview?.columns ?? list<string>(details.columns),
    mapping: preview?.mapping ?? {},
    firstCells: preview?.firstCells ?? cellsIn(details.firstCells),
    hasHeader: preview?.hasHeader ?? (typeof details.hasHeader === 'boolean' ? details.hasHeader : null),
  };
}

const cellsIn = (value: unknown): Readonly<Record<string, string>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, string>>) : {};

/** Whether the first row of a delimited table is read as its header; null for other data. */
export const headerIn = (view: DataLook): boolean | null => known(view).hasHeader;

/** The task that is prepared for, and all that the model can be trained for. */
export const tasksIn = (view: DataLook): Pick<ReturnType<typeof known>, 'task' | 'tasks'> => known(view);

export const rolesIn = (view: DataLook): readonly Role[] => {
  const { task } = known(view);
  return task === null ? [] : ROLES[task].flat();
};

/** Every column with what it is read as: what was told goes before what was guessed. */
export function columnRows(view: DataLook, told: ColumnMapping = {}): ColumnRow[] {
  const { columns, mapping, firstCells } = known(view);
  const roles = rolesIn(view);
  /** A link may tell columns by their numbers. */
  const columnTold = (role: Role) => {
    const name = told[role];
    return typeof name === 'number' ? columns[name - 1] : name;
  };
  return columns.map((column) => {
    const isTold = (role: Role) => columnTold(role) === column;
    const role =
      roles.find(isTold) ?? roles.find((r) => mapping[r] === column && told[r] === undefined) ?? null;
    const isGuess = role !== null && !isTold(role);
    const canDrop = role === null || !isGuess || OPTIONAL.includes(role);
    return { column, role, isGuess, canDrop, begins: firstCells[column] ?? '' };
  });
}

/** What a mapping lacks to have an effect, as a sentence. */
export function incomplete(view: DataLook, told: ColumnMapping = {}): string | null {
  const { task, mapping } = known(view);
  if (task !== 'causal-lm' || mapping.answer !== undefined) return null;
  const given = (['prompt', 'answer', 'context', 'system'] as const).filter((role) => told[role]);
  if (given.length === 0) return null;
  return 'A prompt and an answer belong together: say which columns hold both.';
}

/** The mapping after a column was given a role, or none. */
function remap(
  told: ColumnMapping,
  rows: readonly ColumnRow[],
  column: string,
  role: Role | null,
  task: Task,
) {
  const next: Partial<Record<Role, string | number>> = { ...told };
  const before = rows.find((row) => row.column === column)?.role ?? null;
  if (before !== null) {
    delete next[before];
    // Left out for good, not guessed again by its name.
    if (OPTIONAL.includes(before)) next[before] = '';
  }
  if (role === null) return next;
  next[role] = column;
  for (const group of ROLES[task]) if (!group.includes(role)) for (const other of group) delete next[other];
  return next;
}

/** Which model and which data: whoever chooses others may be looking for a way out of a worker that hangs in these. */
export const chosenOf = ({ settings, ...choice }: ChoiceState): readonly unknown[] => [
  settings.model,
  settings.data,
  choice.modelFiles,
  choice.dataFiles,
  choice.fetchedModel,
  choice.fetchedData,
];

/** Everything that a preview follows from; compared part by part. */
function inputsOf(choice: ChoiceState): readonly unknown[] {
  const { settings, text, drawings, dataOptions } = choice;
  const { seed, sequenceLength, batchSize } = settings.training;
  return [...chosenOf(choice), text, drawings, JSON.stringify(dataOptions), seed, sequenceLength, batchSize];
}

/** @param delayMs time without a change before the trainer is asked */
export function createDataDesk(
  { choice }: Stores,
  trainer: Pick<TrainerClient, 'preview'>,
  delayMs = 350,
): DataDesk {
  const view = createStore<DataLook>(() => nothing);
  let watchers = 0;
  let asking = new AbortController();
  let asked: readonly unknown[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let inputs: readonly unknown[] = [];

  async function ask(): Promise<void> {
    const state = choice.getState();
    const chosen = chosenOf(state);
    asking.abort(shallow(chosen, asked) ? ASKED_ANEW : undefined);
    asked = chosen;
    asking = new AbortController();
    const { signal } = asking;
    let request: ReturnType<typeof sources>;
    try {
      request = sources(state);
    } catch {
      // Model or data are still to be chosen, which the page shows by itself.
      view.setState(nothing);
      return;
    }
    view.setState({ isBusy: true });
    const { seed, sequenceLength, batchSize } = state.settings.training;
    try {
      const how = { seed, sequenceLength, batchSize };
      const preview = await trainer.preview(request.model, request.data, how, signal);
      if (!signal.aborted) view.setState({ isBusy: false, preview, error: null });
    } catch (error) {
      const { kind, message, details } = asPapilioError(error);
      if (!signal.aborted) view.setState({ isBusy: false, preview: null, error: { kind, message, details } });
    }
  }

  function refresh(): void {
    if (watchers === 0) return;
    const now = inputsOf(choice.getState());
    if (shallow(now, inputs)) return;
    inputs = now;
    clearTimeout(timer);
    timer = setTimeout(() => void ask(), delayMs);
  }

  const setOptions = (change: DataOptions): void =>
    choice.setState((s) => ({ dataOptions: { ...s.dataOptions, ...change } }));

  choice.subscribe((now, before) => {
    const isOther =
      now.settings.data !== before.settings.data ||
      now.dataFiles !== before.dataFiles ||
      now.fetchedData !== before.fetchedData;
    const isOtherModel = now.settings.model !== before.settings.model || now.modelFiles !== before.modelFiles;
    // What was said of other data means nothing here, unless it was said in the same breath.
    if ((isOther || isOtherModel) && now.dataOptions === before.dataOptions) {
      const { mapping, task, header, delimiter, quotes, decimal, ...kept } = now.dataOptions;
      if ([mapping, task, header, delimiter, quotes, decimal].some((said) => said !== undefined))
        choice.setState({ dataOptions: kept });
      if (isOther) view.setState({ preview: null, error: null });
    }
    refresh();
  });

  return {
    view,
    watch() {
      watchers++;
      refresh();
      return () => {
        watchers--;
      };
    },
    setColumn(column, role) {
      const { mapping = {} } = choice.getState().dataOptions;
      const { task } = known(view.getState());
      if (task === null) return;
      setOptions({ mapping: remap(mapping, columnRows(view.getState(), mapping), column, role, task) });
    },
    setHeader(header) {
      const { mapping: _, ...kept } = choice.getState().dataOptions;
      choice.setState({ dataOptions: { ...kept, header } });
    },
    setTask(task) {
      const { mapping: _, ...kept } = choice.getState().dataOptions;
      choice.setState({ dataOptions: { ...kept, task } });
    },
    setPadding: (padding) => setOptions({ padding }),
  };
}
