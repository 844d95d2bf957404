/**
 * How fast a step is on this machine: the method that is chosen and LoRA at the nearest size make some steps of the chosen task in turns, and the
 * kernels of the chosen one are timed by themselves.
 */
import { METHODS } from '../adapters/registry.ts';
import { sizeFor } from '../adapters/size.ts';
import { startPlaces } from '../adapters/start.ts';
import type { Plan } from '../graph/plan.ts';
import { schedule } from '../graph/schedule.ts';
import { median, sizeOf } from '../lib/numbers.ts';
import { fuse } from '../ops/fuse.ts';
import type { Backend } from './backend.ts';
import { kernelsOf, type SpeedReport, type StepKernels, type StepSpeed } from './kernels.ts';
import type { Host } from './openModel.ts';
import type { RunRequest } from './protocol.ts';
import { openSession, type Session } from './session.ts';
import { trainingGraph } from './stepGraph.ts';
import { tunedOf } from './tuning.ts';

const WARM_STEPS = 3;
/** Turns of each, and how long a turn lasts at least. */
const TURNS = 5;
const TURN_SECONDS = 0.5;
const MOST_STEPS = 50;
/** Enough that no turn ends the run, which would evaluate it. */
const STEPS_AHEAD = 100_000;

/** @throws PapilioError as opening the run would */
export async function measureSpeed(
  on: Backend,
  request: RunRequest,
  host: Host,
  signal?: AbortSignal,
): Promise<SpeedReport> {
  const training = { ...request.training, steps: STEPS_AHEAD, evalEvery: 0, evalExamples: 1 };
  const sessions: Session[] = [];
  const open = async (of: RunRequest): Promise<Session> => {
    const session = await openSession(on, { ...of, training }, host);
    sessions.push(session);
    return session;
  };
  try {
    const own = await open(request);
    const lora = loraBeside(own, request);
    if (lora) await open(lora);
    const times = await turns(sessions, signal);
    const kernels: (StepKernels | null)[] = [];
    for (const session of sessions) {
      signal?.throwIfAborted();
      kernels.push(on.device && (await kernelsOf(on.device, planOf(on, session))));
    }
    const steps = sessions.map((session, i) => speedOf(session, times[i]!, kernels[i]!));
    const unit = own.dataset.kind === 'image' ? 'pictures' : 'tokens';
    const device = on.info.description || on.info.architecture;
    const { peaks = null, kernels: costs = null, timeline = null } = kernels[0] ?? {};
    return { device, unit, peaks, steps, kernels: costs, timeline };
  } finally {
    for (const session of sessions) await session.close();
  }
}

/** The same run with LoRA on the same layers, with about as many numbers; null where LoRA is chosen, or cannot be. */
function loraBeside({ setup, plan, counts }: Session, request: RunRequest): RunRequest | null {
  if (request.method === 'lora' || plan.groups.length === 0) return null;
  const { model } = setup;
  const places = { ...model.targets, head: model.head, fresh: model.fresh };
  const { target_modules } = plan.config;
  const where = startPlaces(METHODS.lora, { target_modules }, places, setup.data.task).config;
  // A head or a bias trains beside either.
  const adapter = counts.stored - plan.saved.reduce((n, { shape }) => n + sizeOf(shape), 0);
  const sized = sizeFor(METHODS.lora, { ...where, bias: 'none' }, model.targets, adapter, {
    totalSteps: STEPS_AHEAD,
  });
  if ('reason' in sized) return null;
  const { adapter: _startsFrom, ...same } = request;
  return { ...same, method: 'lora', config: sized.config };
}

interface Timed {
  readonly seconds: number;
  readonly perStep: number;
}

/** Median seconds of a step of each, in turns so that noise hits all alike, and what a step took in. */
async function turns(
  sessions: readonly Session[],
  signal: AbortSignal | undefined,
): Promise<readonly Timed[]> {
  const seconds = sessions.map((): number[] => []);
  const counts: number[] = [];
  for (const session of sessions) {
    await session.play(WARM_STEPS);
    const begun = performance.now();
    await session.play(1);
    const one = (performance.now() - begun) / 1000;
    counts.push(Math.max(1, Math.min(MOST_STEPS, Math.ceil(TURN_SECONDS / one))));
  }
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [i, session] of sessions.entries()) {
      signal?.throwIfAborted();
      const begun = performance.now();
      await session.play(counts[i]!);
      seconds[i]!.push((performance.now() - begun) / 1000 / counts[i]!);
    }
  }
  return sessions.map(({ history, dataset }, i) => {
    const { steps } = history;
    const last = steps.at(-1)!;
    return {
      seconds: median(seconds[i]!),
      perStep: (dataset.kind === 'image' ? last.examples : last.tokens) / steps.length,
    };
  });
}

function speedOf(session: Session, { seconds, perStep }: Timed, kernels: StepKernels | null): StepSpeed {
  const { stats } = session.engine;
  return {
    method: session.setup.method.id,
    trainable: session.counts.stored,
    secondsPerStep: seconds,
    perSecond: perStep / seconds,
    dispatches: stats?.dispatchesPerStep ?? null,
    submits: stats?.submitsPerStep ?? null,
    peakBytes: stats?.training.peakBytes ?? null,
    rooflineShare: kernels && kernels.rooflineSeconds / seconds,
  };
}

/** The plan of one batch's step, as it runs. */
function planOf({ caps }: Backend, { setup, engine }: Session): Plan {
  const { build, plan, settings, initial, sequence = settings.sequenceLength } = setup.engine;
  return schedule(
    fuse(trainingGraph(build(settings.batchSize, sequence), plan, settings, initial).graph, caps),
    engine.tuning ? { ...caps, tuned: tunedOf(engine.tuning.rows) } : caps,
  );
}
