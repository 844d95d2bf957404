/** A merged model as the page takes it. */
import type { Merged } from '../models/merge.ts';
import { encodeChunks } from '../onnx/encode.ts';
import type { OnnxModel } from '../onnx/types.ts';
import type { MergeReport } from './protocol.ts';
import { sidecarsOf } from './sidecars.ts';
import type { OpenedModel } from './source.ts';

/** The file where the browser keeps it: weights go there from where they lie, and are never joined in memory. */
export const fileOf = (onnx: OnnxModel): Blob => new Blob(encodeChunks(onnx));

export const mergeReport = (
  opened: Pick<OpenedModel, 'model' | 'sidecars'>,
  { onnx, changed, written }: Merged,
): MergeReport => ({
  onnx: fileOf(onnx),
  changedInitializers: changed,
  written,
  sidecars: sidecarsOf(opened),
});
