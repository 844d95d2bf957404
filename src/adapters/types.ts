/**
 * The contract of an adapter method. Its `index.ts` defines what needs no graph: settings, which layers it may touch, how many parameters it
 * has, what its factors look like, which tensors it keeps. Its `graph.ts` says what it does to a layer, as graph nodes, and is loaded when an
 * adapter is planned.
 */
import type { z } from 'zod';
import type { Builder } from '../graph/builder.ts';
import type { TensorType, Value } from '../graph/types.ts';
import { say } from '../lib/say.ts';
import type { CommonConfig } from './fields.ts';

/** `conv1d` is GPT-2's linear layer stored as (in, out); `conv2d` counts one patch, in = channels * kernel height * width. */
export type LayerKind = 'linear' | 'conv1d' | 'embedding' | 'conv2d';

/** One module of the base model that holds a weight matrix. */
export interface Layer {
  /** PyTorch module path, e.g. `encoder.layer.0.attention.attention.query`. */
  readonly name: string;
  readonly kind: LayerKind;
  /** in_features; for an embedding the number of rows (num_embeddings). */
  readonly in: number;
  /** out_features; for an embedding the embedding dimension. */
  readonly out: number;
  readonly hasBias: boolean;
  /** Of a convolution: height and width. */
  readonly kernel?: readonly [number, number];
}

/** How a tensor starts. `row-norms` and `base` are read from the base weight. */
export type TensorInit =
  | { readonly kind: 'zeros' }
  | { readonly kind: 'ones' }
  | { readonly kind: 'normal'; readonly mean: number; readonly std: number }
  | { readonly kind: 'uniform'; readonly low: number; readonly high: number }
  /** The Euclidean norm of each output row of the base weight (DoRA's magnitude). */
  | { readonly kind: 'row-norms' }
  /** A copy of the base parameter itself. */
  | { readonly kind: 'base' };

/** One tensor that a method keeps per layer. */
export interface TensorSpec {
  /** Name after the module path in the adapter file, e.g. `oft_R.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: TensorInit;
}

/** A frozen tensor of the model rather than of a layer. */
export interface SharedSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Its numbers where no file gives them. */
  readonly make: () => Float32Array;
}

/**
 * Parameters per layer: `stored` as kept in memory and in the file; `free` leaves out numbers that cannot have an effect (of a block
 * stored as b*b numbers only the b(b-1)/2 of its skew part count).
 */
export interface ParameterCount {
  readonly stored: number;
  readonly free: number;
}

/** The sparsity of one factor, small enough to send anywhere and exact enough to draw. */
export type Factor =
  | {
      /** Square, P * blockdiag(blocks) * P^T: entry (r, c) can be non-zero iff rows r and c are in the same group. */
      readonly kind: 'blocks';
      readonly label: string;
      readonly size: number;
      readonly block: number;
      /** Block that row (and column) r belongs to. */
      readonly group: Uint32Array;
      /** All blocks are one and the same matrix. */
      readonly shared: boolean;
    }
  | {
      readonly kind: 'dense';
      readonly label: string;
      readonly rows: number;
      readonly columns: number;
      /** Drawn once and never trained. */
      readonly frozen?: true;
    }
  | {
      /** Only these entries are non-zero. */
      readonly kind: 'points';
      readonly label: string;
      readonly rows: number;
      readonly columns: number;
      readonly row: Uint32Array;
      readonly column: Uint32Array;
    };

/** The factors of one layer, in the order of their indices (factor 0 first). */
export interface Pattern {
  /**
   * rotation: the product of the factors turns the input; update: it is added to the weight; hadamard: two products, of factors 0, 1 and
   * 2, 3, are multiplied entry by entry and added; kronecker: factors 0 and 1 give an update of which every entry is a product of one
   * entry each; scaling: a diagonal that multiplies inputs or outputs; weight: the factor replaces the weight.
   */
  readonly role: 'rotation' | 'update' | 'hadamard' | 'kronecker' | 'scaling' | 'weight' | 'none';
  readonly factors: readonly Factor[];
}

/** A configuration worth trying on layers of odd sizes: what the conformance suites work through (`cases.ts` of every method). */
export interface MethodCase {
  readonly config: Readonly<Record<string, unknown>>;
  /** The adapter has no effect before training. */
  readonly startsAsIdentity: boolean;
  /** Part of the forward counts as a constant in the gradient, so finite differences do not apply. */
  readonly detaches?: boolean;
}

/** A case that has no effect at the start. */
export const identity = (config: MethodCase['config'] = {}): MethodCase => ({
  config,
  startsAsIdentity: true,
});

export interface MethodCard {
  /** In the language spoken: one or two sentences for someone who has never heard of it. */
  idea(): string;
  /** KaTeX source. */
  readonly formula: string;
  /** An experiment worth five minutes. */
  tryThis(): string;
  paper(): string;
}

/** What a method is made of; lists show the methods by it, in this order. */
export const FAMILIES = {
  rotation: () => say`Rotations`,
  spectral: () => say`Spectral`,
  'low-rank': () => say`Low rank`,
  product: () => say`Products`,
  scale: () => say`Scales`,
  baseline: () => say`Baselines`,
} as const;

/** What a reader of adapter files may correct after seeing the tensors. */
export interface Reading<C> {
  readonly config: C;
  readonly warnings: readonly string[];
}

/** What a method may change of its adapter before it becomes a file. */
export interface Saving<C> {
  readonly config: C;
  readonly layers: readonly Layer[];
  /** By module, in the order of the packed buffer. */
  readonly tensors: ReadonlyMap<string, ModuleTensors>;
  /** Reads a state that the method's `afterStep` keeps. */
  readonly state: (name: string) => Promise<Float32Array>;
}

/** The tensors of one module, by parameter name. */
export type ModuleTensors = ReadonlyMap<string, AdapterTensor>;

export interface AdapterTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
  /** The narrow type that the file stores these very numbers in; absent: F32. */
  readonly dtype?: 'F16' | 'BF16';
}

/** A setting that makes an adapter larger or smaller, with the values worth trying. */
export interface SizeField {
  readonly field: string;
  /** All of them, or every whole number of a range over which the adapter never shrinks. */
  readonly values: readonly number[] | { readonly min: number; readonly max: number };
  /** Fields that keep their ratio to it, so that the adapter's scale stays as it was. */
  readonly alongside?: readonly string[];
}

/** Where the method begins when a person chooses it. `start.ts` says what the rates aim at. */
export interface MethodStart {
  /** For Adam and layers of width 64; `startRate` (start.ts) has it for others. */
  readonly learningRate: number;
  /**
   * The fields whose PEFT default does not suit layers of every size.
   *
   * @param layers those that the method will adapt
   * @param given what is already chosen, which the fields have to fit
   */
  config(
    layers: readonly Layer[],
    given: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>>;
}

/** Methods are written against their own config type; the registry sees only {@link CommonConfig}. */
export interface AdapterMethod<C extends CommonConfig = CommonConfig> {
  /** Stable name: folder, URL value and `--method` argument; a {@link MethodId} once registered. */
  readonly id: string;
  /** `peft_type` in adapter_config.json; of a method that PEFT has not it begins with PAPILIO_. */
  readonly peftType: string;
  readonly title: string;
  readonly family: keyof typeof FAMILIES;
  readonly start: MethodStart;
  /** What to turn for a comparison at equal parameters; a range comes last. Absent where the modules decide the size. */
  readonly size?: readonly SizeField[];
  /** Those fields as this layer has them, where the method fits them to it. */
  sizeOn?(layer: Layer, config: C): Readonly<Record<string, number>>;
  /** PEFT's field names and defaults; every field carries {@link FieldMeta} for forms. */
  readonly schema: z.ZodType<C> & { readonly shape: Readonly<Record<string, z.ZodType>> };
  /** PEFT fields that this method writes at these values and refuses at others, because it does not do what they ask. */
  readonly fixed: Readonly<Record<string, unknown>>;
  /** Fields without which PEFT refuses to load a file. */
  readonly requiredInFile: readonly string[];
  /** Whether modules must be chosen, may be chosen (all if not), or are never adapted. */
  readonly targets: 'required' | 'optional' | 'none';
  /** PEFT's default targets by model_type, where the method has another table than LoRA's. */
  readonly defaultTargets?: Readonly<Record<string, readonly string[]>>;
  /** Parameter names that the method owns in files; 'any' for every parameter of a module. */
  readonly fileNames: readonly string[] | 'any';
  /** Other names that PEFT reads a parameter by, to the name that it writes. */
  readonly alsoRead?: Readonly<Record<string, string>>;
  /** PEFT's completion of a configuration on a model of this type (`model_type` of config.json). */
  complete?(config: C, modelType: string | null): C;
  /** Why this configuration is illegal on any model, in PEFT's words, or null. */
  refuse(config: C): string | null;
  /** Why a new adapter cannot begin with this configuration, though a finished one of a file may have it, or null. */
  refuseStart?(config: Readonly<Record<string, unknown>>): string | null;
  /** Why this configuration is illegal on this layer, in PEFT's words, or null. */
  check(layer: Layer, config: C): string | null;
  /** Why PEFT refuses a layer that Papilio adapts all the same, in PEFT's words, or null. */
  peftRefuses?(layer: Layer, config: C): string | null;
  /** Something PEFT would change silently or with a warning on this layer, or null. */
  notice(layer: Layer, config: C): string | null;
  count(layer: Layer, config: C): ParameterCount;
  pattern(layer: Layer, config: C): Pattern;
  tensors(layer: Layer, config: C): readonly TensorSpec[];
  /** Frozen tensors that all adapted layers share (VeRA's projections), of the shapes that these layers need. */
  shared?(layers: readonly Layer[], config: C): readonly SharedSpec[];
  /** Names of the shared tensors; a file stores them as `base_model.<name>`. */
  readonly sharedNames?: readonly string[];
  /** Whether a file stores them; absent: always. */
  writesShared?(config: C): boolean;
  /** Corrections and warnings once a file's tensors are known. */
  onRead(
    config: C,
    tensors: ReadonlyMap<string, ModuleTensors>,
    peftVersion: string | null,
    shared: ReadonlyMap<string, AdapterTensor>,
  ): Reading<C>;
  /** Fields that a run of `totalSteps` updates decides where the configuration leaves them open. */
  forRun?(config: Readonly<Record<string, unknown>>, totalSteps: number): Readonly<Record<string, unknown>>;
  /** The adapter as its file holds it; absent: just as it was trained. */
  beforeSave?(saving: Saving<C>): Promise<Pick<Saving<C>, 'config' | 'tensors'>>;
  /** Sentences to show beside a saved file. */
  onWrite(config: C): readonly string[];
  /** Loads `graph.ts`; absent where the method trains whole parameters and adapts no layer. */
  readonly graph?: () => Promise<{ readonly graph: MethodGraph<C> }>;
}

/** What a method leaves out if it has nothing to say there. */
interface Defaults<C extends CommonConfig>
  extends Pick<
    AdapterMethod<C>,
    'fixed' | 'requiredInFile' | 'refuse' | 'check' | 'notice' | 'onRead' | 'onWrite'
  > {}

/** A method from its definition. Without a word: no fixed field, nothing refused, nothing said. */
export const defineMethod = <C extends CommonConfig>(
  method: Omit<AdapterMethod<C>, keyof Defaults<C> | 'start'> &
    Partial<Defaults<C>> & { readonly start: Partial<MethodStart> & Pick<MethodStart, 'learningRate'> },
): AdapterMethod<C> => ({
  fixed: {},
  requiredInFile: [],
  refuse: () => null,
  check: () => null,
  notice: () => null,
  onRead: (config) => ({ config, warnings: [] }),
  onWrite: () => [],
  ...method,
  // It may be said in the language of the moment.
  get title() {
    return method.title;
  },
  start: { config: () => ({}), ...method.start },
});

/** One tensor inside the packed buffer; for a group, all its layers' tensors stacked. Offsets in elements, multiples of 64. */
export interface TrainableEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
}

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
  /** Modules that are computed as one, in their order, where their adapters offer it ({@link LayerAdapter.applyAll}). */
  readonly siblings: readonly (readonly string[])[];
  /** A frozen tensor that all layers of the method share, by its name in `shared` of the method. */
  shared(name: string): Value;
  /** i32 [4]: word 0 is the seed of this step, for dropout on the GPU. */
  stepSeed(): Value;
}

/**
 * Layers of one shape and one effective configuration, whose tensors are stacked along a first axis, so that work on them (Cayley, inverse DFT) is
 * one dispatch for all of them.
 */
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
   * On the first of siblings: what all of them make of x, beside each other [..., all outs], from their weights one below the other; null
   * where each does better by itself. Absent where they never go together.
   */
  applyAll?(x: Value, weights: Weights): Value | null;
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

/** What `graph.ts` of a method exports as `graph`. */
export interface MethodGraph<C> {
  /**
   * Of several active adapters the first turns the input first, so the forward pass adapts the weights in the reverse order, unlike merging
   * (OFT: x M1 M2 Wᵀ, merged x M2 M1 Wᵀ, a difference that PEFT has).
   */
  readonly forwardReversed?: boolean;
  /**
   * Numbers at which the method changes nothing, whatever its other tensors hold, by parameter name; 'row-norms' are the lengths of the base
   * weight's rows. Between these and the trained ones lies what goes back towards the base ({@link atStrengths} in strength.ts).
   */
  readonly neutral: Readonly<Record<string, 0 | 1 | 'row-norms'>>;
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
