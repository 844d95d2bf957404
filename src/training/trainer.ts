/** {@link TrainerApi} over one session at a time: what the page's worker exposes. */

import { fail } from '../lib/errors.ts';
import { englishOf, say } from '../lib/say.ts';
import { createAdapterSet } from './adapterSet.ts';
import { type Backend, openBackend } from './backend.ts';
import { beforeAfter } from './beforeAfter.ts';
import { decodeCheckpoint } from './checkpoint.ts';
import { forecastReport, limitsOf } from './forecast.ts';
import { readFiles, sizeOf } from './inputFiles.ts';
import { createLooks } from './looks.ts';
import { fileOf, mergeReport, parityFiles } from './merging.ts';
import { compareMethods } from './methodComparison.ts';
import { type Host, openModel } from './openModel.ts';
import type { EngineName, OpenReport, TrainerApi } from './protocol.ts';
import { sessionProject } from './python.ts';
import { previewData, reportData, reportModel } from './reports.ts';
import { Run, requireOpen } from './run.ts';
import { openSession, requireGoesOn, type Session } from './session.ts';
import { adapterFiles as filesOf } from './setup.ts';
import { measureSpeed } from './speed.ts';
import { stepTimer } from './stepTime.ts';
import { classifyDrawing } from './whatIf.ts';

/** What computes, the run that is open on it, if one is, and what gives way to it. */
class CurrentRun {
  readonly #host: Host;
  /** By the engine that was asked for; none asked for: the one that suits the machine. */
  readonly #backends = new Map<EngineName | undefined, Promise<Backend>>();
  #run: Run | null = null;
  /** What is done beside the run and gives way to it. */
  readonly #beside = { comparison: new AbortController(), check: new AbortController() };

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
    this.#endBeside();
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
        { measuresAdapter: true, ...(checkpoint ? { checkpoint } : {}) },
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
    this.#endBeside();
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

  /** Ends the one before of the same. */
  #nextBeside(what: 'comparison' | 'check'): AbortSignal {
    this.#beside[what].abort();
    this.#beside[what] = new AbortController();
    return this.#beside[what].signal;
  }

  #endBeside(): void {
    for (const one of Object.values(this.#beside)) one.abort();
  }

  readonly stopMethodComparison = async (): Promise<void> => this.#beside.comparison.abort();
  readonly stopDeviceCheck = async (): Promise<void> => this.#beside.check.abort();

  readonly compareMethods: TrainerApi['compareMethods'] = async (request, events) => {
    const signal = this.#nextBeside('comparison');
    if (this.#run?.session?.isRunning()) await this.pause();
    const on = await this.backend(request.engine);
    const { vendor, architecture, description } = on.info;
    const where = [vendor, architecture, description].filter(Boolean).join(', ') || say`this device`;
    return compareMethods(request, { on, where, host: this.#host, signal }, events);
  };

  readonly checkDevice: TrainerApi['checkDevice'] = async (engine, events) => {
    if (this.#run?.session?.isRunning())
      fail('bad-argument', say`The device is not checked while a run trains: pause the run first.`);
    const signal = this.#nextBeside('check');
    // References and cases come with it.
    const { checkDevice } = await import('./deviceCheck.ts');
    return checkDevice(this.#host, engine, events, signal);
  };

  readonly close = async (): Promise<void> => {
    const run = this.#run;
    this.#run = null;
    this.#endBeside();
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
    warningsInEnglish: opened.warnings.map(englishOf),
  };
}

/** What one array can be everywhere, and far more than an adapter's run comes to. */
const MOST_CHECKPOINT_BYTES = 2 ** 31;

const readCheckpoint: TrainerApi['readCheckpoint'] = async (file) => {
  if (sizeOf(file) > MOST_CHECKPOINT_BYTES)
    fail(
      'checkpoint',
      say`${file.name} is larger than any checkpoint that a page can hold (2 GiB): go on with it on the command line, by papilio finetune --resume.`,
    );
  const bytes = (await readFiles([file]))[0]!.bytes;
  const { step, settings, engine, sources, adapterHash } = await decodeCheckpoint(bytes, file.name);
  return { bytes, step, settings, engine, sources, hasAdapter: adapterHash !== null };
};

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
    ...{ open, play, pause, step, checkpoint, readCheckpoint, close },
    requireGoesOn: (request, kept) => requireGoesOn(request, host, kept),
    ...{ compareMethods: run.compareMethods, stopMethodComparison: run.stopMethodComparison },
    ...{ checkDevice: run.checkDevice, stopDeviceCheck: run.stopDeviceCheck },
    ...createLooks(run, host),
    beforeAfter: async (options) => run.session.atStep((session) => beforeAfter(session, options)),
    classify: async (pixels) =>
      (await run.session.atStep((session) => classifyDrawing(session, pixels))).value,
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
