/** Runs single graphs on a device and reads their outputs: merging, looking inside, checks. */
import { compile } from '../gpu/compile.ts';
import type { Device } from '../gpu/device.ts';
import type { Program } from '../gpu/program.ts';
import { createStore } from '../gpu/store.ts';
import { schedule } from '../graph/schedule.ts';
import type { Graph } from '../graph/types.ts';

export type RunGraph = (
  graph: Graph,
  inputs?: Readonly<Record<string, Float32Array | Int32Array>>,
) => Promise<Record<string, Float32Array>>;

/** What a program that has run gives for each output of its graph. */
export async function readOutputs(program: Program, graph: Graph): Promise<Record<string, Float32Array>> {
  const outputs: Record<string, Float32Array> = {};
  for (const name of Object.keys(graph.outputs)) outputs[name] = (await program.read(name)) as Float32Array;
  return outputs;
}

/** @param device asked for at the first run, so that work without graphs needs none */
export function graphRunner(device: () => Promise<Device>): RunGraph {
  return async (graph, inputs = {}) => {
    const opened = await device();
    const store = createStore(opened);
    const program = await compile(opened, store, schedule(graph, opened.caps));
    try {
      for (const [name, data] of Object.entries(inputs)) program.write(name, data);
      program.run();
      return await readOutputs(program, graph);
    } finally {
      program.destroy();
      store.destroy();
    }
  };
}
