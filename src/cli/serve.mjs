/**
 * `npm start`: builds the page when its sources are newer than the last build, serves it on 127.0.0.1 and prints the address.
 * PORT chooses the port (0: any); one that is taken moves on to the next.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, env, execPath, exit, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { pageHeaders } from './policy.mjs';
import { isStale } from './stale.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
if (!existsSync(vite)) stop('The packages are not installed: run npm ci first.');

const port = Number(env.PORT ?? 4173);
if (!Number.isInteger(port) || port < 0 || port > 65535)
  stop(`PORT must be a number from 0 to 65535, not "${env.PORT}".`);

const built = join(root, 'dist', 'index.html');
const sources = [
  'src',
  'shaders',
  'public',
  'index.html',
  'labs.html',
  'vite.config.ts',
  'package-lock.json',
];
const paths = sources.map((path) => join(root, path));
if (argv.includes('--build') || isStale(built, paths)) build();

const { preview } = await import('vite');
try {
  const server = await preview({
    root,
    configFile: false,
    logLevel: 'error',
    preview: {
      host: '127.0.0.1',
      port,
      headers: pageHeaders(readFileSync(built, 'utf8')),
    },
  });
  stdout.write(`Papilio is at http://127.0.0.1:${server.httpServer.address().port}/ (Ctrl-C ends it)\n`);
} catch (error) {
  stop(`The page cannot be served: ${error.message}.`);
}

function build() {
  stdout.write('Building the page …\n');
  // Whatever NODE_ENV is outside (vitest sets "test"), the page is React's production build.
  const result = spawnSync(execPath, [vite, 'build', '--logLevel', 'error'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...env, NODE_ENV: 'production' },
  });
  if (result.status !== 0) stop(`The page could not be built.\n${result.stdout}${result.stderr}`);
}

function stop(sentence) {
  process.stderr.write(`${sentence}\n`);
  exit(1);
}
