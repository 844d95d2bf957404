/** All figures of one subject: each method beside LoRA at the nearest parameter count, LoRA beside each peer. */
import type { AdapterPlan } from '../../src/adapters/plan.ts';
import type { MethodId } from '../../src/adapters/registry.ts';
import type { Device } from '../../src/gpu/device.ts';
import type { Backend } from '../../src/training/backend.ts';
import { type KernelCost, kernelsOf, type Peaks, rooflineOf } from '../../src/training/kernels.ts';
import { engineLane, type Lane, peerLane, planFor, race, type StepCost, stepPlan } from './lanes.ts';
import type { Peer } from './peers.ts';
import type { Subject } from './subjects.ts';

export interface Speed extends StepCost {
  readonly secondsPerStep: number;
  readonly tokensPerSecond: number;
}

/** What a GPU's own figures are taken from; null where onnxruntime computes. */
export interface Measured {
  readonly device: Device;
  readonly peaks: Peaks;
}

export interface MethodResult extends Speed {
  readonly method: MethodId;
  readonly config: Readonly<Record<string, unknown>>;
  readonly trainable: { readonly stored: number; readonly free: number };
  /** The time that the measured peak or bandwidth would need for each dispatch, summed, over the time of the step. */
  readonly rooflineShare: number | null;
  /** Where they were asked for. */
  readonly kernels: readonly KernelCost[] | null;
  /** LoRA at the rank whose parameter count is nearest, timed in turns with this method. */
  readonly nearestLora: (Speed & { readonly r: number; readonly stored: number }) | null;
}

export interface PeerResult extends Speed {
  readonly package: string;
  readonly r: number;
  /** Our LoRA step, timed in turns with the peer's. */
  readonly ours: Speed;
  /** The peer's seconds over ours. */
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
const MOST_WARM = 12;
const SAME = 1e-3;

/** The rank at which LoRA on the same modules keeps about as many numbers. */
function nearestRank(plan: AdapterPlan, stored: number): number {
  const perRank = plan.groups
    .flatMap((group) => group.layers)
    .reduce((n, layer) => n + layer.in + layer.out, 0);
  return perRank === 0 ? 0 : Math.max(1, Math.round(stored / perRank));
}

export interface BenchOptions {
  readonly on: Backend;
  readonly gpu: Measured | null;
  /** Dispatches of each kernel in a row; 0: none is timed. */
  readonly kernels: number;
  readonly peers: readonly Peer[];
  readonly subject: Subject;
  readonly methods: readonly MethodId[];
  readonly steps: number;
}

/** Until steps are cut into as many submits as before: their costs are learnt while they run. */
async function warm(lane: Lane): Promise<void> {
  for (let step = 0, before: number | null = -1; step < MOST_WARM; step++) {
    await lane.run(1);
    const { submits } = lane.cost();
    if (step > 0 && submits === before) return;
    before = submits;
  }
}

export async function benchSubject(options: BenchOptions): Promise<SubjectResult> {
  const { on, gpu, kernels, peers, subject, methods, steps } = options;
  const speed = (lane: Lane, secondsPerStep: number): Speed => ({
    secondsPerStep,
    tokensPerSecond: subject.tokensPerStep / secondsPerStep,
    ...lane.cost(),
  });
  const loraAt = (r: number) => ({ ...subject.configs.lora, r, lora_alpha: 2 * r });

  const results: MethodResult[] = [];
  for (const method of methods) {
    const config = subject.configs[method];
    if (!config) continue;
    const adapter = await planFor(subject, method, config);
    const lane = await engineLane(on, subject, adapter);
    const r = method === 'lora' ? 0 : nearestRank(lane.plan, lane.counts.stored);
    const lora = r > 0 ? await engineLane(on, subject, await planFor(subject, 'lora', loraAt(r))) : null;
    const lanes = lora ? [lane, lora] : [lane];
    for (const each of lanes) await warm(each);
    const [own = 0, other = 0] = await race(lanes, steps);
    const plan = gpu && stepPlan(gpu.device.caps, subject, adapter);
    results.push({
      method,
      config,
      trainable: lane.counts,
      rooflineShare: gpu && plan && rooflineOf(plan, gpu.peaks) / own,
      kernels: gpu && plan && kernels > 0 ? await kernelsOf(gpu.device, plan, gpu.peaks, kernels) : null,
      ...speed(lane, own),
      nearestLora: lora && { r, stored: lora.counts.stored, ...speed(lora, other) },
    });
    for (const each of lanes) await each.dispose();
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
  speed: (lane: Lane, seconds: number) => Speed,
): Promise<PeerResult> {
  const config = subject.configs.lora!;
  const plan = await planFor(subject, 'lora', config);
  const ours = await engineLane(on, subject, plan);
  const theirs = await peerLane(peer, subject, plan);
  // The first four losses belong to the starting weights and to those after one, two and three updates.
  const pick = (losses: readonly number[]) => [losses[0]!, losses[WARM_STEPS - 1]!];
  const [a, b] = [pick(await ours.run(WARM_STEPS)), pick(await theirs.run(WARM_STEPS))];
  const maxRel = Math.max(...a.map((x, i) => Math.abs(x - b[i]!) / Math.abs(b[i]!)));
  const [own = 0, other = 0] = await race([ours, theirs], steps);
  const result = {
    package: peer.package,
    r: config.r as number,
    ...speed(theirs, other),
    ours: speed(ours, own),
    timesFaster: other / own,
    losses: { ours: a, peer: b, maxRel },
    sameStep: maxRel <= SAME,
  };
  await ours.dispose();
  await theirs.dispose();
  return result;
}

// The benchmark's figures as lines of text.

const columns = [
  '',
  'trainable',
  's/step',
  'tokens/s',
  'dispatches',
  'submits',
  'peak MiB',
  'of roofline',
  'beside LoRA',
];

const seconds = (s: number): string => (s < 0.01 ? s.toExponential(1) : s.toFixed(3));

const whole = (n: number | null): string => (n === null ? '–' : String(n));
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

function cells(
  name: string,
  stored: number,
  s: Speed,
  beside: string,
  share: number | null = null,
): string[] {
  return [
    name,
    String(stored),
    seconds(s.secondsPerStep),
    s.tokensPerSecond.toFixed(0),
    whole(s.dispatches),
    whole(s.submits),
    s.peakBytes === null ? '–' : (s.peakBytes / 1048576).toFixed(1),
    share === null ? '–' : percent(share),
    beside,
  ];
}

function methodRow(m: MethodResult): string[] {
  const lora = m.nearestLora;
  const beside = lora
    ? `${(m.secondsPerStep / lora.secondsPerStep).toFixed(2)} times r ${lora.r} (${lora.stored} numbers, ${seconds(lora.secondsPerStep)} s/step)`
    : '';
  return cells(m.method, m.trainable.stored, m, beside, m.rooflineShare);
}

/** A heading and one line per method, then the comparison with each peer. */
export function tableOf(result: SubjectResult): string[] {
  const rows = [columns, ...result.methods.map(methodRow)];
  const stored = result.methods.find((m) => m.method === 'lora')?.trainable.stored ?? 0;
  for (const peer of result.peers) {
    rows.push(cells('lora, in turns', stored, peer.ours, ''));
    rows.push(cells(peer.package, stored, peer, `the same LoRA step, r ${peer.r}`));
  }
  const lines = aligned(rows);
  for (const peer of result.peers) {
    const same = peer.sameStep
      ? `losses agree to ${peer.losses.maxRel.toExponential(1)}`
      : `NOT THE SAME STEP: losses differ by ${peer.losses.maxRel.toExponential(1)}`;
    lines.push(`Papilio is ${peer.timesFaster.toFixed(2)} times as fast as ${peer.package} (${same}).`);
  }
  for (const { method, kernels } of result.methods) {
    if (kernels) lines.push('', `${method}, kernel by kernel`, ...aligned(kernelRows(kernels)));
  }
  return lines;
}

/** Columns of equal width; the first and the last begin at the left. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) =>
        i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** Kernels that take less than this part of a step are one line. */
const SMALL_SHARE = 0.01;

function kernelRows(kernels: readonly KernelCost[]): string[][] {
  const all = kernels.reduce((n, k) => n + k.count * k.microseconds, 0);
  const shareOf = (k: KernelCost): number => (k.count * k.microseconds) / all;
  const rows = [['kernel', 'times', 'µs each', 'of the step', 'MB', 'of roofline', 'workgroups', 'first at']];
  for (const k of kernels.filter((each) => shareOf(each) >= SMALL_SHARE))
    rows.push([
      k.kernel,
      String(k.count),
      k.microseconds.toFixed(1),
      percent(shareOf(k)),
      (k.bytes / 1e6).toFixed(2),
      percent(k.rooflineShare),
      k.workgroups.join(' × '),
      k.label,
    ]);
  const rest = kernels.filter((k) => shareOf(k) < SMALL_SHARE);
  if (rest.length > 0) {
    const sum = rest.reduce((n, k) => n + shareOf(k), 0);
    rows.push([
      `${rest.length} smaller`,
      String(rest.reduce((n, k) => n + k.count, 0)),
      '',
      percent(sum),
      '',
      '',
      '',
      '',
    ]);
  }
  return rows;
}
