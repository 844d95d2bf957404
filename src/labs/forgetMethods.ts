/**
 * What the lab on forgetting fine-tunes with: four methods, at settings whose numbers that train are as near to each other as they come, and beside them full
 * fine-tuning, which has one number for each entry of the weight whatever the others have.
 */
import { freeNumbers } from './fitShapes.ts';

/** Inputs and outputs of the weight that is fine-tuned. */
export const WIDTH = 32;

/** In the order of answers. */
export const FORGET_METHODS = ['oft', 'boft', 'lora', 'fourierft', 'full'] as const;
export type ForgetMethodId = (typeof FORGET_METHODS)[number];

export type ForgetMethod =
  | { readonly id: 'oft' | 'boft'; readonly m: number; readonly b: number }
  | { readonly id: 'lora'; readonly rank: number }
  | { readonly id: 'fourierft'; readonly n: number }
  | { readonly id: 'full' };

/** By budget, the numbers of OFT. */
export const BUDGETS: Readonly<Record<string, readonly ForgetMethod[]>> = {
  48: methodsOf(4, { m: 3, b: 2 }, 1),
  112: methodsOf(8, { m: 2, b: 4 }, 2),
  240: methodsOf(16, { m: 2, b: 8 }, 4),
};

function methodsOf(
  block: number,
  butterfly: { readonly m: number; readonly b: number },
  rank: number,
): readonly ForgetMethod[] {
  const oft = { m: 1, b: block };
  return [
    { id: 'oft', ...oft },
    { id: 'boft', ...butterfly },
    { id: 'lora', rank },
    { id: 'fourierft', n: freeNumbers(WIDTH, oft) },
    { id: 'full' },
  ];
}

/** Numbers that train. */
export function countOf(method: ForgetMethod): number {
  switch (method.id) {
    case 'lora':
      return 2 * WIDTH * method.rank;
    case 'fourierft':
      return method.n;
    case 'full':
      return WIDTH * WIDTH;
    default:
      return freeNumbers(WIDTH, method);
  }
}
