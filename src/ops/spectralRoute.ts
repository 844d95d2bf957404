/** By which way a FourierFT layer trains: a choice by the shape alone, from what each way takes. */
import { hasFastTransform, rowCost } from './spectral.ts';
import { productsCost } from './spectralProducts.ts';

/**
 * rows: rows of activations go through the transform, forwards and backwards, and there is no ΔW. weights: ΔW is added to the weight, and the
 * spectrum's gradient comes from that of the weight. mixed: ΔW is added to the weight, and the spectrum's gradient comes from rows.
 */
export type SpectralRoute = 'rows' | 'weights' | 'mixed';

/** Of a row forwards, what its share of the gradients takes: of the spectrum and of x, and of the spectrum alone. */
const BACKWARD = 1.75;
const BACKWARD_ALONE = 1.12;
/** What a number of W + ΔW takes, in multiply-adds of a large product, as timed on a processor. */
const SUM_COST = 16;
/** ΔW and W + ΔW stay in memory, so that they have to save a quarter. */
const WORTH_IT = 0.75;

export function spectralRoute(
  sizes: { readonly out: number; readonly in: number; readonly n: number },
  rows: number,
): SpectralRoute {
  const { out, in: width, n } = sizes;
  if (!hasFastTransform(sizes)) return 'weights';
  const row = rows * rowCost(out, width, n);
  const made = productsCost('delta', sizes) + SUM_COST * out * width;
  const weights = made + rows * out * width + productsCost('spectra', sizes);
  const mixed = made + BACKWARD_ALONE * row;
  if (Math.min(weights, mixed) > WORTH_IT * (1 + BACKWARD) * row) return 'rows';
  return weights <= mixed ? 'weights' : 'mixed';
}
