/** The run of the lab on forgetting: a few small networks learn the old task, then each is fine-tuned by every method on the new one. */
import { fail } from '../lib/errors.ts';
import { singularValues } from '../lib/singular.ts';
import { othersTurn } from '../lib/turn.ts';
import type { Backend } from '../training/backend.ts';
import { compareNeurons } from '../training/neurons.ts';
import { type Fit, openFit } from './fit.ts';
import { type FitPart, firstNumbers } from './fitGraph.ts';
import { BUDGETS, WIDTH } from './forgetMethods.ts';
import { basePart, tunedOf, tunedPart } from './forgetParts.ts';
import { EXAMPLES, forgetTasks, type Points, planePlaces } from './forgetTasks.ts';
import {
  FORGET_STEPS,
  type ForgetFacts,
  type ForgetPoint,
  type ForgetRequest,
  type ForgetView,
  type MethodView,
  NETWORKS,
} from './protocol.ts';

/** For networks to learn the old task, wholly. */
const BASE = { steps: 300, rate: 0.02 } as const;
/** A common rate, to which the methods' scalings are suited; a step shows what was before it, so one more shows the last. */
const TUNING = { steps: FORGET_STEPS + 1, rate: 0.01 } as const;

export interface ForgetRun {
  readonly facts: ForgetFacts;
  advance(steps: number): Promise<{ readonly step: number; readonly course: readonly ForgetPoint[] }>;
  view(network: number): Promise<ForgetView>;
  close(): Promise<void>;
}

/** What is trained: networks on the old task, then a weight of each by every method on the new one. */
function planOf({ budget, apart, seed }: ForgetRequest) {
  const methods =
    BUDGETS[budget] ??
    fail('bad-argument', `There is no budget ${budget}; choose one of ${Object.keys(BUDGETS)}.`);
  const { old, next } = forgetTasks(seed, apart);
  const places = new Float32Array([...old.measure.places, ...next.measure.places, ...planePlaces()]);
  return {
    ...{ methods, old, next },
    bases: Array.from({ length: NETWORKS }, (_, n) => basePart(seed, n, old.learn)),
    tuned: (networks: readonly Float32Array[]): FitPart[] =>
      networks.flatMap((network) =>
        methods.map((method) => tunedPart(method, network, next.learn, places, seed)),
      ),
  };
}

/** The fits of a run, to be timed: networks that have learnt nothing yet take as long. */
export function forgettingFits(request: ForgetRequest) {
  const { bases, tuned } = planOf(request);
  const networks = bases.map((part) => firstNumbers([part]));
  return [
    { parts: bases, steps: BASE.steps },
    { parts: tuned(networks), steps: TUNING.steps },
  ];
}

export async function openForgetting(
  backend: Pick<Backend, 'open' | 'device'>,
  request: ForgetRequest,
): Promise<ForgetRun> {
  const { methods, old, next, bases, tuned } = planOf(request);
  const networks = await trainedNetworks(backend, bases);
  const fit = await openFit(backend, tuned(networks), TUNING);
  /** Of each network, of each method: the adapted weight, and the scores of all places. */
  const shownBy = (network: number, method: number) => {
    const shown = fit.shown(network * methods.length + method);
    return { weight: shown.subarray(0, WIDTH * WIDTH), scores: shown.subarray(WIDTH * WIDTH) };
  };
  const measured = (step: number): ForgetPoint => {
    const shares = ({ classes }: Points, from: number) =>
      methods.map((_, m) =>
        networks.map((_network, n) => rightShare(shownBy(n, m).scores.subarray(2 * from), classes)),
      );
    return { step, kept: shares(old.measure, 0), learnt: shares(next.measure, EXAMPLES) };
  };
  // The networks as they came.
  await fit.advance(1);
  const course = [measured(0)];
  const planes = networks.map((_, n) => planeOf(shownBy(n, 0).scores));
  return {
    facts: { old: plain(old.learn), next: plain(next.learn) },
    async advance(steps) {
      const step = (await fit.advance(steps)).step - 1;
      course.push(measured(step));
      return { step, course: [...course] };
    },
    async view(network) {
      const base = tunedOf(networks[network]!);
      const views: MethodView[] = [];
      for (const [m] of methods.entries()) views.push(await methodView(base, shownBy(network, m)));
      return { network, plane: planes[network]!, methods: views };
    },
    close: fit.close,
  };
}

/** The numbers of networks that know the task. */
async function trainedNetworks(
  backend: Pick<Backend, 'open' | 'device'>,
  parts: readonly FitPart[],
): Promise<Float32Array[]> {
  const fit: Fit = await openFit(backend, parts, BASE);
  await fit.advance(BASE.steps);
  const networks = parts.map((_, n) => fit.shown(n).slice());
  await fit.close();
  return networks;
}

async function methodView(
  base: Float32Array,
  { weight, scores }: { readonly weight: Float32Array; readonly scores: Float32Array },
): Promise<MethodView> {
  const { energy, angles, turned } = await compareNeurons(base, weight, WIDTH, WIDTH, othersTurn);
  const change = Float64Array.from(weight, (value, i) => value - base[i]!);
  const { values } = await singularValues(change, WIDTH, WIDTH, othersTurn);
  return {
    ...{ plane: planeOf(scores), energy, turned, singular: [...values] },
    angles: { before: [...angles.before], after: [...angles.after] },
  };
}

/** The share of points whose class has the larger score. */
function rightShare(scores: Float32Array, classes: Int32Array): number {
  let right = 0;
  classes.forEach((one, i) => {
    if (Number(scores[2 * i + 1]! > scores[2 * i]!) === one) right++;
  });
  return right / classes.length;
}

/** How far the network is for the second class in each square of the plane: −1 … 1. */
function planeOf(scores: Float32Array): number[] {
  const from = 2 * 2 * EXAMPLES;
  return Array.from({ length: (scores.length - from) / 2 }, (_, i) =>
    Math.tanh((scores[from + 2 * i + 1]! - scores[from + 2 * i]!) / 2),
  );
}

const plain = ({ places, classes }: Points) => ({ places: [...places], classes: [...classes] });
