/** What `finetune` trains: a method begun anew by --method and --config, or the adapter in the folder of --adapter, gone on with. */
import { join } from 'node:path';
import { readAdapter } from '../adapters/peft.ts';
import { methodById } from '../adapters/registry.ts';
import { DEFAULT_METHOD } from '../adapters/start.ts';
import { fail } from '../lib/errors.ts';
import type { NamedFile, RunRequest } from '../training/protocol.ts';
import { adapterConfig, type FinetuneValues } from './finetuneOptions.ts';
import { readBytes } from './runtime.ts';

/** @throws PapilioError 'bad-argument' for flags that contradict each other; as reading an adapter does */
export async function startFrom(
  values: Pick<FinetuneValues, 'adapter' | 'method' | 'config'>,
): Promise<Pick<RunRequest, 'method' | 'config' | 'adapter'>> {
  const { adapter: folder, method, config } = values;
  if (folder === undefined)
    return {
      method: method === undefined ? DEFAULT_METHOD : methodById(method).id,
      config: await adapterConfig(config),
    };
  if (config !== undefined)
    return fail(
      'bad-argument',
      "--adapter brings its own configuration; leave --config out, or change the folder's adapter_config.json.",
    );
  const files: NamedFile[] = await Promise.all(
    ['adapter_config.json', 'adapter_model.safetensors'].map(async (name) => ({
      name,
      bytes: await readBytes(join(folder, name)),
    })),
  );
  const json = new TextDecoder().decode(files[0]!.bytes);
  const own = readAdapter(json, files[1]!.bytes).method.id;
  if (method !== undefined && method !== own)
    return fail(
      'bad-argument',
      `The adapter in ${folder} is of ${own}, not of ${method}; leave --method out.`,
    );
  return { method: methodById(own).id, config: JSON.parse(json) as Record<string, unknown>, adapter: files };
}
