/** The covering array of `verify families`, and that its checks can fail. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Engine, MakeEngine } from '../../src/training/engine.ts';
import { runCombination } from '../../tools/verify/families/combination.ts';
import { interpreterEngines } from '../../tools/verify/families/interpreterEngine.ts';
import { allPairs, coverPairs, ownModels } from '../../tools/verify/families/matrix.ts';
import { openSubject, type Subject } from '../../tools/verify/families/subjects.ts';

describe('a share that covers every pair', () => {
  const points = [0, 1, 2, 3, 4].flatMap((a) =>
    [0, 1, 2, 3].flatMap((b) =>
      [0, 1, 2].flatMap((c) => (a === 2 && b === 1 ? [] : [{ a: `${a}`, b: `${b}`, c: `${c}` }])),
    ),
  );

  test('has each pair that there is, in about as many points as the two longest axes multiply to', () => {
    const chosen = coverPairs(points);
    expect(allPairs(chosen)).toEqual(allPairs(points));
    expect(chosen.length).toBeLessThanOrEqual(24);
    expect(new Set(chosen).size).toBe(chosen.length);
  });
});

describe('a combination fails', () => {
  let subject: Subject;
  beforeAll(async () => {
    subject = await openSubject(join(await ownModels(), 'llama'));
  });

  /** The interpreter with something wrong in it. */
  const broken =
    (change: (engine: Engine) => Partial<Engine>): MakeEngine =>
    async (request) => {
      const engine = await interpreterEngines(request);
      return { ...engine, states: new Map(), ...change(engine) };
    };
  const outcome = (engines: MakeEngine, target: 'attention' | 'embedding' = 'attention') =>
    runCombination({ engine: engines }, subject, 'lora', target);

  test('not when all is right', async () => {
    expect(await outcome(interpreterEngines)).toMatchObject({ status: 'passed' });
    expect(await outcome(interpreterEngines, 'embedding')).toMatchObject({ status: 'passed' });
  });

  test('when one layer is merged without its adapter', async () => {
    const engines = broken((engine) => {
      let layers = 0;
      return {
        async once(graph) {
          const base = graph.nodes.flatMap((n) => n.inputs).find((v) => v.role === 'parameter');
          const outputs = await engine.once(graph);
          const [name] = Object.keys(outputs);
          return layers++ === 0 ? { [name!]: Float32Array.from(base!.source!() as Float32Array) } : outputs;
        },
      };
    });
    expect(await outcome(engines)).toMatchObject({
      status: 'failed',
      sentence: expect.stringContaining('does not compute what was trained'),
    });
  });

  test('when two rows of a merged table change places', async () => {
    const engines = broken((engine) => ({
      async once(graph) {
        const outputs = await engine.once(graph);
        return Object.fromEntries(
          Object.entries(outputs).map(([name, data]) => {
            const width = graph.outputs[name]!.shape[1]!;
            const rows = [10, 11].map((r) => data.slice(r * width, (r + 1) * width));
            const swapped = data.slice();
            swapped.set(rows[1]!, 10 * width);
            swapped.set(rows[0]!, 11 * width);
            return [name, swapped];
          }),
        );
      },
    }));
    expect(await outcome(engines, 'embedding')).toMatchObject({ status: 'failed' });
  });

  test('when the adapter does nothing, and when a step is left out', async () => {
    const idle = broken((engine) => ({
      evaluate: (_which, batch, logits) => engine.evaluate('base', batch, logits),
    }));
    expect(await outcome(idle)).toEqual({
      status: 'failed',
      sentence: 'the adapter has no effect on the outputs',
    });
    const lazy = broken((engine) => ({
      train: async (step, batches) => (step === 0 ? engine.train(step, batches) : undefined),
    }));
    expect(await outcome(lazy)).toEqual({ status: 'failed', sentence: '1 of 2 steps were made' });
  });

  test('when the saved adapter is read as another one', async () => {
    let opened = 0;
    const engines: MakeEngine = async (request) => {
      const again = opened++ > 0;
      const initial = again ? () => request.initial().map((v) => v * 1.01) : request.initial;
      return interpreterEngines({ ...request, initial });
    };
    expect(await outcome(engines)).toMatchObject({
      status: 'failed',
      sentence: expect.stringMatching(/^loaded again/),
    });
  });
});
