/** What a frame costs a page's thread, by a trace of Chromium. */
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
