/** A compiled plan: write inputs, run, read outputs. A run encodes recorded steps into submits that are short enough for the page to draw; it makes no GPU object. */
import type { Plan } from '../graph/plan.ts';
import type { DeviceData } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import type { Device } from './device.ts';
import { createPacing, FIRST_SPEED } from './pacing.ts';
import { type BufferRange, createRing, type Ring, readBuffer } from './readback.ts';
import { type DispatchTime, encodeSteps, profileSteps, type Recorded, timeRow } from './steps.ts';
import { checkData, writeData } from './store.ts';

export interface ProgramStats {
  readonly dispatches: number;
  readonly copies: number;
  /** Submits of the latest run. */
  readonly submits: number;
  readonly pipelines: number;
  readonly buffers: number;
  /** Bytes of all buffers the program uses, shared ones included. */
  readonly peakBytes: number;
}

export interface Program {
  /** Sets an input for the runs that follow; a name that the live graph does not read is ignored. */
  write(input: string, data: DeviceData): void;
  /** Encodes and submits one run; with a ring, its outputs are collected under `tag`. Does not wait. */
  run<T>(collect?: { readonly ring: Ring<T>; readonly tag: T }): void;
  /** Resolves when at most `inFlight` runs are unfinished (0: all work is done). @throws PapilioError('device-lost') */
  idle(inFlight?: number): Promise<void>;
  /** An output after all runs so far; waits for them. */
  read(output: string): Promise<DeviceData>;
  /** A ring of `slots` staging buffers for some outputs, to be made before training starts. */
  ring<T>(outputs: readonly string[], slots?: number): Promise<Ring<T>>;
  /**
   * GPU time of each dispatch that differs from the others, as the mean of `times` in a row over all places where it stands, with their own buffers;
   * null when the device has no timestamps. States are worthless afterwards.
   */
  profile(times: (step: number) => number): Promise<readonly DispatchTime[] | null>;
  /** Milliseconds until the GPU has done all steps `times` over, in one submit; what waiting takes is in them. */
  row(times: number): Promise<number>;
  readonly stats: ProgramStats;
  destroy(): void;
}

export interface ProgramParts {
  readonly device: Device;
  readonly plan: Plan;
  readonly buffers: readonly GPUBuffer[];
  readonly steps: readonly Recorded[];
  readonly pipelines: number;
  readonly release: () => void;
}

const fixedStats = ({ plan, steps, pipelines }: ProgramParts): Omit<ProgramStats, 'submits'> => {
  const dispatches = steps.filter((s) => s.kind === 'dispatch').length;
  return {
    dispatches,
    copies: steps.length - dispatches,
    pipelines,
    buffers: plan.buffers.length,
    peakBytes: plan.peakBytes,
  };
};

/** Counts unfinished runs, and wakes who waits for fewer. */
function createRunCount() {
  let unfinished = 0;
  let waiting: { limit: number; wake: () => void }[] = [];
  return {
    begin(): void {
      unfinished++;
    },
    end(): void {
      unfinished--;
      const ready = waiting.filter((w) => unfinished <= w.limit);
      waiting = waiting.filter((w) => unfinished > w.limit);
      for (const w of ready) w.wake();
    },
    async atMost(limit: number): Promise<void> {
      if (unfinished > limit) await new Promise<void>((wake) => waiting.push({ limit, wake }));
    },
  };
}

/** Encodes and submits the steps, cut into submits that leave the page room to draw, and times each. */
function createSubmits({ device, plan, steps }: ProgramParts) {
  const { queue } = device.raw;
  const pacing = createPacing(
    plan.steps.map((s) => s.work),
    device.caps.software ? FIRST_SPEED.software : FIRST_SPEED.hardware,
  );
  let count = 0;
  const submit = (encoder: GPUCommandEncoder, from: number, to: number): Promise<void> => {
    const queued = performance.now();
    queue.submit([encoder.finish()]);
    count++;
    return device.heard(queue.onSubmittedWorkDone()).then(() => {
      const now = performance.now();
      // The GPU worked on this submit from its arrival or from the end of the one before, whichever came later.
      pacing.measured(from, to, now - Math.max(queued, device.lastDone));
      device.lastDone = now;
    });
  };
  return {
    /** Submits of the latest run. */
    count: () => count,
    /** One run, with what `last` encodes at its end; resolves when the GPU has done it. */
    run(last: (encoder: GPUCommandEncoder) => void): Promise<unknown> {
      count = 0;
      let from = 0;
      let done: Promise<unknown> = Promise.resolve();
      for (const to of pacing.cuts()) {
        const encoder = device.raw.createCommandEncoder();
        encodeSteps(encoder, steps, from, to);
        if (to === steps.length) last(encoder);
        done = submit(encoder, from, to);
        done.catch(() => {});
        from = to;
      }
      return done;
    },
  };
}

export function createProgram(parts: ProgramParts): Program {
  const { device, plan, buffers } = parts;
  const submits = createSubmits(parts);
  const rings = new Set<Ring<never>>();
  const runs = createRunCount();
  let destroyed = false;

  const outputRange = (name: string): BufferRange => {
    const output = plan.outputs[name];
    if (!output) return fail('internal', `The program has no output ${name}.`);
    return { buffer: buffers[output.buffer]!, offset: output.offset, type: output.type };
  };

  return {
    write(input, data) {
      const place = plan.inputs[input];
      if (!place) return;
      device.assertAlive();
      checkData(`Input ${input}`, place.type, data);
      writeData(device, buffers[place.buffer]!, data, place.offset);
    },
    run(collect) {
      device.assertAlive();
      if (destroyed) fail('internal', 'The program was destroyed.');
      if (collect?.ring.free === 0)
        fail('internal', 'The read-back ring is full: wait with idle() for earlier runs.');
      runs.begin();
      const done = submits.run((encoder) => collect?.ring.encode(encoder, collect.tag));
      // A run counts as finished once its values are delivered, so that waiting for it frees its slot of the ring.
      Promise.all([done, collect?.ring.submitted()]).then(runs.end, runs.end);
    },
    async idle(inFlight = 0) {
      await runs.atMost(inFlight);
      device.assertAlive();
    },
    read(output) {
      device.assertAlive();
      return readBuffer(device, outputRange(output));
    },
    async ring<T>(outputs: readonly string[], slots?: number) {
      const ring = createRing<T>(
        device,
        Object.fromEntries(outputs.map((name) => [name, outputRange(name)])),
        slots,
      );
      rings.add(ring as unknown as Ring<never>);
      await device.settle();
      return ring;
    },
    profile: (times) => profileSteps(parts, times),
    row: (times) => timeRow(parts, times),
    get stats() {
      return { ...fixedStats(parts), submits: submits.count() };
    },
    destroy() {
      if (destroyed) return;
      destroyed = true;
      for (const ring of rings) ring.destroy();
      parts.release();
    },
  };
}
