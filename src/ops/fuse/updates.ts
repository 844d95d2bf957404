/** Which products of a sum another's kernel can add on the way: the second, low-rank half of what an adapter makes of a layer. */
import { sizeOf } from '../../graph/shape.ts';
import { type MatmulAttrs, matmulOp } from '../matmul.ts';
import { stackedMatmulOp } from '../stackedMatmul.ts';
import { widening } from './stored.ts';
import { columnsOf, type Product, type Sum } from './sums.ts';

/** Numbers in the inner sum of a low-rank product at most. */
const MOST_RANK = 64;

/** Gives products of a sum the low-rank ones that their kernel can add: y = x Wᵀ + low Bᵀ, and backwards dX = dY W + dLow A. */
export function pairUpdates(sum: Sum): void {
  for (const update of sum.products.filter(isUpdate)) {
    const main = sum.products.find(
      (p) =>
        p !== update &&
        !p.update &&
        takesUpdate(p, sum) &&
        isUpdateOf(update, p) &&
        innerOf(p) > innerOf(update),
    );
    if (!main) continue;
    main.update = update;
    sum.products.splice(sum.products.indexOf(update), 1);
  }
}

const layoutOf = ({ root }: Product): Pick<MatmulAttrs, 'transA' | 'transB'> =>
  root.op === matmulOp ? (root.attrs as MatmulAttrs) : { transA: false, transB: true };

const innerOf = ({ root }: Product): number => root.inputs[0]!.shape.at(-1)!;

/** Whether it is one product and no stack of them. */
const isSingle = ({ root }: Product): boolean => root.op !== stackedMatmulOp;

/** A stored weight stays the first of a pair, which alone is read as it is stored. */
const isUpdate = (p: Product): boolean =>
  isSingle(p) &&
  !widening(p.root.inputs[1]!) &&
  p.alpha === 1 &&
  !p.scale &&
  !p.bias &&
  !p.raw &&
  !layoutOf(p).transA &&
  innerOf(p) <= MOST_RANK;

/** A slope and a bias leave no binding. */
const takesUpdate = (p: Product, { slope }: Sum): boolean =>
  isSingle(p) && p.alpha === 1 && !p.scale && !p.raw && !layoutOf(p).transA && !(slope && p.bias);

const isUpdateOf = (update: Product, of: Product): boolean =>
  layoutOf(update).transB === layoutOf(of).transB &&
  update.gain === of.gain &&
  sizeOf(update.root.outputs[0]!.shape) === sizeOf(of.root.outputs[0]!.shape) &&
  columnsOf(update) === columnsOf(of);
