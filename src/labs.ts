/** `papilio/labs`: what the labs ask their worker and what it answers, what they fit, and the measures of what comes back. Nothing here trains. */

export { anglesOf } from './labs/angles.ts';
export { type FitShape, freeNumbers, mostFactors, shapesOf, trianglesOf } from './labs/fitShapes.ts';
export {
  BUDGETS,
  countOf,
  FORGET_METHODS,
  type ForgetMethodId,
} from './labs/forgetMethods.ts';
export { energyWithin, heightsOf, placesOf, type Waves, wavesOf } from './labs/frequencies.ts';
export { distanceOf, offOrthogonal, transposedOf } from './labs/matrices.ts';
export {
  type Both,
  type CayleyAnswer,
  type Cost,
  FIT_STEPS,
  type FitAnswer,
  type Fitted,
  FORGET_STEPS,
  type ForgetFacts,
  type ForgetPoint,
  type ForgetRequest,
  type ForgetView,
  type LabApi,
  NETWORKS,
  type PlainPoints,
  REACH,
  SQUARES,
  STARTS,
  TERMS,
  type UpdateFacts,
} from './labs/protocol.ts';
export { BREAKAGES, broken, UNBROKEN } from './labs/shader/breakages.ts';
export { cellsOf, PARTS, type ShaderPart, symbolsOf } from './labs/shader/parts.ts';
export {
  type CheckedCase,
  fileName,
  greatestOf,
  KERNELS,
  type KernelName,
  type Matrices,
  MOST_LETTERS,
  type ReaderPlace,
  type ShaderAnswer,
  type ShaderApi,
  type ShaderCase,
  type ShaderKernel,
  type ShaderTexts,
} from './labs/shader/protocol.ts';
export { TARGETS, type TargetName } from './labs/targets.ts';
export {
  numbersOf,
  pieceAt,
  RANKS,
  UPDATE_PIECES,
  UPDATE_SIZE,
  UPDATE_TARGETS,
  type UpdatePiece,
  type UpdateTarget,
  WAYS,
  type Way,
} from './labs/updatePieces.ts';
export { updateTarget } from './labs/updateTargets.ts';
export { leftOfRank, rankOfShare, shareOfRank } from './lib/singular.ts';
export { energyOf, type Pair, pairsOf } from './training/neurons.ts';
export type { DeviceReport } from './training/protocol.ts';
