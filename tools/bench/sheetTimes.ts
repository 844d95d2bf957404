/**
 * What the kernels of a step take by a card's data sheet and the plan of the step, if nothing stays in cache: the multiply-adds of their products at the card's
 * rate, or the bytes that they read and write at its bandwidth, whichever takes longer. It is no bound: no card reaches its data sheet, and of a kernel that is
 * no product only the bytes are counted, which is next to nothing for attention; but what a kernel writes may still be in cache where the next one reads it.
 */
import type { MethodId } from '../../src/adapters/registry.ts';
import type { Plan } from '../../src/graph/plan.ts';
import { fail } from '../../src/lib/errors.ts';
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

/**
 * The card that the data sheet's figures describe; an H100 where none are given.
 *
 * @param peak TFLOP/s of f32
 * @param bandwidth GB/s
 * @throws PapilioError 'bad-argument' for one of the two without the other
 */
export function cardOf(peak: number | undefined, bandwidth: number | undefined): Card {
  if (peak === undefined && bandwidth === undefined) return H100;
  if (peak === undefined || bandwidth === undefined) {
    const [given, lacking] = peak === undefined ? ['--bandwidth', '--peak'] : ['--peak', '--bandwidth'];
    return fail(
      'bad-argument',
      `${given} needs ${lacking} too: give both from the card's data sheet, or neither for the times of an ${H100.name}.`,
    );
  }
  return { name: 'this card', teraflops: peak, gigabytesPerSecond: bandwidth };
}

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

/** The milliseconds of all of them by the data sheet, if nothing stays in cache. */
export const sheetTime = ({ teraflops, gigabytesPerSecond }: Card, kernels: readonly Counted[]): number =>
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
  readonly bySheet: number;
  readonly measured: number;
}

/** Of the methods whose kernels were timed, those of each change and the whole step: the time by a card's data sheet, and what it took here. */
export function besideSheet(methods: readonly MethodResult[], card: Card): Beside[] {
  return methods.flatMap(({ method, kernels: timed, secondsPerStep }): Beside[] => {
    if (timed === null) return [];
    const { kernels } = timed;
    const changes = CHANGES.flatMap(({ change: what, method: of, isOf }): Beside[] => {
      const own = of === method ? kernels.filter(isOf) : [];
      const microseconds = own.reduce((sum, kernel) => sum + kernel.count * kernel.microseconds, 0);
      return own.length === 0
        ? []
        : [{ what, method, bySheet: sheetTime(card, own), measured: microseconds / 1000 }];
    });
    const [bySheet, measured] = [sheetTime(card, kernels), 1000 * secondsPerStep];
    const step = { what: 'a step', method, bySheet, measured };
    return [...changes, step];
  });
}
