/** The learning rate that a method begins with on layers of given sizes. */
import type { AdapterMethod, Layer } from './types.ts';

/** The width that `start.learningRate` of every method is for. */
const WIDTH = 64;
/** A new head trains at the same rate. */
const HIGHEST = 1e-2;

/** What a layer sums over. */
const fanIn = (layer: Layer): number => (layer.kind === 'embedding' ? layer.out : layer.in);

/**
 * The method's rate times √(64 / d), d the geometric mean of the inputs of the adapted layers. A step of Adam moves all numbers in step,
 * so that the update of a weight adds up along one direction as d does, where the weight itself, whose numbers point anywhere, adds up as
 * √d: the same share per number (`start.ts`) turns the outputs of a wider layer by √d more.
 *
 * @param adapted the layers that the method adapts; for methods that train whole weights, all linear ones of the model
 * @returns two significant digits, at most 1e-2
 */
export function startRate(
  { start, fileNames, targets }: AdapterMethod,
  adapted: readonly Layer[],
  all: readonly Layer[],
): number {
  const isWhole = fileNames === 'any' || targets === 'none' || adapted.length === 0;
  const layers = isWhole ? all.filter(({ kind }) => kind === 'linear' || kind === 'conv1d') : adapted;
  if (layers.length === 0) return start.learningRate;
  const mean = Math.exp(layers.reduce((sum, layer) => sum + Math.log(fanIn(layer)), 0) / layers.length);
  return Number(Math.min(HIGHEST, start.learningRate * Math.sqrt(WIDTH / mean)).toPrecision(2));
}
