/** The command line as a user meets it, in a process of its own or in this one, and what a run leaves on record. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { runCommand } from '../../src/cli/commands.ts';

const launcher = fileURLToPath(new URL('../../src/cli/launch.mjs', import.meta.url));

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the launcher with a folder of its own for what it keeps; `watch` may stop it by what it has printed on standard error so far. */
export function papilio(
  args: readonly string[],
  cache: string,
  watch: (stderr: string) => boolean = () => false,
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, PAPILIO_CACHE: cache };
    const child = spawn(process.execPath, [launcher, '--runtime', 'node', ...args], { env });
    let stdout = '';
    let stderr = '';
    let stopped = false;
    child.stdout.on('data', (text: Buffer) => {
      stdout += text.toString();
    });
    child.stderr.on('data', (text: Buffer) => {
      stderr += text.toString();
      if (!stopped && watch(stderr)) {
        stopped = true;
        child.kill('SIGTERM');
      }
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

/** The same in this process, without the start of another. */
export async function here(args: readonly string[], cache: string): Promise<Ran> {
  let [stdout, stderr] = ['', ''];
  const printed = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  const noted = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  const { PAPILIO_CACHE: before } = process.env;
  process.env.PAPILIO_CACHE = cache;
  try {
    return { code: await runCommand(args), stdout, stderr };
  } finally {
    if (before === undefined) delete process.env.PAPILIO_CACHE;
    else process.env.PAPILIO_CACHE = before;
    printed.mockRestore();
    noted.mockRestore();
  }
}

/** What is said besides the chatter of graphics drivers. */
export const sentences = (stderr: string) =>
  stderr
    .split('\n')
    .filter((line) => line !== '' && !/XDG_RUNTIME_DIR|Vulkan|Warning: |^ - |^ {4}at .*dawn/i.test(line));

/** For the message of what fails: what was said last, and below it all of it; a report of failures shows the first line. */
export const lastSaid = (stderr: string): string =>
  [sentences(stderr).at(-1) ?? 'Nothing was said.', stderr].join('\n');

interface RunRecord {
  readonly steps: number;
  readonly loss: { readonly curve: readonly number[] };
  readonly error?: { readonly kind: string };
  readonly tuning: { readonly rows: readonly { readonly share: number }[] } | null;
}

/** run.json of a folder of results. */
export const recordIn = async (out: string): Promise<RunRecord> =>
  JSON.parse(await readFile(join(out, 'run.json'), 'utf8')) as RunRecord;
