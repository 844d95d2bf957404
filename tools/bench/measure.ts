/** All figures of one subject: each method beside LoRA at the nearest parameter count, LoRA beside each peer. */
import type { AdapterPlan } from '../../src/adapters/plan.ts';
import type { MethodId } from '../../src/adapters/registry.ts';
import type { Backend } from '../../src/training/backend.ts';
import { kernelsOf, type StepKernels } from '../../src/training/kernels.ts';
import {
  engineLane,
  type Lane,
  peerLane,
  planFor,
  race,
  type StepCost,
  type StepTime,
  stepPlan,
} from './lanes.ts';
import type { Peer } from './peers.ts';
import type { Subject } from './subjects.ts';

export interface Speed extends StepCost, StepTime {
  readonly tokensPerSecond: number;
}

export interface MethodResult extends Speed {
  readonly method: MethodId;
  readonly config: Readonly<Record<string, unknown>>;
  readonly trainable: { readonly stored: number; readonly free: number };
  /** What its kernels' work or bytes take at the best rates that were seen, over the time of the step; where kernels were timed. */
  readonly rooflineShare: number | null;
  /** Where they were asked for, and the device has timestamps. */
  readonly kernels: StepKernels | null;
  /** Its step's time over that of the nearest LoRA. */
  readonly timesLora: number | null;
  /** LoRA at the rank whose parameter count is nearest, timed in turns with this method. */
  readonly nearestLora: (Speed & { readonly r: number; readonly stored: number }) | null;
}

export interface PeerResult extends Speed {
  readonly package: string;
  readonly r: number;
  /** Our LoRA step, timed in turns with the peer's. */
  readonly ours: Speed;
  /** The peer's time over ours. */
  readonly timesFaster: number;
  /** Losses of both before the first update and after three, and their largest relative difference. */
  readonly losses: {
    readonly ours: readonly number[];
    readonly peer: readonly number[];
    readonly maxRel: number;
  };
  /** Whether both sides computed the same step: maxRel at most 1e-3. */
  readonly sameStep: boolean;
}

export interface SubjectResult {
  readonly subject: string;
  readonly about: string;
  readonly tokensPerStep: number;
  readonly methods: readonly MethodResult[];
  readonly peers: readonly PeerResult[];
}

const WARM_STEPS = 4;
const MOST_WARM = { hardware: 12, software: 3 } as const;
const SAME = 1e-3;
/** Methods that LoRA of as many numbers says nothing about. */
const ALONE: readonly MethodId[] = ['lora', 'head', 'full'];

/** How many times as long one takes as the other: by the clock on a GPU, by all processors' seconds without one. */
function ratio({ info }: Backend, one: StepTime, other: StepTime): number {
  return info.isSoftware
    ? one.processorSeconds / other.processorSeconds
    : one.secondsPerStep / other.secondsPerStep;
}

/** The rank at which LoRA on the same modules keeps about as many numbers. */
function nearestRank(plan: AdapterPlan, stored: number): number {
  const perRank = plan.groups
    .flatMap((group) => group.layers)
    .reduce((n, layer) => n + layer.in + layer.out, 0);
  return perRank === 0 ? 0 : Math.max(1, Math.round(stored / perRank));
}

export interface BenchOptions {
  readonly on: Backend;
  /** Whether each kernel is timed. */
  readonly kernels: boolean;
  readonly peers: readonly Peer[];
  readonly subject: Subject;
  readonly methods: readonly MethodId[];
  readonly steps: number;
}

/** Until steps are cut into as many submits as before: their costs are learnt while they run. Without a GPU they are never the same for long. */
async function warm({ info }: Backend, lane: Lane): Promise<void> {
  const most = MOST_WARM[info.isSoftware ? 'software' : 'hardware'];
  for (let step = 0, before: number | null = -1; step < most; step++) {
    await lane.run(1);
    const { submits } = lane.cost();
    if (step > 0 && submits === before) return;
    before = submits;
  }
}

export async function benchSubject(options: BenchOptions): Promise<SubjectResult> {
  const { on, kernels, peers, subject, methods, steps } = options;
  const speed = (lane: Lane, time: StepTime): Speed => ({
    ...time,
    tokensPerSecond: subject.tokensPerStep / time.secondsPerStep,
    ...lane.cost(),
  });
  const loraAt = (r: number) => ({ ...subject.configs.lora, r, lora_alpha: 2 * r });

  const results: MethodResult[] = [];
  for (const method of methods) {
    const config = subject.configs[method];
    if (!config) continue;
    const adapter = await planFor(subject, method, config);
    const lane = await engineLane(on, subject, adapter);
    const r = ALONE.includes(method) ? 0 : nearestRank(lane.plan, lane.counts.stored);
    const lora = r > 0 ? await engineLane(on, subject, await planFor(subject, 'lora', loraAt(r))) : null;
    const lanes = lora ? [lane, lora] : [lane];
    for (const each of lanes) await warm(on, each);
    const [own, other] = await race(lanes, steps);
    const of = { method, config, trainable: lane.counts, ...speed(lane, own!) };
    const beside = lora && { r, stored: lora.counts.stored, ...speed(lora, other!) };
    for (const each of lanes) await each.dispose();
    const timed =
      kernels && on.device ? await kernelsOf(on.device, stepPlan(on.caps, subject, adapter)) : null;
    results.push({
      ...of,
      kernels: timed,
      rooflineShare: timed && timed.rooflineSeconds / of.secondsPerStep,
      nearestLora: beside,
      timesLora: beside && ratio(on, of, beside),
    });
  }
  const beside: PeerResult[] = [];
  if (methods.includes('lora'))
    for (const peer of peers) beside.push(await comparePeer(peer, options, speed));
  return {
    subject: subject.name,
    about: subject.about,
    tokensPerStep: subject.tokensPerStep,
    methods: results,
    peers: beside,
  };
}

async function comparePeer(
  peer: Peer,
  { on, subject, steps }: BenchOptions,
  speed: (lane: Lane, time: StepTime) => Speed,
): Promise<PeerResult> {
  const config = subject.configs.lora!;
  const plan = await planFor(subject, 'lora', config);
  const ours = await engineLane(on, subject, plan);
  const theirs = await peerLane(peer, subject, plan);
  // The first four losses belong to the starting weights and to those after one, two and three updates.
  const pick = (losses: readonly number[]) => [losses[0]!, losses[WARM_STEPS - 1]!];
  const [a, b] = [pick(await ours.run(WARM_STEPS)), pick(await theirs.run(WARM_STEPS))];
  const maxRel = Math.max(...a.map((x, i) => Math.abs(x - b[i]!) / Math.abs(b[i]!)));
  const [own, other] = (await race([ours, theirs], steps)) as [StepTime, StepTime];
  const result = {
    package: peer.package,
    r: config.r as number,
    ...speed(theirs, other),
    ours: speed(ours, own),
    timesFaster: ratio(on, other, own),
    losses: { ours: a, peer: b, maxRel },
    sameStep: maxRel <= SAME,
  };
  await ours.dispose();
  await theirs.dispose();
  return result;
}
