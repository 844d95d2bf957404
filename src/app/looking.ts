/** Asking the trainer about a run besides training it: comparisons, looks inside, merging with parity, files. One question at a time. */
import type { InferenceClient } from '../inference/client.ts';
import { PapilioError } from '../lib/errors.ts';
import type { TrainerApi } from '../training/protocol.ts';
import { checkMerged } from './checkMerged.ts';
import type { Controller } from './controller.ts';
import { derive } from './derive.ts';
import { runJson, saveFile, zipOf } from './exports.ts';
import type { RunView, Stores } from './stores.ts';

export interface Looking {
  compare(): Promise<void>;
  inspect(): Promise<void>;
  merge(): Promise<void>;
  classify(
    pixels: Float32Array,
  ): Promise<{ readonly before: Float32Array; readonly after: Float32Array } | null>;
  saveAdapter(): Promise<void>;
  /** Writes the Python project; it is saved once its reader has seen what cannot carry over. */
  writePython(): Promise<void>;
  savePython(): Promise<void>;
  /** Breaks the check of the merged file off. */
  stopChecking(): void;
}

/** Held-out examples that are asked about; those that changed most are shown. */
const COMPARED = 32;

/** Can be asked for again and again: while one is under way only one more waits for it. */
type Look = () => Promise<void>;

export function createLooking(
  { choice, run, ui }: Stores,
  trainer: TrainerApi,
  controller: Controller,
  inference: () => Promise<InferenceClient>,
): Looking {
  let queue: Promise<unknown> = Promise.resolve();
  /** What begins anew when the run is another: nothing waits for an answer that may never come. */
  const forgetting: (() => void)[] = [];
  let isMerging = false;
  let checking: InferenceClient | null = null;
  const taken = async (): Promise<InferenceClient> => {
    checking = await inference();
    wasStopped = false;
    return checking;
  };
  let wasStopped = false;
  const stopChecking = () => {
    wasStopped = checking !== null;
    checking?.end();
    checking = null;
  };
  run.subscribe(({ open }, before) => {
    if (open === before.open) return;
    queue = Promise.resolve();
    for (const forget of forgetting) forget();
    isMerging = false;
    stopChecking();
  });
  /** Runs a task after those before it and shows what went wrong; null if it failed or there is no run. */
  function ask<T>(busy: string | null, task: () => Promise<T>): Promise<T | null> {
    const result = queue.then(async () => {
      const { open, state } = run.getState();
      if (open === null || state === 'failed') return null;
      if (busy !== null) run.setState({ busy });
      try {
        return await task();
      } catch (error) {
        // What was asked of a run that has ended since is no trouble.
        if (run.getState().open === open) controller.fail(error);
        return null;
      } finally {
        if (busy !== null && run.getState().open === open) run.setState({ busy: null });
      }
    });
    queue = result;
    return result;
  }

  /** @param task gives what is then shown; of a run that has ended since nothing is */
  function refreshed(
    flag: 'isComparing' | 'isInspecting',
    task: () => Promise<Partial<Pick<RunView, 'comparison' | 'inspection'>>>,
  ): Look {
    let asked = 0;
    let waiting: Promise<void> | null = null;
    let sitting = 0;
    forgetting.push(() => {
      sitting++;
      asked = 0;
      waiting = null;
    });
    const begin = async (): Promise<void> => {
      const mine = sitting;
      asked++;
      run.setState({ [flag]: true });
      await ask(null, async () => {
        if (mine === sitting) waiting = null;
        const { open } = run.getState();
        const seen = await task();
        if (run.getState().open === open) run.setState(seen);
      });
      if (mine !== sitting) return;
      asked--;
      // Where there was no run to ask, nobody has begun.
      if (asked === 0) waiting = null;
      if (asked === 0) run.setState({ [flag]: false });
    };
    return () => {
      waiting ??= begin();
      return waiting;
    };
  }

  const step = () => run.getState().current?.series.column('step').at(-1) ?? 0;

  const compare = refreshed('isComparing', async () => {
    const { prompt, sampleSeed, temperature } = ui.getState();
    const comparison = await trainer.beforeAfter({
      seed: sampleSeed,
      temperature,
      examples: COMPARED,
      maxTokens: 64,
      ...(prompt === '' ? {} : { prompt }),
    });
    return { comparison };
  });

  const inspect = refreshed('isInspecting', async () => {
    const { current, open } = run.getState();
    if (current === null || open === null) return {};
    const targets = derive(current.settings, open.model).selection?.targets ?? [];
    const wanted = ui.getState().module;
    const module = wanted !== null && targets.includes(wanted) ? wanted : targets[0];
    return module === undefined ? {} : { inspection: await trainer.inspect(module) };
  });

  controller.onSettled(() => {
    // A merge goes first; the pictures follow when it is done.
    if (isMerging) return;
    void compare();
    void inspect();
  });

  return {
    compare,
    inspect,
    async merge() {
      isMerging = true;
      const opened = run.getState().open;
      run.setState({ busy: 'Pausing' });
      if (run.getState().state === 'running') await controller.pause();
      await ask('Merging', async () => {
        const { quantised } = choice.getState();
        const merged = await trainer.merge(quantised);
        const base = {
          onnx: merged.onnx,
          changed: merged.changedInitializers,
          written: merged.written,
          sidecars: merged.sidecars,
          step: step(),
        };
        run.setState({ merged: { ...base, parity: null }, busy: 'Running the merged file in onnxruntime' });
        const parity = await checkMerged(trainer, taken, 'run', merged, quantised).catch((error) => {
          // Not known to compute what was trained: it is not offered.
          if (run.getState().merged?.onnx === base.onnx) run.setState({ merged: null });
          throw wasStopped
            ? new PapilioError(
                'aborted',
                'The check of the merged file was broken off, so that the file is not offered.',
              )
            : error;
        });
        checking = null;
        run.setState({ merged: { ...base, parity } });
      });
      if (run.getState().open !== opened) return;
      isMerging = false;
      run.setState({ busy: null });
      void compare();
      void inspect();
    },
    stopChecking,
    classify: (pixels) => ask(null, () => trainer.classify(pixels)),
    async writePython() {
      if (run.getState().state === 'running') await controller.pause();
      await ask('Writing the project', async () => {
        run.setState({ python: { ...(await trainer.continueInPython()), step: step() } });
      });
    },
    async savePython() {
      const { python, current } = run.getState();
      if (python === null) return;
      const folder = `${current?.name ?? 'run'}-python`;
      const files = python.files.map(({ name, bytes }) => ({ name: `${folder}/${name}`, bytes }));
      saveFile(`${folder}.zip`, await zipOf(files));
    },
    async saveAdapter() {
      await ask('Packing the adapter', async () => {
        const { files, warnings } = await trainer.exportAdapter();
        const { current } = run.getState();
        const name = current?.name ?? choice.getState().settings.method;
        const all =
          current === null
            ? files
            : [...files, { name: 'run.json', bytes: new TextEncoder().encode(runJson(current)) }];
        saveFile(`${name}-adapter.zip`, await zipOf(all));
        if (warnings.length > 0) ui.setState({ notice: warnings.join(' ') });
      });
    },
  };
}
