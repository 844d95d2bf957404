/** How fast a device is, from three programs of a few milliseconds: products, sums of long vectors, kernels with nothing to do. */
import { compile } from '../gpu/compile.ts';
import type { Device } from '../gpu/device.ts';
import type { Program } from '../gpu/program.ts';
import { createStore } from '../gpu/store.ts';
import { createBuilder } from '../graph/builder.ts';
import { schedule } from '../graph/schedule.ts';
import type { Graph } from '../graph/types.ts';
import { median } from '../lib/statistics.ts';
import { binary, scale } from '../ops/elementwise.ts';
import { matmul } from '../ops/matmul.ts';

export interface DeviceSpeed {
  /** Per multiplication of a matrix product, with its addition. */
  readonly secondsPerWork: number;
  /** Per number that an elementwise kernel reads or writes. */
  readonly secondsPerElement: number;
  readonly secondsPerDispatch: number;
}

/** Square matrices that keep a large device busy and a slow one no longer than it can wait. */
const SIZE = 256;
const LENGTH = 1 << 20;
const CHAIN = 64;
const REPEATS = 4;
const RUNS = 5;

/** Measured now, on this device, as it is loaded now. */
export async function probeSpeed(device: Device): Promise<DeviceSpeed> {
  const dispatch = (await secondsOf(device, chain())) / CHAIN;
  const product = await secondsOf(device, products());
  const sum = await secondsOf(device, sums());
  const net = (seconds: number, work: number) => Math.max(0, seconds - REPEATS * dispatch) / (REPEATS * work);
  return {
    secondsPerWork: net(product, SIZE ** 3),
    secondsPerElement: net(sum, 3 * LENGTH),
    secondsPerDispatch: dispatch,
  };
}

function products(): Graph {
  const g = createBuilder();
  let x = g.input('x', { dtype: 'f32', shape: [SIZE, SIZE] });
  const w = g.input('w', { dtype: 'f32', shape: [SIZE, SIZE] });
  for (let i = 0; i < REPEATS; i++) x = matmul(g, x, w);
  return g.finish({ x });
}

function sums(): Graph {
  const g = createBuilder();
  let x = g.input('x', { dtype: 'f32', shape: [LENGTH] });
  const y = g.input('y', { dtype: 'f32', shape: [LENGTH] });
  for (let i = 0; i < REPEATS; i++) x = binary(g, x, y, { fn: 'add' });
  return g.finish({ x });
}

function chain(): Graph {
  const g = createBuilder();
  let x = g.input('x', { dtype: 'f32', shape: [64] });
  for (let i = 0; i < CHAIN; i++) x = scale(g, x, { by: 1.5 });
  return g.finish({ x });
}

async function secondsOf(device: Device, graph: Graph): Promise<number> {
  const store = createStore(device);
  let program: Program | null = null;
  try {
    program = await compile(device, store, schedule(graph, device.caps));
    // The first run warms caches and clocks.
    program.run();
    await program.idle(0);
    const times: number[] = [];
    for (let i = 0; i < RUNS; i++) {
      const from = performance.now();
      program.run();
      await program.idle(0);
      times.push((performance.now() - from) / 1000);
    }
    return median(times);
  } finally {
    program?.destroy();
    store.destroy();
  }
}
