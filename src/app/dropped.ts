/** A dropped folder of a model, as the Hub's are laid out, to the flat files that a model is loaded from. */
import { filesOf, nameBeside, variantsOf } from '../hub/layout.ts';
import { sizeOf } from '../training/givenFiles.ts';
import type { GivenFile } from '../training/protocol.ts';

/**
 * Files with folders in their names: the most exact model of them with its external data and the nearest sidecars, by their last names. Files
 * without folders are taken as they are, since a person chose each.
 */
export function flatModel<File extends GivenFile>(files: readonly File[]): File[] {
  if (!files.some(({ name }) => name.includes('/'))) return [...files];
  const listed = files.map((file) => ({ path: file.name, size: sizeOf(file), sha256: null, oid: '' }));
  const [best] = variantsOf(listed);
  const wanted = best === undefined ? listed : filesOf(best.onnx, listed);
  return wanted.map(({ path }) => ({ ...files.find(({ name }) => name === path)!, name: nameBeside(path) }));
}
