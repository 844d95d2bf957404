/** How long the run of a lab takes on this machine: its worker, or the trainer, times a step with the engine that is named. */
import { fail, say } from '../../common.ts';
import { FIT_STEPS, shapesOf, type TargetName, type UpdateTarget } from '../../labs.ts';
import type { EngineName } from '../../protocol.ts';
import { trainerClient } from '../trainerClient.ts';
import type { Values } from './controls.ts';
import { requestOf } from './first/setup.ts';
import { labWorker } from './labWorker.ts';

type Seconds = (values: Values, engine: EngineName) => Promise<number>;

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

/** Of the chosen method: the head alone takes no longer. */
export const firstSeconds: Seconds = async (values, engine) => {
  const trainer = trainerClient();
  try {
    const request = requestOf('adapter', values);
    const { secondsPerStep, refusal } = await trainer.forecast({ ...request, engine });
    return secondsPerStep === null
      ? fail('bad-argument', refusal ?? say`The time of a step could not be measured here.`)
      : secondsPerStep * request.training.steps;
  } finally {
    trainer.end();
  }
};
