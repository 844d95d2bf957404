/**
 * Opened adapters on the page: what the trainer holds, which are ticked, scores, looks inside, files. Everything that reads or computes is
 * asked of the trainer.
 */
import { shallow } from 'zustand/shallow';
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { CombineOptions } from '../../../adapters/combine.ts';
import type { InferenceClient } from '../../../inference/client.ts';
import type { InputFile, PickedFile } from '../../../lib/bytes.ts';
import { asPapilioError, PapilioError } from '../../../lib/errors.ts';
import type { ParityReport } from '../../../training/parity.ts';
import type {
  AdapterCommand,
  AdapterRow,
  AdapterScore,
  AdapterSetReport,
  Inspection,
} from '../../../training/protocol.ts';
import { saveFile, zipOf } from '../../exports.ts';
import type { Stores } from '../../stores.ts';
import { createTask, type TaskView } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import { checkMerged, createChecker, mergedName } from '../merge/merging.ts';
import type { ChoiceState } from '../setup/choice.ts';

/** Where the page shows what went wrong. */
export type AdapterPlace = 'open' | 'model' | 'combine';

export interface AdapterSetView extends AdapterSetReport, TaskView {
  /** Names in the order they were ticked, which is the order of merging. */
  readonly ticked: readonly string[];
  /** What was asked for when the error came. */
  readonly errorAt: AdapterPlace;
  /** Of each adapter alone. */
  readonly scores: Readonly<Record<string, AdapterScore>>;
  /** Of everything as it stands; null once that has changed. */
  readonly standing: AdapterScore | null;
  /** How the merged file that was saved last was found; null once what it was merged of has changed. */
  readonly parity: Pick<ParityReport, 'verdict' | 'sentence'> | null;
  readonly look: { readonly name: string; readonly module: string; readonly value: Inspection | null } | null;
}

const empty: AdapterSetView = {
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

/** What decides the model that adapters are bound to, and the examples they are scored on. */
function keyOf({ model, data, settings }: ChoiceState): readonly unknown[] {
  const { seed, batchSize, sequenceLength, evalExamples } = settings.training;
  return [model, data, seed, batchSize, sequenceLength, evalExamples];
}

/** One task after the other; what goes wrong is shown where it was asked for, and nothing else changes. */
function createQueue(view: StoreApi<AdapterSetView>, onCrash: () => void) {
  const task = createTask(view);
  let queue: Promise<unknown> = Promise.resolve();
  let reject: (error: PapilioError) => void = () => {};

  async function unlessBroken(work: () => Promise<void>): Promise<Partial<AdapterSetView>> {
    const broken = new Promise<never>((_, no) => {
      reject = no;
    });
    try {
      await Promise.race([work(), broken]);
    } catch (error) {
      // The worker that held the adapters is gone.
      if (asPapilioError(error).details.crashed === true) onCrash();
      throw error;
    }
    return {};
  }

  return {
    async ask(busy: string, work: () => Promise<void>, errorAt: AdapterPlace = 'model'): Promise<void> {
      const result = queue.then(() => task.run({ busy, error: null, errorAt }, () => unlessBroken(work)));
      queue = result;
      await result;
    },
    breakOff: () => reject(new PapilioError('aborted', 'It was broken off.')),
  };
}

/** Commands to the trainer's adapters, which are bound to what is chosen when they need a model. */
function createCommands(
  choice: StoreApi<ChoiceState>,
  view: StoreApi<AdapterSetView>,
  trainer: Pick<TrainerClient, 'changeAdapters'>,
) {
  let bound: readonly unknown[] = [];

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

  return {
    command,
    /** Binds the adapters to what is chosen now; while model or data are missing they can be opened and combined. */
    async bind(): Promise<void> {
      const state = choice.getState();
      const key = keyOf(state);
      if (shallow(key, bound)) return;
      const { model, data, settings } = state;
      const task = model && data && { model, data, training: settings.training };
      bound = key;
      view.setState({ scores: {}, look: null });
      await command({ kind: 'bind', task });
    },
    /** The worker that held the adapters is gone. */
    forget(): void {
      bound = [];
      view.setState(empty);
    },
  };
}

type Queue = ReturnType<typeof createQueue>;
type Commands = ReturnType<typeof createCommands>;

function createChanges(
  { run }: Stores,
  view: StoreApi<AdapterSetView>,
  trainer: Pick<TrainerClient, 'exportAdapter'>,
  { ask }: Queue,
  { command, bind }: Commands,
) {
  async function openFiles(files: readonly PickedFile[], name?: string): Promise<void> {
    await command({ kind: 'open', files, ...(name === undefined ? {} : { name }) });
    await bind();
  }
  const obey = (busy: string, asked: AdapterCommand) =>
    ask(busy, async () => {
      await bind();
      await command(asked);
    });
  return {
    open: (files: readonly PickedFile[], name?: string) =>
      ask('Reading', () => openFiles(files, name), 'open'),
    /** Opens the adapter of the open run too, under the run's name. */
    openRun: () =>
      ask(
        'Reading',
        async () => {
          const { files } = await trainer.exportAdapter();
          await openFiles(files, run.getState().current?.name);
        },
        'open',
      ),
    tick: (name: string, isOn: boolean) =>
      view.setState(({ ticked }) => {
        const others = ticked.filter((one) => one !== name);
        return { ticked: isOn ? [...others, name] : others };
      }),
    activate: (names: readonly string[]) => obey('Activating', { kind: 'activate', names }),
    setEnabled: (isOn: boolean) =>
      obey(isOn ? 'Switching on' : 'Switching off', { kind: isOn ? 'enable' : 'disable' }),
    remove: (name: string) => ask('Removing', () => command({ kind: 'delete', name })),
    merge: (names: readonly string[]) => obey('Merging', { kind: 'merge', names }),
    unmerge: () => obey('Taking out', { kind: 'unmerge' }),
    combine: (name: string, names: readonly string[], options: CombineOptions) =>
      ask(
        'Combining',
        async () => {
          await command({ kind: 'combine', name, names, options });
          await bind();
        },
        'combine',
      ),
  };
}

function createScores(
  view: StoreApi<AdapterSetView>,
  trainer: Pick<TrainerClient, 'scoreAdapters' | 'inspectAdapter'>,
  { ask }: Queue,
  { bind }: Commands,
) {
  return {
    scoreEach: (names: readonly string[]) =>
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
    inspect: (name: string, wanted?: string) =>
      ask('Looking inside', async () => {
        await bind();
        const module = wanted ?? view.getState().rows.find((row) => row.name === name)?.modules[0];
        if (module === undefined) return;
        view.setState({ look: { name, module, value: null } });
        const value = await trainer.inspectAdapter(name, module).catch((error: unknown) => {
          view.setState({ look: null });
          throw error;
        });
        view.setState({ look: { name, module, value } });
      }),
  };
}

/** @param goOnFrom has the next run begin where an adapter ended, with its method and configuration */
export function createAdapterSet(
  stores: Stores,
  trainer: TrainerClient,
  inference: () => Promise<InferenceClient>,
  goOnFrom: (row: AdapterRow, files: readonly InputFile[]) => void,
) {
  const { choice, ui } = stores;
  const view = createStore<AdapterSetView>(() => empty);
  const commands = createCommands(choice, view, trainer);
  const queue = createQueue(view, commands.forget);
  const { ask } = queue;
  const { bind } = commands;
  /** Runs the merged file; ended, not only left, when that is broken off. */
  const checker = createChecker(inference);

  choice.subscribe((now, before) => {
    const isOther = now.model !== before.model || now.data !== before.data;
    if (isOther && view.getState().rows.length > 0) void ask('Reading the model', bind);
  });

  return {
    view,
    ...createChanges(stores, view, trainer, queue, commands),
    ...createScores(view, trainer, queue, commands),
    saveMerged: () =>
      ask('Merging', async () => {
        await bind();
        const report = await trainer.mergeAdapters();
        const { merged, active } = view.getState();
        const name = (merged.length > 0 ? merged : active).join('+');
        view.setState({ busy: 'Running the merged file in onnxruntime' });
        const parity = await checkMerged(trainer, checker.open, 'adapters', report, 'requantise');
        const { verdict, sentence } = parity;
        view.setState({ parity: { verdict, sentence } });
        saveFile(mergedName(name, { verdict }), report.onnx);
      }),
    saveZip: (names: readonly string[]) =>
      ask('Packing', async () => {
        const files = await trainer.adapterFiles(names);
        saveFile(`${names.length === 1 ? names[0] : 'adapters'}.zip`, await zipOf(files));
      }),
    /** The next run begins where this adapter ended, with its method and configuration. */
    goOn: (name: string) =>
      ask('Reading', async () => {
        const row = view.getState().rows.find((one) => one.name === name);
        if (row === undefined) return;
        goOnFrom(row, await trainer.adapterFiles([name]));
        ui.setState({ notice: `The next run goes on from ${name}.` });
      }),
    /** Breaks off what is under way; a worker that does not answer is ended, and what was opened is gone with it. */
    async stop(): Promise<void> {
      if (view.getState().busy === null) return;
      queue.breakOff();
      checker.stop();
      await trainer.endUnless();
    },
  };
}
