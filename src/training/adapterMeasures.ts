/**
 * How far an adapter has taken the weights, at an evaluation: ‖ΔW‖ / ‖W‖ of the modules together, and the largest ‖RᵀR − I‖ of their rotations, by
 * the graph that merging runs. It is compiled once and gives a few numbers, so that a run does not wait for it.
 */
import { emitTrainables } from '../adapters/inject.ts';
import { type AdapterPlan, type BaseParameter, emitBase } from '../adapters/plan.ts';
import type { Layer } from '../adapters/types.ts';
import { type Builder, createBuilder } from '../graph/builder.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Graph, Value } from '../graph/types.ts';
import { ALIGNED } from '../ops/dispatch.ts';
import { binary, reduce } from '../ops/elementwise.ts';
import { matmul } from '../ops/matmul.ts';
import { pack } from '../ops/moves.ts';

/** Entries of all weights that are looked at; of a large model the first modules. */
const MOST_ENTRIES = 2 ** 22;
/** Multiplications that R Rᵀ may take, all modules together. */
const MOST_MULTIPLICATIONS = 2 ** 30;

/** As further figures of an evaluation have them. */
export type MeasuredAdapter = {
  readonly relativeChange: number;
  /** Of methods that turn. */
  readonly orthogonality?: number;
};

export interface AdapterMeasures {
  readonly graph: Graph;
  /** What the graph's one output comes to. */
  read(outputs: Readonly<Record<string, Float32Array>>): MeasuredAdapter;
}

const OUTPUT = 'measures';

const squares = (g: Builder, x: Value): Value =>
  reduce(g, binary(g, x, x, { fn: 'mul' }), { fn: 'sum', axes: x.shape.map((_, i) => i) });

/** Numbers of a turned vector of this layer. */
const turned = (layer: Layer): number => (layer.kind === 'embedding' ? layer.out : layer.in);

/** The first modules, as long as their sizes add up to no more. */
function within<T>(all: readonly T[], sizeOfOne: (one: T) => number, most: number): T[] {
  let sum = 0;
  const end = all.findIndex((one) => {
    sum += sizeOfOne(one);
    return sum > most;
  });
  return end === -1 ? [...all] : all.slice(0, end);
}

/** Null where nothing is adapted, or every module is too large. */
export function adapterMeasures(
  plan: AdapterPlan,
  parameters: ReadonlyMap<string, BaseParameter>,
  initial: () => Float32Array,
): AdapterMeasures | null {
  const weightOf = ({ name }: Layer) => parameters.get(`${name}.weight`);
  const all = plan.groups.flatMap(({ layers }) => layers).filter((layer) => weightOf(layer));
  const layers = within(all, (layer) => sizeOf(weightOf(layer)!.shape), MOST_ENTRIES);
  if (layers.length === 0) return null;
  const g = createBuilder();
  const { adapters } = emitTrainables(g, plan, { training: false, initial });
  const values: Value[] = [];
  let baseSquared = 0;
  for (const layer of layers) {
    const base = weightOf(layer)!;
    const W = emitBase(g, base);
    const adapted = adapters.get(layer.name)!.adapt({ W, bias: null }).W;
    for (const value of base.load()) baseSquared += value * value;
    // An adapter without numbers leaves the very same weight.
    if (adapted !== W) values.push(squares(g, binary(g, adapted, W, { fn: 'sub' })));
  }
  const changes = values.length;
  if (changes === 0) return null;
  const rotating = layers.filter(({ name }) => adapters.get(name)!.rotate !== undefined);
  for (const layer of within(rotating, (one) => turned(one) ** 3, MOST_MULTIPLICATIONS)) {
    const size = turned(layer);
    const eye = g.constant({ dtype: 'f32', shape: [size, size] }, identityOf(size));
    // Rotating the rows of I gives R or its transpose: the defect is the same.
    const R = adapters.get(layer.name)!.rotate!(eye);
    values.push(squares(g, binary(g, matmul(g, R, R, { transB: true }), eye, { fn: 'sub' })));
  }
  const offsets = values.map((_, i) => i * ALIGNED);
  const graph = g.finish({ [OUTPUT]: pack(g, values, { offsets, size: values.length * ALIGNED }) });
  return {
    graph,
    read({ [OUTPUT]: found }) {
      const sums = offsets.map((at) => found![at]!);
      const change = sums.slice(0, changes).reduce((a, b) => a + b, 0);
      const defects = sums.slice(changes);
      return {
        relativeChange: change === 0 ? 0 : Math.sqrt(change / baseSquared),
        ...(defects.length > 0 ? { orthogonality: Math.sqrt(Math.max(...defects)) } : {}),
      };
    },
  };
}

function identityOf(size: number): Float32Array {
  const identity = new Float32Array(size * size);
  for (let i = 0; i < size; i++) identity[i * size + i] = 1;
  return identity;
}
