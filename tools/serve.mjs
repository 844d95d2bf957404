/** The page as `npm start` serves it, on a free port, for the programs here that look at it in a browser. */
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { env, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

const script = join(dirname(fileURLToPath(import.meta.url)), '..', 'src', 'cli', 'serve.mjs');

/** @returns {Promise<{ url: string, end: () => void }>} the address, with a slash at the end */
export async function serve() {
  const server = spawn(execPath, [script], {
    env: { ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  for await (const part of server.stdout) {
    said += part;
    const [url] = /http:\/\/\S+/.exec(said) ?? [];
    if (url) return { url, end: () => server.kill() };
  }
  throw new Error(`The page is not served: ${said}`);
}
