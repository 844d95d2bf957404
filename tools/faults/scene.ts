/** What faults happen to: a small model, its data, one command, and how that runs when nothing happens. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { commandFor, findAdapters } from '../../src/cli/adapters.mjs';
import { tinyLanguage, tinyText } from '../../test/gpu/tinyRuns.ts';
import { type Result, resultIn } from './results.ts';

export type RuntimeName = 'node' | 'deno';

/** Steps between checkpoints, and between the lines that tell of a step. */
export const PART = 5;
const TOLD = 4;

/** A line of the run and when it came. The start is −2, the first evaluation −1, then the number of steps. */
export interface Milestone {
  readonly after: number;
  readonly ms: number;
}

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milestones: readonly Milestone[];
  readonly ms: number;
}

export interface Scene {
  readonly root: string;
  readonly folder: string;
  readonly runtime: RuntimeName;
  readonly steps: number;
  readonly model: string;
  readonly data: string;
  /** When nothing happens. */
  readonly whole: Result;
  readonly ran: Ran;
  readonly counts: { readonly bytes: number; readonly submits: number };
  /** The command's arguments. */
  args(out: string, from?: { readonly model: string; readonly data: string }): string[];
  /** Runs something in the runtime; `heard` is told of every milestone. */
  run(
    script: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
    heard?: (milestone: Milestone, kill: (signal: NodeJS.Signals) => void) => void,
  ): Promise<Ran>;
  readonly cli: string;
}

const milestone = (line: string): number | null => {
  const step = /^step (\d+): held-out/.exec(line);
  return step ? Number(step[1]) : line.startsWith('before: held-out') ? -1 : null;
};

/** @param folder an empty one */
export async function openScene(
  root: string,
  folder: string,
  options: { readonly steps: number; readonly runtime?: RuntimeName },
): Promise<Scene> {
  const way = (await findAdapters(root)).find(
    ({ runtime }) => options.runtime === undefined || runtime === options.runtime,
  );
  if (!way) throw new Error('There is no WebGPU adapter here.');
  // Builds the command line where its sources are newer.
  const built = spawnSync(process.execPath, [join(root, 'src', 'cli', 'launch.mjs'), 'help']);
  if (built.status !== 0) throw new Error(String(built.stderr));
  const cli = join(root, 'dist-cli', 'papilio.mjs');
  const preload = join(root, 'tools', 'faults', 'preload.mjs');
  const model = join(folder, 'model');
  const data = join(folder, 'text.txt');
  await mkdir(model, { recursive: true });
  for (const { name, bytes } of tinyLanguage().files) await writeFile(join(model, name), bytes);
  await writeFile(data, tinyText.kind === 'text' ? tinyText.text : '');

  const run: Scene['run'] = (script, args, env = {}, heard = () => {}) => {
    const { command, args: before, env: around } = commandFor(root, way.runtime, script, way.driver);
    const load = way.runtime === 'deno' ? ['--preload', preload] : ['--import', pathToFileURL(preload).href];
    const hook = 'FAULT' in env ? load : [];
    const begun = performance.now();
    const child = spawn(command, [...before.slice(0, -1), ...hook, script, ...args], {
      cwd: folder,
      env: { ...around, PAPILIO_ROOT: root, NO_COLOR: '1', ...env },
    });
    const milestones: Milestone[] = [];
    const hear = (after: number): void => {
      const at = { after, ms: performance.now() - begun };
      milestones.push(at);
      heard(at, (signal) => child.kill(signal));
    };
    const texts = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      let rest = '';
      child[stream].on('data', (piece: Buffer) => {
        texts[stream] += piece;
        const lines = (rest + piece).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          const after = milestone(line);
          if (after !== null) hear(after);
        }
      });
    }
    hear(-2);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) =>
        resolve({ code, signal, ...texts, milestones, ms: performance.now() - begun }),
      );
    });
  };
  const args: Scene['args'] = (out, from = { model, data }) => [
    ...['finetune', '--model', from.model, '--data', from.data, '--out', out, '--engine', 'webgpu'],
    ...['--method', 'lora', '--config', '{"target_modules": ["q_proj"], "r": 2, "lora_dropout": 0.2}'],
    ...['--steps', String(options.steps), '--batch-size', '2', '--sequence-length', '8', '--lr', '0.01'],
    ...['--eval-every', String(TOLD), '--eval-examples', '2', '--checkpoint-every', String(PART)],
  ];

  const out = join(folder, 'whole');
  const countsFile = join(folder, 'counts.json');
  const ran = await run(cli, args(out), { FAULT: JSON.stringify({ counts: countsFile }) });
  if (ran.code !== 0) throw new Error(`The undisturbed run failed.\n${ran.stderr}`);
  return {
    ...{ root, folder, runtime: way.runtime, steps: options.steps, model, data, cli, args, run, ran },
    whole: await resultIn(out),
    counts: JSON.parse(await readFile(countsFile, 'utf8')) as Scene['counts'],
  };
}
