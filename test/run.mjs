/**
 * `npm test`: makes sure of browsers and drivers, then runs every part of the suite and sums up. A part that fails does not stop the
 * others; the exit code is 1 if any failed. `npm test -- unit gpu` runs only the parts named.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { argv, env, execPath, exit, platform, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { findAdapters } from '../src/cli/adapters.mjs';
import { failuresIn } from './tools/failures.mjs';
import { prepareMachine } from './tools/machine.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const say = (line) => stdout.write(`${line}\n`);
const bin = (path) => join(root, 'node_modules', ...path.split('/'));
/** Where each run of vitest leaves its results, so that the summary can name what failed. */
const resultsFolder = mkdtempSync(join(tmpdir(), 'papilio-test-'));
let runs = 0;
const vitest = (project, ...more) => [
  ...[execPath, bin('vitest/vitest.mjs'), 'run', '--project', project],
  ...['--reporter=default', '--reporter=json'],
  `--outputFile.json=${join(resultsFolder, `${String(runs++)}.json`)}`,
  ...more,
];
const papilio = (...args) => [execPath, join(root, 'src', 'cli', 'launch.mjs'), ...args];

/** Files that hold the page to milliseconds: nothing else runs beside them. */
const timed = ['first-visit', 'butterfly-frames', 'storm'].map((name) => `test/e2e/${name}.test.ts`);

const parts = [
  { name: 'types', commands: [[execPath, bin('typescript/bin/tsc'), '--noEmit']] },
  { name: 'lint', commands: [[execPath, bin('@biomejs/biome/bin/biome'), 'check', '.']] },
  { name: 'unused', commands: [[execPath, bin('knip/bin/knip.js')]] },
  // Nothing else runs meanwhile.
  { name: 'unit', commands: [vitest('unit', '--maxWorkers=100%')] },
  { name: 'gpu', commands: [vitest('gpu')], runtime: 'node' },
  { name: 'deno', commands: [papilio('check', '--runtime', 'deno')], runtime: 'deno' },
  {
    name: 'e2e',
    commands: [
      vitest('e2e', ...timed.flatMap((file) => ['--exclude', file])),
      vitest('e2e', '--no-file-parallelism', ...timed),
    ],
  },
];

const chosen = argv.slice(2);
const unknown = chosen.find((name) => !parts.some((part) => part.name === name));
if (unknown) {
  say(`There is no part called ${unknown}; there are ${parts.map((part) => part.name).join(', ')}.`);
  exit(2);
}

const wanted = prepareMachine(say);
for (const sentence of wanted) say(`Wanted: ${sentence}.`);

const ways = await findAdapters(root);
for (const { runtime, adapter, driver } of ways) {
  say(
    `${runtime}: ${adapter.description || adapter.device || adapter.vendor}${driver ? ` (${driver})` : ''}`,
  );
}

const results = [];
for (const part of parts.filter(({ name }) => chosen.length === 0 || chosen.includes(name))) {
  say(`\n── ${part.name} ${'─'.repeat(Math.max(3, 60 - part.name.length))}`);
  const started = performance.now();
  const way = ways.find(({ runtime }) => runtime === part.runtime);
  const ok = part.runtime && !way ? missing(part.runtime) : await runPart(part.commands, way);
  results.push({ name: part.name, ok, seconds: (performance.now() - started) / 1000 });
}

say('\n── summary ──');
for (const { name, ok, seconds } of results) {
  say(`${ok ? 'passed' : 'FAILED'}  ${name.padEnd(7)} ${seconds.toFixed(1).padStart(7)} s`);
}
for (const file of readdirSync(resultsFolder).sort()) {
  try {
    failuresIn(JSON.parse(readFileSync(join(resultsFolder, file), 'utf8')), root).forEach(say);
  } catch (error) {
    say(`  A run of vitest left no whole report: ${String(error)}`);
  }
}
rmSync(resultsFolder, { recursive: true, force: true });
const total = results.reduce((sum, { seconds }) => sum + seconds, 0);
say(`${results.every(({ ok }) => ok) ? 'All passed' : 'Something failed'} in ${total.toFixed(0)} s.`);
exit(results.every(({ ok }) => ok) ? 0 : 1);

/** A suite that needs an adapter fails without one; it is never skipped silently. */
function missing(runtime) {
  say(`${runtime} finds no WebGPU adapter on this machine, so this part fails.`);
  return false;
}

/** Runs what a part consists of, one after the other; true when all exit with 0. */
async function runPart(commands, way) {
  let ok = true;
  for (const command of commands) ok = (await exitsWell(command, way)) && ok;
  return ok;
}

/** Runs one command with its output shown; true when it exits with 0. */
function exitsWell([command, ...args], way) {
  const environment = {
    ...env,
    NO_UPDATE_NOTIFIER: '1',
    ...(way?.driver ? { VK_ICD_FILENAMES: way.driver } : {}),
  };
  if (platform === 'linux' && !environment.XDG_RUNTIME_DIR) environment.XDG_RUNTIME_DIR = '/tmp';
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: environment,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', (error) => {
      say(String(error));
      resolve(false);
    });
    child.on('exit', (code) => resolve(code === 0));
  });
}
