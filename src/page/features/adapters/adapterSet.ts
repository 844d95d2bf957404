/**
 * Opened adapters on the page: what the trainer holds, which are ticked, scores, looks inside, files. Everything that reads or computes is
 * asked of the trainer.
 */
import { shallow } from 'zustand/shallow';
import { createStore } from 'zustand/vanilla';
import { asPapilioError, type InputFile, PapilioError, type PickedFile, say } from '../../../common.ts';
import type { CombineOptions } from '../../../methods.ts';
import type {
  AdapterCommand,
  AdapterRow,
  AdapterScore,
  AdapterSetReport,
  Inspection,
  ParityReport,
} from '../../../protocol.ts';
import { saveFile, zipOf } from '../../exports.ts';
import type { InferenceClient } from '../../inferenceClient.ts';
import type { Stores } from '../../stores.ts';
import { createTask, type TaskView } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import { checkMerged, createChecker, mergedName } from '../merge/merging.ts';
import { type ChoiceState, engineOf, isElsewhere } from '../setup/choice.ts';

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
function keyOf({ model, data, settings, ...engines }: ChoiceState): readonly unknown[] {
  const { seed, batchSize, sequenceLength, evalExamples } = settings.training;
  return [model, data, engineOf(engines).engine, seed, batchSize, sequenceLength, evalExamples];
}

export class AdapterSet {
  readonly view = createStore<AdapterSetView>(() => empty);
  private readonly task = createTask(this.view);
  private queue: Promise<unknown> = Promise.resolve();
  private reject: (error: PapilioError) => void = () => {};
  /** Runs the merged file; ended, not only left, when that is broken off. */
  private readonly checker: ReturnType<typeof createChecker>;
  private bound: readonly unknown[] = [];

  /** @param goOnFrom has the next run begin where an adapter ended, with its method and configuration */
  constructor(
    private readonly stores: Stores,
    private readonly trainer: TrainerClient,
    inference: () => Promise<InferenceClient>,
    private readonly goOnFrom: (row: AdapterRow, files: readonly InputFile[]) => void,
  ) {
    this.checker = createChecker(inference);
    stores.choice.subscribe((now, before) => {
      // Binding takes out what is active or merged: what is only read otherwise, or still being written, waits for the next command.
      if (isElsewhere(now, before) && this.view.getState().rows.length > 0)
        void this.ask(say`Reading the model`, () => this.bind());
    });
  }

  open(files: readonly PickedFile[], name?: string): Promise<void> {
    return this.ask(say`Reading`, () => this.openFiles(files, name), 'open');
  }

  /** Opens the adapter of the open run too, under the run's name. */
  openRun(): Promise<void> {
    const open = async () => {
      const { files } = await this.trainer.exportAdapter();
      await this.openFiles(files, this.stores.run.getState().current?.name);
    };
    return this.ask(say`Reading`, open, 'open');
  }

  tick(name: string, isOn: boolean): void {
    this.view.setState(({ ticked }) => {
      const others = ticked.filter((one) => one !== name);
      return { ticked: isOn ? [...others, name] : others };
    });
  }

  activate(names: readonly string[]): Promise<void> {
    return this.obey(say`Activating`, { kind: 'activate', names });
  }

  setEnabled(isOn: boolean): Promise<void> {
    return this.obey(isOn ? say`Switching on` : say`Switching off`, { kind: isOn ? 'enable' : 'disable' });
  }

  remove(name: string): Promise<void> {
    return this.ask(say`Removing`, () => this.command({ kind: 'delete', name }));
  }

  merge(names: readonly string[]): Promise<void> {
    return this.obey(say`Merging`, { kind: 'merge', names });
  }

  unmerge(): Promise<void> {
    return this.obey(say`Taking out`, { kind: 'unmerge' });
  }

  combine(name: string, names: readonly string[], options: CombineOptions): Promise<void> {
    const combine = async () => {
      await this.command({ kind: 'combine', name, names, options });
      await this.bind();
    };
    return this.ask(say`Combining`, combine, 'combine');
  }

  scoreEach(names: readonly string[]): Promise<void> {
    return this.askBound(say`Scoring`, async () => {
      for (const name of names) {
        this.view.setState({ busy: say`Scoring ${name}` });
        const score = await this.trainer.scoreAdapters([name]);
        this.view.setState((s) => ({ scores: { ...s.scores, [name]: score } }));
      }
    });
  }

  scoreStanding(): Promise<void> {
    return this.askBound(say`Scoring`, async () =>
      this.view.setState({ standing: await this.trainer.scoreAdapters(null) }),
    );
  }

  inspect(name: string, wanted?: string): Promise<void> {
    return this.askBound(say`Looking inside`, async () => {
      const module = wanted ?? this.rowOf(name)?.modules[0];
      if (module === undefined) return;
      this.view.setState({ look: { name, module, value: null } });
      const value = await this.trainer.inspectAdapter(name, module).catch((error: unknown) => {
        this.view.setState({ look: null });
        throw error;
      });
      this.view.setState({ look: { name, module, value } });
    });
  }

  saveMerged(): Promise<void> {
    return this.askBound(say`Merging`, async () => {
      const report = await this.trainer.mergeAdapters();
      const { merged, active } = this.view.getState();
      const name = (merged.length > 0 ? merged : active).join('+');
      this.view.setState({ busy: say`Running the merged file in onnxruntime` });
      const { open } = this.checker;
      const parity = await checkMerged(this.trainer, open, 'adapters', report, 'requantise');
      const { verdict, sentence } = parity;
      this.view.setState({ parity: { verdict, sentence } });
      saveFile(mergedName(name, { verdict }), report.onnx);
    });
  }

  saveZip(names: readonly string[]): Promise<void> {
    return this.ask(say`Packing`, async () => {
      const files = await this.trainer.adapterFiles(names);
      saveFile(`${names.length === 1 ? names[0] : 'adapters'}.zip`, await zipOf(files));
    });
  }

  /** The next run begins where this adapter ended, with its method and configuration. */
  goOn(name: string): Promise<void> {
    return this.ask(say`Reading`, async () => {
      const row = this.rowOf(name);
      if (row === undefined) return;
      this.goOnFrom(row, await this.trainer.adapterFiles([name]));
      this.stores.ui.setState({ notice: say`The next run goes on from ${name}.` });
    });
  }

  /** Breaks off what is under way; a worker that does not answer is ended, and what was opened is gone with it. */
  async stop(): Promise<void> {
    if (this.view.getState().busy === null) return;
    this.reject(new PapilioError('aborted', say`It was broken off.`));
    this.checker.stop();
    await this.trainer.endUnless();
  }

  private rowOf(name: string): AdapterRow | undefined {
    return this.view.getState().rows.find((row) => row.name === name);
  }

  /** One task after the other; what goes wrong is shown where it was asked for, and nothing else changes. */
  private async ask(busy: string, work: () => Promise<void>, errorAt: AdapterPlace = 'model'): Promise<void> {
    const result = this.queue.then(() =>
      this.task.run({ busy, error: null, errorAt }, () => this.unlessBroken(work)),
    );
    this.queue = result;
    await result;
  }

  private askBound(busy: string, work: () => Promise<void>): Promise<void> {
    return this.ask(busy, async () => {
      await this.bind();
      await work();
    });
  }

  private obey(busy: string, asked: AdapterCommand): Promise<void> {
    return this.askBound(busy, () => this.command(asked));
  }

  private async unlessBroken(work: () => Promise<void>): Promise<Partial<AdapterSetView>> {
    const broken = new Promise<never>((_, reject) => {
      this.reject = reject;
    });
    try {
      await Promise.race([work(), broken]);
    } catch (error) {
      // The worker that had the adapters is gone.
      if (asPapilioError(error).details.crashed === true) {
        this.bound = [];
        this.view.setState(empty);
      }
      throw error;
    }
    return {};
  }

  private async command(asked: AdapterCommand): Promise<void> {
    const report = await this.trainer.changeAdapters(asked);
    const names = new Set(report.rows.map(({ name }) => name));
    this.view.setState(({ ticked, scores, look }) => ({
      ...report,
      ticked: ticked.filter((name) => names.has(name)),
      scores: Object.fromEntries(Object.entries(scores).filter(([name]) => names.has(name))),
      standing: null,
      parity: null,
      look: look && names.has(look.name) ? look : null,
    }));
  }

  private async openFiles(files: readonly PickedFile[], name?: string): Promise<void> {
    await this.command({ kind: 'open', files, ...(name === undefined ? {} : { name }) });
    await this.bind();
  }

  /** Binds the adapters to what is chosen now; while model or data are missing they can be opened and combined. */
  private async bind(): Promise<void> {
    const state = this.stores.choice.getState();
    const key = keyOf(state);
    if (shallow(key, this.bound)) return;
    const { model, data, settings } = state;
    this.bound = key;
    this.view.setState({ scores: {}, look: null });
    await this.command({
      kind: 'bind',
      task: model && data && { model, data, training: settings.training, ...engineOf(state) },
    });
  }
}
