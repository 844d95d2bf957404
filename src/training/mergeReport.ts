/** What merging gives: the file, what changed in it, and what goes with it. */
import type { Merged } from '../models/merge.ts';
import { encodeChunks } from '../onnx/encode.ts';
import type { OnnxModel } from '../onnx/types.ts';
import type { MergeReport } from './protocol.ts';
import { sidecarsOf } from './sidecars.ts';
import type { OpenedModel } from './source.ts';

/** The file where the browser keeps it: weights go there from where they lie, and are never joined in memory. */
export const fileOf = (onnx: OnnxModel): Blob => new Blob(encodeChunks(onnx));

/** @param encode {@link fileOf} for the page, `encodeModel` where bytes are wanted at once */
export const mergeReport = <File>(
  opened: Pick<OpenedModel, 'model' | 'sidecars'>,
  { onnx, changed, written }: Merged,
  encode: (onnx: OnnxModel) => File,
): Omit<MergeReport, 'onnx'> & { readonly onnx: File } => ({
  onnx: encode(onnx),
  changedInitializers: changed,
  written,
  sidecars: sidecarsOf(opened),
});
