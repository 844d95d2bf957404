/**
 * Opened adapters on the page: what the trainer's adapter set holds, which are ticked, scores, looks inside, files. Everything that reads or computes is
 * asked of the trainer.
 */
import { shallow } from 'zustand/shallow';
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { CombineOptions } from '../adapters/combine.ts';
import type { InferenceClient } from '../inference/client.ts';
import { asPapilioError, PapilioError } from '../lib/errors.ts';
import type { ParityReport } from '../training/parity.ts';
import type {
  AdapterCommand,
  AdapterRow,
  AdapterScore,
  AdapterSetReport,
  ErrorReport,
  GivenFile,
  Inspection,
  NamedFile,
} from '../training/protocol.ts';
import { checkMerged, mergedName } from './checkMerged.ts';
import { saveFile, zipOf } from './exports.ts';
import { runRequest } from './request.ts';
import type { ChoiceState, Stores } from './stores.ts';
import type { TrainerClient } from './trainerClient.ts';

/** Where the page shows what went wrong. */
export type ShelfPlace = 'open' | 'model' | 'combine';

export interface ShelfView extends AdapterSetReport {
  /** Names in the order they were ticked, which is the order of merging. */
  readonly ticked: readonly string[];
  readonly busy: string | null;
  readonly error: ErrorReport | null;
  /** What was asked for when the error came. */
  readonly errorAt: ShelfPlace;
  /** Of each adapter alone. */
  readonly scores: Readonly<Record<string, AdapterScore>>;
  /** Of everything as it stands; null once that has changed. */
  readonly standing: AdapterScore | null;
  /** How the merged file that was saved last was found; null once what it was merged of has changed. */
  readonly parity: Pick<ParityReport, 'verdict' | 'sentence'> | null;
  readonly look: { readonly name: string; readonly module: string; readonly value: Inspection | null } | null;
}

export interface ShelfDesk {
  readonly view: StoreApi<ShelfView>;
  open(files: readonly GivenFile[], name?: string): Promise<void>;
  /** Takes the adapter of the open run onto the shelf, under the run's name. */
  takeRun(): Promise<void>;
  tick(name: string, isOn: boolean): void;
  activate(names: readonly string[]): Promise<void>;
  setEnabled(isOn: boolean): Promise<void>;
  remove(name: string): Promise<void>;
  merge(names: readonly string[]): Promise<void>;
  unmerge(): Promise<void>;
  combine(name: string, names: readonly string[], options: CombineOptions): Promise<void>;
  scoreEach(names: readonly string[]): Promise<void>;
  scoreStanding(): Promise<void>;
  inspect(name: string, module?: string): Promise<void>;
  saveMerged(): Promise<void>;
  saveZip(names: readonly string[]): Promise<void>;
  /** The next run begins where this adapter ended, with its method and configuration. */
  goOn(name: string): Promise<void>;
  /** Breaks off what is under way; a worker that does not answer is ended, and what was opened is gone with it. */
  stop(): Promise<void>;
}

const empty: ShelfView = {
  rows: [],
  active: [],
  enabled: true,
  merged: [],
  warnings: [],
  ticked: [],
  busy: null,
  error: null,
  errorAt: 'open',
  scores: {},
  standing: null,
  parity: null,
  look: null,
};

/** What decides the model that adapters are held against, and the examples they are scored on. */
function keyOf(choice: ChoiceState): readonly unknown[] {
  const { settings, modelFiles, dataFiles, fetchedModel, fetchedData, text, drawings } = choice;
  const { seed, batchSize, sequenceLength, evalExamples } = settings.training;
  const own = [modelFiles, dataFiles, fetchedModel, fetchedData, text, drawings];
  return [settings.model, settings.data, seed, batchSize, sequenceLength, evalExamples, ...own];
}

export function createShelfDesk(
  { choice, run, ui }: Stores,
  trainer: TrainerClient,
  inference: () => Promise<InferenceClient>,
  choose: (row: AdapterRow, files: readonly NamedFile[]) => void,
): ShelfDesk {
  const view = createStore<ShelfView>(() => empty);
  let queue: Promise<unknown> = Promise.resolve();
  let breakOff: (error: PapilioError) => void = () => {};
  /** Runs the merged file; ended, not only left, when that is broken off. */
  let checking: InferenceClient | null = null;
  let bound: readonly unknown[] = [];

  /** One task after the other; what goes wrong is shown where it was asked for, and nothing else changes. */
  function ask(busy: string, task: () => Promise<void>, errorAt: ShelfPlace = 'model'): Promise<void> {
    const result = queue.then(async () => {
      view.setState({ busy, error: null, errorAt });
      const broken = new Promise<never>((_, reject) => {
        breakOff = reject;
      });
      try {
        await Promise.race([task(), broken]);
      } catch (error) {
        const { kind, message, details } = asPapilioError(error);
        // The worker that held them is gone.
        if (details.crashed === true) forget();
        view.setState({ error: { kind, message, details } });
      } finally {
        view.setState({ busy: null });
      }
    });
    queue = result;
    return result;
  }

  function forget(): void {
    bound = [];
    view.setState(empty);
  }

  async function command(asked: AdapterCommand): Promise<void> {
    const report = await trainer.changeAdapters(asked);
    const names = new Set(report.rows.map(({ name }) => name));
    view.setState(({ ticked, scores, look }) => ({
      ...report,
      ticked: ticked.filter((name) => names.has(name)),
      scores: Object.fromEntries(Object.entries(scores).filter(([name]) => names.has(name))),
      standing: null,
      parity: null,
      look: look && names.has(look.name) ? look : null,
    }));
  }

  /** Holds the adapters against what is chosen now. */
  async function bind(): Promise<void> {
    const key = keyOf(choice.getState());
    if (shallow(key, bound)) return;
    let task = null;
    try {
      const { model, data, training } = runRequest(choice.getState());
      task = { model, data, training };
    } catch (error) {
      // Model or data are still missing: adapters can be opened and combined without.
      if (!(error instanceof PapilioError)) throw error;
    }
    bound = key;
    view.setState({ scores: {}, look: null });
    await command({ kind: 'bind', task });
  }

  const obey = (busy: string, asked: AdapterCommand) =>
    ask(busy, async () => {
      await bind();
      await command(asked);
    });

  choice.subscribe((now, before) => {
    const isOther = (['modelFiles', 'dataFiles', 'fetchedModel', 'fetchedData'] as const).some(
      (key) => now[key] !== before[key],
    );
    const { model, data } = now.settings;
    const isChosen = model !== before.settings.model || data !== before.settings.data;
    if ((isOther || isChosen) && view.getState().rows.length > 0) void ask('Reading the model', bind);
  });

  const taken = async (): Promise<InferenceClient> => {
    checking = await inference();
    return checking;
  };

  const rowOf = (name: string): AdapterRow | undefined =>
    view.getState().rows.find((row) => row.name === name);

  async function take(files: readonly GivenFile[], name?: string): Promise<void> {
    await command({ kind: 'open', files, ...(name === undefined ? {} : { name }) });
    await bind();
  }

  return {
    view,
    open: (files, name) => ask('Reading', () => take(files, name), 'open'),
    takeRun: () =>
      ask(
        'Reading',
        async () => {
          const { files } = await trainer.exportAdapter();
          await take(files, run.getState().current?.name);
        },
        'open',
      ),
    tick: (name, isOn) =>
      view.setState(({ ticked }) => {
        const others = ticked.filter((one) => one !== name);
        return { ticked: isOn ? [...others, name] : others };
      }),
    activate: (names) => obey('Activating', { kind: 'activate', names }),
    setEnabled: (isOn) =>
      obey(isOn ? 'Switching on' : 'Switching off', { kind: isOn ? 'enable' : 'disable' }),
    remove: (name) => ask('Removing', () => command({ kind: 'delete', name })),
    merge: (names) => obey('Merging', { kind: 'merge', names }),
    unmerge: () => obey('Taking out', { kind: 'unmerge' }),
    combine: (name, names, options) =>
      ask(
        'Combining',
        async () => {
          await command({ kind: 'combine', name, names, options });
          await bind();
        },
        'combine',
      ),
    scoreEach: (names) =>
      ask('Scoring', async () => {
        await bind();
        for (const name of names) {
          view.setState({ busy: `Scoring ${name}` });
          const score = await trainer.scoreAdapters([name]);
          view.setState((s) => ({ scores: { ...s.scores, [name]: score } }));
        }
      }),
    scoreStanding: () =>
      ask('Scoring', async () => {
        await bind();
        view.setState({ standing: await trainer.scoreAdapters(null) });
      }),
    inspect: (name, module) =>
      ask('Looking inside', async () => {
        await bind();
        const chosen = module ?? rowOf(name)?.modules[0];
        if (chosen === undefined) return;
        view.setState({ look: { name, module: chosen, value: null } });
        const value = await trainer.inspectAdapter(name, chosen).catch((error: unknown) => {
          view.setState({ look: null });
          throw error;
        });
        view.setState({ look: { name, module: chosen, value } });
      }),
    saveMerged: () =>
      ask('Merging', async () => {
        await bind();
        const report = await trainer.mergeAdapters();
        const { merged, active } = view.getState();
        const name = (merged.length > 0 ? merged : active).join('+');
        view.setState({ busy: 'Running the merged file in onnxruntime' });
        const { verdict, sentence } = await checkMerged(trainer, taken, 'adapters', report, 'requantise');
        view.setState({ parity: { verdict, sentence } });
        saveFile(mergedName(name, { verdict }), report.onnx);
      }),
    saveZip: (names) =>
      ask('Packing', async () => {
        const files = await trainer.adapterFiles(names);
        saveFile(`${names.length === 1 ? names[0] : 'adapters'}.zip`, await zipOf(files));
      }),
    goOn: (name) =>
      ask('Reading', async () => {
        const row = rowOf(name);
        if (row === undefined) return;
        choose(row, await trainer.adapterFiles([name]));
        ui.setState({ notice: `The next run goes on from ${name}.` });
      }),
    async stop() {
      if (view.getState().busy === null) return;
      breakOff(new PapilioError('aborted', 'It was broken off.'));
      checking?.end();
      await trainer.endUnless();
    },
  };
}
