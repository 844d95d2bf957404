/** A look inside one adapted module, by the graph that trains: rotations applied to the identity, adapted minus base weight. */
import { emitTrainables } from '../adapters/inject.ts';
import { type AdapterPlan, type BaseParameter, emitBase, moduleTensors } from '../adapters/plan.ts';
import { blockMembers } from '../adapters/sparsity.ts';
import type { Layer } from '../adapters/types.ts';
import { createBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { binary } from '../ops/elementwise.ts';
import type { Inspection } from './protocol.ts';

export interface InspectOptions {
  readonly plan: AdapterPlan;
  readonly parameters: ReadonlyMap<string, BaseParameter>;
  readonly initial: () => Float32Array;
  readonly module: string;
  /** Runs a graph once over the run's weights. */
  readonly once: (graph: Graph) => Promise<Readonly<Record<string, Float32Array>>>;
  readonly packed: Float32Array;
}

/** Numbers of a rotation and its factors that are read back to be drawn; of larger ones the change of the weight is shown alone. */
const MOST_SHOWN = 2 ** 26;

/** @throws PapilioError('not-found') when the module is not adapted */
export async function inspectModule(options: InspectOptions): Promise<Inspection> {
  const { plan, parameters, module } = options;
  const whole = plan.saved.find((e) => e.name === `${module}.weight`);
  const frozen = parameters.get(`${module}.weight`);
  if (whole && frozen) return inspectWhole(options, whole.offset, frozen);
  const group = plan.groups.find((g) => g.layers.some((l) => l.name === module));
  const layer = group?.layers.find((l) => l.name === module);
  if (!group || !layer)
    return fail('not-found', say`${module} is not adapted in this run; choose one of its target modules.`);
  const size = layer.kind === 'embedding' ? layer.out : layer.in;
  const base = parameters.get(`${module}.weight`) ?? fail('internal', `The weight of ${module} is missing.`);

  const g = createBuilder();
  const { adapters } = emitTrainables(g, plan, { training: false, initial: options.initial });
  const adapter = adapters.get(module)!;
  const W = emitBase(g, base);
  const adapted = adapter.adapt({ W, bias: null }).W;
  // An adapter without numbers (OFT's block of 1) leaves the very same weight: there is nothing to compute.
  const outputs: Record<string, Value> = adapted === W ? {} : { delta: binary(g, adapted, W, { fn: 'sub' }) };
  const turns = adapter.rotateBy ? group.tensors[0]!.spec.shape[0]! : 0;
  const isShown = size * size * (turns + 1) <= MOST_SHOWN;
  if (isShown && adapter.rotate) {
    const identity = new Float32Array(size * size);
    for (let i = 0; i < size; i++) identity[i * size + i] = 1;
    const eye = g.constant({ dtype: 'f32', shape: [size, size] }, identity);
    outputs.rotation = adapter.rotate(eye);
    for (let i = 0; i < turns; i++) outputs[`factor${i}`] = adapter.rotateBy!(i, eye);
  }

  const data = Object.keys(outputs).length === 0 ? {} : await options.once(g.finish(outputs));
  const [rows, columns] = base.shape as [number, number];
  const inspection: Inspection = {
    module,
    method: plan.method.id,
    delta: deltaOf(rows, columns, data.delta ?? new Float32Array(rows * columns), base),
  };
  const rotation = data.rotation && {
    size,
    data: data.rotation,
    orthogonality: orthogonalityDefect(data.rotation, size),
    maxAngle: maxRotationAngle(data.rotation, size),
  };
  const spectrum = spectrumOf(options, module);
  return {
    ...inspection,
    tensors: tensorsOf(plan, options.packed, module),
    ...(rotation ? { rotation } : {}),
    ...(data.rotation ? { factors: factorsOf(plan, layer, data) } : {}),
    ...(spectrum ? { spectrum } : {}),
  };
}

/** The blocks of every factor; the only factor of a method that has no more is the rotation itself. */
function factorsOf(
  { method, config }: AdapterPlan,
  layer: Layer,
  data: Readonly<Record<string, Float32Array>>,
): Inspection['factors'] & object {
  return method.pattern(layer, config).factors.flatMap((factor, i) => {
    if (factor.kind !== 'blocks') return [];
    const { size, block } = factor;
    const whole = data[`factor${i}`] ?? data.rotation!;
    const members = blockMembers(factor);
    const blocks = new Float32Array(size * block);
    for (let at = 0; at < size; at++)
      for (let c = 0; c < block; c++)
        blocks[at * block + c] = whole[members[at]! * size + members[at - (at % block) + c]!]!;
    const angles = Float32Array.from({ length: size / block }, (_, g) =>
      maxRotationAngle(blocks.subarray(g * block ** 2, (g + 1) * block ** 2), block),
    );
    return [{ data: blocks, angles }];
  });
}

/** A weight trained in full: what it has become, minus what it was. */
function inspectWhole(
  { plan, module, packed }: InspectOptions,
  offset: number,
  base: BaseParameter,
): Inspection {
  const before = base.load();
  const data = packed.slice(offset, offset + before.length).map((v, i) => v - before[i]!);
  const rows = base.shape[0]!;
  return { module, method: plan.method.id, delta: deltaOf(rows, before.length / rows, data, base) };
}

/** A change with its size beside the weight's: no change is 0 of any weight, one of zeros too. */
function deltaOf(
  rows: number,
  columns: number,
  data: Float32Array,
  base: BaseParameter,
): Inspection['delta'] {
  const change = frobenius(data);
  return { rows, columns, data, relative: change === 0 ? 0 : change / frobenius(base.load()) };
}

/** Copies, since the packed numbers go on changing. */
function tensorsOf(plan: AdapterPlan, packed: Float32Array, module: string): Inspection['tensors'] & object {
  return [...(moduleTensors(plan, packed).get(module) ?? [])].map(([name, { shape, data }]) => {
    const rows = shape[0] ?? 1;
    return { name, rows, columns: data.length / rows, data: data.slice() };
  });
}

/** FourierFT's frequencies with their learned coefficients. */
function spectrumOf({ plan, packed }: InspectOptions, module: string): Inspection['spectrum'] | null {
  for (const group of plan.groups) {
    const index = group.layers.findIndex((l) => l.name === module);
    const tensor = group.tensors[0];
    if (index < 0 || !tensor) continue;
    const [factor] = plan.method.pattern(group.layers[index]!, plan.config).factors;
    if (factor?.kind !== 'points') return null;
    const n = factor.row.length;
    const start = tensor.offset + index * n;
    return {
      rows: Int32Array.from(factor.row),
      columns: Int32Array.from(factor.column),
      values: packed.slice(start, start + n),
    };
  }
  return null;
}

// How far a square matrix is from a rotation, and how far it turns.

export function frobenius(a: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * a[i]!;
  return Math.sqrt(sum);
}

/** ‖RᵀR − I‖_F for R [n, n], in float64; of the rows, since ‖RRᵀ − I‖_F is the same number. */
export function orthogonalityDefect(R: Float32Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let dot = 0;
      for (let k = 0; k < n; k++) dot += R[i * n + k]! * R[j * n + k]!;
      const d = dot - (i === j ? 1 : 0);
      sum += i === j ? d * d : 2 * d * d;
    }
  }
  return Math.sqrt(sum);
}

/**
 * The largest angle in radians by which R [n, n] turns any direction: ‖R − I‖₂ = 2 sin(θ/2) for a rotation, by power iteration on
 * (R − I)ᵀ(R − I). Small angles keep their digits: they are not read off a cosine near 1.
 */
export function maxRotationAngle(R: Float32Array, n: number): number {
  let v = Float64Array.from({ length: n }, (_, i) => Math.sin(i * 1.7 + 0.3) + 0.01);
  let square = 0;
  for (let step = 0; step < 200; step++) {
    const size = frobenius(v);
    const moved = new Float64Array(n);
    const next = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let sum = -v[i]!;
      for (let j = 0; j < n; j++) sum += R[i * n + j]! * v[j]!;
      moved[i] = sum / size;
    }
    for (let i = 0; i < n; i++) {
      const m = moved[i]!;
      next[i]! -= m;
      for (let j = 0; j < n; j++) next[j]! += R[i * n + j]! * m;
    }
    const length = frobenius(next);
    if (length < 1e-15) return 0;
    const change = Math.abs(length - square);
    square = length;
    v = next;
    if (change < 1e-9 * length && step > 10) break;
  }
  return 2 * Math.asin(Math.min(1, Math.sqrt(square) / 2));
}
