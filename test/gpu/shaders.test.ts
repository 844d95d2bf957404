/**
 * Every kernel compiles without a warning and binds what its op gives, checked on Dawn's null backend: it has only the limits that
 * WebGPU guarantees, and needs no GPU.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { create, globals } from 'webgpu';
import { compile } from '../../src/gpu/compile.ts';
import { type Device, openDevice } from '../../src/gpu/device.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { checkOf } from '../../src/graph/interpret.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Value } from '../../src/graph/types.ts';
import { ops } from '../../src/ops/checks.ts';

// Other files of the worker may have set them.
for (const [name, value] of Object.entries(globals))
  if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true });
const arrays = { f32: Float32Array, f16: Uint16Array, i32: Int32Array, u32: Uint32Array };
let device: Device;

beforeAll(async () => {
  device = await openDevice(create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']));
});
afterAll(() => device.destroy());

for (const op of ops) {
  test(`${op.name} compiles in every case`, async () => {
    const problems: string[] = [];
    for (const c of checkOf(op).cases) {
      const g = createBuilder();
      const inputs = c.inputs.map(
        (t, i): Value =>
          op.mutates?.includes(i)
            ? g.state(`in${i}`, t, () => new arrays[t.dtype](sizeOf(t.shape)))
            : g.input(`in${i}`, t),
      );
      const outputs = g.emit(op, inputs, c.attrs);
      const graph = g.finish(Object.fromEntries(outputs.map((v, i) => [`${i}`, v])));
      const plan = schedule(graph, device.caps);
      const store = createStore(device);
      try {
        const program = await compile(device, store, plan);
        for (const step of plan.steps) {
          if (step.kind !== 'dispatch') continue;
          problems.push(...(await device.pipelines.messages(step.dispatch)).map((m) => `${c.name}: ${m}`));
        }
        program.destroy();
      } catch (error) {
        problems.push(`${c.name}: ${error instanceof Error ? error.message : error}`);
      }
      store.destroy();
    }
    expect([...new Set(problems)]).toEqual([]);
  });
}
