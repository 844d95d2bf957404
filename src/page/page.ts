/** The page put together: stores, trainer, controller, and what changes settings. React only shows this and calls it. */
import type { InputFile, PickedFile } from '../common.ts';
import { say } from '../common.ts';
import type { HubSource, RepoKind, UrlSource } from '../hub.ts';
import type { MethodId } from '../methods.ts';
import type { AdapterRow } from '../protocol.ts';
import { AdapterSet } from './features/adapters/adapterSet.ts';
import type { HubState } from './features/hub/hub.ts';
import { createInspection, createQuestions } from './features/inspect/inspection.ts';
import { createMerging } from './features/merge/merging.ts';
import { createMethodComparison } from './features/methods/methodComparison.ts';
import { createOffline } from './features/offline/offline.ts';
import { createRecorded } from './features/recorded/recorded.ts';
import type { KeptRuns } from './features/runs/open.ts';
import { flatModel, type Inputs, isElsewhere, isOtherRun, obstacle } from './features/setup/choice.ts';
import { createDataPreview } from './features/setup/data.ts';
import { type Derived, derive } from './features/setup/derive.ts';
import { isLeft } from './features/setup/holds.ts';
import { besideOf, encodeHash } from './features/setup/link.ts';
import { followModel } from './features/setup/modelReport.ts';
import {
  baseSettings,
  configShape,
  type PageSettings,
  presetOver,
  refuseValue,
  sameValue,
  trainingShape,
  withField,
} from './features/setup/settings.ts';
import { Controller } from './features/training/controller.ts';
import { createForecast } from './features/training/forecast.ts';
import type { Sessions } from './features/training/sessions.ts';
import { createSpeed } from './features/training/speed.ts';
import type { Tabs } from './features/training/tabs.ts';
import { followTabs } from './features/training/tabs.ts';
import { createTry } from './features/try/try.ts';
import type { InferenceClient } from './inferenceClient.ts';
import { holdOfSetting } from './lessons/state.ts';
import { processorTrains } from './parts/share.ts';
import { type BrowserStorage, createRoom, keptIn } from './room.ts';
import { followSeeTab } from './seeTab.ts';
import { createStores, isOpening, type Stores } from './stores.ts';
import type { TrainerClient } from './trainerClient.ts';

export type SectionName = 'preset' | 'model' | 'data' | 'method' | 'targets' | 'training';

export interface Parts {
  readonly trainer: TrainerClient;
  readonly sessions: Sessions;
  /** Which tab's runs are kept. */
  readonly tabs: Tabs;
  /** Where the browser keeps things. */
  readonly storage?: BrowserStorage | undefined;
  readonly inference: () => Promise<InferenceClient>;
  readonly hub: (adopt: (kind: RepoKind, source: HubSource | UrlSource) => void) => Promise<HubState>;
  /** Address of the folder that holds the embedded models, with a slash at the end. */
  readonly root: string;
}

export type Page = ReturnType<typeof createPage>;

export function createPage({ trainer, sessions: given, tabs, storage, inference, hub, root }: Parts) {
  const stores = createStores();
  const room = createRoom(storage);
  const sessions = keptIn(room, given);
  const { choice } = stores;
  const readMissing = followModel(stores, trainer, root);
  const edits = createEdits(stores, readMissing);
  const controller = new Controller(stores, trainer, sessions, tabs);
  const questions = createQuestions(stores, controller);
  const methodComparison = createMethodComparison(stores, trainer);
  const inspection = createInspection(stores, trainer, controller, questions);
  followTabs(stores, tabs, sessions, controller);
  trainer.onCrash((message) => controller.fail({ kind: 'internal', message, details: { crashed: true } }));
  trainer.onEnd((message) => controller.ended(message));
  leaveTheProcessor(stores);
  leaveOpening(stores, trainer);
  followSeeTab(stores);
  let opened: Promise<HubState> | undefined;
  let kept: Promise<KeptRuns> | undefined;
  return {
    ...stores,
    ...edits,
    ...createFacts(stores),
    ...createSections(stores),
    controller,
    /** For what makes its own state later and asks the trainer too. */
    ...{ trainer, questions },
    inspection,
    merging: createMerging(stores, trainer, controller, questions, inspection, inference),
    tabs,
    /** What the browser keeps, and how much more it would. */
    room,
    /** A run that was recorded, to be seen before there is one. */
    recorded: createRecorded(stores),
    /** Opened adapters. */
    adapterSet: new AdapterSet(stores, trainer, inference, edits.goOnFrom),
    /** Methods side by side at one budget. */
    methodComparison,
    /** The data as it will be trained on. */
    data: createDataPreview(stores, trainer),
    /** Whether the page opens without a network, and its next version. */
    offline: createOffline(
      () => location.reload(),
      () => controller.save(),
    ),
    forecast: createForecast(stores, trainer),
    speed: createSpeed(stores, trainer),
    /** The merged file and the one before it, run side by side. */
    try: createTry(stores, trainer, inference),
    /** Models and data from elsewhere; loaded when first asked for. */
    hub(): Promise<HubState> {
      opened ??= hub((kind, source) => {
        edits.input(kind === 'dataset' ? { fetchedData: source } : { fetchedModel: source });
        if (kind === 'model') readMissing();
      });
      return opened;
    },
    /** The whole setup, as the address's hash has it. */
    hash(): string {
      const state = choice.getState();
      const { lesson } = stores.ui.getState();
      const setup = encodeHash(state.settings, besideOf(state));
      return lesson === null ? `#${setup}` : `#${setup}&lesson=${lesson.packed}`;
    },
    /** The runs that the browser keeps, in the list of runs, and sweeps; read when first asked for. */
    keptRuns(): Promise<KeptRuns> {
      kept ??= import('./features/runs/open.ts').then(({ openRuns }) =>
        openRuns(
          { ...stores, controller, methodComparison, setSettings: edits.setSettings },
          tabs,
          room.measure,
        ),
      );
      return kept;
    },
  };
}

/** Where the processor trains, the page leaves it more of its time. */
function leaveTheProcessor({ run }: Stores): void {
  run.subscribe(({ open, state }) => {
    const isOnProcessor = open !== null && (open.device.engine !== 'webgpu' || open.device.isSoftware);
    processorTrains(isOnProcessor && state === 'running');
  });
}

/** Who chooses something else while a run is being opened may be waiting for one that hangs. */
function leaveOpening({ choice, run }: Stores, trainer: Pick<TrainerClient, 'endUnless'>): void {
  choice.subscribe((now, before) => {
    const { state } = run.getState();
    if (isElsewhere(now, before) && isOpening(state)) void trainer.endUnless();
  });
}

/** What follows from what is chosen. */
function createFacts({ choice, run, ui }: Stores) {
  /** What follows from the current settings; computed once per change. */
  const derived = (): Derived => derive(choice.getState().settings, choice.getState().report);
  /** What keeps a new run from starting; null when nothing does. */
  const hindrance = (): string | null => obstacle(choice.getState(), derived().problem);
  return {
    derived,
    obstacle: hindrance,
    canTrain(): boolean {
      const { state, open } = run.getState();
      if (ui.getState().gpu === null || isOpening(state)) return false;
      return open !== null || hindrance() === null;
    },
    /** Whether what is chosen is no longer that of the current run. */
    isChanged(): boolean {
      const { current, request } = run.getState();
      const { settings, startFrom } = choice.getState();
      return (
        current !== null &&
        (!sameValue(current.settings, settings) ||
          request?.adapter !== startFrom?.files ||
          (request !== null && isOtherRun(request, choice.getState())))
      );
    },
  };
}

/** What the lesson that is open holds: whether it does, and whether a change must be left, which is then said. */
function keepingOf(ui: Stores['ui']) {
  const isHeld = (name: string): boolean => holdOfSetting(ui.getState().lesson, name) !== null;
  return {
    isHeld,
    keeps(names: readonly string[]): boolean {
      const isKept = names.some(isHeld);
      if (isKept) ui.setState({ notice: say`The lesson keeps that as it is.` });
      return isKept;
    },
  };
}

/** @param readMissing reads the model if its report is missing: what failed once is tried again with the next change */
function createEdits({ choice, ui }: Stores, readMissing: () => void) {
  const { isHeld, keeps } = keepingOf(ui);

  function setSettings(settings: PageSettings): void {
    choice.setState({ settings });
    readMissing();
  }

  function setField(part: 'config' | 'training', key: string, value: unknown): string | null {
    const { settings, startFrom, report } = choice.getState();
    if (part === 'config' && startFrom !== null)
      return say`the run goes on from ${startFrom.name}, whose own configuration counts`;
    if (isHeld(`${part === 'config' ? 'c' : 't'}.${key}`)) return say`the lesson keeps that as it is`;
    const reason = refuseValue(part === 'config' ? configShape(settings.method) : trainingShape, key, value);
    if (reason !== null) return reason;
    setSettings(
      part === 'config'
        ? withField(settings, report, key, value)
        : { ...settings, training: { ...settings.training, [key]: value } },
    );
    return null;
  }

  const input = (change: Partial<Inputs>): void =>
    choice.setState(({ inputs }) => ({ inputs: { ...inputs, ...change } }));

  return {
    setSettings,
    /** What a person puts under Model or Data. */
    input,
    choosePreset(id: string): void {
      if (keeps(['preset'])) return;
      choice.setState({ startFrom: null });
      setSettings(presetOver(choice.getState().settings, id));
    },
    choose(change: { readonly model?: string; readonly data?: string; readonly method?: MethodId }): void {
      if (keeps(Object.keys(change))) return;
      const { settings } = choice.getState();
      const { model, data, method } = settings;
      // The data may change under an adapter; its method may not, and its model is another one's.
      if (change.data === undefined) choice.setState({ startFrom: null });
      if (choice.getState().startFrom === null)
        setSettings(baseSettings(settings.preset, { model, data, method, ...change }));
      else
        setSettings({
          ...baseSettings(settings.preset, { model, method, ...change }),
          config: settings.config,
        });
    },
    /** Sets one field; returns why it is refused, or null. */
    setConfig: (key: string, value: unknown) => setField('config', key, value),
    setTraining: (key: string, value: unknown) => setField('training', key, value),
    /** Another model's files, or more beside those that are there. */
    openModel(dropped: readonly PickedFile[]): void {
      const files = flatModel(dropped);
      const { modelFiles } = choice.getState().inputs;
      const others = files.some(({ name }) => name.endsWith('.onnx')) ? [] : modelFiles;
      input({ modelFiles: [...others, ...files] });
      readMissing();
    },
    /** The next run begins where an adapter ended. */
    goOnFrom(row: AdapterRow, files: readonly InputFile[]): void {
      const { model, data, preset, training } = choice.getState().settings;
      const base = baseSettings(preset, { model, data, method: row.method });
      const config = Object.fromEntries(
        Object.entries(row.config).filter(
          ([key, value]) => refuseValue(configShape(row.method), key, value) === null,
        ),
      );
      const settings = { ...base, config, training };
      if (isLeft({ choice, ui }, { settings })) return;
      choice.setState({ startFrom: { name: row.name, method: row.method, files } });
      setSettings(settings);
    },
    /** The next run begins as its method does, with the settings that are chosen. */
    startAfresh: () => choice.setState({ startFrom: null }),
  };
}

/** Moving about on the page. */
function createSections({ choice, ui }: Stores) {
  const listeners = new Set<(section: SectionName) => void>();
  return {
    /** Opens a section of Choose and moves the focus to an element of it. */
    show(section: SectionName, elementId?: string): void {
      ui.setState({ panel: 'choose' });
      for (const listener of listeners) listener(section);
      if (elementId !== undefined)
        requestAnimationFrame(() => {
          const element = document.getElementById(elementId);
          element?.scrollIntoView({ block: 'center' });
          element?.focus();
        });
    },
    onShow(listener: (section: SectionName) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    moveFactors(by: number): void {
      const { settings } = choice.getState();
      const m = Number((settings.config.boft_n_butterfly_factor as number | undefined) ?? 1);
      ui.setState((s) => ({ factors: Math.min(m, Math.max(1, (s.factors ?? m) + by)) }));
    },
  };
}
