/**
 * The data as it will be trained on, before a run: asked anew when model, data or how it is read change, as long as somebody looks. Says which
 * column is read as what, and takes the user's word on it.
 */
import { shallow } from 'zustand/shallow';
import { createStore } from 'zustand/vanilla';
import { say } from '../../../common.ts';
import type { ColumnMapping, DataOptions, DataPreview, Task } from '../../../protocol.ts';
import type { Stores } from '../../stores.ts';
import { createTask, type TaskView } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import { type ChoiceState, createLeaving, isSamePlace, withPadding } from './choice.ts';

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

export interface PreviewView extends TaskView {
  /** Null with an error that says why. */
  readonly preview: DataPreview | null;
}

const nothing: PreviewView = { busy: null, preview: null, error: null };

/** Task and columns as far as they are known, also where the data could not be read. */
function known({ preview, error }: PreviewView) {
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
export const headerIn = (view: PreviewView): boolean | null => known(view).hasHeader;

/** The task that is prepared for, and all that the model can be trained for. */
export const tasksIn = (view: PreviewView): Pick<ReturnType<typeof known>, 'task' | 'tasks'> => known(view);

export const rolesIn = (view: PreviewView): readonly Role[] => {
  const { task } = known(view);
  return task === null ? [] : ROLES[task].flat();
};

/** Every column with what it is read as: what somebody said goes before what was guessed. */
export function columnRows(view: PreviewView, named: ColumnMapping = {}): ColumnRow[] {
  const { columns, mapping, firstCells } = known(view);
  const roles = rolesIn(view);
  /** Columns may be named by their numbers. */
  const columnNamed = (role: Role) => {
    const name = named[role];
    return typeof name === 'number' ? columns[name - 1] : name;
  };
  return columns.map((column) => {
    const isNamed = (role: Role) => columnNamed(role) === column;
    const role =
      roles.find(isNamed) ?? roles.find((r) => mapping[r] === column && named[r] === undefined) ?? null;
    const isGuess = role !== null && !isNamed(role);
    const canDrop = role === null || !isGuess || OPTIONAL.includes(role);
    return { column, role, isGuess, canDrop, begins: firstCells[column] ?? '' };
  });
}

/** What a mapping lacks to have an effect, as a sentence. */
export function incomplete(view: PreviewView, named: ColumnMapping = {}): string | null {
  const { task, mapping } = known(view);
  if (task !== 'causal-lm' || mapping.answer !== undefined) return null;
  const given = (['prompt', 'answer', 'context', 'system'] as const).filter((role) => named[role]);
  if (given.length === 0) return null;
  return say`A prompt and an answer belong together: say which columns hold both.`;
}

/** The mapping after a column was given a role, or none. */
function remap(
  named: ColumnMapping,
  rows: readonly ColumnRow[],
  column: string,
  role: Role | null,
  task: Task,
) {
  const next: Partial<Record<Role, string | number>> = { ...named };
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

/** Everything that a preview follows from; compared part by part. */
function inputsOf({ model, data, settings }: ChoiceState): readonly unknown[] {
  const { seed, sequenceLength, batchSize } = settings.training;
  return [model, data, seed, sequenceLength, batchSize];
}

/** @param delayMs time without a change before the trainer is asked */
export function createDataPreview(
  { choice }: Stores,
  trainer: Pick<TrainerClient, 'preview'>,
  delayMs = 350,
) {
  const view = createStore<PreviewView>(() => nothing);
  const task = createTask(view);
  const leave = createLeaving(task);
  let watchers = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let inputs: readonly unknown[] = [];

  async function ask(): Promise<void> {
    const { model, data, settings } = choice.getState();
    leave({ model, data });
    if (model === null || data === null) {
      // The page shows by itself that they are still to be chosen.
      view.setState(nothing);
      return;
    }
    const { seed, sequenceLength, batchSize } = settings.training;
    await task.run(
      { busy: say`Reading the data` },
      async (signal) => ({
        preview: await trainer.preview(model, data, { seed, sequenceLength, batchSize }, signal),
      }),
      { preview: null },
    );
  }

  function refresh(): void {
    if (watchers === 0) return;
    const now = inputsOf(choice.getState());
    if (shallow(now, inputs)) return;
    inputs = now;
    clearTimeout(timer);
    timer = setTimeout(() => void ask(), delayMs);
  }

  choice.subscribe((now, before) => {
    if (!isSamePlace(now.data, before.data)) view.setState({ preview: null, error: null });
    refresh();
  });

  const read = (change: (reading: DataOptions) => DataOptions): void =>
    choice.setState(({ reading }) => ({ reading: change(reading) }));

  return {
    view,
    /** Whether the data as they are chosen now were looked at and cannot be trained on. */
    areBad: (): boolean =>
      view.getState().error?.kind === 'bad-data' && shallow(inputsOf(choice.getState()), inputs),
    /** Keeps the preview current until the returned function is called. */
    watch() {
      watchers++;
      refresh();
      return () => {
        watchers--;
      };
    },
    setColumn(column: string, role: Role | null) {
      const { task: wanted } = known(view.getState());
      if (wanted === null) return;
      read(({ mapping = {}, ...rest }) => ({
        ...rest,
        mapping: remap(mapping, columnRows(view.getState(), mapping), column, role, wanted),
      }));
    },
    /** Whether the first row names the columns; what was said of columns is forgotten with their names. */
    setHeader: (header: boolean) => read(({ mapping: _, ...rest }) => ({ ...rest, header })),
    setTask: (task: Task) => read(({ mapping: _, ...rest }) => ({ ...rest, task })),
    setPadding: (padding: NonNullable<DataOptions['padding']>) =>
      read((reading) => withPadding(reading, padding)),
  };
}
