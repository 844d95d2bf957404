/** {@link TrainerApi} over one session at a time: what the page's worker exposes. */
import type { Device } from '../gpu/device.ts';
import { openDevice } from '../gpu/device.ts';
import { fail } from '../lib/errors.ts';
import { classifyPixels, compare } from './compare.ts';
import { errorReport } from './errorReport.ts';
import { forecastReport, limitsOf } from './forecast.ts';
import { fileOf, mergeReport, parityFiles } from './mergeReport.ts';
import { reportData } from './openData.ts';
import { openModel, type Surroundings } from './openModel.ts';
import { probeSpeed } from './probe.ts';
import type {
  OpenReport,
  RunRequest,
  RunState,
  SweepEvent,
  SweepReport,
  SweepRequest,
  TrainerApi,
  TrainerEvent,
} from './protocol.ts';
import { sessionProject } from './python.ts';
import { previewData, reportModel } from './reports.ts';
import { openSession, type Session, type SessionEvents } from './session.ts';
import { createShelf } from './shelf/shelf.ts';
import { runSweep } from './sweep.ts';

/** An event without its run's number, for each member of the union. */
type EventBody = TrainerEvent extends infer E ? (E extends TrainerEvent ? Omit<E, 'runId'> : never) : never;

/** The run that is open, if one is: what it does, and what is told of it. */
class CurrentRun {
  readonly #around: Surroundings;
  #device: Device | null = null;
  #session: Session | null = null;
  #runId = 0;
  #send: (event: EventBody) => void = () => {};
  /** What is measured beside the run gives way to it. */
  #sweeping: AbortController | null = null;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** @throws PapilioError 'bad-argument' where none is open */
  get session(): Session {
    return this.#session ?? fail('bad-argument', 'There is no open run; press Train to start one.');
  }

  emit(event: EventBody): void {
    this.#send(event);
  }

  readonly device = async (): Promise<Device> => {
    if (this.#device) return this.#device;
    const opened = await openDevice(await this.#around.gpu());
    this.#device = opened;
    void opened.lost.then((error) => {
      if (this.#device === opened) this.#device = null;
      this.#session = null;
      this.emit({ type: 'error', error: errorReport(error), resumable: true });
      this.#state('failed');
    });
    return opened;
  };

  async open(request: RunRequest, events: (event: TrainerEvent) => void, checkpoint?: Uint8Array) {
    const id = ++this.#runId;
    this.stopSweep();
    this.#send = (event) => {
      if (id === this.#runId) events({ runId: id, ...event } as TrainerEvent);
    };
    await this.#leave();
    try {
      this.#state('loading');
      const gpu = await this.device();
      this.#requireWanted(id);
      const opened = await openSession(
        gpu,
        request,
        this.#around,
        this.#eventsOf(id),
        checkpoint ? { checkpoint } : {},
      );
      if (id !== this.#runId) opened.destroy();
      this.#requireWanted(id);
      this.#session = opened;
      if (opened.position().step === 0 && opened.history.evals.length === 0) {
        const before = await opened.evaluate('base');
        opened.history.evals.push(before);
        this.emit({ type: 'eval', metric: before });
      }
      this.#state('ready');
      return reportOf(id, opened, gpu);
    } catch (error) {
      if (id === this.#runId) this.#state('failed');
      throw error;
    }
  }

  play(steps?: number): void {
    const { session } = this;
    this.stopSweep();
    this.#state('running');
    session.play(steps).then(
      () => {
        if (this.#session !== session) return;
        const { step, total } = session.position();
        this.#state(step >= total ? 'finished' : 'paused');
      },
      (error: unknown) => {
        if (this.#session !== session) return;
        this.emit({ type: 'error', error: errorReport(error), resumable: true });
        this.#state('paused');
      },
    );
  }

  async pause(): Promise<void> {
    await this.session.pause();
    this.#state('paused');
  }

  /** Methods beside the run, which is paused. */
  async sweep(request: SweepRequest, events: (event: SweepEvent) => void): Promise<SweepReport> {
    this.stopSweep();
    const mine = new AbortController();
    this.#sweeping = mine;
    if (this.#session?.isRunning()) await this.pause();
    const on = await this.device();
    const { vendor, architecture, description } = on.info;
    const where = [vendor, architecture, description].filter(Boolean).join(', ') || 'this device';
    return runSweep(request, { on, where, around: this.#around, signal: mine.signal }, events);
  }

  stopSweep(): void {
    this.#sweeping?.abort();
  }

  async close(): Promise<void> {
    this.#runId++;
    this.stopSweep();
    await this.#leave();
    const closing = this.#device;
    this.#device = null;
    closing?.destroy();
  }

  async #leave(): Promise<void> {
    await this.#session?.pause();
    this.#session?.destroy();
    this.#session = null;
  }

  #state(state: RunState): void {
    this.emit({ type: 'state', state });
  }

  /** A run that was closed, or followed by another, while it was being opened goes no further. */
  #requireWanted(id: number): void {
    if (id !== this.#runId) fail('aborted', 'The run was left before it was open.', { left: true });
  }

  #eventsOf(id: number): SessionEvents {
    let compiling = false;
    return {
      onBytes: (doneBytes, totalBytes, what) =>
        this.emit({ type: 'progress', progress: { clock: 'download', doneBytes, totalBytes, what } }),
      onCompile: (done, total) => {
        this.#requireWanted(id);
        if (!compiling) this.#state('compiling');
        compiling = true;
        this.emit({ type: 'progress', progress: { clock: 'compile', done, total } });
      },
      onStep: (metric) => {
        // None where the device was lost with the step in flight.
        if (!this.#session) return;
        const { engine, position } = this.#session;
        this.emit({ type: 'step', metric, submits: engine.stats?.submitsPerStep ?? 0 });
        const progress = { clock: 'train', done: metric.step, total: position().total } as const;
        this.emit({ type: 'progress', progress });
      },
      onEval: (metric) => this.emit({ type: 'eval', metric }),
      onEnd: () => {},
    };
  }
}

function reportOf(runId: number, opened: Session, gpu: Device): OpenReport {
  const { step, total } = opened.position();
  const stats = opened.engine.stats ?? fail('internal', 'The trainer runs on a GPU.');
  return {
    runId,
    model: reportModel(opened.opened),
    data: reportData(opened.data, opened.batches.options),
    device: {
      ...gpu.info,
      isSoftware: gpu.caps.software,
    },
    counts: {
      trainable: opened.counts,
      dispatchesPerStep: stats.dispatchesPerStep,
      gpuBytes: stats.gpuBytes,
      peakBytes: stats.peakBytes,
    },
    totalSteps: total,
    resumedAt: step,
    history: { steps: [...opened.history.steps], evals: [...opened.history.evals] },
    warnings: opened.warnings,
  };
}

export function createTrainer(around: Surroundings): TrainerApi {
  const run = new CurrentRun(around);
  const shelf = createShelf(around, run.device);
  return {
    describe: async (source) => reportModel(await openModel(source, around)),
    preview: async (model, data, training) =>
      previewData(await openModel(model, around), data, training, around),
    async forecast(request, budgetBytes) {
      const gpu = await run.device();
      return forecastReport(request, around, limitsOf(gpu, budgetBytes), await probeSpeed(gpu));
    },
    open: (request, events, checkpoint) => run.open(request, events, checkpoint),
    play: async () => run.play(),
    pause: () => run.pause(),
    step: async () => run.play(1),
    async checkpoint() {
      const bytes = await run.session.checkpoint();
      run.emit({ type: 'checkpoint', step: run.session.position().step, bytes: bytes.length });
      return bytes;
    },
    compare: async (options) => run.session.atStep((session) => compare(session, options)),
    classify: async (pixels) => classifyPixels(run.session, pixels),
    inspect: async (module) => run.session.atStep((session) => session.inspect(module)),
    async exportAdapter() {
      const { warnings, ...files } = await run.session.exportAdapter();
      return {
        files: Object.entries(files).map(([name, content]) => ({
          name,
          bytes: typeof content === 'string' ? new TextEncoder().encode(content) : content,
        })),
        warnings,
      };
    },
    continueInPython: async () => sessionProject(run.session),
    async merge(quantised) {
      const { session } = run;
      return mergeReport(session.opened, session.model, await session.mergeModel(quantised), fileOf);
    },
    async baseModel() {
      const { model, setup } = run.session;
      return { onnx: fileOf(model.onnx), hasNewHead: model.onnx !== setup.first.model.onnx };
    },
    paritySamples: async (of, withBase) => (of === 'run' ? run.session : shelf).paritySamples(withBase),
    async parityFile(of, written, quantised, seed) {
      const model = of === 'run' ? run.session.model : shelf.model();
      const files = parityFiles(model, { onnx: new Blob(), written }, quantised, fileOf);
      return seed === undefined ? files.base() : files.moved(seed);
    },
    sweepMethods: (request, events) => run.sweep(request, events),
    stopSweep: async () => run.stopSweep(),
    shelf: shelf.run,
    shelfScore: shelf.score,
    shelfInspect: shelf.inspect,
    shelfMerge: shelf.mergeOut,
    shelfFiles: shelf.files,
    close: () => run.close(),
  };
}
