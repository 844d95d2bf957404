/**
 * An adapter taken back towards the base, smoothly: every number that changes a weight goes on a straight line from where it changes nothing to
 * where it was trained. A rotation goes through its skew matrices, R(t) = Cayley(t Q), and stays a rotation on the whole way; an additive update
 * becomes t ΔW, which is what PEFT's `scale_layer` does.
 */
import { fail } from '../lib/errors.ts';
import { sizeOf } from '../lib/numbers.ts';
import { say } from '../lib/say.ts';
import type { AdapterGroup, AdapterPlan, BaseParameter, GroupTensor } from './plan.ts';

/** How many strengths an adapter has: one for each butterfly factor, where it has several, else one. */
export const strengthCount = ({ method, groups, config }: AdapterPlan): number =>
  Math.max(
    1,
    ...groups.flatMap(({ layers }) => {
      const { role, factors } = method.pattern(layers[0]!, config);
      return role === 'rotation' ? [factors.length] : [];
    }),
  );

/** Whether there is anything to take back: modules that only train anew have no base to go to. */
export const canGoBack = (plan: AdapterPlan, fresh: readonly string[]): boolean =>
  plan.groups.some(({ tensors }) =>
    tensors.some(({ spec }) => plan.graph.neutral[spec.name] !== undefined),
  ) || plan.saved.some(({ name }) => !isOf(fresh, name));

/**
 * The packed buffer at a strength of each factor, factor 0 first: 1 is as trained, bit for bit, and at 0 everywhere no weight differs from the
 * base. What acts beside the factors (BOFT's scales, biases, modules that train whole) goes along with their mean.
 * @param packed as trained; it stays as it is
 * @param parameters the base's, by name
 * @param fresh modules that the base has not: a new head stays as trained
 */
export function atStrengths(
  plan: AdapterPlan,
  packed: Float32Array,
  strengths: readonly number[],
  parameters: ReadonlyMap<string, BaseParameter>,
  fresh: readonly string[] = [],
): Float32Array {
  if (strengths.length !== strengthCount(plan))
    return fail(
      'bad-argument',
      say`The adapter has ${strengthCount(plan)} strengths, not ${strengths.length}.`,
    );
  if (!strengths.every((t) => t >= 0 && t <= 1))
    return fail('bad-argument', say`A strength is a number from 0 to 1.`);
  const out = packed.slice();
  const mean = strengths.reduce((sum, t) => sum + t, 0) / strengths.length;
  const load = (name: string): Float32Array =>
    (parameters.get(name) ?? fail('internal', `Base parameter ${name} is missing.`)).load();
  for (const group of plan.groups)
    for (const tensor of group.tensors) {
      const neutral = plan.graph.neutral[tensor.spec.name];
      if (neutral === undefined) continue;
      if (neutral === 'row-norms') towardsRowNorms(out, group, tensor, mean, load);
      else towards(out, tensor, neutral, factorsOf(plan, group, tensor) > 1 ? strengths : [mean]);
    }
  if (mean === 1) return out;
  for (const { name, offset } of plan.saved) {
    if (isOf(fresh, name)) continue;
    load(name).forEach((base, i) => {
      out[offset + i] = base + mean * (out[offset + i]! - base);
    });
  }
  return out;
}

const isOf = (modules: readonly string[], parameter: string): boolean =>
  modules.includes(parameter.slice(0, parameter.lastIndexOf('.')));

/** Factors that a tensor holds one behind the other; 1 where its first axis is none of factors. */
function factorsOf({ method, config }: AdapterPlan, { layers }: AdapterGroup, { spec }: GroupTensor): number {
  const { role, factors } = method.pattern(layers[0]!, config);
  return role === 'rotation' &&
    factors.length > 1 &&
    spec.shape[0] === factors.length &&
    spec.shape.length === 4
    ? factors.length
    : 1;
}

/** Every layer's tensor, cut into as many parts along its first axis as there are strengths. */
function towards(
  out: Float32Array,
  { offset, shape }: GroupTensor,
  neutral: 0 | 1,
  strengths: readonly number[],
): void {
  const [layers, ...each] = shape as [number, ...number[]];
  const size = sizeOf(each);
  const [factors, part] = strengths.length > 1 ? [each[0]!, size / each[0]!] : [1, size];
  for (let layer = 0; layer < layers; layer++)
    for (let k = 0; k < factors; k++) {
      const t = strengths[k]!;
      if (t === 1) continue;
      const start = offset + layer * size + k * part;
      for (let i = start; i < start + part; i++) out[i] = neutral + t * (out[i]! - neutral);
    }
}

function towardsRowNorms(
  out: Float32Array,
  { layers }: AdapterGroup,
  { offset, spec }: GroupTensor,
  t: number,
  load: (name: string) => Float32Array,
): void {
  if (t === 1) return;
  const rows = sizeOf(spec.shape);
  layers.forEach(({ name }, layer) => {
    const weight = load(`${name}.weight`);
    const columns = weight.length / rows;
    for (let r = 0; r < rows; r++) {
      let squared = 0;
      for (let c = 0; c < columns; c++) squared += weight[r * columns + c]! ** 2;
      const [at, norm] = [offset + layer * rows + r, Math.sqrt(squared)];
      out[at] = norm + t * (out[at]! - norm);
    }
  });
}
