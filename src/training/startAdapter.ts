/** The adapter that a run goes on from: its two files, read, held against the model, in the engine's layout. */
import { fitAdapter } from '../adapters/fit.ts';
import { type Adapter, type LoadedAdapter, readAdapter } from '../adapters/peft.ts';
import type { AdapterTensor } from '../adapters/types.ts';
import { fail } from '../lib/errors.ts';
import type { LoadedModel } from '../models/load.ts';
import { hashOf } from './checkpoint.ts';
import type { NamedFile, RunRequest } from './protocol.ts';
import { fromTorch } from './torchLayout.ts';

const CONFIG = 'adapter_config.json';
const TENSORS = 'adapter_model.safetensors';

export interface StartAdapter {
  readonly loaded: LoadedAdapter;
  /** SHA-256 of both files. */
  readonly hash: string;
}

/**
 * @returns null for a run that begins as its method does
 * @throws PapilioError 'not-found' where a file is missing, 'bad-argument' when it is of another method than the run; as {@link readAdapter}
 */
export async function readStart(request: RunRequest): Promise<StartAdapter | null> {
  const { adapter: files, method } = request;
  if (!files) return null;
  const bytesOf = (name: string): Uint8Array =>
    find(files, name)?.bytes ??
    fail(
      'not-found',
      `The adapter to go on from has no ${name}; give both ${CONFIG} and ${TENSORS}, as PeftModel.save_pretrained writes them.`,
    );
  const [config, tensors] = [bytesOf(CONFIG), bytesOf(TENSORS)];
  const loaded = readAdapter(new TextDecoder().decode(config), tensors);
  if (loaded.method.id !== method) {
    fail(
      'bad-argument',
      `The adapter to go on from is ${loaded.method.title}, but the run is asked to train ${method}; leave the method out, or choose ${loaded.method.id}.`,
    );
  }
  return { loaded, hash: await hashOf([config, tensors]) };
}

const find = (files: readonly NamedFile[], name: string): NamedFile | undefined =>
  files.find((f) => f.name === name || f.name.endsWith(`/${name}`));

/** @throws PapilioError 'malformed-adapter', 'illegal-config' or 'no-target' when it does not belong to the model */
export function fitStart(
  { loaded }: StartAdapter,
  model: LoadedModel,
): {
  readonly adapter: Adapter;
  /** Weights of the base model that the file holds. */
  readonly brought: ReadonlyMap<string, AdapterTensor>;
  readonly warnings: readonly string[];
} {
  const adapter = fromTorch(loaded, model.modules);
  const shapes = new Map(model.parameters.map((p) => [p.name, p.shape]));
  const fit = fitAdapter({ ...loaded, ...adapter }, model.targets, shapes);
  // What targets match is said once, by the run.
  const known = new Set(fit.selection.warnings);
  const brought = new Map(fit.brought.map((name) => [name, adapter.parameters.get(name)!]));
  return { adapter, brought, warnings: [...loaded.warnings, ...fit.warnings.filter((w) => !known.has(w))] };
}
