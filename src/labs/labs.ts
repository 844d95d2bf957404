/** {@link LabApi} on the engine that suits the machine: what the labs' worker serves. */
import type { Graph } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import type { Backend } from '../training/backend.ts';
import type { EngineName } from '../training/protocol.ts';
import { cayleyGraph, createCayley } from './cayley.ts';
import { costs } from './costs.ts';
import { type Fit, type FitLook, openFit } from './fit.ts';
import { type FitPart, fitGraph } from './fitGraph.ts';
import { type ForgetRun, forgettingFits, openForgetting } from './forgetting.ts';
import { createLearning } from './learnt.ts';
import { createLora, createUpdateLearning, singularOf } from './lowRank.ts';
import type { Matrix } from './matrices.ts';
import { createInverse, createTurns } from './pictures.ts';
import { type FitRequest, type ForgetRequest, type LabApi, STARTS, type UpdateRequest } from './protocol.ts';
import { rotationParts } from './rotationParts.ts';
import { createRuns } from './runs.ts';
import { targetOf } from './targets.ts';
import { planUpdates } from './updateParts.ts';
import { updateTarget } from './updateTargets.ts';

interface OpenFit {
  readonly fit: Fit;
  readonly target: Matrix;
  look: FitLook | null;
}

/** A graph that is run so many times. */
interface Work {
  readonly graph: Graph;
  readonly times: number;
}

const fitWork =
  (fits: readonly { readonly parts: readonly FitPart[]; readonly steps: number }[]) =>
  (isGpu: boolean): Work[] =>
    fits.map(({ parts, steps }) => ({ graph: fitGraph(parts, isGpu), times: steps }));

/** Seconds of work with an engine, by timing each graph once; nothing of a fit that is open is touched. */
const timing =
  (backend: () => Promise<Backend>, open: (engine: EngineName) => Promise<Backend>) =>
  async (work: (isGpu: boolean) => readonly Work[], engine: EngineName): Promise<number> => {
    const own = await backend();
    const there = own.info.engine === engine ? own : await open(engine);
    try {
      let seconds = 0;
      for (const { graph, times } of work(there.device !== null))
        seconds += times * (await there.secondsOf(graph));
      return seconds;
    } finally {
      if (there !== own) there.close();
    }
  };

function rotations({ target, d, seed, shapes, starts = STARTS }: FitRequest) {
  const wanted = targetOf(target, d, seed);
  return { wanted, parts: rotationParts({ d, shapes, target: wanted, starts, seed }) };
}

/** What computes: asked for at the first call, then the same; what fails is tried again at the next. */
function onDemand(open: (engine?: EngineName) => Promise<Backend>) {
  let engine: EngineName | undefined;
  let opening: Promise<Backend> | undefined;
  return {
    backend(): Promise<Backend> {
      opening ??= open(engine);
      opening.catch(() => {
        opening = undefined;
      });
      return opening;
    },
    async computeOn(wanted: EngineName): Promise<void> {
      if (wanted === engine) return;
      engine = wanted;
      const before = opening;
      opening = undefined;
      (await before?.catch(() => null))?.close();
    },
  };
}

type InTurn = <T>(call: () => Promise<T>) => Promise<T>;

/** Calls one after the other: none sees a fit that another is opening or closing. */
function turns(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (call) => {
    const answer = last.then(call);
    last = answer.catch(() => {});
    return answer;
  };
}

/** The one fit that is open. */
function createFits(backend: () => Promise<Backend>, secondsOf: ReturnType<typeof timing>, inTurn: InTurn) {
  let current: OpenFit | null = null;
  const begin = async (target: Matrix, parts: readonly FitPart[], steps: number): Promise<void> => {
    const before = current;
    current = null;
    await before?.fit.close();
    current = { fit: await openFit(await backend(), parts, { steps }), target, look: null };
  };
  return {
    openFit: (request: FitRequest) =>
      inTurn(async () => {
        const { wanted, parts } = rotations(request);
        await begin(wanted, parts, request.steps);
      }),
    fitSeconds: (request: FitRequest, engine: EngineName) =>
      inTurn(() => secondsOf(fitWork([{ ...rotations(request), steps: request.steps }]), engine)),
    updateSeconds: ({ target, seed, placeSeed, steps }: UpdateRequest, engine: EngineName) =>
      inTurn(async () => {
        const { parts } = await planUpdates(updateTarget(target, seed), seed, placeSeed);
        return secondsOf(fitWork([{ parts, steps }]), engine);
      }),
    openUpdates: ({ target, seed, placeSeed, steps }: UpdateRequest) =>
      inTurn(async () => {
        const wanted = updateTarget(target, seed);
        const { parts, waves, places, floors } = await planUpdates(wanted, seed, placeSeed);
        await begin(wanted, parts, steps);
        return { places, floors, cosines: [...waves.cosines], sines: [...waves.sines] };
      }),
    advance: (steps: number) =>
      inTurn(async () => {
        const one = current ?? fail('bad-argument', 'No fit is open.');
        one.look = await one.fit.advance(steps);
        const size = Math.sqrt(one.target.reduce((sum, v) => sum + v * v, 0));
        const best = one.look.losses.map((losses) => Math.sqrt(Math.min(...losses)) / size);
        return { step: one.look.step, best };
      }),
    fitted: (part: number) =>
      inTurn(async () => {
        const { fit, target, look } = current ?? fail('bad-argument', 'No fit is open.');
        const losses = look?.losses[part] ?? fail('bad-argument', 'The fit has not begun.');
        const start = losses.indexOf(Math.min(...losses));
        const size = target.length;
        return {
          target: [...target],
          fitted: [...fit.shown(part).subarray(start * size, (start + 1) * size)],
        };
      }),
  } satisfies Partial<LabApi>;
}

/** The networks that are being trained for another task. */
function createForgetting(
  backend: () => Promise<Backend>,
  secondsOf: ReturnType<typeof timing>,
  inTurn: InTurn,
) {
  let forgetting: ForgetRun | null = null;
  return {
    openForgetting: (request: ForgetRequest) =>
      inTurn(async () => {
        const before = forgetting;
        forgetting = null;
        await before?.close();
        forgetting = await openForgetting(await backend(), request);
        return forgetting.facts;
      }),
    forgetSeconds: (request: ForgetRequest, engine: EngineName) =>
      inTurn(() => secondsOf(fitWork(forgettingFits(request)), engine)),
    forget: (steps: number) =>
      inTurn(async () => (forgetting ?? fail('bad-argument', 'No networks are trained.')).advance(steps)),
    forgotten: (network: number) =>
      inTurn(async () => (forgetting ?? fail('bad-argument', 'No networks are trained.')).view(network)),
  } satisfies Partial<LabApi>;
}

/** @param open asked for at the first call, and for an engine to be timed; what fails is tried again at the next */
export function createLabs(open: (engine?: EngineName) => Promise<Backend>): LabApi {
  const { backend, computeOn } = onDemand(open);
  const runs = createRuns(backend);
  const inTurn = turns();
  const secondsOf = timing(backend, open);
  return {
    computeOn,
    device: async () => (await backend()).info,
    cayley: createCayley(backend),
    cayleySeconds: (b, engine) =>
      inTurn(() => secondsOf(() => [{ graph: cayleyGraph(b), times: 1 }], engine)),
    turn: createTurns(runs),
    learn: createLearning(backend),
    inverse: createInverse(runs),
    lora: createLora(runs),
    singularOf,
    learnUpdate: createUpdateLearning(backend),
    costs,
    ...createFits(backend, secondsOf, inTurn),
    ...createForgetting(backend, secondsOf, inTurn),
  };
}
