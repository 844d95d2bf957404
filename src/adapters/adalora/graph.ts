/**
 * AdaLoRA on the graph: a low-rank path with a diagonal between its factors; while training a loss that keeps the factors orthogonal, and
 * after every update the measure of each triplet's importance and the choice of those that stay.
 */
import type { Builder } from '../../graph/builder.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { Value } from '../../graph/types.ts';
import { addN, binary, reduce, scale } from '../../ops/elementwise.ts';
import { linear } from '../../ops/linear.ts';
import { matmul } from '../../ops/matmul.ts';
import { pack, split, view } from '../../ops/moves.ts';
import { importance, keepBest, zeroDropped } from '../../ops/rankAllocation.ts';
import { unary } from '../../ops/unary.ts';
import { additive, dropInputs, layerParts } from '../graphParts.ts';
import type { LayerAdapter, LayerGroup, MethodGraph, TrainableEntry, UpdateGroup } from '../types.ts';
import { type AdaloraConfig, adaloraScale, MASK } from './config.ts';

/** Keeps the root differentiable where the factors are exactly orthogonal; far below what float32 tells from one. */
const TINY = 1e-30;

/** A, E and B of a group, stacked; null where its layers have no triplet left. */
function factors({ params }: LayerGroup<AdaloraConfig>) {
  const { lora_A: A, lora_B: B, lora_E: E } = params;
  return A && B && E ? { A, B, E } : null;
}

const unchanged: LayerAdapter = { adapt: (weights) => weights };

/** Σ over a stack of ‖M − I‖_F, M [layers, r, r]; [1]. */
function defects(g: Builder, products: Value): Value {
  const r = products.shape.at(-1)!;
  const identity = Float32Array.from({ length: r * r }, (_, i) => (i % (r + 1) === 0 ? 1 : 0));
  const off = binary(g, products, g.constant({ dtype: 'f32', shape: [r, r] }, identity), { fn: 'sub' });
  const squares = reduce(g, unary(g, off, { fn: 'square' }), { fn: 'sum', axes: [1, 2], keepdims: false });
  const tiny = g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(TINY));
  const norms = unary(g, binary(g, squares, tiny, { fn: 'add' }), { fn: 'sqrt' });
  return view(g, reduce(g, norms, { fn: 'sum', axes: [0], keepdims: true }), [1]);
}

interface Ranked {
  readonly layers: number;
  readonly rank: number;
  readonly A: TrainableEntry;
  readonly B: TrainableEntry;
  readonly E: TrainableEntry;
}

/** Groups that have triplets. */
function ranked(groups: readonly UpdateGroup<AdaloraConfig>[]): readonly Ranked[] {
  return groups.flatMap(({ places: { lora_A: A, lora_B: B, lora_E: E } }) =>
    A && B && E ? [{ layers: A.shape[0]!, rank: A.shape[1]!, A, B, E }] : [],
  );
}

const elements = ({ shape }: TrainableEntry): number => sizeOf(shape);

export const graph: MethodGraph<AdaloraConfig> = {
  neutral: { lora_E: 0 },

  open(scope, group) {
    const { g } = scope;
    const { config, layers } = group;
    const stacked = factors(group);
    if (!stacked) return layers.map(() => unchanged);
    const { A, B, E } = stacked;
    const { lora_dropout: p } = config;
    const scaled = scale(g, binary(g, A, E, { fn: 'mul' }), { by: adaloraScale(A.shape[1]!, config) });
    return layerParts(g, { ...group, params: { low: scaled, high: B } }).map(
      ({ low, high }, i): LayerAdapter => {
        return {
          ...additive(g, () => matmul(g, high!, low!, {})),
          apply(x, { W, bias }) {
            const added = linear(g, linear(g, dropInputs(scope, x, p, i), low!, null), high!, null);
            return binary(g, linear(g, x, W, bias), added, { fn: 'add' });
          },
        };
      },
    );
  },

  penalty({ g }, groups) {
    const weight = groups[0]?.config.orth_reg_weight ?? 0;
    const parts = groups.flatMap((group) => {
      const stacked = factors(group);
      if (!stacked) return [];
      const { A, B } = stacked;
      return [defects(g, matmul(g, A, A, { transB: true })), defects(g, matmul(g, B, B, { transA: true }))];
    });
    if (weight === 0 || parts.length === 0) return null;
    // The mean is over every A and every B of the model, those of layers without a triplet too.
    const tensors = 2 * groups.reduce((n, { layers }) => n + layers.length, 0);
    return scale(g, addN(g, parts), { by: weight / tensors });
  },

  afterStep(scope, groups) {
    const { g, packed, gradients, normSquared, step } = scope;
    const config = groups[0]!.config;
    const own = ranked(groups);
    const triplets = own.reduce((n, { layers, rank }) => n + layers * rank, 0);
    if (triplets === 0) return;
    const layers = groups.reduce((n, group) => n + group.layers.length, 0);
    const at = (update: number) => allocationAt(config, triplets, layers, update);
    const number = (name: string, of: (update: number) => number) =>
      scope.stepInput(`adalora.${name}`, { dtype: 'f32', shape: [1] }, (out, _seed, update) => {
        out[0] = of(update);
      });
    const on = number('measures', (update) => Number(at(update).measures));
    const drop = number('drop', (update) => at(update).drop ?? -1);
    const clears = number('clears', (update) => Number(at(update).clears));

    // The method's tensors come first in the packed buffer; biases and saved modules after them are not measured.
    const size = Math.max(...own.flatMap(({ A, B, E }) => [A, B, E].map((t) => t.offset + elements(t))));
    const smooth = scope.state('adalora.importance', size, 0);
    const varies = scope.state('adalora.uncertainty', size, 0);
    const mask = scope.state(MASK, triplets, 1);
    const { beta1, beta2 } = config;
    importance(
      g,
      { importance: smooth, uncertainty: varies, params: packed, grads: gradients, step, normSquared, on },
      { beta1, beta2 },
    );

    const scores = binary(g, smooth, varies, { fn: 'mul' });
    const firsts: number[] = [];
    let first = 0;
    const totals = own.map(({ layers: n, rank, A, B, E }) => {
      firsts.push(first);
      first += n * rank;
      const [a, b, e] = split(g, scores, [A, B, E]) as [Value, Value, Value];
      const mean = (t: Value, axis: number) => reduce(g, t, { fn: 'mean', axes: [axis], keepdims: false });
      return addN(g, [view(g, e, [n, rank]), mean(a, 2), mean(b, 1)]);
    });
    const flat = pack(g, totals, { offsets: firsts, size: triplets });
    keepBest(g, mask, flat, drop, normSquared);
    own.forEach(({ layers: n, rank, E }, i) => {
      const entries = { offset: E.offset, first: firsts[i]!, count: n * rank };
      zeroDropped(g, packed, mask, clears, normSquared, entries);
    });
  },
};

// AdaLoRA's schedule: how many triplets (a row of A, an entry of E, a column of B) a model may keep after each update.

/** What happens after one update. */
export interface Allocation {
  /** Importance is measured. */
  readonly measures: boolean;
  /** So many of the least important triplets are dropped, or null where the choice of before stays. */
  readonly drop: number | null;
  /** E is cleared where its triplet is dropped. */
  readonly clears: boolean;
}

type Schedule = Pick<AdaloraConfig, 'tinit' | 'tfinal' | 'deltaT' | 'total_step' | 'target_r'>;

/**
 * PEFT's update_and_allocate, called after update `step` (from 0 on).
 * @param triplets of the whole model at the start
 * @param layers adapted layers, each worth `target_r` triplets in the end
 */
export function allocationAt(config: Schedule, triplets: number, layers: number, step: number): Allocation {
  const { tinit, tfinal, deltaT } = config;
  const last = (config.total_step ?? 0) - tfinal;
  const target = config.target_r * layers;
  if (step > last) return { measures: false, drop: null, clears: true };
  // A model that is within its budget from the start loses nothing.
  const dropTo = (budget: number) => Math.max(0, triplets - budget);
  if (step === last) return { measures: false, drop: dropTo(target), clears: true };
  if (step <= tinit || step % deltaT !== 0) return { measures: true, drop: null, clears: false };
  const left = 1 - (step - tinit) / (last - tinit);
  const budget = Math.trunc((triplets - target) * left ** 3 + target);
  return { measures: true, drop: dropTo(budget), clears: true };
}
