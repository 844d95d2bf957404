/** Time and memory of one task, cheaply: the peak of the resident set where Linux tells it, and what array buffers hold at its end. */
import { openSync, readFileSync, writeSync } from 'node:fs';
import process from 'node:process';

/** Beyond this much garbage the measure of the next task would be blurred. */
const TIDY_AT = 160 * 2 ** 20;

const clear = (() => {
  try {
    return openSync('/proc/self/clear_refs', 'w');
  } catch {
    return null;
  }
})();

const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});
let floor = 0;

/** Bytes resident at most since the last {@link forgetPeak}. */
function peak(): number {
  if (clear === null) return process.memoryUsage.rss();
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(line![1]) * 1024;
}

function forgetPeak(): void {
  if (clear !== null) writeSync(clear, '5');
}

export async function measured<T>(
  task: () => Promise<T>,
): Promise<{ readonly result: T; readonly ms: number; readonly memory: number }> {
  if (process.memoryUsage.rss() > floor + TIDY_AT) {
    collect();
    floor = process.memoryUsage.rss();
  }
  const before = process.memoryUsage();
  forgetPeak();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const result = await task();
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  const after = process.memoryUsage();
  const memory = Math.max(0, peak() - before.rss, after.arrayBuffers - before.arrayBuffers);
  // On a busy machine the clock goes on while the task waits for its turn.
  return { result, ms: Math.min(wall, (user + system) / 1000), memory };
}
