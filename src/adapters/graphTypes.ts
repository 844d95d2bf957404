/**
 * The graph half of the adapter-method contract: what a method does to a layer, as graph nodes. Layers of one shape and one
 * effective configuration form a group whose tensors are stacked along a first axis, so that work on them (Cayley, inverse DFT)
 * is one dispatch for all of them.
 */
import type { Builder } from '../graph/builder.ts';
import type { TensorType, Value } from '../graph/types.ts';
import type { TrainableEntry } from './plan.ts';
import type { Layer, TensorSpec } from './types.ts';

/** Fills an input anew at every update, `step` from 0 on; `seed` is a pure function of run seed, step and micro-batch. */
export type StepFill = (out: Float32Array, seed: number, step: number) => void;

export interface AdapterScope {
  readonly g: Builder;
  /** Dropout and its like are only emitted when training. */
  readonly training: boolean;
  /** An input of the training program that the CPU draws before every step. */
  stepInput(name: string, type: TensorType, fill: StepFill): Value;
  /** What each module of the frozen model reads, where it reads one value once: modules with the same entry can share work on it. */
  readonly reads: ReadonlyMap<string, unknown>;
  /** A frozen tensor that all layers of the method share, by its name in `shared` of the page half. */
  shared(name: string): Value;
  /** i32 [4]: word 0 is the seed of this step, for dropout on the GPU. */
  stepSeed(): Value;
}

export interface LayerGroup<C> {
  readonly id: string;
  readonly layers: readonly Layer[];
  readonly config: C;
  /** By parameter name in the file, stacked: [layers, ...shape]. */
  readonly params: Readonly<Record<string, Value>>;
}

/** Where a method acts on what has just been updated: in the graph of the optimiser, after it. */
export interface UpdateScope {
  readonly g: Builder;
  /** All trained numbers, updated: the packed state [N]. */
  readonly packed: Value;
  /** The gradients of that update before clipping [N], their squared norm [1], the step scalars [16]. */
  readonly gradients: Value;
  readonly normSquared: Value;
  readonly step: Value;
  /** As in {@link AdapterScope}. */
  stepInput(name: string, type: TensorType, fill: StepFill): Value;
  /** A state [size] of the method's own, kept in checkpoints; every entry starts at `initial`. */
  state(name: string, size: number, initial: number): Value;
}

export interface UpdateGroup<C> {
  readonly layers: readonly Layer[];
  readonly config: C;
  /** Places in the packed buffer, by parameter name in the file; shapes are stacked: [layers, ...shape]. */
  readonly places: Readonly<Record<string, TrainableEntry>>;
}

/** Weight [out, in] and bias [out] of a layer. */
export interface Weights {
  readonly W: Value;
  readonly bias: Value | null;
}

export interface LayerAdapter {
  /**
   * The adapted weights: what merging writes.
   * @param untouched W before any adapter, where several follow each other in a forward pass: there DoRA measures its rows
   */
  adapt(weights: Weights, untouched?: Value): Weights;
  /** y of the adapted layer for x [..., in] by the cheaper route; agrees with `adapt`. Without it `adapt` is used. */
  apply?(x: Value, weights: Weights, untouched?: Value): Value;
  /**
   * Takes a merged adapter out of the weights again, as PEFT does. Without it an update is subtracted, and a rotation undone by the
   * inverse of its blocks.
   * @param kept what `keep` gave before merging, flat
   */
  undo?(merged: Weights, kept?: Value | null): Weights;
  /** What `undo` needs to know of the weights before they are merged. */
  keep?(weights: Weights): Value;
  /** What an additive method adds to W [out, in], as PEFT's get_delta_weight gives it. */
  update?(): Value;
  /** Turns the last axis of x [..., d] as the method turns a layer's input; for the views. Rotating the identity gives M. */
  rotate?(x: Value): Value;
  /** BOFT: the same for one factor alone. */
  rotateBy?(factor: number, x: Value): Value;
}

export interface GraphHalf<C> {
  /**
   * Of several active adapters the first turns the input first, so the forward pass adapts the weights in the reverse order, unlike merging
   * (OFT: x M1 M2 Wᵀ, merged x M2 M1 Wᵀ, a difference that PEFT has).
   */
  readonly forwardReversed?: boolean;
  /** Emits the group's shared work once and returns one adapter per layer, in the group's order. */
  open(scope: AdapterScope, group: LayerGroup<C>): readonly LayerAdapter[];
  /**
   * The largest ‖Q‖_F of the skew matrices whose upper triangles a tensor's rows are, enforced in place before every forward (COFT), or
   * null for no limit.
   * No derivative runs through it.
   */
  rowLimit?(config: C, spec: TensorSpec): number | null;
  /** What training minimises besides the mean loss: a scalar [1] over all groups, or null for nothing. Curves do not contain it. */
  penalty?(scope: AdapterScope, groups: readonly LayerGroup<C>[]): Value | null;
  /**
   * Emits nodes that run after every update, on the GPU like the update itself. An update whose gradient norm is not finite did not
   * happen: then they must leave everything as it is.
   */
  afterStep?(scope: UpdateScope, groups: readonly UpdateGroup<C>[]): void;
}
