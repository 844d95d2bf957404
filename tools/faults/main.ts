/**
 * `npm run faults -- COUNT SEED`: faults strike a small run at random moments, and each run that came through is held against the undisturbed
 * one. `npm run faults -- --same STEPS`: the same run twice on each runtime.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { letStrike, type Tally } from './harness.ts';
import { buildHost } from './host.mjs';
import { KINDS, type Kind } from './kinds.ts';
import { differences, resultIn } from './results.ts';
import { openScene, type RuntimeName, type Scene } from './scene.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const STEPS = 40;

/** @returns the exit code: 1 where a step was lost, a bit is wrong or a fault ended badly */
export async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      runtime: { type: 'string' },
      jobs: { type: 'string', default: '2' },
      kind: { type: 'string', multiple: true },
      same: { type: 'string' },
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'papilio-faults-'));
  try {
    const runtime = values.runtime as RuntimeName | undefined;
    if (values.same !== undefined) return await same(folder, Number(values.same), runtime);
    const [count = 20, seed = 1] = positionals.map(Number);
    const kinds = (values.kind ?? KINDS) as readonly Kind[];
    const host = await buildHost(root);
    const scene = await openScene(root, folder, { steps: STEPS, ...(runtime ? { runtime } : {}) });
    say(
      `${scene.runtime}: ${STEPS} steps, ${scene.counts.submits} submits, ${scene.counts.bytes} bytes written`,
    );
    const tally = await letStrike({ scene, host, count, seed, jobs: Number(values.jobs), kinds, say });
    return report(tally, seed);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function report({ counts, failures }: Tally, seed: number): number {
  say(`\nseed ${seed}           struck  too late  steps lost beyond the part  wrong runs  ended badly`);
  const row = (name: string, numbers: readonly number[]) =>
    say(`${name.padEnd(17)}${numbers.map((n, i) => String(n).padStart([7, 9, 28, 11, 12][i]!)).join('')}`);
  for (const [kind, { struck, late, beyond, wrong, complaints }] of Object.entries(counts))
    row(kind, [struck, late, beyond, wrong, complaints]);
  const all = Object.values(counts);
  const sum = (field: keyof (typeof all)[number]) => all.reduce((n, one) => n + one[field], 0);
  row('in all', [sum('struck'), sum('late'), sum('beyond'), sum('wrong'), sum('complaints')]);
  for (const failure of failures) say(failure);
  return failures.length > 0 ? 1 : 0;
}

async function same(folder: string, steps: number, only: RuntimeName | undefined): Promise<number> {
  let code = 0;
  for (const runtime of only ? [only] : (['node', 'deno'] as const)) {
    const scene = await openScene(root, join(folder, runtime), { steps: STEPS, runtime });
    const { losses, differs } = await runTwice(scene, steps);
    say(`${runtime}: ${losses} losses twice, ${differs.length === 0 ? '0 differ' : differs.join('; ')}`);
    if (differs.length > 0 || losses !== steps) code = 1;
  }
  return code;
}

/** Two runs of so many steps. @returns losses compared, and what differs */
async function runTwice(
  scene: Scene,
  steps: number,
): Promise<{ readonly losses: number; readonly differs: readonly string[] }> {
  const results = [];
  for (const name of ['first', 'second']) {
    const out = join(scene.folder, name);
    const given = scene.args(out);
    given[given.indexOf('--steps') + 1] = String(steps);
    // Evaluations and checkpoints now and then.
    given[given.indexOf('--eval-every') + 1] = '250';
    given[given.indexOf('--checkpoint-every') + 1] = '100';
    const ran = await scene.run(scene.cli, given);
    if (ran.code !== 0) throw new Error(`The run of ${steps} steps ended with ${ran.code}.\n${ran.stderr}`);
    results.push(await resultIn(out));
    await rm(out, { recursive: true });
  }
  const [first, second] = results;
  return { losses: first!.losses.length, differs: differences(second!, first!) };
}
