/** Asking the trainer about a run besides training it: comparisons, looks inside, merging with parity, files. One question at a time. */
import type { InferenceClient } from '../inference/client.ts';
import type { TrainerApi } from '../training/protocol.ts';
import { checkMerged } from './checkMerged.ts';
import type { Controller } from './controller.ts';
import { derive } from './derive.ts';
import { runJson, saveFile, zipOf } from './exports.ts';
import type { Stores } from './stores.ts';

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
}

/** A look that took longer is not repeated while training runs. */
const CHEAP_MS = 1500;

export function createLooking(
  { choice, run, ui }: Stores,
  trainer: TrainerApi,
  controller: Controller,
  inference: () => Promise<InferenceClient>,
): Looking {
  let queue: Promise<unknown> = Promise.resolve();
  const took = { compare: 0, inspect: 0 };

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
        if (busy !== null) run.setState({ busy: null });
      }
    });
    queue = result;
    return result;
  }

  const step = () => run.getState().current?.series.column('step').at(-1) ?? 0;

  const compare = async (): Promise<void> => {
    await ask(null, async () => {
      const start = performance.now();
      const { prompt, sampleSeed, temperature } = ui.getState();
      const value = await trainer.compare({
        seed: sampleSeed,
        temperature,
        examples: 8,
        maxTokens: 64,
        ...(prompt === '' ? {} : { prompt }),
      });
      took.compare = performance.now() - start;
      run.setState({ comparison: { value, step: step() } });
    });
  };

  const inspect = async (): Promise<void> => {
    await ask(null, async () => {
      const { current, open } = run.getState();
      if (current === null || open === null) return;
      const targets = derive(current.settings, open.model).selection?.targets ?? [];
      const wanted = ui.getState().module;
      const module = wanted !== null && targets.includes(wanted) ? wanted : targets[0];
      if (module === undefined) return;
      const start = performance.now();
      const value = await trainer.inspect(module);
      took.inspect = performance.now() - start;
      run.setState({ inspection: { value, step: step() } });
    });
  };

  let isMerging = false;
  controller.onSettled((event) => {
    // A merge goes first; the pictures follow when it is done.
    if (isMerging) return;
    if (event !== 'eval' || took.compare < CHEAP_MS) void compare();
    if (event !== 'eval' || took.inspect < CHEAP_MS) void inspect();
  });

  return {
    compare,
    inspect,
    async merge() {
      isMerging = true;
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
        const parity = await checkMerged(trainer, inference, 'run', merged, quantised);
        run.setState({ merged: { ...base, parity } });
      });
      isMerging = false;
      run.setState({ busy: null });
      void compare();
      void inspect();
    },
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
