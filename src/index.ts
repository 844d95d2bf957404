/**
 * Papilio as a library: fine-tunes an ONNX model with adapters under PEFT's names, on WebGPU or on the processor in onnxruntime-web, and merges them into the file.
 *
 *     const model = await openModel({ name: 'model.onnx', bytes });
 *     const data = await openData(model, { name: 'reviews.csv', bytes: csv });
 *     const run = await startRun(model, data, { adapter: { peft_type: 'OFT', oft_block_size: 32 } });
 *     for await (const event of run.train()) console.log(event);
 *     const { onnx } = await run.merge();
 *     await run.close();
 *
 * In a page the browser's WebGPU is found; in Node give `gpu`, `create([])` of the package webgpu, or have the processor train. What goes wrong is a {@link PapilioError}
 * with a kind and a sentence that says what, where and what to do. docs/library.md lists the types.
 */
export type { InputFile } from './lib/bytes.ts';
export { type ErrorKind, PapilioError } from './lib/errors.ts';
export {
  type Data,
  type DataInput,
  type DataReport,
  type FileStore,
  type Files,
  type Model,
  type ModelInput,
  type ModelReport,
  type OpenDataOptions,
  type OpenModelOptions,
  openData,
  openModel,
  type Progress,
  type TrainingSettings,
} from './library/open.ts';
export {
  type Adapter,
  type AdapterConfig,
  type Inspection,
  type Merged,
  mergeAdapters,
  type OnnxSession,
  openAdapter,
  openOnnx,
  type ParityReport,
  type QuantisedMerge,
  type Run,
  type RunOptions,
  type Score,
  startRun,
  type TrainEvent,
} from './library/run.ts';
