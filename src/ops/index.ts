/** Every op of the house: what the suites sweep and what the documentation lists. */
import type { AnyOp } from '../graph/types.ts';
import { adamwOp } from './adamw.ts';
import { attentionGradOp, attentionOp } from './attention.ts';
import { axpyOp } from './axpy.ts';
import { butterflyOp } from './butterfly.ts';
import { butterflyGradOp } from './butterflyGrad.ts';
import { cayleyGradOp, cayleyOp } from './cayley.ts';
import { crossEntropyGradOp, crossEntropyOp } from './crossEntropy.ts';
import { projectRowsOp } from './projectRows.ts';
import { sgdOp } from './sgd.ts';
import { sumSquaresOp } from './sumSquares.ts';

export * from './adamw.ts';
export * from './attention.ts';
export * from './axpy.ts';
export * from './butterfly.ts';
export * from './butterflyGrad.ts';
export * from './cayley.ts';
export * from './crossEntropy.ts';
export * from './projectRows.ts';
export * from './sgd.ts';
export * from './sumSquares.ts';

export const ops: readonly AnyOp[] = [
  adamwOp,
  axpyOp,
  cayleyOp,
  cayleyGradOp,
  crossEntropyOp,
  crossEntropyGradOp,
  projectRowsOp,
  sgdOp,
  sumSquaresOp,
  attentionOp,
  attentionGradOp,
  butterflyOp,
  butterflyGradOp,
];
