/**
 * The network of the lab on forgetting and what trains it: all of it on the old task, then one weight of it by each method on the new task, with the ops
 * that train these methods.
 */
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { randpermFirst } from '../lib/mt19937.ts';
import { rng } from '../lib/rng.ts';
import { butterfly } from '../ops/butterfly.ts';
import { cayley } from '../ops/cayley.ts';
import { crossEntropy } from '../ops/crossEntropy.ts';
import { binary, scale } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import { matmul } from '../ops/matmul.ts';
import { concat, view } from '../ops/moves.ts';
import { frequencyInputs, sparseIdft } from '../ops/sparseIdft.ts';
import { unary } from '../ops/unary.ts';
import type { FitPart } from './fitGraph.ts';
import { trianglesOf } from './fitShapes.ts';
import { countOf, type ForgetMethod, WIDTH } from './forgetMethods.ts';
import type { Points } from './forgetTasks.ts';

const CLASSES = 2;

/** Weights and biases of the network, in order: 2 inputs, two layers of {@link WIDTH}, 2 classes. */
const LAYERS = [[WIDTH, 2], [WIDTH], [WIDTH, WIDTH], [WIDTH], [CLASSES, WIDTH], [CLASSES]] as const;

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Where each tensor begins, and where all end. */
const BEGINS = LAYERS.map((_, i) => LAYERS.slice(0, i).reduce((sum, shape) => sum + sizeOf(shape), 0));
const SIZE = LAYERS.reduce((sum, shape) => sum + sizeOf(shape), 0);

/** The tensor of the network that is fine-tuned: the weight of the second layer. */
const TUNED = 2;

/** Tensor i of a network. */
const tensorOf = (network: Float32Array, i: number): Float32Array =>
  network.slice(BEGINS[i]!, BEGINS[i]! + sizeOf(LAYERS[i]!));

export const tunedOf = (network: Float32Array): Float32Array => tensorOf(network, TUNED);

/** Scores [points, 2] of a network. */
function emitScores(g: Builder, places: Float32Array, [W1, b1, W2, b2, W3, b3]: readonly Value[]): Value {
  const x = g.constant({ dtype: 'f32', shape: [places.length / 2, 2] }, places, 'points');
  const first = unary(g, linear(g, x, W1!, b1!), { fn: 'tanh' });
  const second = unary(g, linear(g, first, W2!, b2!), { fn: 'tanh' });
  return linear(g, second, W3!, b3!);
}

/** Mean loss [1] of the points' classes. */
function emitLoss(g: Builder, { places, classes }: Points, network: readonly Value[]): Value {
  const labels = g.constant({ dtype: 'i32', shape: [classes.length] }, classes, 'classes');
  const { loss } = crossEntropy(g, emitScores(g, places, network), labels);
  return scale(g, loss, { by: 1 / classes.length });
}

const flat = (g: Builder, x: Value): Value => view(g, x, [sizeOf(x.shape)]);

/** All of a network, on the old task. It shows its numbers. */
export function basePart(seed: number, network: number, points: Points): FitPart {
  const first = new Float32Array(SIZE);
  LAYERS.forEach((shape, i) => {
    const random = rng(seed, 22).fork(network).fork(i);
    // Wide in the first layer, so that it tells places apart, all over the plane.
    const size = i < TUNED ? 3 : shape.length === 2 ? 1 / Math.sqrt(shape[1]!) : 0;
    for (let k = 0; k < sizeOf(shape); k++) first[BEGINS[i]! + k] = size * random.normal();
  });
  return {
    first,
    emit: (g, numbers) => ({
      losses: emitLoss(
        g,
        points,
        LAYERS.map((shape, i) => view(g, numbers, shape, BEGINS[i]!)),
      ),
      shown: scale(g, numbers, { by: 1 }),
    }),
  };
}

/**
 * One weight of the trained network by a method, on the new task. It shows that weight as it is adapted, [WIDTH, WIDTH], and then the scores of `places`.
 * @param network as {@link basePart} shows it
 */
export function tunedPart(
  method: ForgetMethod,
  network: Float32Array,
  points: Points,
  places: Float32Array,
  seed: number,
): FitPart {
  return {
    first: firstOf(method, seed),
    emit(g, numbers) {
      const base = LAYERS.map((shape, i) =>
        g.constant({ dtype: 'f32', shape }, tensorOf(network, i), `base ${i}`),
      );
      const adapted = emitAdapted(g, method, base[TUNED]!, numbers);
      const tuned = base.map((value, i) => (i === TUNED ? adapted : value));
      return {
        losses: emitLoss(g, points, tuned),
        shown: concat(g, [flat(g, adapted), flat(g, emitScores(g, places, tuned))], { axis: 0 }),
      };
    },
  };
}

/** Every method begins without effect. */
function firstOf(method: ForgetMethod, seed: number): Float32Array {
  const first = new Float32Array(countOf(method));
  if (method.id !== 'lora') return first;
  const random = rng(seed, 23);
  for (let i = 0; i < WIDTH * method.rank; i++) first[i] = random.normal() / Math.sqrt(WIDTH);
  return first;
}

/** How far one step of AdamW moves a weight by LoRA or FourierFT, beside a rotation: PEFT's scalings, for a weight of this size. */
const LORA_SCALING = 2;
const FOURIER_SCALING = 400;
/** PEFT's default. */
const PLACE_SEED = 777;

function emitAdapted(g: Builder, method: ForgetMethod, W: Value, numbers: Value): Value {
  if (method.id === 'full') return binary(g, W, view(g, numbers, [WIDTH, WIDTH]), { fn: 'add' });
  if (method.id === 'lora') {
    const { rank } = method;
    const [A, B] = [view(g, numbers, [rank, WIDTH]), view(g, numbers, [WIDTH, rank], rank * WIDTH)];
    return binary(g, W, scale(g, matmul(g, B, A), { by: LORA_SCALING }), { fn: 'add' });
  }
  if (method.id === 'fourierft') {
    const places = randpermFirst(PLACE_SEED, WIDTH * WIDTH, method.n);
    const frequencies = frequencyInputs(
      g,
      Int32Array.from(places, (at) => Math.floor(at / WIDTH)),
      Int32Array.from(places, (at) => at % WIDTH),
      { out: WIDTH, in: WIDTH, scaling: FOURIER_SCALING },
    );
    const update = sparseIdft(g, view(g, numbers, [1, method.n]), frequencies);
    return binary(g, W, view(g, update, [WIDTH, WIDTH]), { fn: 'add' });
  }
  const { m, b } = method;
  const count = WIDTH / b;
  const rotations = cayley(g, view(g, numbers, [m * count, trianglesOf(b)]), { b, kind: 'exact', terms: 0 });
  return butterfly(g, W, view(g, rotations, [m, count, b, b]), { transpose: true });
}
