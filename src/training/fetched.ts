/** Models and data that are named and not given: from the Hub or an address, through what is kept. */

import { baseName, isOnnx } from '../hub/names.ts';
import { openSource } from '../hub/open.ts';
import type { Around, FetchedFile, HubSource, UrlSource } from '../hub/types.ts';
import { fail } from '../lib/errors.ts';
import { externalFiles } from '../onnx/decode.ts';
import type { NamedFile } from './protocol.ts';

type OnBytes = (done: number, total: number, what: string) => void;
type GetAround = (() => Promise<Around>) | undefined;

const require = (around: GetAround): Promise<Around> =>
  around?.() ?? fail('bad-argument', 'Nothing can be fetched here; give files.');

/** A model by its last names, as its tensors name each other, with all external data that the .onnx files ask for. */
export async function fetchModel(
  source: HubSource | UrlSource,
  around: GetAround,
  onBytes: OnBytes,
): Promise<NamedFile[]> {
  const { files, beside } = await openSource(source, 'model', await require(around), { onBytes });
  const named = (file: FetchedFile): NamedFile => ({ name: baseName(file.path), bytes: file.bytes });
  const out = files.map(named);
  const wanted = new Set(
    files.filter(({ path }) => isOnnx(path)).flatMap(({ bytes }) => externalFiles(bytes)),
  );
  const missing = [...wanted].filter((name) => !out.some((file) => file.name === name));
  if (missing.length === 0) return out;
  const more = await beside(missing);
  return [...out, ...more.map(({ bytes }, i) => ({ name: missing[i]!, bytes }))];
}

/** Data files by their paths, which may name classes and splits. */
export async function fetchData(
  source: HubSource | UrlSource,
  around: GetAround,
  onBytes: OnBytes,
): Promise<NamedFile[]> {
  const { files } = await openSource(source, 'dataset', await require(around), { onBytes });
  return files.map(({ path, bytes }) => ({ name: path, bytes }));
}
