/** Every op of the house: what the suites sweep and what the documentation lists. */
import type { AnyOp } from '../graph/types.ts';
import { addNOp } from './addN.ts';
import { attentionGradOp, attentionOp } from './attention.ts';
import { axpyOp } from './axpy.ts';
import { binaryOp } from './binary.ts';
import { butterflyOp } from './butterfly.ts';
import { butterflyGradOp } from './butterflyGrad.ts';
import { castOp } from './cast.ts';
import { cayleyGradOp, cayleyOp } from './cayley.ts';
import { columnScaleGradOp, columnScaleOp } from './columnScale.ts';
import { concatOp } from './concat.ts';
import { crossEntropyGradOp, crossEntropyOp } from './crossEntropy.ts';
import { dequantizeOp } from './dequantize.ts';
import { dropoutOp } from './dropout.ts';
import { embedPartOp } from './embedPart.ts';
import { expandOp } from './expand.ts';
import { gatherOp, scatterAddRowsOp } from './gather.ts';
import { importanceOp } from './importance.ts';
import { keepBestOp, zeroDroppedOp } from './keepBest.ts';
import { layerNormGradOp, layerNormGradWeightsOp, layerNormOp } from './layerNorm.ts';
import { linearOp } from './linear.ts';
import { linearCrossEntropyOp } from './linearCrossEntropy.ts';
import { matmulOp } from './matmul.ts';
import { adamwOp, sgdOp } from './optimizers.ts';
import { productOp } from './product.ts';
import { projectRowsOp } from './projectRows.ts';
import { reduceOp } from './reduce.ts';
import { rmsNormGradOp, rmsNormGradWeightsOp, rmsNormOp } from './rmsNorm.ts';
import { ropeOp } from './rope.ts';
import { scaleByOp, scaleOp } from './scale.ts';
import { sliceOp, unsliceOp } from './slice.ts';
import { logSoftmaxOp, softmaxGradOp, softmaxOp } from './softmax.ts';
import { sparseDftOp, sparseIdftOp } from './sparseIdft.ts';
import { sumSquaresOp } from './sumSquares.ts';
import { sumToOp } from './sumTo.ts';
import { takeGradOp, takeOp } from './take.ts';
import { takeAlongGradOp, takeAlongOp } from './takeAlong.ts';
import { transposeOp } from './transpose.ts';
import { unaryGradOp, unaryOp } from './unary.ts';
import { foldOp, unfoldOp } from './unfold.ts';
import { detachOp, packOp, splitOp, viewOp } from './view.ts';
import { whereOp } from './where.ts';

export * from './addN.ts';
export * from './attention.ts';
export * from './axpy.ts';
export * from './binary.ts';
export * from './butterfly.ts';
export * from './butterflyGrad.ts';
export * from './cast.ts';
export * from './cayley.ts';
export * from './columnScale.ts';
export * from './concat.ts';
export * from './crossEntropy.ts';
export * from './dequantize.ts';
export * from './dropout.ts';
export * from './embedPart.ts';
export * from './expand.ts';
export * from './gather.ts';
export * from './gemm.ts';
export * from './importance.ts';
export * from './keepBest.ts';
export * from './layerNorm.ts';
export * from './linear.ts';
export * from './linearCrossEntropy.ts';
export * from './matmul.ts';
export * from './optimizers.ts';
export * from './product.ts';
export * from './projectRows.ts';
export * from './quantised.ts';
export * from './reduce.ts';
export * from './rmsNorm.ts';
export * from './rope.ts';
export * from './scalar.ts';
export * from './scale.ts';
export * from './slice.ts';
export * from './softmax.ts';
export * from './sparseIdft.ts';
export * from './sumSquares.ts';
export * from './sumTo.ts';
export * from './take.ts';
export * from './takeAlong.ts';
export * from './transpose.ts';
export * from './unary.ts';
export * from './unfold.ts';
export * from './view.ts';
export * from './where.ts';

export const ops: readonly AnyOp[] = [
  adamwOp,
  addNOp,
  attentionGradOp,
  attentionOp,
  axpyOp,
  binaryOp,
  butterflyGradOp,
  butterflyOp,
  castOp,
  cayleyGradOp,
  cayleyOp,
  columnScaleOp,
  columnScaleGradOp,
  concatOp,
  crossEntropyGradOp,
  crossEntropyOp,
  dequantizeOp,
  detachOp,
  dropoutOp,
  embedPartOp,
  expandOp,
  foldOp,
  gatherOp,
  importanceOp,
  keepBestOp,
  layerNormGradOp,
  layerNormGradWeightsOp,
  layerNormOp,
  linearOp,
  logSoftmaxOp,
  matmulOp,
  packOp,
  productOp,
  projectRowsOp,
  reduceOp,
  rmsNormGradOp,
  rmsNormGradWeightsOp,
  rmsNormOp,
  scaleByOp,
  scaleOp,
  scatterAddRowsOp,
  sgdOp,
  sliceOp,
  softmaxGradOp,
  softmaxOp,
  splitOp,
  sumSquaresOp,
  sumToOp,
  takeGradOp,
  takeOp,
  takeAlongGradOp,
  takeAlongOp,
  transposeOp,
  unaryGradOp,
  unaryOp,
  unfoldOp,
  unsliceOp,
  viewOp,
  whereOp,
  zeroDroppedOp,
  sparseIdftOp,
  sparseDftOp,
  ropeOp,
  linearCrossEntropyOp,
];
