/** What merging gives: the file, what changed in it, and what goes with it; and the files that it is checked beside. */
import type { LoadedModel } from '../models/load.ts';
import type { Merged, QuantisedMerge, WrittenWeight } from '../models/merge.ts';
import { lastBitsMoved, roundsSomewhere } from '../models/rounding.ts';
import { encodeChunks } from '../onnx/encode.ts';
import type { OnnxModel, OnnxTensor } from '../onnx/types.ts';
import { mergeModel } from './mergedWeights.ts';
import type { ParityFiles } from './parity.ts';
import type { MergeReport } from './protocol.ts';
import { sidecarsOf } from './sidecars.ts';
import type { OpenedModel } from './source.ts';

/** The file where the browser keeps it: weights go there from where they lie, and are never joined in memory. */
export const fileOf = (onnx: OnnxModel): Blob => new Blob(encodeChunks(onnx));

/**
 * @param model the one that was adapted, which `opened` is without the data's head
 * @param encode {@link fileOf} for the page, `encodeModel` where bytes are wanted at once
 */
export const mergeReport = <File>(
  opened: Pick<OpenedModel, 'model' | 'sidecars'>,
  model: LoadedModel,
  { onnx, changed, written }: Merged,
  encode: (onnx: OnnxModel) => File,
): Omit<MergeReport, 'onnx'> & { readonly onnx: File } => ({
  onnx: encode(onnx),
  changedInitializers: differing(model.onnx, { onnx, changed }),
  written,
  rounds: roundsSomewhere(model.onnx),
  activations: model.activationsQuantised,
  sidecars: sidecarsOf(opened),
});

/**
 * A merged file beside those that say what its precision allows.
 * @param model the one that was adapted, unchanged
 * @param encode as of {@link mergeReport}
 */
export function parityFiles<File>(
  model: LoadedModel,
  merged: { readonly onnx: File; readonly written: readonly WrittenWeight[] },
  quantised: QuantisedMerge,
  encode: (onnx: OnnxModel) => File,
): ParityFiles<File> {
  // Weights that were rounded while loading stand in it as the trainer used them.
  const base = (): OnnxModel => mergeModel(model, new Map(), quantised).onnx;
  return {
    merged: merged.onnx,
    base: async () => encode(base()),
    async moved(seed) {
      const moved = lastBitsMoved(base(), model.modules, merged.written, seed);
      return moved && encode(moved);
    },
    rounds: roundsSomewhere(model.onnx),
    activations: model.activationsQuantised,
  };
}

/** Of the tensors that merging wrote, those whose bytes are others than the file's, and new ones. */
export function differing(base: OnnxModel, { onnx, changed }: Pick<Merged, 'onnx' | 'changed'>): string[] {
  const of = (model: OnnxModel, name: string): OnnxTensor | undefined =>
    model.graph.initializers.get(name) ?? model.graph.constants.get(name);
  return changed.filter((name) => {
    const [before, after] = [of(base, name), of(onnx, name)];
    if (!before || !after || before.byteLength !== after.byteLength) return true;
    const [a, b] = [before.bytes(), after.bytes()];
    return a.some((byte, i) => byte !== b[i]);
  });
}
