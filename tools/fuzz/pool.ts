/** The worker process as its parent sees it: started, given jobs, ended when it hangs, begun anew when it died. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { argv, execArgv, execPath } from 'node:process';
import { createInterface } from 'node:readline';
import { MOST_MS, type Trial } from './trial.ts';
import type { Job, Line } from './worker.ts';

/** Heap of the worker, MB: what asks for more ends as an abort. */
const HEAP_MB = 1024;
/** By the clock, where nothing tells how long the process itself was at work; else it may only wait so long. */
const MOST_WALL_MS = 6 * MOST_MS;
const MOST_IDLE_MS = 36 * MOST_MS;
const LOOK_EVERY_MS = 200;

/** Milliseconds that a process has computed, where the system tells. */
function cpuOf(pid: number): number | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return 10 * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return null;
  }
}

export interface Pool {
  /** Runs a job to its end, whatever its trials do to the worker, or until `onTrial` says false after one that ended the worker. */
  run(job: Job, onTrial: (trial: Trial) => boolean): Promise<void>;
  /** The next job gets a fresh process. */
  renew(): void;
  end(): void;
}

/** Kills a worker that computes for too long at one trial, or waits for too long. */
function createWatch(worker: ChildProcess) {
  let since = performance.now();
  let cpuSince = cpuOf(worker.pid!);
  /** An input is made, and its door open; else the worker starts, or makes one, which may take longer. */
  let isOpen = false;
  let isHanging = false;
  const timer = setInterval(() => {
    const wall = performance.now() - since;
    const cpu = cpuOf(worker.pid!);
    const worked = cpu === null || cpuSince === null ? wall : cpu - cpuSince;
    const patience = cpu === null ? MOST_WALL_MS : MOST_IDLE_MS;
    if (!isOpen ? wall < 2 * MOST_IDLE_MS : worked < MOST_MS && wall < patience) return;
    isHanging = true;
    worker.kill('SIGKILL');
  }, LOOK_EVERY_MS);
  return {
    /** The worker has said something. */
    heard(line: Line): void {
      since = performance.now();
      cpuSince = cpuOf(worker.pid!);
      isOpen = 'made' in line;
    },
    isHanging: () => isHanging,
    end: () => clearInterval(timer),
  };
}

/** @param script the built file, which is a worker when it is told so */
export function createPool(script: string = argv[1]!): Pool {
  let child: ChildProcess | null = null;

  const start = (): ChildProcess => {
    const flags = ['--expose-gc', `--max-old-space-size=${HEAP_MB}`, '--max-semi-space-size=8'];
    const made = spawn(execPath, [...execArgv, ...flags, script, '--worker'], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    });
    made.stdin!.on('error', () => {});
    return made;
  };

  /** One process until the job is done, or until it ends before; the number of trials it has told of. */
  const attempt = (
    job: Job,
    onTrial: (trial: Trial) => unknown,
  ): Promise<'done' | { why: 'hang' | 'abort'; words: string }> =>
    new Promise((resolve) => {
      child ??= start();
      const worker = child;
      let errors = '';
      const watch = createWatch(worker);
      const onError = (words: Buffer) => {
        errors = `${errors}${words.toString()}`.slice(-2000);
      };
      worker.stderr!.on('data', onError);
      const lines = createInterface({ input: worker.stdio[3] as NodeJS.ReadableStream });
      const settle = (how: 'done' | { why: 'hang' | 'abort'; words: string }) => {
        watch.end();
        lines.close();
        worker.stderr!.off('data', onError);
        worker.off('exit', onExit);
        resolve(how);
      };
      const onExit = () => {
        child = null;
        // What it wrote before it ended has still to be read.
        setTimeout(() => settle({ why: watch.isHanging() ? 'hang' : 'abort', words: errors }), 20);
      };
      worker.on('exit', onExit);
      lines.on('line', (text) => {
        const line = JSON.parse(text) as Line;
        watch.heard(line);
        if ('done' in line) settle('done');
        else if ('index' in line) onTrial(line);
      });
      worker.stdin!.write(`${JSON.stringify(job)}\n`);
    });

  const renew = () => {
    child?.removeAllListeners('exit');
    child?.kill('SIGKILL');
    child = null;
  };

  return {
    async run(job, onTrial) {
      let next = job.from;
      const end = job.from + job.count;
      while (next < end) {
        const how = await attempt({ ...job, from: next, count: end - next }, (trial) => {
          next = trial.index + 1;
          onTrial(trial);
        });
        if (how === 'done') return;
        const goesOn = onTrial({
          ...{ index: next, end: how.why, ms: how.why === 'hang' ? MOST_MS : 0, bytes: 0, memory: 0 },
          message: how.words.split('\n').slice(-30).join('\n'),
        });
        if (!goesOn) return;
        next++;
      }
    },
    renew,
    end: renew,
  };
}
