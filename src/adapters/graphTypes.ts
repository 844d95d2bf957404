/**
 * The graph half of the adapter-method contract: what a method does to a layer, as graph nodes. Layers of one shape and one
 * effective configuration form a group whose tensors are stacked along a first axis, so that work on them (Cayley, inverse DFT)
 * is one dispatch for all of them.
 */
import type { Builder } from '../graph/builder.ts';
import type { TensorType, Value } from '../graph/types.ts';
import type { Layer, TensorSpec } from './types.ts';

/** Fills an input that is drawn anew at every training step; `seed` is a pure function of run seed and step. */
export type StepFill = (out: Float32Array, seed: number) => void;

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

/** Weight [out, in] and bias [out] of a layer. */
export interface Weights {
  readonly W: Value;
  readonly bias: Value | null;
}

export interface LayerAdapter {
  /** The adapted weights: what merging writes. */
  adapt(weights: Weights): Weights;
  /** y of the adapted layer for x [..., in] by the cheaper route; agrees with `adapt`. Without it `adapt` is used. */
  apply?(x: Value, weights: Weights): Value;
  /** What an additive method adds to W [out, in], as PEFT's get_delta_weight gives it. */
  update?(): Value;
  /** Turns the last axis of x [..., d] as the method turns a layer's input; for the views. Rotating the identity gives M. */
  rotate?(x: Value): Value;
  /** BOFT: the same for one factor alone. */
  rotateBy?(factor: number, x: Value): Value;
}

export interface GraphHalf<C> {
  /** Emits the group's shared work once and returns one adapter per layer, in the group's order. */
  open(scope: AdapterScope, group: LayerGroup<C>): readonly LayerAdapter[];
  /**
   * The largest ‖Q‖_F of the skew matrices whose upper triangles a tensor's rows are, enforced in place before every forward (COFT), or
   * null for no limit.
   * No derivative runs through it.
   */
  rowLimit?(config: C, spec: TensorSpec): number | null;
}
