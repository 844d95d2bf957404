/** Adapters from the disk: a folder as PEFT saves it, a zip of one, several in either; `PATH#NAME` picks one by its name. And `papilio adapters`. */
import { join } from 'node:path';
import {
  DEFAULT_NAME,
  type Files,
  filesFromZip,
  isAdapterFile,
  type LoadedAdapter,
  readFolder,
  writeAdapter,
} from '../adapters.ts';
import { fail } from '../common.ts';
import { isZip } from '../data.ts';
import type { AdapterTensor } from '../methods.ts';
import { command, type OptionTable, type Values } from './options.ts';
import { kindOf, listFiles, readBytes } from './runtime.ts';
import { print } from './terminal.ts';

/** Every adapter of a folder, a zip or a single file, by name. Throws PapilioError as {@link readFolder}. */
async function readAdapters(path: string): Promise<Map<string, LoadedAdapter>> {
  const kind = await kindOf(path);
  if (kind === null)
    fail('not-found', `${path} does not exist; give an adapter's folder or a zip of it.`, { path });
  return readFolder(kind === 'folder' ? await filesBelow(path) : await filesIn(path));
}

async function filesIn(path: string): Promise<Files> {
  const bytes = await readBytes(path);
  return isZip(bytes) && !/\.(pt|pth|bin|ckpt)$/.test(path) ? filesFromZip(bytes) : new Map([[path, bytes]]);
}

async function filesBelow(folder: string): Promise<Files> {
  const files = new Map<string, Uint8Array>();
  for (const path of (await listFiles(folder)).filter(isAdapterFile))
    files.set(path, await readBytes(join(folder, path)));
  return files;
}

/**
 * One adapter: the only one, the one in the folder itself, or the one after `#`.
 *
 * @throws PapilioError 'bad-argument' with the names there are.
 */
export async function readOneAdapter(word: string): Promise<LoadedAdapter> {
  const hash = word.lastIndexOf('#');
  const path = hash > 0 ? word.slice(0, hash) : word;
  const adapters = await readAdapters(path);
  const names = [...adapters.keys()];
  const name = hash > 0 ? word.slice(hash + 1) : adapters.size === 1 ? names[0]! : DEFAULT_NAME;
  return (
    adapters.get(name) ??
    fail('bad-argument', `${path} holds the adapters ${names.join(', ')}; choose one with ${path}#NAME.`)
  );
}

// `papilio adapters DIR|ZIP [--json]`: what a folder or zip holds - every adapter's method, targets, numbers and what is odd about it.

const options = {
  json: { type: 'boolean', about: 'the same as JSON' },
} as const satisfies OptionTable;

export const adaptersCommand = command(
  {
    name: 'adapters',
    about:
      "Says what an adapter folder or zip holds: every adapter's method, targets, numbers and what is odd about it.",
    positionals: 'DIR|ZIP',
    options,
  },
  adapters,
);

async function adapters(values: Values<typeof options>, positionals: readonly string[]): Promise<number> {
  const [path] = positionals;
  if (path === undefined || positionals.length > 1)
    return fail('bad-argument', 'adapters needs one folder or zip: papilio adapters DIR.');
  const found = [...(await readAdapters(path))].map(([name, adapter]) => describe(name, adapter));
  print(values.json ? `${JSON.stringify(found)}\n` : `${found.map(lines).join('\n')}\n`);
  return 0;
}

const count = (tensors: Iterable<AdapterTensor>) =>
  [...tensors].reduce((sum, { data }) => sum + data.length, 0);

function describe(name: string, adapter: LoadedAdapter) {
  const { method, config, kept } = adapter;
  const own = [...adapter.tensors.values()].flatMap((params) => [...params.values()]);
  const saved = [...adapter.parameters.values()];
  const shared = [...(adapter.shared?.values() ?? [])];
  // Methods that train whole weights keep them among their modules' tensors and as parameters.
  const parameters = method.fileNames === 'any' ? { adapter: 0 } : { adapter: count(own) };
  return {
    name,
    method: method.id,
    title: method.title,
    baseModel: config.base_model_name_or_path,
    peftVersion: typeof kept.peft_version === 'string' ? kept.peft_version : null,
    targets: config.target_modules ?? null,
    modules: adapter.tensors.size,
    saved: [...adapter.parameters.keys()],
    parameters: { ...parameters, saved: count(saved), shared: count(shared) },
    dtypes: [...new Set([...own, ...saved, ...shared].map(({ dtype }) => dtype ?? 'F32'))],
    finite: [...own, ...saved, ...shared].every(({ data }) => data.every(Number.isFinite)),
    warnings: [...adapter.warnings, ...writeAdapter(adapter).warnings],
  };
}

function lines(found: ReturnType<typeof describe>): string {
  const { parameters, targets } = found;
  const rows: [string, string][] = [
    ['method', found.title],
    ['base model', found.baseModel ?? 'not said'],
    ['PEFT version', found.peftVersion ?? 'not said'],
    ['targets', targets === null ? 'the default of the model type' : [targets].flat().join(', ')],
    ['modules', String(found.modules)],
    [
      'parameters',
      `${parameters.adapter} in the adapter, ${parameters.saved} saved with it${parameters.shared > 0 ? `, ${parameters.shared} shared and frozen` : ''}; ${found.dtypes.join(', ') || 'none'}`,
    ],
    ...(found.saved.length > 0 ? [['saved', found.saved.join(', ')] as [string, string]] : []),
    ...(found.finite
      ? []
      : [
          ['beware', 'some numbers are not finite: a run diverged, or the file is damaged'] as [
            string,
            string,
          ],
        ]),
    ...found.warnings.map((warning): [string, string] => ['note', warning]),
  ];
  return `${found.name}\n${rows.map(([key, value]) => `  ${key.padEnd(13)} ${value}`).join('\n')}`;
}
