/** What is taken away of a run: the merged file, checked in onnxruntime, the adapter, the Python project. */
import { PapilioError, paragraph, say } from '../../../common.ts';
import type { MergedOf, MergeReport, ParityReport, QuantisedMerge, TrainerApi } from '../../../protocol.ts';
import { runJson, saveFile, zipOf } from '../../exports.ts';
import type { InferenceClient } from '../../inferenceClient.ts';
import type { Stores } from '../../stores.ts';
import type { Inspecting, Questions } from '../inspect/inspection.ts';
import type { Controller } from '../training/controller.ts';

/**
 * Checks a merged file in the page: the trainer answers, onnxruntime answers, and training/parity.ts decides.
 *
 * @param of whose file it is: the run's, or that of the opened adapters
 * @param inference asked for once for every file, since only an ended worker gives its memory back
 */
export async function checkMerged(
  trainer: Pick<TrainerApi, 'paritySamples' | 'parityFile'>,
  inference: () => Promise<InferenceClient>,
  of: MergedOf,
  { onnx, written, rounds, activations }: Pick<MergeReport, 'onnx' | 'written' | 'rounds' | 'activations'>,
  quantised: QuantisedMerge,
): Promise<ParityReport> {
  const [client, { checkParity }] = await Promise.all([inference(), import('../../../merged.ts')]);
  try {
    return await checkParity<Blob>(
      await trainer.paritySamples(of, rounds),
      {
        merged: onnx,
        rounds,
        activations,
        base: async () => (await trainer.parityFile(of, written, quantised))!,
        moved: (seed) => trainer.parityFile(of, written, quantised, seed),
      },
      async (file) => {
        const session = await client.open(file, { providers: ['wasm'] });
        return { ...session, release: async () => client.end() };
      },
    );
  } finally {
    client.end();
  }
}

/** The name of a merged file, which tells where it was not seen to compute what was trained. */
export const mergedName = (name: string, { verdict }: Pick<ParityReport, 'verdict'>): string =>
  `${name}${verdict === 'passed' ? '' : `.${verdict}`}.onnx`;

/** onnxruntime for checks of merged files, which can be broken off. */
export function createChecker(inference: () => Promise<InferenceClient>) {
  let client: InferenceClient | null = null;
  let wasStopped = false;
  return {
    async open(): Promise<InferenceClient> {
      client = await inference();
      wasStopped = false;
      return client;
    },
    /** Whether the check under way was broken off. */
    wasStopped: () => wasStopped,
    /** Ends the worker that runs the file: its memory goes back at once. */
    stop(): void {
      wasStopped = client !== null;
      client?.end();
      client = null;
    },
    done: () => {
      client = null;
    },
  };
}

export function createMerging(
  { choice, run, ui }: Stores,
  trainer: TrainerApi,
  controller: Pick<Controller, 'pause'>,
  { ask, onOtherRun }: Questions,
  inspection: Pick<Inspecting, 'suspend' | 'resume'>,
  inference: () => Promise<InferenceClient>,
) {
  const checker = createChecker(inference);
  onOtherRun(checker.stop);

  const step = () => run.getState().current?.series.column('step').at(-1) ?? 0;
  const pauseRun = async () => {
    if (run.getState().state === 'running') await controller.pause();
  };

  async function mergeAndCheck(): Promise<void> {
    const { quantised } = choice.getState();
    const merged = await trainer.merge(quantised);
    const { onnx, inputs, outputs, written, sidecars, changedInitializers: changed } = merged;
    const result = { onnx, inputs, outputs, changed, written, sidecars, step: step() };
    run.setState({ merged: { ...result, parity: null }, busy: say`Running the merged file in onnxruntime` });
    const parity = await checkMerged(trainer, checker.open, 'run', merged, quantised).catch((error) => {
      // Not known to compute what was trained: it is not offered.
      if (run.getState().merged?.onnx === onnx) run.setState({ merged: null });
      throw checker.wasStopped()
        ? new PapilioError(
            'aborted',
            say`The check of the merged file was broken off, so that the file is not offered.`,
          )
        : error;
    });
    checker.done();
    run.setState({ merged: { ...result, parity } });
  }

  return {
    async merge(): Promise<void> {
      const { open } = run.getState();
      inspection.suspend();
      run.setState({ busy: say`Pausing` });
      await pauseRun();
      await ask(say`Merging`, mergeAndCheck);
      if (run.getState().open !== open) return;
      run.setState({ busy: null });
      inspection.resume();
    },
    /** Breaks the check of the merged file off. */
    stopChecking: checker.stop,
    async saveAdapter(): Promise<void> {
      await ask(say`Packing the adapter`, async () => {
        const { files, warnings } = await trainer.exportAdapter();
        const { current } = run.getState();
        const name = current?.name ?? choice.getState().settings.method;
        const json = current && { name: 'run.json', bytes: new TextEncoder().encode(runJson(current)) };
        saveFile(`${name}-adapter.zip`, await zipOf(json === null ? files : [...files, json]));
        if (warnings.length > 0) ui.setState({ notice: paragraph(warnings) });
      });
    },
    /** Writes the Python project; it is saved once its reader has seen what cannot carry over. */
    async writePython(): Promise<void> {
      await pauseRun();
      await ask(say`Writing the project`, async () => {
        run.setState({ python: { ...(await trainer.continueInPython()), step: step() } });
      });
    },
    async savePython(): Promise<void> {
      const { python, current } = run.getState();
      if (python === null) return;
      const folder = `${current?.name ?? 'run'}-python`;
      const files = python.files.map(({ name, bytes }) => ({ name: `${folder}/${name}`, bytes }));
      saveFile(`${folder}.zip`, await zipOf(files));
    },
  };
}
