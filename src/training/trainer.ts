/** {@link TrainerApi} over one session at a time: what the page's worker exposes. */
import { errorReport, fail, isFatal, PapilioError } from '../lib/errors.ts';
import { createAdapterSet } from './adapterSet.ts';
import { type Backend, openBackend } from './backend.ts';
import { beforeAfter, classifyPixels } from './beforeAfter.ts';
import { forecastReport, limitsOf } from './forecast.ts';
import { createLooks } from './looks.ts';
import { fileOf, mergeReport, parityFiles } from './merging.ts';
import { compareMethods } from './methodComparison.ts';
import { type Host, openModel } from './openModel.ts';
import type { EngineName, OpenReport, RunState, TrainerApi, TrainerEvent } from './protocol.ts';
import { sessionProject } from './python.ts';
import { previewData, reportData, reportModel } from './reports.ts';
import { openSession, type Session } from './session.ts';
import { adapterFiles as filesOf } from './setup.ts';
import { measureSpeed } from './speed.ts';
import { stepTimer } from './stepTime.ts';

const left = (): PapilioError =>
  new PapilioError('aborted', 'The run was left before it was open.', { left: true });

/** One run from its opening to its end, with the one stream of events on it: after the end nothing more is said. */
class Run {
  session: Session | null = null;
  readonly #events: (event: TrainerEvent) => unknown;
  #isCompiling = false;
  #why: unknown = null;
  #heard: Promise<unknown> = Promise.resolve();
  #playing: Promise<void> = Promise.resolve();

  constructor(
    events: (event: TrainerEvent) => unknown,
    readonly engine: EngineName | undefined,
  ) {
    this.#events = events;
  }

  /** What ended it: it was left, its device was lost, or it could not be opened; null while it goes on. */
  get why(): unknown {
    return this.#why;
  }

  /** @returns the session that it had */
  end(why: unknown): Session | null {
    const { session } = this;
    this.#why ??= why;
    this.session = null;
    return session;
  }

  /** @throws what ended it, where something did */
  requireWanted(): void {
    if (this.#why) throw this.#why;
  }

  emit(event: TrainerEvent): void {
    if (this.#why) return;
    this.#heard = (async () => this.#events(event))().catch(() => {});
  }

  state(state: RunState): void {
    this.emit({ type: 'state', state });
  }

  /** Said once. */
  compiling(): void {
    if (!this.#isCompiling) this.state('compiling');
    this.#isCompiling = true;
  }

  fail(error: unknown): void {
    const report = errorReport(error);
    this.emit({ type: 'error', error: report });
    this.state(isFatal(report.kind) ? 'failed' : 'paused');
  }

  /** Resolves when whoever listens has heard of all events so far. */
  heard(): Promise<unknown> {
    return this.#heard;
  }

  play(steps?: number): void {
    const { session } = requireOpen(this);
    this.state('running');
    this.#playing = session.play(steps).then(
      () => {
        const { step, total } = session.position();
        this.state(step >= total ? 'finished' : 'paused');
      },
      (error: unknown) => this.fail(error),
    );
  }

  async pause(): Promise<void> {
    await this.session?.pause();
    await this.#playing;
  }

  /** Ends it without a word: whoever leaves it knows. */
  async leave(): Promise<void> {
    const session = this.end(left());
    await session?.pause();
    await session?.close();
  }
}

/** @throws PapilioError 'bad-argument' where none is open */
const requireOpen = (run: Run | null): Run & { readonly session: Session } =>
  run?.session
    ? (run as Run & { readonly session: Session })
    : fail('bad-argument', 'There is no open run; press Train to start one.');

/** What computes, the run that is open on it, if one is, and what gives way to it. */
class CurrentRun {
  readonly #host: Host;
  /** By the engine that was asked for; none asked for: the one that suits the machine. */
  readonly #backends = new Map<EngineName | undefined, Promise<Backend>>();
  #run: Run | null = null;
  /** What is done beside the run and gives way to it: methods compared, the device checked. */
  #beside: AbortController | null = null;

  constructor(host: Host) {
    this.#host = host;
  }

  /** @throws PapilioError 'bad-argument' where none is open */
  get session(): Session {
    return requireOpen(this.#run).session;
  }

  /** What the open run is computed by. */
  readonly ownBackend = (): Promise<Backend> => this.backend(requireOpen(this.#run).engine);

  readonly backend = (engine: EngineName | undefined): Promise<Backend> => {
    const known = this.#backends.get(engine);
    if (known) return known;
    const opening = openBackend(this.#host, engine);
    this.#backends.set(engine, opening);
    const forget = () => {
      if (this.#backends.get(engine) !== opening) return false;
      return this.#backends.delete(engine);
    };
    opening.then(
      ({ lost }) =>
        void lost.then((error) => {
          if (!forget() || this.#run?.engine !== engine) return;
          this.#run?.fail(error);
          this.#run?.end(error);
        }),
      forget,
    );
    return opening;
  };

  readonly open: TrainerApi['open'] = async (request, events, checkpoint) => {
    const before = this.#run;
    const run = new Run(events, request.engine);
    this.#run = run;
    this.#beside?.abort();
    await before?.leave();
    try {
      run.state('loading');
      const backend = await this.backend(request.engine);
      // A run that was closed, or followed by another, while it was being opened goes no further.
      run.requireWanted();
      const session = await openSession(
        backend,
        request,
        this.#host,
        (event) => {
          if (event.type === 'progress' && event.progress.clock === 'compile') {
            run.requireWanted();
            run.compiling();
          }
          run.emit(event);
        },
        checkpoint ? { checkpoint } : {},
      );
      if (run.why) await session.close();
      run.requireWanted();
      run.session = session;
      const history = { steps: [...session.history.steps], evals: [...session.history.evals] };
      if (session.position().step === 0 && history.evals.length === 0) {
        const metric = await session.evaluate('base');
        run.requireWanted();
        session.history.evals.push(metric);
        run.emit({ type: 'eval', metric });
      }
      run.emit({ type: 'open', report: reportOf(session, backend, history) });
      run.state('ready');
      await run.heard();
    } catch (error) {
      run.state('failed');
      await run.end(error)?.close();
      await run.heard();
      throw run.why;
    }
  };

  readonly play = (): Promise<void> => this.#play();
  readonly step = (): Promise<void> => this.#play(1);

  async #play(steps?: number): Promise<void> {
    const run = requireOpen(this.#run);
    this.#beside?.abort();
    run.play(steps);
    await run.heard();
  }

  readonly pause = async (): Promise<void> => {
    const run = requireOpen(this.#run);
    await run.pause();
    await run.heard();
  };

  readonly checkpoint = async (): Promise<Uint8Array> => {
    const run = requireOpen(this.#run);
    const kept = await run.session.checkpoint();
    await run.heard();
    return kept;
  };

  /** Ends what was done beside the run before. */
  #nextBeside(): AbortSignal {
    this.#beside?.abort();
    this.#beside = new AbortController();
    return this.#beside.signal;
  }

  readonly stopBeside = async (): Promise<void> => {
    this.#beside?.abort();
  };

  readonly compareMethods: TrainerApi['compareMethods'] = async (request, events) => {
    const signal = this.#nextBeside();
    if (this.#run?.session?.isRunning()) await this.pause();
    const on = await this.backend(request.engine);
    const { vendor, architecture, description } = on.info;
    const where = [vendor, architecture, description].filter(Boolean).join(', ') || 'this device';
    return compareMethods(request, { on, where, host: this.#host, signal }, events);
  };

  readonly checkDevice: TrainerApi['checkDevice'] = async (engine, events) => {
    if (this.#run?.session?.isRunning())
      fail('bad-argument', 'The device is not checked while a run trains: pause the run first.');
    const signal = this.#nextBeside();
    // References and cases come with it.
    const { checkDevice } = await import('./deviceCheck.ts');
    return checkDevice(this.#host, engine, events, signal);
  };

  readonly close = async (): Promise<void> => {
    const run = this.#run;
    this.#run = null;
    this.#beside?.abort();
    await run?.leave();
    const open = [...this.#backends.values()];
    this.#backends.clear();
    for (const backend of await Promise.allSettled(open))
      if (backend.status === 'fulfilled') backend.value.close();
  };
}

/** @param history the curve that came with a checkpoint */
function reportOf(opened: Session, { info }: Backend, history: OpenReport['history']): OpenReport {
  const { step, total } = opened.position();
  const { stats } = opened.engine;
  return {
    model: reportModel(opened.opened),
    data: reportData(opened.data, opened.batches.options),
    device: info,
    counts: {
      trainable: opened.counts,
      gpu: stats && {
        dispatchesPerStep: stats.dispatchesPerStep,
        bytes: stats.gpuBytes,
        peakBytes: stats.peakBytes,
      },
    },
    tuning: opened.engine.tuning,
    totalSteps: total,
    resumedAt: step,
    history,
    warnings: opened.warnings,
  };
}

export function createTrainer(host: Host): TrainerApi {
  const run = new CurrentRun(host);
  const { open, play, pause, step, checkpoint, close } = run;
  const adapters = createAdapterSet(host, run.backend);
  const { changeAdapters, scoreAdapters, inspectAdapter, mergeAdapters, adapterFiles } = adapters;
  return {
    describe: async (source) => reportModel(await openModel(source, host)),
    preview: async (model, data, training) => previewData(model, data, training, host),
    async forecast(request, budgetBytes) {
      const backend = await run.backend(request.engine);
      return forecastReport(request, host, limitsOf(backend, budgetBytes), stepTimer(backend));
    },
    async speed(request, signal) {
      return measureSpeed(await run.backend(request.engine), request, host, signal);
    },
    ...{ open, play, pause, step, checkpoint, close },
    ...{ compareMethods: run.compareMethods, stopMethodComparison: run.stopBeside },
    ...{ checkDevice: run.checkDevice, stopDeviceCheck: run.stopBeside },
    ...createLooks(run, host),
    beforeAfter: async (options) => run.session.atStep((session) => beforeAfter(session, options)),
    classify: async (pixels) => classifyPixels(run.session, pixels),
    inspect: async (module) => run.session.atStep((session) => session.inspect(module)),
    async exportAdapter() {
      const written = await run.session.exportAdapter();
      return { files: filesOf(written), warnings: written.warnings };
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
    paritySamples: async (of, withBase) => (of === 'run' ? run.session : adapters).paritySamples(withBase),
    async parityFile(of, written, quantised, seed) {
      const model = of === 'run' ? run.session.model : adapters.model();
      const files = parityFiles(model, { onnx: new Blob(), written }, quantised, fileOf);
      return seed === undefined ? files.base() : files.moved(seed);
    },
    ...{ changeAdapters, scoreAdapters, inspectAdapter, mergeAdapters, adapterFiles },
  };
}
