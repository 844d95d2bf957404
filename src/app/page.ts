/** The page put together: stores, trainer, controller, and what changes settings. React only shows this and calls it. */
import type { MethodId } from '../adapters/registry.ts';
import type { HubSource, RepoKind, UrlSource } from '../hub/types.ts';
import type { InferenceClient } from '../inference/client.ts';
import { asPapilioError } from '../lib/errors.ts';
import type { GivenFile } from '../training/protocol.ts';
import { type Controller, createController } from './controller.ts';
import { createDataDesk, type DataDesk } from './data.ts';
import { type Derived, derive } from './derive.ts';
import { flatModel } from './dropped.ts';
import { createForecastDesk, type ForecastDesk } from './forecast.ts';
import type { HubDesk } from './hub.ts';
import { createLooking, type Looking } from './looking.ts';
import { lookOn } from './lookingOn.ts';
import { createMethodComparison, type MethodComparisonDesk } from './methodComparison.ts';
import { embeddedCard } from './modelCards.ts';
import { obstacle, runsOtherwise } from './request.ts';
import { createRunningDesk, type RunningDesk } from './running.ts';
import type { Sessions } from './sessions.ts';
import {
  baseSettings,
  configShape,
  type PageSettings,
  refuseValue,
  sameValue,
  trainingShape,
  withField,
} from './settings.ts';
import { createShelfDesk, type ShelfDesk } from './shelf.ts';
import { createStores, type Stores } from './stores.ts';
import type { Tabs } from './tabs.ts';
import type { TrainerClient } from './trainerClient.ts';
import { encodeHash } from './url.ts';

export type SectionName = 'preset' | 'model' | 'data' | 'method' | 'targets' | 'training';

export interface Page extends Stores {
  readonly controller: Controller;
  readonly looking: Looking;
  readonly tabs: Tabs;
  /** What follows from the current settings; computed once per change. */
  derived(): Derived;
  canTrain(): boolean;
  /** What keeps a new run from starting; null when nothing does. */
  obstacle(): string | null;
  /** Whether the settings are no longer those of the current run. */
  isChanged(): boolean;
  setSettings(settings: PageSettings): void;
  choosePreset(id: string): void;
  choose(change: { readonly model?: string; readonly data?: string; readonly method?: MethodId }): void;
  /** Sets one field; returns why it is refused, or null. */
  setConfig(key: string, value: unknown): string | null;
  setTraining(key: string, value: unknown): string | null;
  openModel(files: readonly GivenFile[]): Promise<void>;
  /** The next run begins as its method does, with the settings that are chosen. */
  startAfresh(): void;
  /** Opened adapters. */
  readonly shelf: ShelfDesk;
  /** The data as it will be trained on. */
  readonly data: DataDesk;
  readonly forecast: ForecastDesk;
  /** The merged file and the one before it, run side by side. */
  readonly running: RunningDesk;
  /** Methods side by side at one budget. */
  readonly methodComparison: MethodComparisonDesk;
  /** Models and data from elsewhere; loaded when first asked for. */
  hub(): Promise<HubDesk>;
  link(): string;
  /** Opens a section of Choose and moves the focus to an element of it. */
  show(section: SectionName, elementId?: string): void;
  onShow(listener: (section: SectionName) => void): () => void;
  moveFactors(by: number): void;
}

export interface Parts {
  readonly trainer: TrainerClient;
  readonly sessions: Sessions;
  /** Which tab's runs are kept. */
  readonly tabs: Tabs;
  readonly inference: () => Promise<InferenceClient>;
  readonly hub: (take: (kind: RepoKind, source: HubSource | UrlSource) => void) => Promise<HubDesk>;
  /** Address of the folder that holds the embedded models, with a slash at the end. */
  readonly root: string;
}

export function createPage({ trainer, sessions, tabs, inference, hub, root }: Parts): Page {
  const stores = createStores();
  const { choice, run, ui } = stores;
  const controller = createController(stores, trainer, sessions, tabs);
  lookOn(stores, tabs, sessions, controller);
  const looking = createLooking(stores, trainer, controller, inference);
  const shelf = createShelfDesk(stores, trainer, inference, (row, files) => {
    const { model, data, preset, training } = choice.getState().settings;
    const base = baseSettings(preset, { model, data, method: row.method });
    const config = Object.fromEntries(
      Object.entries(row.config).filter(
        ([key, value]) => refuseValue(configShape(row.method), key, value) === null,
      ),
    );
    choice.setState({ startFrom: { name: row.name, method: row.method, files } });
    setSettings({ ...base, config, training });
  });
  const methodComparison = createMethodComparison(stores, trainer);
  const data = createDataDesk(stores, trainer);
  const forecast = createForecastDesk(stores, trainer);
  const running = createRunningDesk(stores, trainer, inference);
  const showListeners = new Set<(section: SectionName) => void>();
  trainer.onCrash((message) => controller.fail({ kind: 'internal', message, details: { crashed: true } }));
  trainer.onEnd(controller.ended);

  const derived = (): Derived => derive(choice.getState().settings, choice.getState().report);

  const hindrance = (): string | null => obstacle(choice.getState(), derived().problem);

  let reading = new AbortController();
  async function loadReport(): Promise<void> {
    const { settings, modelFiles, fetchedModel } = choice.getState();
    const { model } = settings;
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    choice.setState({ isReading: false });
    if ((model === 'own' && modelFiles.length === 0) || (model === 'hub' && fetchedModel === null)) {
      choice.setState({ report: null, reportError: null });
      return;
    }
    choice.setState({ isReading: true });
    try {
      const report =
        model === 'own'
          ? await trainer.describe({ kind: 'files', files: modelFiles }, signal)
          : model === 'hub' && fetchedModel !== null
            ? await trainer.describe(fetchedModel, signal)
            : await embeddedCard(model, root);
      if (!signal.aborted) choice.setState({ report, reportError: null, isReading: false });
    } catch (error) {
      const { kind, message, details } = asPapilioError(error);
      if (!signal.aborted)
        choice.setState({ report: null, reportError: { kind, message, details }, isReading: false });
    }
  }

  choice.subscribe((now, before) => {
    const { preset, model, data } = now.settings;
    const isOther =
      preset !== before.settings.preset || model !== before.settings.model || data !== before.settings.data;
    const { state } = run.getState();
    // Who chooses another while a run is being opened may be waiting for one that hangs.
    if (isOther && (state === 'loading' || state === 'compiling')) void trainer.endUnless();
  });

  function setSettings(settings: PageSettings): void {
    const before = choice.getState();
    choice.setState({ settings });
    const isWaiting = before.report === null && !before.isReading;
    if (before.settings.model !== settings.model || isWaiting) {
      choice.setState({ report: null });
      void loadReport();
    }
  }

  function setField(part: 'config' | 'training', key: string, value: unknown): string | null {
    const { settings } = choice.getState();
    const { startFrom } = choice.getState();
    if (part === 'config' && startFrom !== null)
      return `the run goes on from ${startFrom.name}, whose own configuration counts`;
    const reason = refuseValue(part === 'config' ? configShape(settings.method) : trainingShape, key, value);
    if (reason !== null) return reason;
    setSettings(
      part === 'config'
        ? withField(settings, choice.getState().report, key, value)
        : { ...settings, training: { ...settings.training, [key]: value } },
    );
    return reason;
  }

  let desk: Promise<HubDesk> | undefined;
  function take(kind: RepoKind, source: HubSource | UrlSource): void {
    if (kind === 'dataset') {
      choice.setState({ fetchedData: source });
      return;
    }
    choice.setState({ fetchedModel: source, report: null, reportError: null });
    void loadReport();
  }

  return {
    ...stores,
    controller,
    looking,
    tabs,
    derived,
    obstacle: hindrance,
    canTrain() {
      const { state } = run.getState();
      if (ui.getState().gpu?.state !== 'ready' || state === 'loading' || state === 'compiling') return false;
      return run.getState().open !== null || hindrance() === null;
    },
    isChanged() {
      const { current, request } = run.getState();
      const { settings, startFrom } = choice.getState();
      return (
        current !== null &&
        (!sameValue(current.settings, settings) ||
          request?.adapter !== startFrom?.files ||
          (request !== null && runsOtherwise(request, choice.getState())))
      );
    },
    setSettings,
    choosePreset(id) {
      const { training } = choice.getState().settings;
      const base = baseSettings(id);
      choice.setState({ startFrom: null });
      setSettings({ ...base, training: { ...base.training, seed: training.seed } });
    },
    choose(change) {
      const { settings } = choice.getState();
      const { model, data, method } = settings;
      // The data may change under an adapter; its method may not, and its model is another one's.
      if (change.data === undefined) choice.setState({ startFrom: null });
      const { startFrom } = choice.getState();
      if (startFrom !== null) {
        setSettings({
          ...baseSettings(settings.preset, { model, method, ...change }),
          config: settings.config,
        });
        return;
      }
      setSettings(baseSettings(settings.preset, { model, data, method, ...change }));
    },
    startAfresh: () => choice.setState({ startFrom: null }),
    shelf,
    methodComparison,
    data,
    forecast,
    running,
    setConfig: (key, value) => setField('config', key, value),
    setTraining: (key, value) => setField('training', key, value),
    async openModel(given) {
      const files = flatModel(given);
      const kept = files.some(({ name }) => name.endsWith('.onnx')) ? [] : choice.getState().modelFiles;
      choice.setState({ modelFiles: [...kept, ...files] });
      await loadReport();
    },
    hub() {
      desk ??= hub(take);
      return desk;
    },
    link: () =>
      `${location.origin}${location.pathname}${location.search}#${encodeHash(choice.getState().settings)}`,
    show(section, elementId) {
      ui.setState({ panel: 'choose' });
      for (const listener of showListeners) listener(section);
      if (elementId !== undefined)
        requestAnimationFrame(() => {
          const element = document.getElementById(elementId);
          element?.scrollIntoView({ block: 'center' });
          element?.focus();
        });
    },
    onShow(listener) {
      showListeners.add(listener);
      return () => showListeners.delete(listener);
    },
    moveFactors(by) {
      const { settings } = choice.getState();
      const m = Number((settings.config.boft_n_butterfly_factor as number | undefined) ?? 1);
      ui.setState((s) => ({ factors: Math.min(m, Math.max(1, (s.factors ?? m) + by)) }));
    },
  };
}
