/**
 * Whether the kernels of real plans would fill a large GPU: every dispatch of much work needs many threads that do something, and none of them may
 * have long to do alone. Counted from plans of two layers, without a GPU.
 *
 * OPEN names the dispatches that have too few, with the reason; the test turns red once one of them has enough. Seen to fail with: ranges of 64
 * rows of rotations, a head whose long sum is not split, attention's gradient in two dispatches.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DispatchStep, Plan } from '../../src/graph/plan.ts';
import type { Dispatch } from '../../src/graph/types.ts';
import { gemmWork } from '../../src/ops/dispatchedProduct.ts';
import { bytesMoved } from '../../src/training/kernels.ts';
import { METHODS, MODELS, type ModelName, plannedStep } from '../tools/plans.ts';

const LAYERS = 2;

/** Steps that are planned: examples, and tokens of each. */
const STEPS: readonly (readonly [string, ModelName, readonly [number, number]])[] = [
  ['GPT-2, 4 × 128', 'gpt2', [4, 128]],
  ['GPT-2, 4 × 1024', 'gpt2', [4, 1024]],
  ['vision, 16', 'vision', [16, 1]],
];

/** Dispatches of no more floating-point operations, and no more bytes, are over soon however few threads they have. */
const MUCH_WORK = 0.2e9;
const MUCH_BYTES = 8e6;

/** A large GPU has about 132 multiprocessors; with so many threads each has eight warps. */
const LEAST_THREADS = 32_768;
/** Terms of a sum that a thread of a product goes through: more where the next ones are loaded meanwhile. */
const MOST_TERMS = { tiled: 5120, direct: 1024 };
/** Numbers that a thread of any other kernel reads and writes: 64 rows of 32. */
const MOST_NUMBERS = 2048;

/** Kernels that take all layers at once, and the layers that the models have. */
const TOGETHER: readonly string[] = ['addParts.wgsl', 'spectralProducts.wgsl'];
const DEPTH: Readonly<Record<ModelName, number>> = { gpt2: 12, vision: 4 };

const SUMS = 'a thread for each number that trains, and no more train; each has eight reads under way';

/** Dispatches that have too few threads, and why. */
const OPEN: Readonly<Record<string, string>> = {
  'addParts add_parts 8 × 1 × 1': SUMS,
};

// Threads of a workgroup, as the shaders declare them.

const SHADERS = join(import.meta.dirname, '../../shaders');
const sources = new Map(
  readdirSync(SHADERS).map((name) => [
    name,
    name.endsWith('.wgsl') ? readFileSync(join(SHADERS, name), 'utf8') : '',
  ]),
);
const rows = readFileSync(join(SHADERS, 'lib', 'rows.wgsl'), 'utf8');

function threadsOf({ shader, entry, constants = {} }: Dispatch): number {
  const text = sources.get(shader)!;
  const size = new RegExp(`@workgroup_size\\(([^)]*)\\)\\s*fn ${entry}\\(`).exec(text)?.[1];
  if (size === undefined) throw new Error(`${shader} has no entry ${entry}`);
  const value = (term: string): number => {
    const declared = new RegExp(`override ${term}: u32 = (\\d+)u`).exec(text + rows)?.[1];
    const n = constants[term] ?? Number.parseInt(declared ?? term, 10);
    if (!Number.isInteger(n)) throw new Error(`${shader}: ${term} is not known`);
    return n;
  };
  return size.split(/[,*]/).reduce((n, term) => n * value(term.trim()), 1);
}

// What a dispatch does.

const product = ([x, y, z]: readonly number[]): number => x! * y! * z!;

/** Of a product's threads those whose numbers lie within the result. */
function liveThreads(dispatch: Dispatch): number {
  const threads = product(dispatch.workgroups) * threadsOf(dispatch);
  if (dispatch.shader !== 'matmul.wgsl') return threads;
  const { TALL, HUGE, WIDE } = dispatch.conditions ?? {};
  const each = 4 * (HUGE ? 4 : TALL ? 2 : 1) * 4 * (WIDE ? 2 : 1);
  const [m, , , , , , , , nFirst, nEnd] = dispatch.params as number[];
  const folds = dispatch.constants?.FOLDS ?? 1;
  const results = m! * (nEnd! - nFirst!) * dispatch.workgroups[2] * folds;
  return Math.min(threads, results / each);
}

/** Floating-point operations; 0 where the bytes say enough. */
function operations(dispatch: Dispatch): number {
  const { shader, entry, params, conditions, constants } = dispatch;
  if (!shader.startsWith('attention')) return 2 * (gemmWork(dispatch) ?? 0);
  const [queries, keys, heads, , batch] = params as number[];
  const pairs = (batch! * heads! * queries! * keys!) / (conditions!.CAUSAL ? 2 : 1);
  const products = ({ forward: 2, backward: 7 } as Record<string, number>)[entry]!;
  return 2 * products * pairs * constants!.D!;
}

function shapeOf({ shader, params, workgroups }: Dispatch): string {
  if (shader !== 'matmul.wgsl') return workgroups.join(' × ');
  const [m, n, k] = params as number[];
  return `${m} × ${n} over ${k}`;
}

/** What is wrong with a dispatch of much work; null where nothing is. @param layers of the model for each that is planned */
function faultOf(step: DispatchStep, layers: number): string | null {
  const { dispatch } = step;
  const times = TOGETHER.includes(dispatch.shader) ? layers : 1;
  const bytes = times * bytesMoved(step);
  if (operations(dispatch) <= MUCH_WORK && bytes <= MUCH_BYTES) return null;
  const threads = times * liveThreads(dispatch);
  if (threads < LEAST_THREADS) return `${Math.round(threads)} threads`;
  if (dispatch.shader === 'matmul.wgsl') {
    const [, , k, chunk] = dispatch.params as number[];
    const terms = Math.min(k!, chunk!);
    const most = dispatch.entry === 'direct' ? MOST_TERMS.direct : MOST_TERMS.tiled;
    return terms > most ? `sums of ${terms} terms` : null;
  }
  // What attention reads again and again lies in a cache.
  if (dispatch.shader.startsWith('attention')) return null;
  const numbers = bytes / 4 / threads;
  return numbers > MOST_NUMBERS ? `${Math.round(numbers)} numbers a thread` : null;
}

function faultsOf(plan: Plan, layers: number): Map<string, string> {
  const faults = new Map<string, string>();
  for (const step of plan.steps) {
    const fault = step.kind === 'dispatch' ? faultOf(step, layers) : null;
    if (step.kind !== 'dispatch' || fault === null) continue;
    const { shader, entry } = step.dispatch;
    faults.set(`${shader.replace('.wgsl', '')} ${entry} ${shapeOf(step.dispatch)}`, fault);
  }
  return faults;
}

/** By step and method: what is wrong, by dispatch. */
const found = new Map<string, Map<string, string>>();

beforeAll(async () => {
  for (const [step, name, size] of STEPS) {
    const model = MODELS[name].make(LAYERS);
    for (const method of METHODS) {
      const plan = await plannedStep(name, model, method, size);
      found.set(`${step} ${method}`, faultsOf(plan, DEPTH[name] / LAYERS));
    }
  }
}, 120_000);

describe.each(STEPS.map(([step]) => step))('a training step of %s', (step) => {
  it.each(METHODS)('has enough threads for all that is much work, with %s', (method) => {
    const faults = [...found.get(`${step} ${method}`)!].map(([where, fault]) => ({ where, fault }));
    expect(faults.filter(({ where }) => !(where in OPEN))).toEqual([]);
  });
});

it('names nothing that has enough', () => {
  const all = new Set([...found.values()].flatMap((faults) => [...faults.keys()]));
  expect(Object.keys(OPEN).filter((where) => !all.has(where))).toEqual([]);
});
