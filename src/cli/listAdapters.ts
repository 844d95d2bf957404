/** `papilio adapters DIR|ZIP [--json]`: what a folder or zip holds - every adapter's method, targets, numbers and what is odd about it. */
import type { LoadedAdapter } from '../adapters/peft.ts';
import { writeAdapter } from '../adapters/peft.ts';
import type { AdapterTensor } from '../adapters/types.ts';
import { fail } from '../lib/errors.ts';
import { readAdapters } from './adapterFiles.ts';
import { command, type OptionTable, type Values } from './options.ts';
import { print } from './terminal.ts';

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
