/** `papilio/labs`: what the labs ask their worker and what it answers, the shapes that they fit, and the measures of what comes back. Nothing here trains. */

export { anglesOf } from './labs/angles.ts';
export { type FitShape, freeNumbers, mostFactors, shapesOf, trianglesOf } from './labs/fitShapes.ts';
export { distanceOf, offOrthogonal, transposedOf } from './labs/matrices.ts';
export {
  type Both,
  type CayleyAnswer,
  type Cost,
  FIT_STEPS,
  type FitAnswer,
  type LabApi,
  STARTS,
  TERMS,
} from './labs/protocol.ts';
export { TARGETS, type TargetName } from './labs/targets.ts';
export { energyOf, type Pair, pairsOf } from './training/neurons.ts';
export type { DeviceReport } from './training/protocol.ts';
