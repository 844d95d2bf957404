/**
 * Training on onnxruntime: what it throws is an error of ours, and a graph that is larger than the machine is not opened. Seen to fail with: errors
 * passed on as they are, no look at the plan.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cliHost } from '../../src/cli/sources.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { machineBytes } from '../../src/onnxruntime/nativeRuntime.ts';
import { NO_OVERHEAD, type OrtRuntime, requireMemory } from '../../src/onnxruntime/runtime.ts';
import { binary } from '../../src/ops/elementwise.ts';
import { ortEngines } from '../../src/training/onnxruntimeEngine.ts';
import { openSession } from '../../src/training/session.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { ownModels } from '../../tools/verify/families/matrix.ts';
import { openSubject } from '../../tools/verify/families/subjects.ts';

/** An onnxruntime that opens or runs nothing. */
function broken(
  where: 'open' | 'run',
  says: string,
): { readonly ort: OrtRuntime; readonly opened: () => number } {
  let opened = 0;
  const ort: OrtRuntime = {
    ...{
      name: 'onnxruntime-node',
      version: '0',
      cpu: 'none',
      threads: 1,
      memoryBytes: 0,
      heapBytes: () => null,
    },
    overhead: NO_OVERHEAD,
    async open() {
      opened++;
      if (where === 'open') throw new Error(says);
      return {
        run: () => Promise.reject(new Error(says)),
        release: async () => {},
      };
    },
  };
  return { ort, opened: () => opened };
}

async function outcome(ort: OrtRuntime, available = machineBytes()): Promise<unknown> {
  const subject = await openSubject(join(await ownModels(), 'vit'));
  try {
    const session = await openSession(
      { engine: ortEngines({ ...ort, memoryBytes: available }) },
      {
        model: subject.source,
        data: subject.training!.data,
        method: 'lora',
        config: { r: 2 },
        training: trainingSchema.parse({ steps: 2, batchSize: 2, evalEvery: 0, evalExamples: 2 }),
      },
      cliHost,
    );
    await session.play();
    return null;
  } catch (error) {
    return error;
  }
}

describe('onnxruntime', () => {
  it.each([
    [
      'open',
      'Load model failed: Type Error: Type (tensor(string)) of (x) is invalid.\n    at Session.create',
      'unsupported-onnx',
    ],
    ['open', 'Protobuf parsing failed.', 'unsupported-onnx'],
    [
      'run',
      "Non-zero status code returned while running Tile node. Name:'t' Status Message: repeats\nstack",
      'unsupported-onnx',
    ],
    ['run', 'std::bad_alloc', 'out-of-memory'],
    ['run', 'Failed to allocate memory for requested buffer of size 8589934592', 'out-of-memory'],
    ['open', 'x'.repeat(90_000), 'unsupported-onnx'],
    ['run', '', 'unsupported-onnx'],
  ] as const)('that fails to %s (%.40s) ends in a sentence', async (where, says, kind) => {
    const error = await outcome(broken(where, says).ort);
    expect(error).toMatchObject({ name: 'PapilioError', kind });
    const { message } = error as Error;
    expect(message).toMatch(/^onnxruntime (fails|has too little memory) to /);
    expect(message).not.toContain('\n');
    expect(message.length).toBeLessThan(500);
  });

  it('is given nothing that is larger than the machine', async () => {
    const { ort, opened } = broken('open', 'not to be seen');
    const error = await outcome(ort, 20_000);
    expect(error).toMatchObject({ kind: 'limit', details: { available: 20_000 } });
    expect((error as Error).message).toMatch(
      /^The run needs \d+ MiB of memory in onnxruntime, and there are 1 MiB; take/,
    );
    expect(opened()).toBe(0);
    expect(await outcome(ort)).toMatchObject({ kind: 'unsupported-onnx' });
    expect(opened()).toBe(1);
  });

  it('has its graphs weighed by what lies in memory at once', () => {
    const g = createBuilder();
    // An outer sum: two small inputs, and gigabytes that come of them.
    const side = 30_000;
    const a = g.input('a', { dtype: 'f32', shape: [side, 1] });
    const b = g.input('b', { dtype: 'f32', shape: [1, side] });
    const graph = g.finish({ out: binary(g, a, b, { fn: 'add' }) });
    expect(() => requireMemory(graph, 2 ** 30)).toThrow(
      /needs 3,4\d\d MiB of memory in onnxruntime, and there are 1,024 MiB/,
    );
    expect(() => requireMemory(graph, 2 ** 33)).not.toThrow();
    expect(machineBytes()).toBeGreaterThan(2 ** 28);
  });
});
