/** What siblings make of the value that they read: columns of one matrix, or each by itself where their adapters do not go together. */
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { linear } from '../ops/linear.ts';
import { slice } from '../ops/moves.ts';
import { emitJoined, type JoinedParameter, partsOf, type Siblings } from './siblings.ts';
import type { LayerAdapter, Weights } from './types.ts';

/** What is injected. */
interface Injected {
  readonly adapters: ReadonlyMap<string, LayerAdapter>;
  /** Parameters that train, by name; those of siblings that train as one by the name of theirs. */
  readonly saved: ReadonlyMap<string, Value>;
  /** A layer by itself, with its adapter if it has one. */
  layerOf(module: string, x: Value, weights: Weights): Value;
}

/** One result for each, in their order. */
export function siblingResults(
  g: Builder,
  { adapters, saved, layerOf }: Injected,
  { modules, weight, bias }: Siblings,
  x: Value,
): readonly Value[] {
  const isSaved = (whole: JoinedParameter): boolean => whole.parts.some(({ name }) => saved.has(name));
  const W = emitJoined(g, weight);
  const joint = bias && (saved.get(bias.name) ?? (isSaved(bias) ? null : emitJoined(g, bias)));
  const isWhole = !isSaved(weight) && (!bias || joint !== null);
  const y = isWhole ? allAtOnce(g, modules, adapters, x, { W, bias: joint }) : null;
  if (y) {
    const widths = weight.parts.map(({ shape }) => shape[0]!);
    return columnsOf(g, y, widths);
  }
  const own = (whole: JoinedParameter, v: Value): readonly Value[] =>
    partsOf(g, whole, v).map((part, i) => saved.get(whole.parts[i]!.name) ?? part);
  const weights = own(weight, W);
  const biases = bias ? own(bias, joint ?? emitJoined(g, bias)) : [];
  return modules.map((module, i) => layerOf(module, x, { W: weights[i]!, bias: biases[i] ?? null }));
}

function allAtOnce(
  g: Builder,
  modules: readonly string[],
  adapters: Injected['adapters'],
  x: Value,
  weights: Weights,
): Value | null {
  const own = modules.map((module) => adapters.get(module));
  if (own.every((adapter) => adapter === undefined)) return linear(g, x, weights.W, weights.bias);
  return own.every((adapter) => adapter !== undefined) ? (own[0]!.applyAll?.(x, weights) ?? null) : null;
}

/** Columns of y [..., n], so many each. */
function columnsOf(g: Builder, y: Value, widths: readonly number[]): readonly Value[] {
  const last = y.shape.length - 1;
  let at = 0;
  return widths.map((width) => {
    const from = at;
    at += width;
    return slice(g, y, {
      starts: y.shape.map((_, axis) => (axis === last ? from : 0)),
      ends: y.shape.map((d, axis) => (axis === last ? from + width : d)),
      steps: y.shape.map(() => 1),
    });
  });
}
