/** Which products of a sum another's kernel can add on the way: the second, low-rank half of what an adapter makes of a layer. */
import { sizeOf } from '../../graph/shape.ts';
import { linearOp } from '../linear.ts';
import type { MatmulAttrs } from '../matmul.ts';
import { isGrouped } from '../product.ts';
import { type StackedMatmulAttrs, stackedMatmulOp } from '../stackedMatmul.ts';
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
  root.op === linearOp ? { transA: false, transB: true } : (root.attrs as MatmulAttrs | StackedMatmulAttrs);

/** How many products lie beside each other. */
export const groupsOf = ({ root }: Product): number =>
  root.op === stackedMatmulOp ? (root.attrs as StackedMatmulAttrs).count : 1;

const innerOf = (p: Product): number => p.root.inputs[0]!.shape.at(-1)! / groupsOf(p);

/** Whether it is one product and no stack of them. */
const isSingle = ({ root }: Product): boolean => root.op !== stackedMatmulOp;

/** Whether it is a stack of updates for groups of another product's columns. */
const isOfGroups = (p: Product): boolean => {
  const { a, transB } = p.root.attrs as StackedMatmulAttrs;
  return a === 'beside' && transB && isGrouped(columnsOf(p), groupsOf(p));
};

/** A stored weight stays the first of a pair, which alone is read as it is stored. */
const isUpdate = (p: Product): boolean =>
  (isSingle(p) || isOfGroups(p)) &&
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
