/** {@link TrainerApi} over one session at a time: what the page's worker exposes. */
import type { Device } from '../gpu/device.ts';
import { openDevice } from '../gpu/device.ts';
import { fail } from '../lib/errors.ts';
import { classifyPixels, compare } from './compare.ts';
import { errorReport } from './errorReport.ts';
import { forecastReport, limitsOf } from './forecast.ts';
import { fileOf, mergeReport, parityFiles } from './mergeReport.ts';
import { probeSpeed } from './probe.ts';
import type { RunState, TrainerApi, TrainerEvent } from './protocol.ts';
import { sessionProject } from './python.ts';
import { previewData, reportModel } from './reports.ts';
import { openSession, type Session } from './session.ts';
import { createShelf } from './shelf/shelf.ts';
import { openModel, reportData, type Surroundings } from './source.ts';
import { runSweep } from './sweep.ts';

/** An event without its run's number, for each member of the union. */
type EventBody = TrainerEvent extends infer E ? (E extends TrainerEvent ? Omit<E, 'runId'> : never) : never;

export function createTrainer(around: Surroundings): TrainerApi {
  let device: Device | null = null;
  let session: Session | null = null;
  let runId = 0;
  let send: (event: EventBody) => void = () => {};

  const current = (): Session =>
    session ?? fail('bad-argument', 'There is no open run; press Train to start one.');
  const state = (to: RunState): void => send({ type: 'state', state: to });

  const openGpuDevice = async (): Promise<Device> => {
    if (device) return device;
    const opened = await openDevice(await around.gpu());
    device = opened;
    void opened.lost.then((error) => {
      if (device === opened) device = null;
      session = null;
      send({ type: 'error', error: errorReport(error), resumable: true });
      state('failed');
    });
    return opened;
  };

  /** What is measured beside the run gives way to it. */
  let sweeping: AbortController | null = null;

  const run = (steps?: number): void => {
    const running = current();
    sweeping?.abort();
    state('running');
    running.play(steps).then(
      () => {
        if (session !== running) return;
        const { step, total } = running.position();
        state(step >= total ? 'finished' : 'paused');
      },
      (error: unknown) => {
        if (session !== running) return;
        send({ type: 'error', error: errorReport(error), resumable: true });
        state('paused');
      },
    );
  };

  const shelf = createShelf(around, openGpuDevice);

  return {
    async describe(source) {
      return reportModel(await openModel(source, around));
    },

    async preview(model, data, training) {
      return previewData(await openModel(model, around), data, training, around);
    },

    async forecast(request, budgetBytes) {
      const gpu = await openGpuDevice();
      return forecastReport(request, around, limitsOf(gpu, budgetBytes), await probeSpeed(gpu));
    },

    async open(request, events, checkpoint) {
      const id = ++runId;
      /** A run that was closed, or followed by another, while it was being opened goes no further. */
      const requireWanted = (): void => {
        if (id !== runId) fail('aborted', 'The run was left before it was open.', { left: true });
      };
      sweeping?.abort();
      send = (event) => {
        if (id === runId) events({ runId: id, ...event } as TrainerEvent);
      };
      await session?.pause();
      session?.destroy();
      session = null;
      try {
        state('loading');
        const gpu = await openGpuDevice();
        requireWanted();
        let compiling = false;
        const opened = await openSession(
          gpu,
          request,
          around,
          {
            onBytes: (doneBytes, totalBytes, what) =>
              send({ type: 'progress', progress: { clock: 'download', doneBytes, totalBytes, what } }),
            onCompile: (done, total) => {
              requireWanted();
              if (!compiling) state('compiling');
              compiling = true;
              send({ type: 'progress', progress: { clock: 'compile', done, total } });
            },
            onStep: (metric) => {
              send({ type: 'step', metric, submits: opened.engine.stats?.submitsPerStep ?? 0 });
              send({
                type: 'progress',
                progress: { clock: 'train', done: metric.step, total: opened.position().total },
              });
            },
            onEval: (metric) => send({ type: 'eval', metric }),
            onEnd: () => {},
          },
          checkpoint ? { checkpoint } : {},
        );
        if (id !== runId) opened.destroy();
        requireWanted();
        session = opened;
        if (opened.position().step === 0 && opened.history.evals.length === 0) {
          const before = await opened.evaluate('base');
          opened.history.evals.push(before);
          send({ type: 'eval', metric: before });
        }
        state('ready');
        const { step, total } = opened.position();
        const stats = opened.engine.stats ?? fail('internal', 'The trainer runs on a GPU.');
        return {
          runId: id,
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
      } catch (error) {
        if (id === runId) state('failed');
        throw error;
      }
    },

    async play() {
      run();
    },
    async pause() {
      await current().pause();
      state('paused');
    },
    async step() {
      run(1);
    },
    async checkpoint() {
      const bytes = await current().checkpoint();
      send({ type: 'checkpoint', step: current().position().step, bytes: bytes.length });
      return bytes;
    },

    async compare(options) {
      return current().atStep((session) => compare(session, options));
    },
    classify: (pixels) => classifyPixels(current(), pixels),
    async inspect(module) {
      return current().atStep((session) => session.inspect(module));
    },
    async exportAdapter() {
      const { warnings, ...files } = await current().exportAdapter();
      return {
        files: Object.entries(files).map(([name, content]) => ({
          name,
          bytes: typeof content === 'string' ? new TextEncoder().encode(content) : content,
        })),
        warnings,
      };
    },
    continueInPython: () => sessionProject(current()),
    async merge(quantised) {
      const session = current();
      return mergeReport(session.opened, session.model, await session.mergeModel(quantised), fileOf);
    },
    async baseModel() {
      const { model, setup } = current();
      return { onnx: fileOf(model.onnx), hasNewHead: model.onnx !== setup.first.model.onnx };
    },
    paritySamples: async (of, withBase) =>
      of === 'run' ? current().paritySamples(withBase) : shelf.paritySamples(withBase),
    async parityFile(of, written, quantised, seed) {
      const model = of === 'run' ? current().model : shelf.model();
      const files = parityFiles(model, { onnx: new Blob(), written }, quantised, fileOf);
      return seed === undefined ? files.base() : files.moved(seed);
    },
    async sweepMethods(request, events) {
      sweeping?.abort();
      const mine = new AbortController();
      sweeping = mine;
      if (session?.isRunning()) {
        await session.pause();
        state('paused');
      }
      const on = await openGpuDevice();
      const { vendor, architecture, description } = on.info;
      const where = [vendor, architecture, description].filter(Boolean).join(', ') || 'this device';
      return runSweep(request, { on, where, around, signal: mine.signal }, events);
    },
    async stopSweep() {
      sweeping?.abort();
    },
    shelf: shelf.run,
    shelfScore: shelf.score,
    shelfInspect: shelf.inspect,
    shelfMerge: shelf.mergeOut,
    shelfFiles: shelf.files,
    async close() {
      runId++;
      sweeping?.abort();
      await session?.pause();
      session?.destroy();
      session = null;
      const closing = device;
      device = null;
      closing?.destroy();
    },
  };
}
