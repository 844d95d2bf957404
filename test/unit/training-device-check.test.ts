/**
 * The check of a device: what it says of an engine that computes wrongly, that ends, that is stopped; what engines are held against it in
 * ops-onnxruntime.test.ts and test/tools/opSuite.ts. Seen to fail with: a worst case that is not the worst,
 * a stop that is heard only at the end of an op, a case that waits for ever.
 */
import { describe, expect, test } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { interpret } from '../../src/ops/checks.ts';
import type { CheckEngine } from '../../src/training/checkEngine.ts';
import {
  checkVerdict,
  type DeviceCheckEvent,
  describeCheck,
  type OpCheckRow,
} from '../../src/training/checkReport.ts';
import { deviceCheckText } from '../../src/training/checkText.ts';
import { checkDevice, checkOps, opsNamed } from '../../src/training/deviceCheck.ts';

/** An engine that is the reference itself, times `by` where it computes forward passes. */
const exact = (by = 1): CheckEngine => ({
  keepsWeights: false,
  messages: null,
  async run(graph, feeds, states) {
    const done = interpret(graph, feeds);
    const outputs = Object.entries(graph.outputs).map(([name, v]) => [
      name,
      name.startsWith('out') ? done.get(v).data.map((x) => x * by) : done.get(v).data,
    ]);
    return Object.fromEntries([...outputs, ...states.map((name) => [name, done.states.get(name)!.data])]);
  },
});

async function rowsOf(
  engine: CheckEngine,
  names: readonly string[],
  limit: { readonly signal?: AbortSignal; readonly limitMs?: number } = {},
) {
  const rows: OpCheckRow[] = [];
  const events: DeviceCheckEvent[] = [];
  const ended = await checkOps(
    engine,
    opsNamed(names),
    (event) => {
      events.push(event);
      if (event.type === 'row') rows.push(event.row);
    },
    limit,
  );
  return { rows, events, ended };
}

describe('a check', () => {
  test('of the reference itself finds nothing, and tells every case before it comes', async () => {
    const { rows, events, ended } = await rowsOf(exact(), ['softmax', 'adamw']);
    expect(ended).toBeNull();
    expect(rows.map(({ op }) => op).sort()).toEqual(['adamw', 'softmax']);
    expect(rows.flatMap(({ failures }) => failures)).toEqual([]);
    const cases = events.filter((event) => event.type === 'case');
    expect(cases.map(({ done }) => done)).toEqual(cases.map((_, i) => i));
    expect(cases.every(({ total }) => total === cases.length)).toBe(true);
    expect(rows.reduce((n, row) => n + row.cases, 0)).toBe(cases.length);
  });

  test('names what fails, with its case, its error and what is allowed', async () => {
    const { rows } = await rowsOf(exact(1.001), ['softmax']);
    const [row] = rows;
    expect(row!.failures.length).toBe(row!.cases);
    const [first] = row!.failures;
    expect(first).toMatchObject({ op: 'softmax', what: 'forward', ok: false });
    expect(first!.error).toBeCloseTo(0.001, 6);
    expect(describeCheck(first!)).toMatch(
      /^softmax \/ .+ \/ forward: error 1\.00e-3 over 2\.0e-5: out0: element/,
    );
    expect(row!.worst.forward!.error).toBeCloseTo(0.001, 6);
    const ended = { why: 'stopped' as const };
    expect(checkVerdict({ rows, ended })).toMatch(
      /^\d+ of \d+ checks of 1 ops failed\. It was stopped early\.$/,
    );
    const text = deviceCheckText(
      {
        ...{ engine: 'onnxruntime', rows, ended: null, seconds: 3.2 },
        facts: { engine: 'onnxruntime', device: 'a|b', threads: 1, memoryBytes: 2 ** 31 },
      },
      { Browser: 'x' },
    );
    expect(text).toContain(
      '- Browser: x\n- Engine: onnxruntime, on the processor\n- Device: a|b, 1 thread\n- Memory at most: 2,048 MiB\n- Took: 3 s',
    );
    expect(text).toContain(
      `| softmax | ${row!.cases} | ${row!.checks} | ${row!.failures.length} | 1.0e-3 of 2.0e-5 |`,
    );
    expect(text).toContain('## What failed');
  });

  test('keeps of each op the case that comes nearest to its tolerance', async () => {
    let run = 0;
    const uneven: CheckEngine = {
      ...exact(),
      run: (graph, feeds, states) =>
        exact(graph.outputs.out0 ? 1 + 1e-6 * (run++ === 1 ? 7 : 1) : 1).run(graph, feeds, states),
    };
    const { rows } = await rowsOf(uneven, ['softmax']);
    expect(rows[0]!.worst.forward!.error).toBeCloseTo(7e-6, 8);
  });

  test('that is stopped ends before its next case, with what it has', async () => {
    const stop = new AbortController();
    const engine: CheckEngine = {
      ...exact(),
      run(graph, feeds, states) {
        stop.abort();
        return exact().run(graph, feeds, states);
      },
    };
    const { rows, ended } = await rowsOf(engine, ['softmax', 'adamw'], stop);
    expect(ended).toEqual({ why: 'stopped' });
    expect(rows).toHaveLength(1);
    expect(rows[0]!.cases).toBe(1);
  });

  /** The engine, which never answers these of the questions on softmax. */
  function silentAt(questions: (place: number) => boolean): CheckEngine {
    let place = 0;
    return {
      ...exact(),
      run(graph, ...given) {
        const isAsked = graph.nodes.some(({ op }) => op.name.startsWith('softmax'));
        return isAsked && questions(place++) ? new Promise(() => {}) : exact().run(graph, ...given);
      },
    };
  }

  test('names a case that gets no answer, leaves it and goes on', async () => {
    const { rows, ended } = await rowsOf(
      // The forward pass of the first case, then the gradient of the third.
      silentAt((place) => place === 0 || place === 4),
      ['softmax', 'where'],
      { limitMs: 50 },
    );
    expect(ended).toBeNull();
    expect(rows.map(({ op }) => op).sort()).toEqual(['softmax', 'where']);
    const { failures } = rows.find(({ op }) => op === 'softmax')!;
    expect(failures.map(({ what, message }) => [what, message])).toEqual([
      ['forward', 'The engine gave no answer in 0.05 s; the rest of this case is left.'],
      ['gradient-engine', 'The engine gave no answer in 0.05 s; the rest of this case is left.'],
    ]);
    expect(new Set(failures.map((one) => one.case)).size).toBe(2);
    expect(checkVerdict({ rows, ended })).toMatch(/^2 of \d+ checks of 2 ops failed\.$/);
  });

  test('ends after three cases in a row without an answer', async () => {
    const { rows, events, ended } = await rowsOf(
      silentAt(() => true),
      ['softmax'],
      { limitMs: 20 },
    );
    expect(ended).toEqual({ why: 'silent', cases: 3 });
    expect(rows.flatMap(({ failures }) => failures)).toHaveLength(3);
    expect(events.filter(({ type }) => type === 'case')).toHaveLength(3);
  });

  test('ends as soon where the compiler answers and the device does not', async () => {
    const { rows, ended } = await rowsOf({ ...silentAt(() => true), messages: async () => [] }, ['softmax'], {
      limitMs: 20,
    });
    expect(ended).toEqual({ why: 'silent', cases: 3 });
    expect(rows.flatMap(({ failures }) => failures)).toHaveLength(3);
  });

  test('that is stopped waits for no answer, and what was not answered is no failure', async () => {
    const stop = new AbortController();
    const running = rowsOf(
      silentAt(() => true),
      ['softmax'],
      stop,
    );
    setTimeout(() => stop.abort(), 20);
    const { rows, ended } = await running;
    expect(ended).toEqual({ why: 'stopped' });
    expect(rows[0]).toMatchObject({ cases: 1, checks: 0, failures: [] });
  });

  test('says what went wrong: the rule of a gradient, or the engine with it', async () => {
    const engine: CheckEngine = {
      ...exact(),
      run(graph, ...given) {
        if (!graph.outputs.out0) throw new Error('no such kernel');
        return exact().run(graph, ...given);
      },
    };
    const { rows } = await rowsOf(engine, ['softmax']);
    expect(new Set(rows[0]!.failures.map(({ what }) => what))).toEqual(new Set(['gradient-engine']));
    expect(rows[0]!.worst['gradient-reference']!.error).toBeLessThan(2e-6);
  });

  test('ends where the device is lost, and says in which op', async () => {
    const engine: CheckEngine = {
      ...exact(),
      run: async () => {
        throw new PapilioError('device-lost', 'The GPU device was lost.');
      },
    };
    const { rows, ended } = await rowsOf(engine, ['softmax']);
    expect(ended).toEqual({ why: 'lost', op: 'softmax', message: 'The GPU device was lost.' });
    expect(checkVerdict({ rows, ended })).toMatch(
      / The device was lost in softmax: The GPU device was lost\.$/,
    );
  });

  test('of an engine that there is not is refused', async () => {
    const host = { gpu: async () => Promise.reject(new PapilioError('no-webgpu', 'none')) };
    const { signal } = new AbortController();
    await expect(checkDevice(host, 'webgpu', () => {}, signal)).rejects.toMatchObject({ kind: 'no-webgpu' });
    await expect(checkDevice(host, 'onnxruntime', () => {}, signal)).rejects.toMatchObject({
      kind: 'bad-argument',
    });
  });
});
