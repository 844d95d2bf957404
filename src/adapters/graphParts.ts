/** What the graphs of several methods share: layers cut out of a stack, additive updates, dropout, rotations. */
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { sizeOf } from '../lib/numbers.ts';
import { rng } from '../lib/rng.ts';
import { type ButterflyAttrs, butterfly } from '../ops/butterfly.ts';
import { dropout } from '../ops/dropout.ts';
import { binary } from '../ops/elementwise.ts';
import { split, view } from '../ops/moves.ts';
import { stackedMatmul } from '../ops/stackedMatmul.ts';
import type { AdapterScope, Layer, LayerAdapter, LayerGroup, StepFill } from './types.ts';

/** `count` neighbours of `shape` each, cut out of a stack of them. */
export const cutStack = (
  g: Builder,
  stack: Value,
  count: number,
  shape: readonly number[],
): readonly Value[] =>
  split(
    g,
    stack,
    Array.from({ length: count }, (_, i) => ({ offset: i * sizeOf(shape), shape })),
  );

/** Layer i's part of every stacked tensor of the group, by parameter name. */
export function layerParts<C>(
  g: Builder,
  { layers, params }: LayerGroup<C>,
): readonly Readonly<Record<string, Value>>[] {
  const parts = Object.entries(params).map(
    ([name, stacked]) => [name, cutStack(g, stacked, layers.length, stacked.shape.slice(1))] as const,
  );
  return layers.map((_, i) => Object.fromEntries(parts.map(([name, values]) => [name, values[i]!])));
}

/** A layer whose weight becomes W + ΔW; `update` emits ΔW [out, in]. */
export const additive = (
  g: Builder,
  update: () => Value,
): Required<Pick<LayerAdapter, 'adapt' | 'update'>> => ({
  adapt: ({ W, bias }) => ({ W: binary(g, W, update(), { fn: 'add' }), bias }),
  update,
});

/** x with each number left out with probability p, while training. @param i the layer's place in its group */
export const dropInputs = ({ g, training, stepSeed }: AdapterScope, x: Value, p: number, i: number): Value =>
  training && p > 0 ? dropout(g, x, stepSeed(), { p, salt: i }) : x;

/** The random stream of a group. */
export const groupStream = (id: string): number => Number(id.replace(/\D/g, ''));

// The rotations of a group's layers, cut out of one stack. Neighbouring layers that read one activation (query, key and value; gate and up) keep
// theirs together, so that it is turned for all of them in one dispatch, forwards and backwards.

export interface LayerRotation {
  /** The layer's input turned, with blocks dropped where the mask says so. */
  input(x: Value): Value;
  /** On the first of siblings: the input of all of them [count, ..., d], each turned as its own. */
  readonly all: ((x: Value) => Value) | null;
  /** Any x [..., d] turned, nothing dropped. `mask` [m, num] leaves out blocks. */
  turn(x: Value, transpose: boolean, mask?: Value): Value;
}

export interface Run {
  readonly first: number;
  readonly count: number;
  /** They are siblings: computed as one. */
  readonly isJoint: boolean;
}

/** Layers next to each other that read one value. */
export function runsOf(
  layers: readonly Layer[],
  { reads, siblings }: Pick<AdapterScope, 'reads' | 'siblings'>,
): readonly Run[] {
  const runs: { first: number; count: number }[] = [];
  layers.forEach(({ name }, i) => {
    const last = runs.at(-1);
    const source = reads.get(name);
    if (last && source && source === reads.get(layers[i - 1]!.name)) last.count++;
    else runs.push({ first: i, count: 1 });
  });
  return runs.map(({ first, count }) => {
    const names = layers.slice(first, first + count).map(({ name }) => name);
    return { first, count, isJoint: siblings.some((modules) => modules.join() === names.join()) };
  });
}

/** A stacked tensor [layers, ...shape] cut where siblings end: those of a joint run together [count, ...shape], any other by itself. */
export function cutRuns(g: Builder, stack: Value, runs: readonly Run[]): readonly RunPart[] {
  const each = stack.shape.slice(1);
  const pieces = runs.flatMap(({ first, count, isJoint }) =>
    isJoint
      ? [{ first, count, shape: [count, ...each] }]
      : Array.from({ length: count }, (_, i) => ({ first: first + i, count: 1, shape: each })),
  );
  const values = split(
    g,
    stack,
    pieces.map(({ first, shape }) => ({ offset: first * sizeOf(each), shape })),
  );
  return pieces.flatMap(({ count }, p): RunPart[] => {
    if (count === 1) return [{ own: () => values[p]!, all: null }];
    return Array.from({ length: count }, (_, k) => ({
      own: () => view(g, values[p]!, each, k * sizeOf(each)),
      all: k === 0 ? values[p]! : null,
    }));
  });
}

/** A layer's part of a stacked tensor; on the first of siblings that of all of them. */
export interface RunPart {
  own(): Value;
  readonly all: Value | null;
}

interface Params {
  /** A layer's part of every stacked tensor of its group, by parameter name. */
  readonly own: Readonly<Record<string, Value>>;
  /** On the first of siblings, those of all of them. */
  readonly all: Readonly<Record<string, Value>> | null;
}

/** @param together whether siblings' parts stay together */
export function runParts<C>(
  scope: AdapterScope,
  { layers, params }: LayerGroup<C>,
  together: boolean,
): readonly Params[] {
  const runs = runsOf(layers, together ? scope : { ...scope, siblings: [] });
  const cut = Object.entries(params).map(
    ([name, stacked]) => [name, cutRuns(scope.g, stacked, runs)] as const,
  );
  return layers.map((_, i) => {
    const all = cut.flatMap(([name, parts]) => {
      const value = parts[i]!.all;
      return value ? [[name, value] as const] : [];
    });
    return {
      own: Object.fromEntries(cut.map(([name, parts]) => [name, parts[i]!.own()])),
      all: all.length > 0 ? Object.fromEntries(all) : null,
    };
  });
}

/** Products of siblings' rows, x [count, ..., in], with their weights W [count · out, in], side by side [..., count · out]. */
export function linearOfStack(g: Builder, x: Value, W: Value): Value {
  const [count, ...rest] = x.shape as [number, ...number[]];
  const width = rest.at(-1)!;
  const out = W.shape[0]!;
  const y = stackedMatmul(
    g,
    view(g, x, [count, sizeOf(rest) / width, width]),
    view(g, W, [count, out / count, width]),
    { count, transA: false, transB: true, a: 'apart', b: 'apart', c: 'beside' },
  );
  return view(g, y, [...rest.slice(0, -1), out]);
}

/**
 * @param R all blocks of the group, flat; a layer has `shape` = [m, num | 1, b, b] of them
 * @param mask f32 [layers, m, num], or null: what dropout keeps
 */
export function rotationsOf(
  g: Builder,
  runs: readonly Run[],
  R: Value,
  shape: readonly number[],
  mask: Value | null = null,
): readonly LayerRotation[] {
  const cut = (stack: Value, each: readonly number[]) =>
    split(
      g,
      stack,
      runs.map(({ first, count }) => ({
        offset: first * sizeOf(each),
        shape: count > 1 ? [count, ...each] : each,
      })),
    );
  const blocks = cut(R, shape);
  const masks = mask && cut(mask, mask.shape.slice(1));

  return runs.flatMap(({ count, isJoint }, r): LayerRotation[] => {
    const stack: ButterflyAttrs['stack'] = count > 1 ? 'share' : 'own';
    const turned = new Map<Value, readonly Value[]>();
    const all = (x: Value): Value => butterfly(g, x, blocks[r]!, { stack }, masks?.[r]);
    const inputs = (x: Value): readonly Value[] => {
      let values = turned.get(x);
      if (!values) {
        values = count > 1 ? cutStack(g, all(x), count, x.shape) : [all(x)];
        turned.set(x, values);
      }
      return values;
    };
    return Array.from({ length: count }, (_, k) => ({
      all: isJoint && k === 0 ? all : null,
      input: (x) => inputs(x)[k]!,
      turn: (x, transpose, only) =>
        butterfly(g, x, view(g, blocks[r]!, shape, k * sizeOf(shape)), { transpose }, only),
    }));
  });
}

// Rank and module dropout of LoHa and LoKr: which rows of a layer's update count in a training step, drawn on the CPU.

export interface UpdateDrops {
  readonly layers: number;
  readonly rows: number;
  /** Probability that a row is left out. */
  readonly rank: number;
  /** Probability that a layer's whole update is left out. */
  readonly module: number;
  /** Divides what is kept by its share, as PEFT does for LoHa always and for LoKr on request. */
  readonly scale: boolean;
}

/** Fills [layers, rows]: 0 where a row is left out, else 1 or one over the share that is kept. */
export function drawMask({ layers, rows, rank, module, scale }: UpdateDrops, stream: number): StepFill {
  return (mask, seed) => {
    const random = rng(seed, stream);
    for (let layer = 0; layer < layers; layer++) {
      const own = mask.subarray(layer * rows, (layer + 1) * rows);
      const isOut = random.chance(module);
      let kept = 0;
      for (let row = 0; row < rows; row++) {
        own[row] = random.chance(rank) ? 0 : 1;
        kept += own[row]!;
      }
      // PEFT divides by zero when no row is left; here the update is then nothing.
      const factor = isOut || kept === 0 ? 0 : scale ? rows / kept : 1;
      for (let row = 0; row < rows; row++) own[row] = own[row]! * factor;
    }
  };
}

interface Dropping {
  readonly rank_dropout: number;
  readonly module_dropout: number;
}

/** f32 [layers, out], drawn before every step; null where nothing is dropped. */
export function updateMask<C extends Dropping>(
  scope: AdapterScope,
  { id, layers, config }: LayerGroup<C>,
  scale: boolean,
): Value | null {
  const { rank_dropout: rank, module_dropout: module } = config;
  if (!scope.training || (rank === 0 && module === 0)) return null;
  const rows = layers[0]!.out;
  return scope.stepInput(
    `updateMask.${id}`,
    { dtype: 'f32', shape: [layers.length, rows] },
    drawMask({ layers: layers.length, rows, rank, module, scale }, groupStream(id)),
  );
}
