/** All figures of one subject: each method beside LoRA at the nearest parameter count, LoRA beside the peer. */
import type { AdapterPlan } from '../../src/adapters/plan.ts';
import type { MethodId } from '../../src/adapters/registry.ts';
import type { Device } from '../../src/gpu/device.ts';
import { engineLane, type Lane, peerLane, planFor, race, type StepCost } from './lanes.ts';
import type { Peer } from './peer.ts';
import type { Subject } from './subjects.ts';

export interface Speed extends StepCost {
  readonly secondsPerStep: number;
  readonly tokensPerSecond: number;
}

export interface MethodResult extends Speed {
  readonly method: MethodId;
  readonly config: Readonly<Record<string, unknown>>;
  readonly trainable: { readonly stored: number; readonly free: number };
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
  readonly peer: PeerResult | null;
}

const WARM_STEPS = 4;
const SAME = 1e-3;

/** The rank at which LoRA on the same modules keeps about as many numbers. */
function nearestRank(plan: AdapterPlan, stored: number): number {
  const perRank = plan.groups
    .flatMap((group) => group.layers)
    .reduce((n, layer) => n + layer.in + layer.out, 0);
  return perRank === 0 ? 0 : Math.max(1, Math.round(stored / perRank));
}

export interface BenchOptions {
  readonly device: Device;
  readonly peer: Peer | null;
  readonly subject: Subject;
  readonly methods: readonly MethodId[];
  readonly steps: number;
}

export async function benchSubject(options: BenchOptions): Promise<SubjectResult> {
  const { device, peer, subject, methods, steps } = options;
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
    const lane = await engineLane(device, subject, await planFor(subject, method, config));
    const r = method === 'lora' ? 0 : nearestRank(lane.plan, lane.counts.stored);
    const beside =
      r > 0 ? await engineLane(device, subject, await planFor(subject, 'lora', loraAt(r))) : null;
    const lanes = beside ? [lane, beside] : [lane];
    for (const each of lanes) await each.run(WARM_STEPS);
    const [own = 0, other = 0] = await race(lanes, steps);
    results.push({
      method,
      config,
      trainable: lane.counts,
      ...speed(lane, own),
      nearestLora: beside && { r, stored: beside.counts.stored, ...speed(beside, other) },
    });
    for (const each of lanes) await each.dispose();
  }
  return {
    subject: subject.name,
    about: subject.about,
    tokensPerStep: subject.tokensPerStep,
    methods: results,
    peer: peer && methods.includes('lora') ? await comparePeer(peer, options, speed) : null,
  };
}

async function comparePeer(
  peer: Peer,
  { device, subject, steps }: BenchOptions,
  speed: (lane: Lane, seconds: number) => Speed,
): Promise<PeerResult> {
  const config = subject.configs.lora!;
  const plan = await planFor(subject, 'lora', config);
  const ours = await engineLane(device, subject, plan);
  const theirs = await peerLane(peer, subject, plan);
  // The first four losses belong to the starting weights and to those after one, two and three updates.
  const pick = (losses: readonly number[]) => [losses[0]!, losses[WARM_STEPS - 1]!];
  const [a, b] = [pick(await ours.run(WARM_STEPS)), pick(await theirs.run(WARM_STEPS))];
  const maxRel = Math.max(...a.map((x, i) => Math.abs(x - b[i]!) / Math.abs(b[i]!)));
  const [own = 0, other = 0] = await race([ours, theirs], steps);
  const result = {
    package: '@jax-js/jax',
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

const columns = ['', 'trainable', 's/step', 'tokens/s', 'dispatches', 'submits', 'peak MiB', 'beside LoRA'];

const seconds = (s: number): string => (s < 0.01 ? s.toExponential(1) : s.toFixed(3));

function cells(name: string, stored: number, s: Speed, beside: string): string[] {
  return [
    name,
    String(stored),
    seconds(s.secondsPerStep),
    s.tokensPerSecond.toFixed(0),
    String(s.dispatches),
    String(s.submits),
    (s.peakBytes / 1048576).toFixed(1),
    beside,
  ];
}

function methodRow(m: MethodResult): string[] {
  const lora = m.nearestLora;
  const beside = lora ? `r ${lora.r}, ${lora.stored} numbers: ${seconds(lora.secondsPerStep)} s/step` : '';
  return cells(m.method, m.trainable.stored, m, beside);
}

/** A heading and one line per method, then the comparison with the peer. */
export function tableOf(result: SubjectResult): string[] {
  const rows = [columns, ...result.methods.map(methodRow)];
  const { peer } = result;
  const stored = result.methods.find((m) => m.method === 'lora')?.trainable.stored ?? 0;
  if (peer) {
    rows.push(cells('lora, in turns', stored, peer.ours, ''));
    rows.push(cells(peer.package, stored, peer, `the same LoRA step, r ${peer.r}`));
  }
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) =>
        i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
      )
      .join('  ')
      .trimEnd(),
  );
  if (peer) {
    const same = peer.sameStep
      ? `losses agree to ${peer.losses.maxRel.toExponential(1)}`
      : `NOT THE SAME STEP: losses differ by ${peer.losses.maxRel.toExponential(1)}`;
    lines.push(`Papilio is ${peer.timesFaster.toFixed(2)} times as fast as ${peer.package} (${same}).`);
  }
  return lines;
}
