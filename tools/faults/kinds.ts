/** The kinds of faults: how each is drawn, brought about, and what is to be true after it. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Rng } from '../../src/lib/rng.ts';
import { decodeCheckpoint } from '../../src/training/checkpoint.ts';
import { startHub } from '../../test/tools/hub.ts';
import { afterFault, differences, resultIn } from './results.ts';
import { type Milestone, PART, type Ran, type Scene } from './scene.ts';

/** What can happen to the process of the command. */
const ON_COMMAND = ['kill -9', 'SIGINT', 'device destroyed', 'disk full'] as const;
export const KINDS = [...ON_COMMAND, 'connection cut', 'worker ended'] as const;
export type Kind = (typeof KINDS)[number];

/** One fault that struck, or came too late to. */
export interface Fault {
  readonly kind: Kind;
  readonly struck: boolean;
  /** Steps that are lost beyond the part that was under way. */
  readonly beyond: number;
  /** What was not as it should be after it. */
  readonly complaints: readonly string[];
  /** Where it struck, for reports. */
  readonly at: string;
}

/** Faults upon one run, and how the run that came through them differs from the undisturbed one. */
export interface Trial {
  readonly faults: readonly Fault[];
  readonly wrong: readonly string[];
}

/** A moment of the undisturbed run, as a milestone and the time after it. Three of four lie where it trains and writes. */
function drawMoment({ ran }: Scene, random: Rng): Milestone {
  const trains = ran.milestones.find(({ after }) => after === -1)!.ms;
  const from = random.chance(0.75) ? trains : 0;
  const ms = from + random.uniform() * (ran.ms - from);
  // Before the process was up it is the start that is meant.
  const last = ran.milestones.findLast((milestone) => milestone.ms <= ms) ?? ran.milestones[0]!;
  return { after: last.after, ms: Math.max(0, ms - last.ms) };
}

/** The step that the run had told of, resumed ones from where they went on. */
const toldStep = ({ milestones, stdout }: Ran): number =>
  Math.max(
    0,
    Number(/^goes on after step (\d+)$/m.exec(stdout)?.[1] ?? 0),
    ...milestones.map(({ after }) => after),
  );

/** Runs the command with a fault and looks at what it left. */
async function strike(
  scene: Scene,
  kind: (typeof ON_COMMAND)[number],
  random: Rng,
  args: readonly string[],
  out: string,
): Promise<Fault> {
  const { bytes, submits } = scene.counts;
  const moment = drawMoment(scene, random);
  const fault =
    kind === 'disk full'
      ? {
          kind: 'disk',
          at: random.int(bytes),
          ...(random.chance(0.5) ? { refusals: 1 + random.int(4) } : {}),
        }
      : kind === 'device destroyed'
        ? { kind: 'device', at: 1 + random.int(submits) }
        : {};
  const signal = kind === 'kill -9' ? 'SIGKILL' : kind === 'SIGINT' ? 'SIGINT' : null;
  let isDue = signal !== null;
  const ran = await scene.run(scene.cli, args, { FAULT: JSON.stringify(fault) }, ({ after }, kill) => {
    if (!isDue || signal === null || after < moment.after) return;
    isDue = false;
    setTimeout(() => kill(signal), moment.ms);
  });
  const { kept, broken } = await afterFault(out);
  const complaints = [...broken, ...endedBadly(kind, ran)];
  const stopped = /^Stopped after step (\d+)/m.exec(ran.stderr);
  if (stopped && Number(stopped[1]) !== kept) complaints.push(`stopped after ${stopped[1]}, kept ${kept}`);
  // What a full disk refused first is the part that may be lost.
  const refused = /The checkpoint of step (\d+) is not kept/.exec(ran.stderr);
  const reached = refused ? Math.min(Number(refused[1]), toldStep(ran)) : toldStep(ran);
  return {
    kind,
    struck: signal === null ? ran.stderr.includes('fault: ') : ran.signal !== null || ran.code !== 0,
    beyond: Math.max(0, reached - kept - PART),
    complaints,
    at: `step ${toldStep(ran)}, kept ${kept}`,
  };
}

/** Exit codes and words that a fault must not end in. */
function endedBadly(kind: Kind, { code, signal, stderr }: Ran): string[] {
  const found: string[] = [];
  if (/^ {4}at /m.test(stderr)) found.push(`a stack: ${stderr.slice(-600)}`);
  const isSignalled = signal !== null || (code ?? 0) >= 128;
  if (kind === 'kill -9' || kind === 'SIGINT') {
    if (!isSignalled && code !== 0) found.push(`exit code ${code}: ${stderr.slice(-300)}`);
  } else if (isSignalled || (code !== 0 && code !== 2))
    found.push(`exit code ${code} ${signal}: ${stderr.slice(-300)}`);
  return found;
}

/** Goes on until the run is finished, and holds it against the undisturbed one. */
async function finish(scene: Scene, args: readonly string[], out: string): Promise<string[]> {
  const ran = await scene.run(scene.cli, args);
  if (ran.code !== 0) return [`--resume ended with ${ran.code ?? ran.signal}: ${ran.stderr.slice(-300)}`];
  const { broken } = await afterFault(out);
  return [...broken, ...differences(await resultIn(out), scene.whole)];
}

/** One or more faults upon one run of the command. */
async function onCommand(scene: Scene, first: Kind, random: Rng, out: string, most: number): Promise<Trial> {
  const faults: Fault[] = [];
  let kind = first as (typeof ON_COMMAND)[number];
  for (;;) {
    const args = [...scene.args(out), ...(faults.length > 0 ? ['--resume'] : [])];
    const fault = await strike(scene, kind, random, args, out);
    faults.push(fault);
    if (!fault.struck || faults.length >= most || random.chance(0.6)) break;
    kind = random.pick(ON_COMMAND);
  }
  return { faults, wrong: await finish(scene, [...scene.args(out), '--resume'], out) };
}

/** Model and data come from a Hub whose line breaks after so many bytes, once or again and again. */
async function onConnection(scene: Scene, random: Rng, out: string): Promise<Trial> {
  const files: Record<string, Uint8Array> = {};
  for (const name of ['model.onnx', 'config.json', 'tokenizer.json'])
    files[name] = await readFile(join(scene.model, name));
  const text = basename(scene.data);
  const hub = await startHub([
    { kind: 'model', name: 'faults/tiny', files },
    { kind: 'dataset', name: 'faults/text', files: { [text]: await readFile(scene.data) } },
  ]);
  try {
    const names = [...Object.keys(files), text];
    const path = random.pick(names);
    const size = (files[path] ?? (await readFile(scene.data))).length;
    let left = random.chance(0.5) ? Number.POSITIVE_INFINITY : 1 + random.int(4);
    let cuts = 0;
    const after = random.int(size);
    hub.faults.get = (asked) => {
      if (asked !== path || left <= 0) return undefined;
      left--;
      cuts++;
      return { kind: 'cut', after };
    };
    const args = scene.args(out, { model: 'hub:faults/tiny', data: 'hub:faults/text' });
    const env = { HF_ENDPOINT: hub.url, PAPILIO_CACHE: join(out, '..', `${basename(out)}-cache`) };
    const ran = await scene.run(scene.cli, args, env);
    const { kept, broken } = await afterFault(out);
    const fault: Fault = {
      kind: 'connection cut',
      struck: cuts > 0,
      beyond: 0,
      complaints: [...broken, ...endedBadly('connection cut', ran)],
      at: `${path} after ${after} of ${size} bytes, ${cuts} times, exit code ${ran.code}, kept ${kept}`,
    };
    left = 0;
    const again = await scene.run(scene.cli, [...args, '--resume'], env);
    const wrong =
      again.code === 0
        ? differences(await resultIn(out), scene.whole)
        : [`ended with ${again.code} when the line was whole again: ${again.stderr.slice(-300)}`];
    return { faults: [fault], wrong };
  } finally {
    await hub.close();
  }
}

/** Ending a worker in the middle of a driver's work may end the whole process, and once more. */
const MOST_CRASHES = 3;

/** How many steps a crash cost. */
async function afterCrash({ stderr }: Ran, signal: NodeJS.Signals, kept: string) {
  const heard = Number(/heard of (\d+)\n(?!.*heard of)/s.exec(stderr)?.[1] ?? 0);
  const bytes = await readFile(kept).catch(() => null);
  return { lost: Math.max(0, heard - (bytes ? (await decodeCheckpoint(bytes)).step : 0)), signal };
}

/** A worker with a trainer is ended, and another goes on from what was kept last. */
async function onWorker(scene: Scene, host: string, random: Rng, out: string): Promise<Trial> {
  const moments = [0, ...(random.chance(0.3) ? [0] : [])].map(() => ({
    after: random.int(scene.steps),
    ms: random.uniform() * 40,
  }));
  await mkdir(out, { recursive: true });
  const run = (ends: readonly unknown[]) =>
    scene.run(host, [
      ...[scene.model, scene.data, join(scene.folder, 'whole'), out, String(PART)],
      JSON.stringify(ends),
    ]);
  let ran = await run(moments);
  const crashes: { readonly lost: number; readonly signal: NodeJS.Signals }[] = [];
  while (ran.signal !== null && crashes.length < MOST_CRASHES) {
    crashes.push(await afterCrash(ran, ran.signal, join(out, 'kept.safetensors')));
    ran = await run([]);
  }
  if (ran.code !== 0)
    return {
      faults: [],
      wrong: [`the worker's run ended with ${ran.code ?? ran.signal}: ${ran.stderr.slice(-600)}`],
    };
  const { losses, lost, files } = JSON.parse(await readFile(join(out, 'result.json'), 'utf8')) as {
    losses: number[];
    lost: number[];
    files: Record<string, string>;
  };
  const ended = lost.map((steps, i) => ({ steps, where: `after step ${moments[i]!.after}` }));
  const crashed = crashes.map(({ lost: steps, signal }) => ({
    steps,
    where: `the process with it, ${signal}`,
  }));
  const faults = [...crashed, ...ended].map(({ steps, where }) => ({
    kind: 'worker ended' as const,
    struck: true,
    beyond: Math.max(0, steps - PART),
    complaints: [],
    at: `${where}, ${steps} steps again`,
  }));
  const wrong = scene.whole.losses.filter((loss, i) => !Object.is(loss, losses[i])).length;
  const name = 'adapter_model.safetensors';
  const isSame = scene.whole.files.get(name)!.equals(Buffer.from(files[name] ?? '', 'base64'));
  return { faults, wrong: [...(wrong > 0 ? [`${wrong} losses`] : []), ...(isSame ? [] : [name])] };
}

/**
 * Lets faults strike one run, of this kind first.
 *
 * @param host the bundle of trainerHost.ts
 * @param most faults that are wanted at most
 */
export async function trial(
  scene: Scene,
  host: string,
  kind: Kind,
  random: Rng,
  name: string,
  most: number,
): Promise<Trial> {
  const out = join(scene.folder, name);
  try {
    if (kind === 'connection cut') return await onConnection(scene, random, out);
    if (kind === 'worker ended') return await onWorker(scene, host, random, out);
    return await onCommand(scene, kind, random, out, most);
  } finally {
    await rm(out, { recursive: true, force: true });
    await rm(`${out}-cache`, { recursive: true, force: true });
  }
}
