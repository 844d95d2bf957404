import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BothWriting } from '../../src/inference/beforeAfter.ts';
import type { InferenceApi } from '../../src/inference/worker.ts';
import { fail } from '../../src/lib/errors.ts';
import { serve } from '../../src/lib/workers.ts';
import { inferenceClient } from '../../src/page/inferenceClient.ts';

/** Stands in for the browser's Worker: a service of our own behind a message channel; run() never ends for the feed "stuck". */
let started = 0;
class FakeWorker extends EventTarget {
  readonly #channel = new MessageChannel();
  constructor() {
    super();
    started++;
    let left = 3;
    const service: InferenceApi = {
      async open(model) {
        if (model instanceof Blob || model.length === 0)
          fail('unsupported-onnx', 'The model is empty.', { bytes: 0 });
        const names = { inputNames: ['x'], outputNames: ['y'], inputs: [], outputs: [] };
        return { id: started, provider: 'wasm', ...names };
      },
      run: (id, feeds) =>
        'stuck' in feeds
          ? new Promise(() => {})
          : Promise.resolve({ y: { dtype: 'int32', dims: [1], data: Int32Array.of(id) } }),
      release: async () => {},
      async pair(_before, _after, { sidecars }) {
        if (sidecars.length === 0) fail('bad-data', 'Nothing lies beside the model.');
      },
      answer: async () => ({ kind: 'number', before: 1, after: 2 }),
      write: async () => {},
      next: async () => (left-- > 0 ? ({ before: { tokens: left } } as BothWriting) : null),
    };
    serve(service, ['run'], this.#channel.port1 as never);
    this.#channel.port2.addEventListener('message', (event) => {
      this.dispatchEvent(new MessageEvent('message', { data: (event as MessageEvent).data }));
    });
    this.#channel.port2.start();
  }
  postMessage(data: unknown, transfer: Transferable[]): void {
    this.#channel.port2.postMessage(data, transfer as never);
  }
  terminate(): void {
    this.#channel.port1.close();
    this.#channel.port2.close();
  }
}

afterEach(() => {
  vi.unstubAllGlobals();
});

const stuck = { stuck: { dtype: 'float32', dims: [0], data: [] } } as const;

describe('inferenceClient', () => {
  it('passes calls and typed errors through', async () => {
    vi.stubGlobal('Worker', FakeWorker);
    const client = inferenceClient();
    const session = await client.open(new Uint8Array(1));
    expect(session.outputNames).toEqual(['y']);
    expect((await session.run({})).y?.data).toEqual(Int32Array.of(started));
    await session.release();
    await expect(client.open(new Uint8Array(0))).rejects.toMatchObject({
      kind: 'unsupported-onnx',
      details: { bytes: 0 },
    });
    client.end();
  });

  it('rejects what is under way when it is ended, and starts afresh', async () => {
    vi.stubGlobal('Worker', FakeWorker);
    const before = started;
    const client = inferenceClient();
    const session = await client.open(new Uint8Array(1));
    const pending = session.run(stuck);
    client.end();
    await expect(pending).rejects.toMatchObject({
      kind: 'internal',
      message: expect.stringContaining('ended'),
    });
    await expect(session.run({})).rejects.toMatchObject({ kind: 'internal' });
    const again = await client.open(new Uint8Array(1));
    expect((await again.run({})).y?.data).toEqual(Int32Array.of(started));
    expect(started).toBe(before + 2);
    client.end();
  });

  it('asks two files side by side, and for more only when it is asked', async () => {
    vi.stubGlobal('Worker', FakeWorker);
    const client = inferenceClient();
    const about = {
      sidecars: [{ name: 'tokenizer.json', bytes: new Uint8Array(1) }],
      data: { kind: 'text', labels: [] },
      model: { limit: null, exactly: null, feeds: {} },
    } as const;
    const bytes = new Uint8Array(1);
    await expect(client.openPair(bytes, bytes, { ...about, sidecars: [] })).rejects.toMatchObject({
      kind: 'bad-data',
    });
    const pair = await client.openPair(bytes, bytes, about);
    expect(await pair.answer({ text: 'a' })).toEqual({ kind: 'number', before: 1, after: 2 });
    const seen: number[] = [];
    for await (const { before } of pair.write({
      prompt: 'a',
      maxTokens: 3,
      temperature: 0,
      topP: 1,
      seed: 1,
    }))
      seen.push(before.tokens);
    expect(seen).toEqual([2, 1, 0]);
    client.end();
  });

  it('does not wait for a worker that broke', async () => {
    const workers: FakeWorker[] = [];
    vi.stubGlobal(
      'Worker',
      class extends FakeWorker {
        constructor() {
          super();
          workers.push(this);
        }
      },
    );
    const client = inferenceClient();
    const session = await client.open(new Uint8Array(1));
    const pending = session.run(stuck);
    workers[0]?.dispatchEvent(new Event('error'));
    await expect(pending).rejects.toMatchObject({
      kind: 'internal',
      message: expect.stringContaining('stopped'),
    });
  });
});
