/** Models and data that are named and not given: from the Hub or an address, through what is kept. */
import { nameBeside } from '../hub/layout.ts';
import { isOnnx } from '../hub/names.ts';
import { openSource } from '../hub/open.ts';
import type { CachedFile, HubHost, HubSource, Transfer, UrlSource } from '../hub/types.ts';
import type { InputFile } from '../lib/bytes.ts';
import { externalFiles } from '../onnx/decode.ts';

/**
 * Downloads a model: its .onnx files, sidecars, and all external data that the .onnx files ask for by name. Nothing is read but the .onnx
 * files. Files are called by their last names, as a model's tensors call them; see {@link nameBeside}.
 */
export async function downloadModel(
  source: HubSource | UrlSource,
  hubHost: HubHost,
  transfer: Transfer = {},
): Promise<{ readonly name: string; readonly read: CachedFile['read'] }[]> {
  const { files, beside } = await openSource(source, 'model', hubHost, transfer);
  const out = files.map(({ path, read }) => ({ name: nameBeside(path), read }));
  const wanted = new Set<string>();
  for (const { path, read } of files)
    if (isOnnx(path)) for (const name of externalFiles(await read())) wanted.add(name);
  const missing = [...wanted].filter((name) => !out.some((file) => file.name === name));
  if (missing.length === 0) return out;
  const more = await beside(missing);
  return [...out, ...more.map(({ read }, i) => ({ name: missing[i]!, read }))];
}

export async function fetchModel(
  source: HubSource | UrlSource,
  hubHost: HubHost,
  transfer: Transfer,
): Promise<InputFile[]> {
  const out: InputFile[] = [];
  for (const { name, read } of await downloadModel(source, hubHost, transfer))
    out.push({ name, bytes: await read() });
  return out;
}

/** Data files by their paths, which may name classes and splits. */
export async function fetchData(source: HubSource | UrlSource, hubHost: HubHost): Promise<InputFile[]> {
  const { files } = await openSource(source, 'dataset', hubHost);
  const out: InputFile[] = [];
  for (const { path, read } of files) out.push({ name: path, bytes: await read() });
  return out;
}
