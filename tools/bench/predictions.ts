/**
 * What the changes to the kernels were predicted to come to on a card, before any was there: milliseconds that the kernels of a change take in one step of
 * GPT-2 small, estimated by hand for an H100 from counted work and an assumed rate of each kernel. Only the results are kept.
 */
import type { MethodId } from '../../src/adapters/registry.ts';
import type { KernelCost } from '../../src/training/kernels.ts';
import type { MethodResult } from './measure.ts';
import type { Subject } from './subjects.ts';

/** What the predictions are of. */
export const PREDICTED_OF = {
  card: 'H100',
  ...{ layers: 12, vocabulary: 50257, batchSize: 4, sequence: 1024 },
} as const;

type Kernel = Pick<KernelCost, 'label' | 'kernel'>;

const opOf = ({ label }: Kernel): string => label.split(' ')[0]!;
const ofOps =
  (...ops: readonly string[]) =>
  (kernel: Kernel): boolean =>
    ops.includes(opOf(kernel));

interface Change {
  /** As a heading of docs/performance.md. */
  readonly change: string;
  /** In whose step. */
  readonly method: MethodId;
  readonly isOf: (kernel: Kernel) => boolean;
  readonly milliseconds: number;
}

export const CHANGES: readonly Change[] = [
  {
    change: 'The loss of a frozen head',
    method: 'lora',
    isOf: ofOps('linearCrossEntropy'),
    milliseconds: 14.7,
  },
  {
    change: 'Attention in tiles',
    method: 'lora',
    isOf: ofOps('attention', 'attentionGrad'),
    milliseconds: 6,
  },
  {
    change: 'Products with few columns or rows',
    method: 'lora',
    isOf: ({ kernel }) => kernel.startsWith('skinny '),
    milliseconds: 2.5,
  },
  {
    change: 'The inner loop of products',
    method: 'lora',
    isOf: (kernel) => kernel.kernel.startsWith('matmul ') && opOf(kernel) !== 'linearCrossEntropy',
    milliseconds: 29.5,
  },
  { change: 'Column sums', method: 'boft', isOf: ofOps('columnScaleGrad'), milliseconds: 1.5 },
  {
    change: 'Rotations in pairs of factors',
    method: 'boft',
    isOf: ofOps('butterfly', 'butterflyGrad'),
    milliseconds: 3.5,
  },
  {
    change: 'Rotations by blocks of 16 and more as products',
    method: 'oft',
    isOf: ofOps('butterfly', 'butterflyGrad', 'cayley', 'cayleyGrad'),
    milliseconds: 3.6,
  },
  {
    change: 'FourierFT through the activations',
    method: 'fourierft',
    isOf: ofOps('spectral', 'spectralGrad', 'sparseIdft', 'sparseDft'),
    milliseconds: 5,
  },
  {
    change: 'Queries, keys and values as columns of one matrix',
    method: 'lora',
    isOf: ofOps('slice', 'unslice', 'concat'),
    milliseconds: 0,
  },
];

/** Whole steps, in which all other changes are: low-rank updates inside the products, one finishing sum, updates in flight. */
export const STEPS: Readonly<Partial<Record<MethodId, { readonly milliseconds: number }>>> = {
  lora: { milliseconds: 60 },
  boft: { milliseconds: 62 },
  oft: { milliseconds: 61 },
  fourierft: { milliseconds: 62 },
};

export interface Beside {
  readonly what: string;
  readonly method: MethodId;
  /** In milliseconds, as what was measured. */
  readonly predicted: number;
  /** Null where the method was not measured, or no kernel could be timed. */
  readonly measured: number | null;
}

/** Every prediction with what was measured of it. */
export function besidePredictions(methods: readonly MethodResult[]): Beside[] {
  const of = (method: MethodId) => methods.find((one) => one.method === method);
  const changes = CHANGES.map(({ change, method, isOf, milliseconds }): Beside => {
    const kernels = of(method)?.kernels?.kernels.filter(isOf);
    const microseconds = kernels?.reduce((sum, kernel) => sum + kernel.count * kernel.microseconds, 0);
    // A smaller model may go another way, which is no figure of this change.
    const isOther = kernels?.length === 0 && milliseconds > 0;
    const measured = microseconds === undefined || isOther ? null : microseconds / 1000;
    return { what: change, method, predicted: milliseconds, measured };
  });
  const steps = Object.entries(STEPS).map(([id, { milliseconds }]): Beside => {
    const method = id as MethodId;
    const found = of(method);
    const measured = found === undefined ? null : 1000 * found.secondsPerStep;
    return { what: 'a step', method, predicted: milliseconds, measured };
  });
  return [...changes, ...steps];
}

/** Whether a subject is of the sizes that the predictions are of. */
export const isPredicted = ({ peer, vocabulary, batchSize, sequence }: Subject): boolean =>
  peer.shape.layers === PREDICTED_OF.layers &&
  vocabulary === PREDICTED_OF.vocabulary &&
  batchSize === PREDICTED_OF.batchSize &&
  sequence === PREDICTED_OF.sequence;
