/**
 * Runs plans of toy ops on the CPU, and holds WebGPU's rules against them while doing so: aligned offsets, ranges inside buffers, no
 * buffer bound read-only and writable in one dispatch, no overlapping writable ranges, no copy within one buffer.
 */
import type { Plan, PlanBinding, PlanRange } from '../../src/graph/plan.ts';
import type { Value } from '../../src/graph/types.ts';

type Kernel = (...operands: Float64Array[]) => void;

const each = (n: Float64Array, f: (i: number) => number): void => {
  for (let i = 0; i < n.length; i++) n[i] = f(i);
};
const kernels: Readonly<Record<string, Kernel>> = {
  add: (a, b, out) => each(out!, (i) => a![i]! + 2 * b![i]!),
  fork: (a, x, y) => {
    each(x!, (i) => a![i]! + 1);
    each(y!, (i) => 3 * a![i]!);
  },
  stage1: (a, scratch, out) => {
    each(scratch!, (i) => a![i]! - 1);
    each(out!, (i) => a![i]! + 1);
  },
  stage2: (scratch, a, out) => each(out!, (i) => scratch![i]! * a![i]!),
  parts: (a, scratch) => {
    scratch!.set(a!);
    scratch!.set(
      a!.map((x) => 2 * x),
      a!.length,
    );
  },
  total: (scratch, out) => each(out!, (i) => scratch![i]! + scratch![out!.length + i]!),
  totals: (table, partials, out) => {
    for (let s = 0; s < table!.length; s += 4) {
      const [from, parts, count, to] = table!.slice(s, s + 4) as unknown as [number, number, number, number];
      for (let i = 0; i < count; i++) {
        out![to + i] = partials![from + i]!;
        for (let k = 1; k < parts; k++) out![to + i]! += partials![from + k * count + i]!;
      }
    }
  },
  decay: (s, x) => each(s!, (i) => s![i]! * 0.5 + x![i]!),
};

function check(rule: string, holds: boolean): void {
  if (!holds) throw new Error(`The plan breaks a rule: ${rule}.`);
}

export interface CpuProgram {
  run(feeds: ReadonlyMap<string, Float64Array>): void;
  output(name: string): Float64Array;
  state(name: string): Float64Array;
}

/** One number for each 4 bytes; buffers keep their contents between runs, as on the device. */
export function runPlan(plan: Plan): CpuProgram {
  const buffers = plan.buffers.map((b) => {
    const data = new Float64Array(b.bytes / 4);
    if (b.persistent?.source) data.set(b.persistent.source());
    return data;
  });
  const slice = (r: PlanRange): Float64Array => {
    check(
      `range ${r.offset}+${r.bytes} inside buffer ${r.buffer}`,
      r.offset + r.bytes <= plan.buffers[r.buffer]!.bytes,
    );
    check('4-byte ranges', r.offset % 4 === 0 && r.bytes % 4 === 0);
    return buffers[r.buffer]!.subarray(r.offset / 4, (r.offset + r.bytes) / 4);
  };
  const checkBindings = (bindings: readonly PlanBinding[]): void => {
    bindings.forEach((a, i) => {
      check('bindings start at multiples of 256', a.offset % 256 === 0);
      bindings.slice(i + 1).forEach((b) => {
        if (a.buffer !== b.buffer) return;
        check('no buffer is read-only and writable at once', a.writable === b.writable);
        const apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
        check('writable ranges do not overlap', !a.writable || apart);
      });
    });
  };
  const find = (role: Value['role'], name: string): Float64Array | undefined => {
    const at = plan.buffers.findIndex((b) => b.persistent?.role === role && b.persistent.name === name);
    return at < 0 ? undefined : buffers[at]!;
  };
  return {
    run(feeds) {
      for (const [name, data] of feeds) find('input', name)?.set(data);
      for (const step of plan.steps) {
        if (step.kind === 'copy') {
          check('no copy within one buffer', step.from.buffer !== step.to.buffer);
          check('a copy keeps its size', step.from.bytes === step.to.bytes);
          slice(step.to).set(slice(step.from));
        } else {
          checkBindings(step.bindings);
          kernels[step.dispatch.shader]!(...step.bindings.map(slice));
        }
      }
    },
    output: (name) => slice(plan.outputs[name]!).slice(),
    state: (name) => find('state', name)!.slice(),
  };
}
