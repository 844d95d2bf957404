/** Single graphs on a device: run once and read, for merging, looking inside and checks; or kept open and run many times. */
import { compile } from '../gpu/compile.ts';
import type { Device } from '../gpu/device.ts';
import type { Program } from '../gpu/program.ts';
import { createStore } from '../gpu/store.ts';
import type { Plan } from '../graph/plan.ts';
import { schedule } from '../graph/schedule.ts';
import type { DeviceData, Graph } from '../graph/types.ts';
import { fuse } from '../ops/fuse.ts';

export type RunGraph = (
  graph: Graph,
  inputs?: Readonly<Record<string, Float32Array | Int32Array>>,
) => Promise<Record<string, Float32Array>>;

/** What a program that has run gives for outputs of its graph. */
export async function readOutputs(
  program: Program,
  names: readonly string[],
): Promise<Record<string, Float32Array>> {
  const outputs: Record<string, Float32Array> = {};
  for (const name of names) outputs[name] = (await program.read(name)) as Float32Array;
  return outputs;
}

/** A graph that stays open: compiled once, run with other inputs and other contents of its states. */
export interface OpenGraph {
  /**
   * One run after all before it. Without `outputs` all are read; with an empty list none is waited for.
   * @param inputs those that are not given stay as they were
   */
  run(
    inputs?: Readonly<Record<string, Float32Array | Int32Array>>,
    outputs?: readonly string[],
  ): Promise<Record<string, Float32Array>>;
  readState(name: string): Promise<Float32Array>;
  writeState(name: string, data: Float32Array): void;
  close(): Promise<void>;
}

/** Runs that may be under way where nothing is read between them. */
const RUNS_AHEAD = 4;

export async function openGraph(device: Device, graph: Graph): Promise<OpenGraph> {
  const store = createStore(device);
  const program = await compile(device, store, schedule(fuse(graph, device.caps), device.caps)).catch(
    (error) => {
      store.destroy();
      throw error;
    },
  );
  return {
    async run(inputs = {}, outputs = Object.keys(graph.outputs)) {
      for (const [name, data] of Object.entries(inputs)) program.write(name, data);
      program.run();
      if (outputs.length === 0) await program.idle(RUNS_AHEAD);
      return readOutputs(program, outputs);
    },
    readState: async (name) => (await store.read(name, 'state')) as Float32Array,
    writeState: (name, data) => store.write(name, data, 'state'),
    async close() {
      await program.idle(0).catch(() => {});
      program.destroy();
      store.destroy();
    },
  };
}

/** What one run of a plan gives: outputs of the graph and states, by name. */
export async function runOnce(
  device: Device,
  plan: Plan,
  inputs: Readonly<Record<string, DeviceData>>,
  outputs: readonly string[],
  states: readonly string[] = [],
): Promise<Record<string, DeviceData>> {
  const store = createStore(device);
  let program: Program | undefined;
  try {
    program = await compile(device, store, plan);
    for (const [name, data] of Object.entries(inputs)) program.write(name, data);
    program.run();
    const read: Record<string, DeviceData> = {};
    for (const name of outputs) read[name] = await program.read(name);
    for (const name of states) read[name] = await store.read(name, 'state');
    return read;
  } finally {
    program?.destroy();
    store.destroy();
  }
}

/** @param device asked for at the first run, so that work without graphs needs none */
export function graphRunner(device: () => Promise<Device>): RunGraph {
  return async (graph, inputs = {}) => {
    const opened = await device();
    const read = await runOnce(opened, schedule(graph, opened.caps), inputs, Object.keys(graph.outputs));
    return read as Record<string, Float32Array>;
  };
}
