/**
 * What is chosen. `model` and `data` are immutable values in the page's state: whatever follows from them (report, preview, forecast, bound
 * adapters) follows from their identity. They are made here alone, from the settings, which a link can carry, and the inputs, which it cannot.
 */
import { createStore, type StoreApi } from 'zustand/vanilla';
import {
  ASKED_ANEW,
  type ErrorReport,
  fail,
  type InputFile,
  PapilioError,
  type PickedFile,
  say,
} from '../../../common.ts';
import { filesOf, type HubSource, nameBeside, type UrlSource, variantsOf } from '../../../hub.ts';
import type { MethodId } from '../../../methods.ts';
import {
  type DataOptions,
  type DataSource,
  type EngineName,
  type ModelReport,
  type ModelSource,
  type QuantisedMerge,
  type RunRequest,
  sizeOf,
} from '../../../protocol.ts';
import type { Task } from '../../task.ts';
import { PRESETS } from './presets.ts';
import { baseSettings, isOwnRate, type PageSettings, sameValue } from './settings.ts';

export const DRAWING_SIZE = 32;

/** Drawn examples of one class, 32 × 32, 0 … 1, bright strokes on dark. */
interface DrawnClass {
  readonly label: string;
  readonly images: readonly Float32Array[];
}

/** What a person has put under Model and Data; it stays while something else is chosen. */
export interface Inputs {
  readonly modelFiles: readonly PickedFile[];
  readonly dataFiles: readonly PickedFile[];
  /** From the Hub or an address. */
  readonly fetchedModel: HubSource | UrlSource | null;
  readonly fetchedData: HubSource | UrlSource | null;
  readonly text: string;
  readonly drawings: readonly DrawnClass[];
}

/** Where a run begins that goes on from an adapter: its method, and its folder's files, whose configuration counts. */
interface StartFrom {
  readonly name: string;
  readonly method: MethodId;
  readonly files: readonly InputFile[];
}

export interface ChoiceState {
  readonly settings: PageSettings;
  readonly inputs: Inputs;
  /** How data is read that was dropped or fetched. What is said of its columns and cells, and the task, goes with it and with the model. */
  readonly reading: DataOptions;
  /** With what its weights are rounded to while loading; null while it is still to be chosen. */
  readonly model: ModelSource | null;
  /** With how it is read, where it was dropped or fetched; null while it is still to be chosen. */
  readonly data: DataSource | null;
  /** What computes, where someone has said so. */
  readonly engine: EngineName | null;
  /** The engine that suits this machine; null until that is known. */
  readonly suited: EngineName | null;
  /** Whether kernels are tuned to the device before a run; null: on a GPU and on no software adapter. */
  readonly tune: boolean | null;
  /** Activations are computed again in the backward pass instead of being kept. */
  readonly recompute: boolean;
  /** What merging does to weights that the file keeps in codes. */
  readonly quantised: QuantisedMerge;
  readonly startFrom: StartFrom | null;
  /** Modules of the chosen model; null while unknown. */
  readonly report: ModelReport | null;
  /** Why the modules are unknown. */
  readonly reportError: ErrorReport | null;
  /** The worker is reading the model for them. */
  readonly isReading: boolean;
  /** What the link names of the Hub or by address, which is fetched only when somebody asks for it. */
  readonly named: Readonly<Partial<Record<'model' | 'data', string>>>;
  /** What was refused in the link that opened the page. */
  readonly problems: readonly string[];
}

type Chosen = Pick<ChoiceState, 'settings' | 'inputs'>;

/** The model that settings and inputs name. @throws PapilioError that says what is still to be done */
function modelIn({ settings, inputs }: Chosen): ModelSource {
  if (settings.model === 'hub')
    return (
      inputs.fetchedModel ?? fail('not-found', say`No model has been fetched yet: find one under Model.`)
    );
  if (settings.model !== 'own') return { kind: 'embedded', name: settings.model };
  if (!inputs.modelFiles.some(({ name }) => name.endsWith('.onnx')))
    fail(
      'malformed-onnx',
      say`No model has been opened yet: drop an .onnx file (and the files beside it) under Model.`,
    );
  return { kind: 'files', files: inputs.modelFiles };
}

/** As {@link modelIn}. */
function dataIn({ settings, inputs }: Chosen): DataSource {
  switch (settings.data) {
    case 'files':
      if (inputs.dataFiles.length === 0)
        fail(
          'bad-data',
          say`No data has been dropped yet: add files under Data, or choose data that comes with Papilio.`,
        );
      return { kind: 'files', files: inputs.dataFiles };
    case 'hub':
      return (
        inputs.fetchedData ?? fail('not-found', say`No data has been fetched yet: find some under Data.`)
      );
    case 'text':
      if (inputs.text.trim() === '') fail('bad-data', say`There is no text yet: paste some under Data.`);
      return { kind: 'text', text: inputs.text };
    case 'drawings': {
      const classes = inputs.drawings.filter(({ images }) => images.length > 0);
      if (classes.length < 2)
        fail(
          'bad-data',
          say`Draw at least two classes, each a few times, so that there is something to tell apart.`,
        );
      if (classes.some(({ images }) => images.length < 2))
        fail(
          'bad-data',
          say`Each class needs at least two drawings: one to learn from and one to be tested on.`,
        );
      return { kind: 'drawings', size: DRAWING_SIZE, classes };
    }
    default:
      return { kind: 'embedded', name: settings.data };
  }
}

type Source = ModelSource | DataSource;
type Sources = Pick<ChoiceState, 'model' | 'data'>;

/** What of a source is how it is read, and what somebody is still writing or drawing. */
const READ_AS = ['precision', 'options'];
const CONTENT = ['text', 'classes'];

const isSameList = (a: unknown, b: unknown): boolean =>
  Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((one, i) => one === b[i]);

/** Whether two sources are one, but for fields named `beside`. Files and drawings are the same if they are the same objects. */
function isSame(a: Source | null, b: Source | null, beside: readonly string[]): boolean {
  if (a === null || b === null || a === b) return a === b;
  const fields = new Map(Object.entries(a));
  const others = new Map(Object.entries(b));
  return [...new Set([...fields.keys(), ...others.keys()])].every((key) => {
    const [one, other] = [fields.get(key), others.get(key)];
    return (
      beside.includes(key) ||
      one === other ||
      isSameList(one, other) ||
      (key === 'options' && sameValue(one, other))
    );
  });
}

/** Whether one source is the other, perhaps read in another way or with more written: nobody who goes on to it looks for a way out of a hang. */
export const isSamePlace = (a: Source | null, b: Source | null): boolean =>
  isSame(a, b, [...READ_AS, ...CONTENT]);

/** Whether another model or other data is chosen, not only read in another way or with more written. */
export const isElsewhere = (now: Sources, before: Sources): boolean =>
  !isSamePlace(now.model, before.model) || !isSamePlace(now.data, before.data);

/** Leaves a task for what is chosen now; where that is what it was left for before, it is only asked anew. */
export function createLeaving(task: Pick<Task<never>, 'leave'>): (now: Sources) => void {
  let before: Sources = { model: null, data: null };
  return ({ model, data }) => {
    const now = { model, data };
    task.leave(isElsewhere(now, before) ? undefined : ASKED_ANEW);
    before = now;
  };
}

function found<T>(find: () => T): T | null {
  try {
    return find();
  } catch (error) {
    if (error instanceof PapilioError) return null;
    throw error;
  }
}

/** How data is still read when it is other data, or for another model: of columns, cells and the task nothing is known any more. */
const readingOfOthers = ({ padding }: DataOptions): DataOptions => withPadding({}, padding);

/** By length is what data that says nothing is padded by. */
export const withPadding = (
  { padding: _, ...rest }: DataOptions,
  padding: DataOptions['padding'],
): DataOptions => (padding === 'longest' ? { ...rest, padding } : rest);

/** Whether it was dropped or fetched, so that it can be read in more than one way. */
const isRead = ({ kind }: DataSource): boolean => ['files', 'hub', 'url'].includes(kind);

/** A source that is read with these options; one that was neither dropped nor fetched needs none. */
const readWith = (data: DataSource, options: DataOptions): DataSource =>
  isRead(data) && Object.keys(options).length > 0 ? { ...data, options } : data;

/**
 * The state after a change, whose model and data are what settings, inputs and reading now say. What does not change keeps its identity; whoever sets a model or data themselves is taken at their word.
 */
function settled(now: ChoiceState, before: ChoiceState): ChoiceState {
  if (
    now.settings === before.settings &&
    now.inputs === before.inputs &&
    now.reading === before.reading &&
    now.model === before.model &&
    now.data === before.data
  )
    return now;
  const isModelSet = now.model !== before.model;
  const wanted = isModelSet ? now.model : found(() => modelIn(now));
  const model = isSame(wanted, before.model, isModelSet ? [] : READ_AS) ? before.model : wanted;
  const isOtherModel = !isSame(model, before.model, READ_AS);
  return {
    ...now,
    model,
    ...settledData(now, before, isOtherModel),
    // It was chosen for the other model, unless it comes with this one.
    recompute: isOtherModel && !isModelSet && now.recompute === before.recompute ? false : now.recompute,
  };
}

function settledData(
  now: ChoiceState,
  before: ChoiceState,
  isOtherModel: boolean,
): Pick<ChoiceState, 'data' | 'reading'> {
  const isSet = now.data !== before.data;
  const wanted = isSet ? now.data : found(() => dataIn(now));
  const isOther = isOtherModel || !isSame(wanted, before.data, READ_AS);
  const kept = isOther ? readingOfOthers(now.reading) : now.reading;
  const reading = isSet && wanted !== null && isRead(wanted) ? (wanted.options ?? {}) : kept;
  const data = wanted && readWith(wanted, reading);
  return { data: isSame(data, before.data, []) ? before.data : data, reading };
}

/** What a change would come to. */
export const choiceAfter = (before: ChoiceState, change: Partial<ChoiceState>): ChoiceState =>
  settled({ ...before, ...change }, before);

const noInputs: Inputs = {
  modelFiles: [],
  dataFiles: [],
  fetchedModel: null,
  fetchedData: null,
  text: '',
  drawings: [],
};

export function createChoice(): StoreApi<ChoiceState> {
  const settings = baseSettings(PRESETS[0]!.id);
  const store = createStore<ChoiceState>(() => ({
    settings,
    inputs: noInputs,
    reading: {},
    model: modelIn({ settings, inputs: noInputs }),
    data: dataIn({ settings, inputs: noInputs }),
    engine: null,
    suited: null,
    tune: null,
    recompute: false,
    quantised: 'requantise',
    startFrom: null,
    report: null,
    reportError: null,
    isReading: false,
    named: {},
    problems: [],
  }));
  const { setState } = store;
  store.setState = (change) =>
    setState((before) => choiceAfter(before, typeof change === 'function' ? change(before) : change), true);
  return store;
}

/** The same model with its weights rounded otherwise while loading. */
export function withPrecision(
  model: ModelSource | null,
  precision: NonNullable<ModelSource['precision']>,
): ModelSource | null {
  if (model === null) return null;
  const { precision: _, ...file } = model;
  return precision === 'file' ? file : { ...file, precision };
}

/** What keeps a run from starting, in the few words that stand beside the button; null when nothing does. */
export function obstacle({ model, data, reportError }: ChoiceState, problem: string | null): string | null {
  if (model === null) return say`waiting for a model`;
  // Others may pass: a line that was down.
  if (['malformed-onnx', 'unsupported-onnx'].includes(reportError?.kind ?? ''))
    return say`this model cannot be trained`;
  if (data === null) return say`waiting for data`;
  return problem === null ? null : say`settings need a look`;
}

/** Whether a request is of another model or other data, or computes otherwise, than is chosen now; settings left out. */
export const isOtherRun = (
  { model, data, engine, recompute = false }: RunRequest,
  choice: ChoiceState,
): boolean =>
  recompute !== choice.recompute ||
  (engine !== undefined && engine !== engineOf(choice).engine) ||
  !isSame(model, choice.model, []) ||
  !isSame(data, choice.data, []);

/** What computes the next run: the engine that someone chose, or the one that suits the machine. */
export const engineOf = ({
  engine,
  suited,
}: Pick<ChoiceState, 'engine' | 'suited'>): Pick<RunRequest, 'engine'> => {
  const named = engine ?? suited;
  return named === null ? {} : { engine: named };
};

/** How a run trains; a rate that nobody chose is the model's to decide. */
export const trainingAsked = (settings: PageSettings): Pick<RunRequest, 'training' | 'ownRate'> => ({
  training: settings.training,
  ...(isOwnRate(settings) ? { ownRate: true } : {}),
});

/** @throws PapilioError that says what is still missing */
export function runRequest(choice: ChoiceState): RunRequest {
  const { settings, startFrom } = choice;
  return {
    model: choice.model ?? modelIn(choice),
    data: choice.data ?? dataIn(choice),
    method: settings.method,
    config: settings.config,
    ...trainingAsked(settings),
    ...engineOf(choice),
    ...(choice.tune === null ? {} : { tune: choice.tune }),
    ...(choice.recompute ? { recompute: true } : {}),
    ...(startFrom?.method === settings.method ? { adapter: startFrom.files } : {}),
  };
}

/** What the page has to choose so that its next request is this one of a run; settings left out. */
export function choicesOf(request: RunRequest, run: string, inputs: Inputs): Partial<ChoiceState> {
  const { adapter, method, model, data, engine, recompute = false } = request;
  const { precision: _, ...modelSource } = model;
  const { options: __, ...dataSource } = data;
  return {
    startFrom: adapter ? { name: say`the adapter of ${run}`, method, files: adapter } : null,
    // A run goes on with what it was trained by.
    ...(engine === undefined ? {} : { engine }),
    recompute,
    model,
    data,
    inputs: {
      ...inputs,
      ...(modelSource.kind === 'files' ? { modelFiles: modelSource.files } : {}),
      ...(dataSource.kind === 'files' ? { dataFiles: dataSource.files } : {}),
      ...(dataSource.kind === 'text' ? { text: dataSource.text } : {}),
      ...(dataSource.kind === 'drawings' ? { drawings: dataSource.classes } : {}),
      ...(modelSource.kind === 'hub' || modelSource.kind === 'url' ? { fetchedModel: modelSource } : {}),
      ...(dataSource.kind === 'hub' || dataSource.kind === 'url' ? { fetchedData: dataSource } : {}),
    },
  };
}

/**
 * A dropped folder of a model, as the Hub's are laid out, to the flat files that a model is loaded from: the most exact model with its external
 * data and the nearest sidecars, by their last names. Files without folders are taken as they are, since a person chose each.
 */
export function flatModel<Dropped extends PickedFile>(files: readonly Dropped[]): Dropped[] {
  if (!files.some(({ name }) => name.includes('/'))) return [...files];
  const listed = files.map((file) => ({ path: file.name, size: sizeOf(file), sha256: null, oid: '' }));
  const [best] = variantsOf(listed);
  const wanted = best === undefined ? listed : filesOf(best.onnx, listed);
  return wanted.map(({ path }) => ({ ...files.find(({ name }) => name === path)!, name: nameBeside(path) }));
}
