/**
 * A plan: a scheduled graph as plain data. It names buffers by index, binds exact byte ranges of them and lists dispatches and
 * copies in the order in which they run. It holds no GPU handle, so it can be inspected, compared and tested without one.
 */
import type { Dispatch, TensorType, Value } from './types.ts';

export interface PlanBuffer {
  /** What lives here, for error messages: a parameter's name, or the ops that share it. */
  readonly label: string;
  readonly bytes: number;
  /** The input, constant, parameter or state that owns the buffer; absent for the pool of temporaries. */
  readonly persistent?: Value;
}

/** A byte range of a buffer. Offsets of bindings are multiples of 256, sizes and copy offsets multiples of 4. */
export interface PlanRange {
  readonly buffer: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface PlanBinding extends PlanRange {
  /** Whether this step may write it: an output, scratch, or a mutated state. */
  readonly writable: boolean;
}

export interface DispatchStep {
  readonly kind: 'dispatch';
  /** `softmax #12 (encoder.layer.0.attention)`. */
  readonly label: string;
  readonly dispatch: Dispatch;
  readonly bindings: readonly PlanBinding[];
  /** Estimated arithmetic operations; only their proportions within one program matter. */
  readonly work: number;
}

export interface CopyStep {
  readonly kind: 'copy';
  readonly label: string;
  readonly from: PlanRange;
  readonly to: PlanRange;
  readonly work: number;
}

export type Step = DispatchStep | CopyStep;

export interface PlanOutput extends PlanRange {
  readonly type: TensorType;
}

export interface Plan {
  readonly buffers: readonly PlanBuffer[];
  readonly steps: readonly Step[];
  /** Inputs that the live part of the graph reads, by name. */
  readonly inputs: Readonly<Record<string, PlanOutput>>;
  readonly outputs: Readonly<Record<string, PlanOutput>>;
  /** Bytes of all buffers together, persistent ones included. */
  readonly peakBytes: number;
  /** Bytes of the temporaries' pool alone. */
  readonly temporaryBytes: number;
  /** The most bytes of temporaries that are needed at once: no assignment to buffers takes less. */
  readonly liveBytes: number;
}

/** Operations as if the three largest operands were the matrices of a product: exact for one, an upper bound for the rest. */
export function workOf(operandBytes: readonly number[]): number {
  const sizes = operandBytes.map((bytes) => bytes / 4).sort((a, b) => b - a);
  const [a = 1, b = 1, c = 1] = sizes;
  return Math.sqrt(a * b * c) + a;
}
