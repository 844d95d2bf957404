/**
 * `papilio/engine`: the graph compiler alone. A graph of ops is built, differentiated, planned and compiled for a WebGPU device; the interpreter runs
 * any graph in float64 on the CPU.
 *
 *     const g = createBuilder();
 *     const y = matmul(g, g.input('a', { dtype: 'f32', shape: [2, 3] }), g.input('b', { dtype: 'f32', shape: [3, 4] }));
 *     const program = await compile(device, createStore(device), schedule(g.finish({ y }), device.caps));
 */

export { type CompileOptions, compile } from './gpu/compile.ts';
export { type Device, type DeviceInfo, openDevice } from './gpu/device.ts';
export type { Program, ProgramStats } from './gpu/program.ts';
export { createStore, type Store } from './gpu/store.ts';
export { type Builder, createBuilder } from './graph/builder.ts';
export { type DifferentiateOptions, differentiate } from './graph/differentiate.ts';
export type { Plan } from './graph/plan.ts';
export { schedule } from './graph/schedule.ts';
export { byteSizeOf, sameShape, sizeOf, stridesOf } from './graph/shape.ts';
export {
  type Caps,
  type DeviceData,
  type DType,
  defineOp,
  type Emitter,
  type Graph,
  type Kernel,
  type Node,
  type Op,
  type Tensor,
  type TensorType,
  type Value,
} from './graph/types.ts';
export { type Interpretation, interpret } from './ops/checks.ts';
export { fuse } from './ops/fuse.ts';
export * from './ops/index.ts';
