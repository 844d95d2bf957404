/** A merged run of the page as its model card and the lines that run it elsewhere speak of it. */
import type { CardOf, Exported } from '../../../merged.ts';
import { METHODS } from '../../../methods.ts';
import type { OpenReport, RunRequest } from '../../../protocol.ts';
import type { MergeResult, RunView } from '../../stores.ts';
import { fullConfig, runTraining } from '../setup/settings.ts';
import { type RunRecord, remarksOf } from '../training/runs.ts';

interface MergedRun {
  readonly current: RunRecord;
  readonly request: RunRequest;
  readonly open: OpenReport;
  readonly merged: MergeResult;
}

/** The run that is merged; null where there is none. */
export function mergedRun({ current, request, open, merged }: RunView): MergedRun | null {
  return current && request && open && merged ? { current, request, open, merged } : null;
}

/** The merged file beside the script that runs it, as "Merged model" saves it. */
export const exportedOf = ({ current, open, merged }: MergedRun): Exported => ({
  ...{ name: current.name, file: `${current.name}.onnx` },
  ...{ inputs: merged.inputs, outputs: merged.outputs },
  files: merged.sidecars.map(({ name }) => name),
  ...{ data: open.data, model: open.model },
});

export function cardOf({ current, request, open, merged }: MergedRun, state: RunView): CardOf {
  const { name, settings, series } = current;
  const [before, after] = [series.evals[0], series.evals.at(-1)];
  return {
    name,
    method: METHODS[request.method],
    config: { ...fullConfig(settings, open.model) },
    training: runTraining(settings, open.model),
    steps: series.column('step').at(-1) ?? 0,
    loss: series.column('loss').at(-1) ?? null,
    scores: before && after ? [before, after] : null,
    sources: request,
    ...{ open, merged, remarks: () => remarksOf(state) },
  };
}
