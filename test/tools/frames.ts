/** What a frame costs a page's thread, by a trace of Chromium, and how quick the processor is meanwhile. */
import { cpuUsage } from 'node:process';
import { expect } from 'vitest';

interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  /** Microseconds of the processor: what waits for others on a busy machine does not count. */
  readonly tdur?: number;
}

/** Milliseconds of the processor that the page's thread works for a frame, all that it did since the frame before: the mean of the `count` frames with most of it. */
export function busiest(trace: Uint8Array, count: number): number {
  const { traceEvents } = JSON.parse(new TextDecoder().decode(trace)) as { traceEvents: TraceEvent[] };
  const threadOf = ({ pid, tid }: TraceEvent) => `${pid} ${tid}`;
  const frames = traceEvents.filter(({ ph, name }) => ph === 'X' && name === 'ProxyMain::BeginMainFrame');
  // Of all pages of the browser the one that draws.
  const counts = new Map<string, number>();
  for (const frame of frames) counts.set(threadOf(frame), (counts.get(threadOf(frame)) ?? 0) + 1);
  const [[thread] = ['']] = [...counts].sort(([, a], [, b]) => b - a);
  const drawn = frames.filter((frame) => threadOf(frame) === thread);
  const tasks = traceEvents
    .filter((e) => threadOf(e) === thread && e.name === 'ThreadControllerImpl::RunTask')
    .sort((a, b) => a.ts - b.ts);
  const ends = drawn.map(({ ts }) => ts).sort((a, b) => a - b);
  const work = new Array<number>(ends.length).fill(0);
  let at = 0;
  for (const { ts, dur = 0, tdur = 0 } of tasks) {
    work[at]! += tdur / 1000;
    // The task that draws a frame ends it.
    while (at < ends.length && ends[at]! < ts + dur) at++;
    if (at === ends.length) break;
  }
  expect(work.length).toBeGreaterThanOrEqual(count);
  const most = work.sort((a, b) => b - a).slice(0, count);
  return most.reduce((a, b) => a + b) / count;
}

/** Numbers of a table, 8 MB, and how many of them are read here and there: as a page does it, not from registers alone. */
const TABLE = new Int32Array(1 << 21);
const READS = 150_000;
/** Milliseconds of the processor that takes on the machine that bounds were set on: an Intel Xeon with nothing else running. */
const QUIET_MS = 1.13;
/** So often the loop runs before it counts: it is compiled by then. */
const WARM = 20;
let place = 1;

/**
 * How many times slower such reads are now than on that machine: a core and a cache that are shared, with a thread beside it or with other machines, take
 * longer for the same, and no bookkeeping of the system says so.
 */
export function slowness(): number {
  const before = cpuUsage();
  read();
  const { user, system } = cpuUsage(before);
  return (user + system) / 1000 / QUIET_MS;
}

function read(): void {
  let at = place;
  for (let i = 0; i < READS; i++) {
    // Numerical Recipes' generator; its upper bits say where.
    at = (Math.imul(at, 1_664_525) + 1_013_904_223 + TABLE[at >>> 11]!) | 0;
  }
  place = at;
}

for (let i = 0; i < WARM; i++) read();
