/** A small model's report and a trainer made of plain figures, for tests of the page's state. Nothing of it is shipped. */
import type { Inputs } from '../../src/page/features/setup/choice.ts';
import { lessonOf, PLAYGROUND } from '../../src/page/lessons/lesson.ts';
import type { Stores } from '../../src/page/stores.ts';
import type { TrainerClient } from '../../src/page/trainerClient.ts';
import type {
  ModelReport,
  ModuleRow,
  OpenReport,
  RunRequest,
  TrainerEvent,
} from '../../src/training/protocol.ts';

const linear = (name: string, inputs: number, out: number): ModuleRow => ({
  name,
  kind: 'linear',
  in: inputs,
  out,
  hasBias: true,
  parameters: inputs * out + out,
});

/** Two blocks of a vision transformer of width 128. */
export function visionReport(): ModelReport {
  const modules: ModuleRow[] = [];
  for (const layer of [0, 1]) {
    const path = `dinov2.encoder.layer.${layer}`;
    for (const name of ['query', 'key', 'value'])
      modules.push(linear(`${path}.attention.attention.${name}`, 128, 128));
    modules.push(
      linear(`${path}.attention.output.dense`, 128, 128),
      { name: `${path}.norm2`, kind: 'norm', in: 128, out: 128, hasBias: true, parameters: 256 },
      linear(`${path}.mlp.fc1`, 128, 512),
      linear(`${path}.mlp.fc2`, 512, 128),
    );
  }
  modules.push(linear('classifier', 256, 10));
  return {
    name: 'glyphs-vit',
    family: 'dinov2',
    task: 'image-classification',
    modelType: 'dinov2',
    head: 'classifier',
    trains: 'image-classification',
    limit: null,
    exactly: null,
    feeds: {},
    opset: 17,
    parameters: modules.reduce((sum, { parameters }) => sum + parameters, 0),
    bytes: 1_000_000,
    modules,
    ties: [],
  };
}

/** Puts files, text or drawings under Model and Data. */
export const input = ({ choice }: Pick<Stores, 'choice'>, change: Partial<Inputs>): void =>
  choice.setState(({ inputs }) => ({ inputs: { ...inputs, ...change } }));

export interface FakeTrainer extends TrainerClient {
  readonly calls: string[];
  readonly requests: { readonly request: RunRequest; readonly checkpoint: Uint8Array | undefined }[];
  /** Sends an event of the open run. */
  send(event: TrainerEvent): void;
  refuseOpen(error: unknown): void;
  /** Called while it closes. */
  onClose(listener: () => void): void;
}

export const stepMetric = (step: number, loss = 1 / step) => ({
  step,
  loss,
  learningRate: 1e-3,
  gradNorm: 1,
  examples: 16 * step,
  tokens: 0,
  seconds: step / 10,
});

/** An opened run of so many steps. */
export const openReport = ({
  steps,
  resumedAt = 0,
  history = { steps: [], evals: [] },
}: {
  readonly steps: number;
  readonly resumedAt?: number;
  readonly history?: OpenReport['history'];
}): OpenReport => ({
  model: visionReport(),
  data: {
    name: 'letters',
    kind: 'image',
    labels: ['A', 'B'],
    trainExamples: 100,
    heldExamples: 20,
    notes: [],
    notesInEnglish: [],
  },
  device: { engine: 'webgpu', vendor: 'v', architecture: 'a', description: 'd', isSoftware: true },
  counts: {
    trainable: { stored: 1, free: 1 },
    gpu: { dispatchesPerStep: 1, bytes: 1, peakBytes: 1 },
  },
  tuning: null,
  totalSteps: steps,
  resumedAt,
  history,
  warnings: [],
  warningsInEnglish: [],
});

/** Records what it is asked; its checkpoints hold the number of the last step sent. */
export function fakeTrainer(): FakeTrainer {
  const calls: string[] = [];
  const requests: FakeTrainer['requests'] = [];
  let events: (event: TrainerEvent) => unknown = () => {};
  let step = 0;
  let refusal: unknown;
  let closing: () => void = () => {};
  const noted = <T>(name: string, value: T) => {
    calls.push(name);
    return Promise.resolve(value);
  };
  const unused = () => Promise.reject(new Error('not used in these tests'));
  return {
    calls,
    requests,
    send: (event) => {
      if (event.type === 'step') step = event.metric.step;
      events(event);
    },
    refuseOpen: (error) => {
      refusal = error;
    },
    open(request, listener, checkpoint) {
      calls.push('open');
      requests.push({ request, checkpoint });
      if (refusal !== undefined) {
        const error = refusal;
        refusal = undefined;
        return Promise.reject(error);
      }
      events = listener;
      step = checkpoint?.[0] ?? 0;
      const steps = Array.from({ length: step }, (_, i) => stepMetric(i + 1));
      const report = openReport({
        steps: request.training.steps,
        resumedAt: step,
        history: { steps, evals: [] },
      });
      events({ type: 'open', report });
      events({ type: 'state', state: 'ready' });
      return Promise.resolve();
    },
    play() {
      events({ type: 'state', state: 'running' });
      return noted('play', undefined);
    },
    pause() {
      const paused = noted('pause', undefined);
      events({ type: 'state', state: 'paused' });
      return paused;
    },
    step: () => noted('step', undefined),
    onClose: (listener) => {
      closing = listener;
    },
    async close() {
      calls.push('close');
      closing();
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
    async leave({ isRunning, takesCheckpoint }) {
      if (isRunning) await this.pause();
      const bytes = takesCheckpoint ? await this.checkpoint() : null;
      await this.close();
      return bytes;
    },
    end: () => void calls.push('end'),
    endUnless: () => noted('endUnless', undefined),
    onCrash: () => {},
    onEnd: () => {},
    checkpoint: () => noted('checkpoint', Uint8Array.of(step)),
    readCheckpoint: unused,
    requireGoesOn: () => noted('requireGoesOn', undefined),
    describe: unused,
    forecast: unused,
    speed: unused,
    preview: unused,
    beforeAfter: unused,
    classify: unused,
    inspect: unused,
    exportAdapter: unused,
    continueInPython: unused,
    compareMethods: unused,
    stopMethodComparison: unused,
    checkDevice: unused,
    stopDeviceCheck: unused,
    merge: unused,
    changeAdapters: unused,
    scoreAdapters: unused,
    inspectAdapter: unused,
    mergeAdapters: unused,
    adapterFiles: unused,
    baseModel: unused,
    paritySamples: unused,
    parityFile: unused,
    whatIf: unused,
    weights: unused,
    forgetting: unused,
    stopLooking: unused,
  };
}

/** Opens a lesson that locks these settings. */
export function lockIn({ ui }: Pick<Stores, 'ui'>, ...lock: string[]): void {
  const read = lessonOf({ place: PLAYGROUND, lock });
  if ('problems' in read) throw new Error(read.problems.join(' '));
  ui.setState({ lesson: { packed: 'x', lesson: read.lesson, problems: [], isFresh: false } });
}
