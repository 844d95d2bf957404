/** The production page as `npm start` serves it, on a free port, for tests and for the programs of tools/ that look at it in a browser. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { env, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

/** Starts `npm start`'s own script, which builds the page when needed. Throws with its words when it ends instead. */
export async function servePage() {
  const script = fileURLToPath(new URL('../../src/cli/serve.mjs', import.meta.url));
  const child = spawn(execPath, [script], { env: { ...env, PORT: '0' } });
  const exited = once(child, 'exit');
  let said = '';
  const url = await new Promise((resolve, reject) => {
    const listen = (chunk) => {
      said += chunk.toString();
      const address = /http:\/\/\S+\//.exec(said)?.[0];
      if (address) resolve(address);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.on('exit', () => reject(new Error(`The page server ended: ${said}`)));
  });
  return {
    url,
    async close() {
      child.kill();
      await exited;
    },
  };
}
