/**
 * What the kernels of a step take at least on a card, by its data sheet and the plan of the step: the multiply-adds of their products at the card's rate, or
 * the bytes that they read and write at its bandwidth, whichever takes longer. Of a kernel that is no product only the bytes are counted, which is next to
 * nothing for attention; and no card reaches its data sheet. So a step takes longer, and how much is what a measurement tells.
 */
import type { MethodId } from '../../src/adapters/registry.ts';
import type { Plan } from '../../src/graph/plan.ts';
import { gemmWork } from '../../src/ops/dispatchedProduct.ts';
import { bytesMoved, type KernelCost, kernelOf } from '../../src/training/kernels.ts';
import type { MethodResult } from './measure.ts';

export interface Card {
  readonly name: string;
  /** Of f32, two for each multiply-add. */
  readonly teraflops: number;
  readonly gigabytesPerSecond: number;
}

/** NVIDIA's data sheet of the SXM module, f32 without tensor cores. */
export const H100: Card = { name: 'H100', teraflops: 67, gigabytesPerSecond: 3350 };

export type Counted = Pick<KernelCost, 'label' | 'kernel' | 'count' | 'bytes' | 'work'>;

/** The kernels of a plan, each dispatch by itself. */
export const countedIn = ({ steps }: Plan): Counted[] =>
  steps.flatMap((step) =>
    step.kind === 'copy'
      ? []
      : [
          {
            ...{ label: step.label, kernel: kernelOf(step), count: 1 },
            ...{ bytes: bytesMoved(step), work: gemmWork(step.dispatch) },
          },
        ],
  );

/** The least milliseconds of all of them. */
export const leastOn = ({ teraflops, gigabytesPerSecond }: Card, kernels: readonly Counted[]): number =>
  kernels.reduce((sum, { count, bytes, work }) => {
    const [computing, moving] = [(2 * (work ?? 0)) / (teraflops * 1e9), bytes / (gigabytesPerSecond * 1e6)];
    return sum + count * Math.max(computing, moving);
  }, 0);

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
}

/** Changes that have kernels of their own in a step. */
export const CHANGES: readonly Change[] = [
  { change: 'The loss of a frozen head', method: 'lora', isOf: ofOps('linearCrossEntropy') },
  { change: 'Attention in tiles', method: 'lora', isOf: ofOps('attention', 'attentionGrad') },
  {
    change: 'Products with few columns or rows',
    method: 'lora',
    isOf: ({ kernel }) => kernel.startsWith('skinny '),
  },
  {
    change: 'The inner loop of products',
    method: 'lora',
    isOf: (kernel) => kernel.kernel.startsWith('matmul ') && opOf(kernel) !== 'linearCrossEntropy',
  },
  { change: 'Column sums', method: 'boft', isOf: ofOps('columnScaleGrad') },
  { change: 'Rotations in pairs of factors', method: 'boft', isOf: ofOps('butterfly', 'butterflyGrad') },
  {
    change: 'Rotations by blocks of 16 and more as products',
    method: 'oft',
    isOf: ofOps('butterfly', 'butterflyGrad', 'cayley', 'cayleyGrad'),
  },
  {
    change: 'FourierFT through the activations',
    method: 'fourierft',
    isOf: ofOps('spectral', 'spectralGrad', 'sparseIdft', 'sparseDft'),
  },
];

export interface Beside {
  readonly what: string;
  readonly method: MethodId;
  /** Both in milliseconds. */
  readonly least: number;
  readonly measured: number;
}

/** Of the methods whose kernels were timed, those of each change and the whole step: the least time on a card, and what it took here. */
export function besideLeast(methods: readonly MethodResult[], card: Card): Beside[] {
  return methods.flatMap(({ method, kernels: timed, secondsPerStep }): Beside[] => {
    if (timed === null) return [];
    const { kernels } = timed;
    const changes = CHANGES.flatMap(({ change: what, method: of, isOf }): Beside[] => {
      const own = of === method ? kernels.filter(isOf) : [];
      const microseconds = own.reduce((sum, kernel) => sum + kernel.count * kernel.microseconds, 0);
      return own.length === 0
        ? []
        : [{ what, method, least: leastOn(card, own), measured: microseconds / 1000 }];
    });
    const step = { what: 'a step', method, least: leastOn(card, kernels), measured: 1000 * secondsPerStep };
    return [...changes, step];
  });
}
