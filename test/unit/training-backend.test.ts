/** Which engine computes: the one that is named, else the one that suits the machine. Seen to fail with: an adapter that is software taken all the same. */
import { expect, it } from 'vitest';
import { runtimeOf } from '../../src/cli/engine.ts';
import { fail } from '../../src/lib/errors.ts';
import { NO_OVERHEAD, type OrtRuntime } from '../../src/onnxruntime/runtime.ts';
import { openBackend } from '../../src/training/backend.ts';
import type { EngineName } from '../../src/training/protocol.ts';

const runtime: OrtRuntime = {
  ...{
    name: 'onnxruntime-web',
    version: '1',
    cpu: 'WebAssembly',
    threads: 2,
    memoryBytes: 2 ** 30,
    heapBytes: () => null,
  },
  overhead: NO_OVERHEAD,
  open: async () => fail('internal', 'Nothing is opened here.'),
};
const onnxruntime = async (): Promise<OrtRuntime> => runtime;

/** A GPU that offers an adapter of this kind, or none. */
function gpuOf(info: { readonly vendor: string; readonly description: string } | null): () => Promise<GPU> {
  const never = new Promise<never>(() => {});
  const device = {
    limits: { maxBufferSize: 2 ** 20 },
    lost: never,
    addEventListener: () => {},
    destroy: () => {},
  };
  const adapter = info && {
    info: { architecture: '', ...info },
    features: new Set<string>(),
    limits: {},
    requestDevice: async () => device,
  };
  return async () => ({ requestAdapter: async () => adapter }) as unknown as GPU;
}
const CARD = gpuOf({ vendor: 'nvidia', description: 'a card' });
const SOFTWARE = gpuOf({ vendor: 'google', description: 'SwiftShader Device' });
const NONE = gpuOf(null);

it.each([
  ['a GPU', CARD, undefined, 'webgpu'],
  ['a software adapter', SOFTWARE, undefined, 'onnxruntime'],
  ['no adapter', NONE, undefined, 'onnxruntime'],
  ['a software adapter that is asked for', SOFTWARE, 'webgpu', 'webgpu'],
  ['a GPU that is not asked for', CARD, 'onnxruntime', 'onnxruntime'],
] as const)('with %s', async (_what, gpu, wanted, engine) => {
  const { info } = await openBackend({ gpu, onnxruntime }, wanted);
  expect(info.engine).toBe(engine);
  if (engine === 'onnxruntime')
    expect(info).toMatchObject({ isSoftware: true, threads: 2, description: 'onnxruntime-web 1, 2 threads' });
});

it('records name a WebGPU only where it computes', async () => {
  const program = `node ${process.versions.node}`;
  const on = (wanted: EngineName) => openBackend({ gpu: CARD, onnxruntime }, wanted);
  expect(runtimeOf(await on('webgpu'))).toBe(`${program} (Dawn), a card`);
  expect(runtimeOf(await on('onnxruntime'))).toBe(`${program}, onnxruntime-web 1, 2 threads`);
});

it('with a software adapter and no onnxruntime that can be loaded takes the adapter', async () => {
  const missing = async (): Promise<OrtRuntime> => fail('not-found', 'onnxruntime-web cannot be loaded.');
  const { info } = await openBackend({ gpu: SOFTWARE, onnxruntime: missing }, undefined);
  expect(info).toMatchObject({ engine: 'webgpu', isSoftware: true });
  await expect(openBackend({ gpu: NONE, onnxruntime: missing }, undefined)).rejects.toMatchObject({
    kind: 'not-found',
  });
});

it('says what is missing where an engine is named, or there is only one', async () => {
  await expect(openBackend({ gpu: NONE, onnxruntime }, 'webgpu')).rejects.toMatchObject({
    kind: 'no-adapter',
  });
  await expect(openBackend({ gpu: NONE }, undefined)).rejects.toMatchObject({ kind: 'no-adapter' });
  await expect(openBackend({ gpu: CARD }, 'onnxruntime')).rejects.toThrow(/train on WebGPU/);
});
