/**
 * `npm run -s papilio -- …`: builds the command line when its sources are newer than the last build, chooses the runtime
 * (`--runtime auto|node|deno`), and passes arguments, terminal and exit code through.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { argv, env, execPath, exit, pid } from 'node:process';
import { fileURLToPath } from 'node:url';
import { commandFor, denoBinary, findAdapters } from './adapters.mjs';
import { isStale } from './stale.mjs';
import { TOOL_COMMANDS } from './toolCommands.mjs';
import { chooseWay } from './way.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const { runtime, rest } = takeRuntime(argv.slice(2));
const bundle = build(isTool(rest) ? 'tools' : 'cli');
const way = await chooseWay(runtime, rest, {
  hasDeno: denoBinary(root) !== undefined,
  find: () => findAdapters(root),
});
if (way.refusal !== undefined) stop(way.refusal);
const { command, args, env: environment } = commandFor(root, way.runtime, bundle, way.driver);
const child = spawn(command, [...args, ...rest], {
  stdio: 'inherit',
  env: { ...environment, PAPILIO_ROOT: root },
});
// The terminal sends Ctrl-C to the child as well, which saves its work and decides the exit code.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('error', (error) => stop(`${way.runtime} could not be started: ${error.message}.`));
child.on('exit', (code, signal) => exit(code ?? 128 + (constants.signals[signal] ?? 0)));

/** Splits `--runtime X` (or `--runtime=X`, or PAPILIO_RUNTIME) from the arguments of the command itself. */
function takeRuntime(all) {
  const rest = [];
  let runtime = env.PAPILIO_RUNTIME ?? 'auto';
  for (let i = 0; i < all.length; i++) {
    if (all[i] === '--runtime') runtime = all[++i] ?? '';
    else if (all[i].startsWith('--runtime=')) runtime = all[i].slice('--runtime='.length);
    else rest.push(all[i]);
  }
  if (!['auto', 'node', 'deno'].includes(runtime))
    stop(`--runtime must be auto, node or deno, not "${runtime}".`);
  return { runtime, rest };
}

/** Whether the command, or the one that help is asked of, is one of tools/. */
function isTool([first, second]) {
  const name = ['help', '--help', '-h'].includes(first) ? second : first;
  return name !== undefined && Object.hasOwn(TOOL_COMMANDS, name);
}

/**
 * Builds the command line, or the tools, beside the old file and renames it into place, so that a command already running is not disturbed.
 * @returns the file
 */
function build(mode) {
  const bundle = join(root, 'dist-cli', mode === 'tools' ? 'tools.mjs' : 'papilio.mjs');
  const own = mode === 'tools' ? ['tools'] : [];
  const sources = ['src', 'shaders', ...own, 'vite.config.ts', 'package-lock.json'].map((path) =>
    join(root, path),
  );
  if (!isStale(bundle, sources)) return bundle;
  const begun = new Date();
  const folder = join(root, 'dist-cli', `building-${pid}`);
  mkdirSync(folder, { recursive: true });
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  if (!existsSync(vite)) stop('The packages are not installed: run npm ci first.');
  const buildArguments = [vite, 'build', '--mode', mode, '--logLevel', 'error', '--outDir', folder];
  const result = spawnSync(execPath, buildArguments, { cwd: root, encoding: 'utf8' });
  if (result.status === 0) {
    for (const file of readdirSync(folder)) renameSync(join(folder, file), join(root, 'dist-cli', file));
    // A source that changed while the build ran must count as newer than it.
    utimesSync(bundle, begun, begun);
  }
  rmSync(folder, { recursive: true, force: true });
  if (result.status !== 0) stop(`The command line could not be built.\n${result.stdout}${result.stderr}`, 1);
  return bundle;
}

function stop(sentence, code = 2) {
  process.stderr.write(`${sentence}\n`);
  exit(code);
}
