/**
 * How long a step will take, from what is timed on the device now. On a GPU: the nodes of the step's own graph, each kind once at its own sizes
 * (those of a smaller batch where the step is very long), counted as often as the step has them. On a processor, by onnxruntime or a software
 * adapter: the step, or where it is long the same at two smaller batches.
 */

import { createBuilder } from '../graph/builder.ts';
import { liveNodes } from '../graph/placements.ts';
import { zerosOf } from '../graph/shape.ts';
import type { Graph, Node, TensorType, Value } from '../graph/types.ts';
import { PapilioError } from '../lib/errors.ts';
import { binary, scale } from '../ops/elementwise.ts';
import type { Backend } from './backend.ts';
import { costOf, type NodeCost } from './nodeCost.ts';

/** A step's graphs at a batch size and a sequence length, and how often each runs. */
export interface StepGraphs {
  readonly batch: number;
  readonly sequence: number;
  readonly hasSequence: boolean;
  at(batch: number, sequence: number): readonly { readonly graph: Graph; readonly times: number }[];
}

/** Seconds of a step; null where it cannot be timed. */
export type StepTimer = (step: StepGraphs) => Promise<number | null>;

type Times = Pick<Backend, 'secondsOf'> & { readonly info: Pick<Backend['info'], 'engine' | 'isSoftware'> };

/** What was timed on a backend. */
const timed = new WeakMap<Times, Map<string, number>>();

/** Times parts of steps, each kind once on each backend. */
export function stepTimer(backend: Times): StepTimer {
  const known = timed.get(backend) ?? new Map<string, number>();
  timed.set(backend, known);
  return async (step) => {
    try {
      return await (backend.info.engine === 'onnxruntime' || backend.info.isSoftware
        ? wholeStep(backend, step)
        : sumOfNodes(backend, known, step));
    } catch (error) {
      // A part that the device has no room for: the forecast of bytes says so.
      if (error instanceof PapilioError && (error.kind === 'limit' || error.kind === 'out-of-memory'))
        return null;
      throw error;
    }
  };
}

// A processor: the step itself where it is short, else the part of it that grows with the batch and the part that does not.

/** A step of so many seconds is timed whole. */
const SHORT_SECONDS = 3;

async function wholeStep({ secondsOf }: Times, { batch, sequence, at }: StepGraphs): Promise<number> {
  const secondsAt = async (size: number): Promise<number> => {
    let seconds = 0;
    for (const { graph, times } of at(size, sequence)) seconds += times * (await secondsOf(graph));
    return seconds;
  };
  const small = Math.ceil(batch / 4);
  const least = await secondsAt(small);
  if (small === batch) return least;
  if ((least * batch) / small <= SHORT_SECONDS) return secondsAt(batch);
  const large = Math.ceil(batch / 2);
  const most = large === small ? least : await secondsAt(large);
  // Neither part is less than nothing, whatever the noise.
  const perRow = large === small ? most / large : Math.max(0, (most - least) / (large - small));
  return most + Math.min(most / large, perRow) * (batch - large);
}

// A GPU: the sum over the nodes.

/** Work of a step, in multiply-adds, up to which its own sizes are timed. */
const LONG_STEP = 2e13;
const SHORTEST = 16;
/** The dearest node of each group is timed, then the others from the dearest down, up to this part of the work and for so long; the rest counts like its group, or by its numbers. */
const COVERED = 0.98;
const PATIENCE_MS = 3000;
/** Small nodes are timed several at once. */
const COPIES = 8;
const SMALL = 4e6;
/** Nodes of a chain of next to nothing, which a dispatch's own cost follows from. */
const CHAIN = 64;
/** Numbers of a sum, which the cost of reading and writing a number follows from. */
const LENGTH = 1 << 18;

/** Nodes of equal op, attributes and types. */
interface Kind extends NodeCost {
  readonly node: Node;
  count: number;
}

type Kinds = ReadonlyMap<string, Kind>;

const totalWork = (kinds: Kinds): number =>
  [...kinds.values()].reduce((n, { count, work }) => n + count * work, 0);

async function sumOfNodes(backend: Times, known: Map<string, number>, step: StepGraphs): Promise<number> {
  const timed = kindsUpTo(step, LONG_STEP);
  const whole = kindsOf(step.at(step.batch, step.sequence));
  const { perWork, perNumber, dispatch, run } = await timeKinds(backend, known, timed);
  let seconds = run;
  for (const { group, work, numbers, count } of whole.values()) {
    const rate = perWork.get(group);
    seconds += count * (rate === undefined ? dispatch + numbers * perNumber : work * rate);
  }
  return seconds;
}

/** The step, or the same of a smaller batch and then of shorter texts, whose work is no more than `most`. */
function kindsUpTo({ batch, sequence, hasSequence, at }: StepGraphs, most: number): Kinds {
  for (let [rows, length] = [batch, sequence]; ; ) {
    const kinds = kindsOf(at(rows, length));
    const work = totalWork(kinds);
    if (work <= most || (rows === 1 && (!hasSequence || length <= SHORTEST))) return kinds;
    if (rows > 1) rows = Math.max(1, Math.floor((rows * most) / work));
    else length = Math.max(SHORTEST, length >> 1);
  }
}

function kindsOf(graphs: ReturnType<StepGraphs['at']>): Kinds {
  const kinds = new Map<string, Kind>();
  for (const { graph, times } of graphs) {
    for (const node of liveNodes(graph)) {
      // It moves nothing.
      if (node.op.alias) continue;
      const types = node.inputs.map((v) => [v.role === 'temporary' ? 'input' : v.role, v.dtype, v.shape]);
      const key = JSON.stringify([node.op.name, node.attrs, types]);
      const kind = kinds.get(key) ?? { node, ...costOf(node), count: 0 };
      kind.count += times;
      kinds.set(key, kind);
    }
  }
  return kinds;
}

interface Rates {
  /** Seconds per work, by group. */
  readonly perWork: ReadonlyMap<string, number>;
  /** Seconds per number of a sum, and of a dispatch that does next to nothing: of nodes that were not timed. */
  readonly perNumber: number;
  readonly dispatch: number;
  /** Of a run, beside its nodes. */
  readonly run: number;
}

async function timeKinds({ secondsOf }: Times, known: Map<string, number>, kinds: Kinds): Promise<Rates> {
  const timeOf = async (key: string, measure: () => Promise<number>): Promise<number> => {
    const seconds = known.get(key) ?? (await measure());
    known.set(key, seconds);
    return seconds;
  };
  const short = await timeOf('a chain of one', () => secondsOf(chain(1)));
  const long = await timeOf('a chain', () => secondsOf(chain(CHAIN)));
  const dispatch = Math.max(0, (long - short) / (CHAIN - 1));
  const run = Math.max(0, short - dispatch);
  const sum = await timeOf('a sum', () => secondsOf(sumOf(LENGTH)));
  const perNumber = Math.max(0, sum - short) / (3 * LENGTH);
  const sums = new Map<string, { seconds: number; work: number }>();
  const all = totalWork(kinds);
  const begun = performance.now();
  let covered = 0;
  for (const { key, kind, cost } of inOrder(kinds)) {
    if (covered > COVERED * all || performance.now() - begun > PATIENCE_MS) break;
    const before = sums.get(kind.group) ?? { seconds: 0, work: 0 };
    const copies = Math.max(1, Math.min(COPIES, Math.round(SMALL / kind.work)));
    const seconds = await timeOf(key, async () => (await secondsOf(alone(kind.node, copies))) - run);
    sums.set(kind.group, {
      seconds: before.seconds + (kind.count * Math.max(0, seconds)) / copies,
      work: before.work + cost,
    });
    covered += cost;
  }
  const perWork = new Map([...sums].map(([group, { seconds, work }]) => [group, seconds / work]));
  return { perWork, perNumber, dispatch, run };
}

/** Kinds as they are to be timed: the dearest of each group before all others, the dearer before the cheaper. */
function inOrder(kinds: Kinds): { readonly key: string; readonly kind: Kind; readonly cost: number }[] {
  const sorted = [...kinds]
    .map(([key, kind]) => ({ key, kind, cost: kind.count * kind.work }))
    .toSorted((a, b) => b.cost - a.cost);
  const groups = new Set<string>();
  const first = sorted.filter(({ kind }) => !groups.has(kind.group) && groups.add(kind.group));
  return [...first, ...sorted.filter((each) => !first.includes(each))];
}

/** A node in a graph of its own, several times. */
function alone({ op, inputs, attrs }: Node, copies: number): Graph {
  const g = createBuilder();
  const values = inputs.map((v, i): Value => {
    const type: TensorType = { dtype: v.dtype, shape: v.shape };
    if (v.role === 'constant') return g.constant(type, v.source!());
    if (v.role === 'parameter') return g.parameter(`parameter ${i}`, type, () => zerosOf(type));
    if (v.role === 'state') return g.state(`state ${i}`, type, () => zerosOf(type));
    return g.input(`input ${i}`, type);
  });
  const outputs: Record<string, Value> = {};
  for (let copy = 0; copy < copies; copy++) {
    for (const [i, v] of g.emit(op, values, attrs).entries()) outputs[`${copy} ${i}`] = v;
  }
  return g.finish(outputs);
}

function sumOf(length: number): Graph {
  const g = createBuilder();
  const type = { dtype: 'f32', shape: [length] } as const;
  return g.finish({ z: binary(g, g.input('x', type), g.input('y', type), { fn: 'add' }) });
}

function chain(length: number): Graph {
  const g = createBuilder();
  let x = g.input('x', { dtype: 'f32', shape: [64] });
  for (let i = 0; i < length; i++) x = scale(g, x, { by: 1.5 });
  return g.finish({ x });
}
