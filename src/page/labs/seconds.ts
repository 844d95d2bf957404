/** How long the run of a lab takes on this machine: its worker, or the trainer, times a step with the engine that is named. */
import { fail, say } from '../../common.ts';
import { FIT_STEPS, type KernelName, shapesOf, type TargetName, type UpdateTarget } from '../../labs.ts';
import type { EngineName, RunRequest } from '../../protocol.ts';
import { trainerClient } from '../trainerClient.ts';
import type { Values } from './controls.ts';
import { requestOf } from './first/setup.ts';
import { forgetRequest } from './forgetting/settings.ts';
import { labWorker } from './labWorker.ts';
import { secondsOfCheck } from './shader/shaderWorker.ts';

type Seconds = (values: Values, engine: EngineName) => Promise<number>;

/** Of one answer: every move of a number asks for one. */
export const cayleySeconds: Seconds = ({ b }, engine) => labWorker().cayleySeconds(Number(b), engine);

/** The old task and the new one, of all networks and methods at once. */
export const forgettingSeconds: Seconds = (values, engine) =>
  labWorker().forgetSeconds(forgetRequest(values), engine);

/** Of one press of Run: linking, compiling, and all sizes of the kernel. */
export const shaderSeconds: Seconds = ({ kernel }, engine) =>
  engine === 'webgpu'
    ? secondsOfCheck(kernel as KernelName)
    : fail('bad-argument', say`Shaders run on WebGPU alone, so here they can be read but not run.`);

/** All shapes at once, as the lab fits them. */
export const butterflySeconds: Seconds = ({ target, d, seed }, engine) =>
  labWorker().fitSeconds(
    {
      ...{ target: target as TargetName, d: Number(d), seed: Number(seed), steps: FIT_STEPS },
      shapes: shapesOf(Number(d)),
    },
    engine,
  );

/** LoRA and FourierFT at every number of numbers, at once. */
export const fourierSeconds: Seconds = ({ target, seed, places }, engine) =>
  labWorker().updateSeconds(
    { target: target as UpdateTarget, seed: Number(seed), placeSeed: Number(places), steps: FIT_STEPS },
    engine,
  );

/** Of a step, its share forwards: backwards is about twice as much. */
const FORWARDS = 1 / 3;

/** Steps that a run takes the time of, with the scorings of held-out examples between them. */
export function stepsWithScoring(training: RunRequest['training']): number {
  const { steps, evalEvery, evalExamples, batchSize } = training;
  const scorings = 1 + Math.ceil(steps / evalEvery);
  return steps + scorings * FORWARDS * Math.ceil(evalExamples / batchSize);
}

/** Of the chosen method: the head alone takes no longer. */
export const firstSeconds: Seconds = async (values, engine) => {
  const trainer = trainerClient();
  try {
    const request = requestOf('adapter', values);
    const { secondsPerStep, refusal } = await trainer.forecast({ ...request, engine });
    return secondsPerStep === null
      ? fail('bad-argument', refusal ?? say`The time of a step could not be measured here.`)
      : secondsPerStep * stepsWithScoring(request.training);
  } finally {
    trainer.end();
  }
};
