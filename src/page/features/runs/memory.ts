/**
 * What runs take of memory on the processor. WebAssembly's memory never shrinks, and before a run it has been grown by whatever came before: by forecasts, and by
 * other runs. So each run is measured apart, when somebody asks, in a worker of its own that ends with the measurement.
 */
import { createStore, type StoreApi } from 'zustand/vanilla';
import { asPapilioError, fail, PapilioError, say } from '../../../common.ts';
import type { RunRequest, TrainerEvent } from '../../../protocol.ts';
import { reportOf, type TaskView } from '../../task.ts';
import { type TrainerClient, trainerClient } from '../../trainerClient.ts';
import { type ChoiceState, choiceAfter, runRequest, withPadding } from '../setup/choice.ts';
import { decodeHash } from '../setup/link.ts';
import type { RunRecord } from '../training/runs.ts';
import type { RunBook } from './book.ts';
import type { RunFigures } from './figures.ts';

/** Updates that are made: after the first comes an evaluation of the adapted model, and the second finds all there that a step needs. */
const STEPS = 2;

type Measuring = Pick<TrainerClient, 'open' | 'step' | 'end' | 'onCrash'>;

/** Whether a run's memory is measured apart: what trained on a GPU has had its buffers counted. */
export const isMeasuredApart = ({ engine }: Pick<RunFigures, 'engine'>): boolean => engine === 'onnxruntime';

/** What a kept run was asked for, evaluated after each step on no more than a batch. @throws PapilioError that says what of it is not here any more */
function requestOf({ outcome }: RunRecord, choice: ChoiceState): RunRequest {
  const { settings, beside } = decodeHash(outcome!.link);
  const chosen = choiceAfter(choice, {
    settings,
    engine: 'onnxruntime',
    reading: withPadding(choice.reading, beside.padding),
    recompute: beside.recompute === 'yes',
    startFrom: null,
  });
  const { training } = settings;
  const request = runRequest(chosen);
  const { precision = 'file' } = beside;
  return {
    ...request,
    model: precision === 'file' ? request.model : { ...request.model, precision },
    training: {
      ...training,
      evalEvery: 1,
      evalExamples: Math.min(training.evalExamples, training.batchSize),
    },
  };
}

/** The bytes that WebAssembly's memory has grown to after a few steps. */
async function bytesOf(run: RunRecord, request: RunRequest, trainer: Measuring): Promise<number> {
  const { model, data } = run.outcome!.figures;
  let bytes: number | undefined;
  let isOther = false;
  let [settle, refuse] = [() => {}, (_: PapilioError) => {}];
  trainer.onCrash((message) => refuse(new PapilioError('internal', message)));
  const hear = (event: TrainerEvent): void => {
    if (event.type === 'open') isOther = event.report.model.name !== model || event.report.data.name !== data;
    else if (event.type === 'step') bytes = event.heapBytes;
    else if (event.type === 'error') refuse(asPapilioError(event.error));
    else if (event.type === 'state' && (event.state === 'paused' || event.state === 'finished')) settle();
  };
  await trainer.open(request, hear);
  if (isOther)
    fail(
      'not-found',
      say`${run.name} trained ${model} on ${data}, and other files are chosen now: choose those, and measure again.`,
    );
  for (let i = 0; i < Math.min(STEPS, request.training.steps); i++) {
    const settled = new Promise<void>((resolve, reject) => {
      [settle, refuse] = [resolve, reject];
    });
    await Promise.all([trainer.step(), settled]);
  }
  return bytes ?? fail('internal', `The memory of ${run.name} was not told.`);
}

export class MemoryMeter {
  readonly view = createStore<TaskView>(() => ({ busy: null, error: null }));

  /** @param start a trainer in a worker that nothing else has asked anything of */
  constructor(
    private readonly choice: Pick<StoreApi<ChoiceState>, 'getState'>,
    private readonly book: Pick<RunBook, 'measured'>,
    private readonly start: () => Measuring = trainerClient,
  ) {}

  /** One run after the other. What goes wrong with one is shown, and ends it. */
  async measure(runs: readonly RunRecord[]): Promise<void> {
    if (this.view.getState().busy !== null) return;
    try {
      for (const run of runs) {
        this.view.setState({ busy: say`measuring the memory of ${run.name} …`, error: null });
        const trainer = this.start();
        try {
          this.book.measured(run.key, await bytesOf(run, requestOf(run, this.choice.getState()), trainer));
        } finally {
          trainer.end();
        }
      }
    } catch (error) {
      this.view.setState({ error: reportOf(error) });
    } finally {
      this.view.setState({ busy: null });
    }
  }
}
