/** A device that binds little takes a loss's chunk in pieces, and adds up the same bits as one that binds a whole chunk. */
import { expect, it } from 'vitest';
import { compile } from '../../src/gpu/compile.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { linearCrossEntropyOp } from '../../src/ops/linearCrossEntropy.ts';
import { testDevice } from './device.ts';

const ROWS = 330;
const WIDTH = 64;
/** So many that dX's sum over them is split, which depends on the rows of a chunk. */
const CLASSES = 4999;

const numbers = (n: number, period: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => ((i * 37) % period) / period - 0.5);

const device = await testDevice();

async function lossAndGradient(maxStorageBindingBytes: number) {
  const g = createBuilder();
  const weight = numbers(CLASSES * WIDTH, 1013);
  const [loss, dX] = g.emit(
    linearCrossEntropyOp,
    [
      g.input('x', { dtype: 'f32', shape: [ROWS, WIDTH] }),
      g.parameter('w', { dtype: 'f32', shape: [CLASSES, WIDTH] }, () => weight),
      g.input('labels', { dtype: 'i32', shape: [ROWS] }),
    ],
    { ignoreIndex: -100, chunkRows: 192, withGradient: true },
  );
  const plan = schedule(g.finish({ loss: loss!, dX: dX! }), { ...device.caps, maxStorageBindingBytes });
  const store = createStore(device);
  const program = await compile(device, store, plan);
  try {
    program.write('x', numbers(ROWS * WIDTH, 997));
    program.write(
      'labels',
      Int32Array.from({ length: ROWS }, (_, i) => (i * 131) % CLASSES),
    );
    program.run();
    return {
      rowDispatches: plan.steps.filter(
        (s) => s.kind === 'dispatch' && s.dispatch.shader === 'linearCrossEntropy.wgsl',
      ).length,
      loss: (await program.read('loss')) as Float32Array,
      dX: (await program.read('dX')) as Float32Array,
    };
  } finally {
    program.destroy();
    store.destroy();
  }
}

it('has the same bits in pieces of a chunk as in whole ones', async () => {
  const whole = await lossAndGradient(device.caps.maxStorageBindingBytes);
  // 100 rows of logits, and the weight as a whole.
  const pieces = await lossAndGradient(4 * 5000 * 100);
  expect([whole.rowDispatches, pieces.rowDispatches]).toEqual([2, 6]);
  expect(pieces.loss).toEqual(whole.loss);
  expect(pieces.dX).toEqual(whole.dX);
  expect(whole.loss[0]).toBeGreaterThan(ROWS);
});
