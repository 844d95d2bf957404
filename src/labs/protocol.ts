/** What a lab's page asks of the worker that computes for it. */
import type { MethodId } from '../adapters/registry.ts';
import type { DeviceReport, EngineName } from '../training/protocol.ts';
import type { FitShape } from './fitShapes.ts';
import type { TargetName } from './targets.ts';
import type { UpdateTarget } from './updatePieces.ts';

/** Lengths of PEFT's truncated series; 3 and 4 are the same, 1 would be the identity. */
export const TERMS: readonly number[] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

/** Fits of one target from different first rotations: descent can end beside the best. */
export const STARTS = 4;

/** Steps of a fit in the lab. */
export const FIT_STEPS = 400;

/** The same matrix, row by row, from the engine in 32 bits and from the reference in float64. */
export interface Both {
  readonly engine: readonly number[];
  readonly reference: readonly number[];
}

export interface CayleyAnswer {
  readonly exact: Both;
  /** One for each of {@link TERMS}; the series gives the transpose of the exact rotation. */
  readonly series: readonly Both[];
}

export interface FitRequest {
  readonly target: TargetName;
  readonly d: number;
  readonly seed: number;
  readonly shapes: readonly FitShape[];
  readonly steps: number;
  /** {@link STARTS} unless given. */
  readonly starts?: number;
}

export interface UpdateRequest {
  readonly target: UpdateTarget;
  readonly seed: number;
  /** PEFT's `random_loc_seed`: which frequencies are drawn. */
  readonly placeSeed: number;
  readonly steps: number;
}

/** What is known of a target before anything is fitted to it; lists are in the order of the pieces. */
export interface UpdateFacts {
  /** Frequencies, row · d + column; none of LoRA's. */
  readonly places: readonly (readonly number[])[];
  /** The least that is left of the target, as a share of its size. */
  readonly floors: readonly number[];
  /** What the target has of each cosine and each sine wave, [d, d]. */
  readonly cosines: readonly number[];
  readonly sines: readonly number[];
}

export interface FitAnswer {
  readonly step: number;
  /** ‖M − target‖ / ‖target‖ of each shape or piece, of the best start so far. */
  readonly best: readonly number[];
}

export interface TurnRequest {
  readonly d: number;
  readonly b: number;
  readonly m: number;
  /** Packed strict upper triangles [m, d/b, b(b−1)/2], of the factor first that is applied first. */
  readonly skew: readonly number[];
  /** What is turned, [n, d]. */
  readonly vectors: readonly number[];
}

export interface TurnAnswer {
  /** R [d, d], row by row: output r is Σ over inputs c of R[r, c]. */
  readonly rotation: Both;
  /** R v of each vector, [n, d]. */
  readonly turned: Both;
}

export interface LearnRequest {
  readonly d: number;
  readonly b: number;
  readonly m: number;
  readonly seed: number;
  readonly steps: number;
  /** Vectors [d] of one length: what is turned, and into what. */
  readonly from: readonly number[];
  readonly to: readonly number[];
}

export interface LoraRequest {
  readonly inputs: number;
  readonly outputs: number;
  readonly r: number;
  readonly alpha: number;
  /** W [outputs, inputs], A [r, inputs] and B [outputs, r]. */
  readonly W: readonly number[];
  readonly A: readonly number[];
  readonly B: readonly number[];
}

export interface LoraAnswer {
  /** ΔW = α/r B A, [outputs, inputs]. */
  readonly update: Both;
  /** W + ΔW. */
  readonly weight: Both;
}

export interface LearnUpdateRequest {
  readonly target: UpdateTarget;
  readonly seed: number;
  readonly rank: number;
  readonly steps: number;
}

export interface InverseRequest {
  readonly d: number;
  /** Frequencies, row · d + column, all different. */
  readonly places: readonly number[];
  /** The height of the cosine wave of each. */
  readonly coefficients: readonly number[];
}

export interface CostRequest {
  /** Of the linear layer. */
  readonly inputs: number;
  readonly outputs: number;
  /** Rows of activations that go through it at once. */
  readonly rows: number;
  /** Methods with the fields of their configuration. */
  readonly methods: readonly {
    readonly method: MethodId;
    readonly fields: Readonly<Record<string, unknown>>;
  }[];
}

/** Multiply-adds. */
export interface Cost {
  /** Forwards. */
  readonly forward: number;
  /** Forwards and backwards, without the update. */
  readonly step: number;
}

/** Networks of the lab on forgetting, each from other first numbers: what one of them does may be chance. */
export const NETWORKS = 4;
/** Steps on the new task. */
export const FORGET_STEPS = 200;
/** The plane that is shown: from −2 to 2 both ways, in so many squares along a side. */
export const REACH = 2;
export const SQUARES = 24;

export interface ForgetRequest {
  /** A key of BUDGETS. */
  readonly budget: string;
  /** How far the middle of the new task lies from that of the old one. */
  readonly apart: number;
  readonly seed: number;
}

export interface PlainPoints {
  /** [points, 2] */
  readonly places: readonly number[];
  /** 0 or 1. */
  readonly classes: readonly number[];
}

/** What the networks learn from. */
export interface ForgetFacts {
  readonly old: PlainPoints;
  readonly next: PlainPoints;
}

/** Shares of examples that were not learnt from, by method and then by network, that are told right after so many steps. */
export interface ForgetPoint {
  readonly step: number;
  readonly kept: readonly (readonly number[])[];
  readonly learnt: readonly (readonly number[])[];
}

export interface MethodView {
  /** For the second class or the first in each square of the plane, −1 … 1. */
  readonly plane: readonly number[];
  readonly energy: { readonly before: number; readonly after: number };
  /** Pairs of neurons by their angle, in bins of 5°. */
  readonly angles: { readonly before: readonly number[]; readonly after: readonly number[] };
  /** By how much the angle of a pair changed, in radians. */
  readonly turned: { readonly most: number; readonly mean: number };
  /** Of ΔW, the largest first. */
  readonly singular: readonly number[];
}

/** One network: before, and after each method. */
export interface ForgetView {
  readonly network: number;
  readonly plane: readonly number[];
  readonly methods: readonly MethodView[];
}

/** The target and what was fitted to it, row by row. */
export interface Fitted {
  readonly target: readonly number[];
  readonly fitted: readonly number[];
}

export interface LabApi {
  /** What shall compute from now on; unless asked, what suits the machine. */
  computeOn(engine: EngineName): Promise<void>;
  /** What computes here. */
  device(): Promise<DeviceReport>;
  /** @param skew packed strict upper triangle of a block b × b */
  cayley(b: number, skew: readonly number[]): Promise<CayleyAnswer>;
  /** Vectors turned by a product of butterfly factors, and the product. */
  turn(request: TurnRequest): Promise<TurnAnswer>;
  /** Skew numbers, as {@link TurnRequest} has them, of factors that have learnt to turn one vector into another. */
  learn(request: LearnRequest): Promise<readonly number[]>;
  /** What LoRA makes of a weight. */
  lora(request: LoraRequest): Promise<LoraAnswer>;
  /** The singular values of a change that is a target of fits, the largest first. */
  singularOf(target: UpdateTarget, seed: number): Promise<readonly number[]>;
  /** A and B, as {@link LoraRequest} has them, that have learnt such a change; α is r. */
  learnUpdate(
    request: LearnUpdateRequest,
  ): Promise<{ readonly A: readonly number[]; readonly B: readonly number[] }>;
  /** The sum of waves [d, d], as FourierFT makes it. */
  inverse(request: InverseRequest): Promise<Both>;
  /** What the layer costs alone, and then with each method. */
  costs(request: CostRequest): Promise<readonly Cost[]>;
  /** Begins to fit products of butterfly factors to a rotation; a fit before it is left. */
  openFit(request: FitRequest): Promise<void>;
  /** Begins to fit LoRA and FourierFT to a change of a weight; a fit before it is left. */
  openUpdates(request: UpdateRequest): Promise<UpdateFacts>;
  /** Seconds that one answer of {@link cayley} takes with an engine. */
  cayleySeconds(b: number, engine: EngineName): Promise<number>;
  /** Seconds that all steps of a fit take with an engine, by timing one. */
  fitSeconds(request: FitRequest, engine: EngineName): Promise<number>;
  updateSeconds(request: UpdateRequest, engine: EngineName): Promise<number>;
  /** Takes so many steps of the fit that is open. */
  advance(steps: number): Promise<FitAnswer>;
  /** The best start of a shape or piece, as of the last step. */
  fitted(part: number): Promise<Fitted>;
  /** Trains networks on the old task, and gets ready to fine-tune them; a run before it is left. */
  openForgetting(request: ForgetRequest): Promise<ForgetFacts>;
  /** Seconds that all steps of it take with an engine, those on the old task among them, by timing one of each. */
  forgetSeconds(request: ForgetRequest, engine: EngineName): Promise<number>;
  /** Takes so many steps of it, and tells how it went from the first. */
  forget(steps: number): Promise<{ readonly step: number; readonly course: readonly ForgetPoint[] }>;
  /** One of its networks, as of the last step. */
  forgotten(network: number): Promise<ForgetView>;
}
