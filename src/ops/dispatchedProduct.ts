/** What a product's dispatch tells of the product, as gemm.ts lays it out: for what measures products, and for what counts their work. */
import type { Dispatch } from '../graph/types.ts';
import type { Form, Sizes } from './gemmVariants.ts';
import type { QuantFormat } from './quantised.ts';
import { skinnyWork } from './skinny.ts';

/** Where the params of matmul.wgsl have the length of the second sum. */
const SECOND_K = 31;

/** A product as its dispatch tells it. */
export interface DispatchedProduct extends Sizes {
  readonly form: Form;
  /** Of a packed B. */
  readonly packed: QuantFormat | undefined;
  /** Length of the sum of a second pair; 0 without one. */
  readonly second: number;
  /** Multiplications of this dispatch. */
  readonly work: number;
}

/** Of a dispatch of a product, as gemm.ts lays it out; null of any other. */
export function productOf({
  shader,
  conditions = {},
  constants = {},
  ...rest
}: Dispatch): DispatchedProduct | null {
  if (shader !== 'matmul.wgsl') return null;
  const params = rest.params as number[];
  const [m, n, k, , splits] = params as [number, number, number, number, number];
  const [nFirst, nEnd, kFirst, kEnd] = params.slice(8) as [number, number, number, number];
  const is = (...names: readonly string[]): boolean => names.some((name) => conditions[name] === true);
  const batches = rest.workgroups[2] / splits;
  const second = params[SECOND_K]!;
  const block = params.at(-3)!;
  const zeros = is('ZERO_BYTES') ? 'bytes' : is('ZERO_FLOATS') ? 'floats' : 'middle';
  return {
    ...{ m, n, k, batches, second },
    work: batches * m * (nEnd - nFirst) * (kEnd - kFirst + second),
    form: {
      ...{ transA: is('TRANS_A'), transB: is('TRANS_B') },
      b: is('QUANT') ? 'packed' : is('B_F16') ? 'f16' : 'f32',
      hasEpilogue: !is('FOLD') && is('RAW', 'SCALE', 'BIAS', 'GAIN', 'KEEP_PRE', 'ACTIVATE', 'SLOPE', 'ADD'),
    },
    packed: is('QUANT')
      ? { bits: constants.BITS as 4 | 8, columns: is('TRANS_B') ? k : n, block, zeros }
      : undefined,
  };
}

/** Multiplications of a product's dispatch, of either shader; null for any other. */
export function gemmWork(dispatch: Dispatch): number | null {
  if (dispatch.shader === 'skinny.wgsl') return skinnyWork(dispatch);
  return productOf(dispatch)?.work ?? null;
}
