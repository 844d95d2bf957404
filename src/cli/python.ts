/** `papilio python --run DIR --out DIR`: the Python project that goes on with a run that `finetune` left in a folder. */
import { join } from 'node:path';
import { methodById } from '../adapters/registry.ts';
import type { PythonProject } from '../python/types.ts';
import { storedProject } from '../training/python.ts';
import { command, type OptionTable, overwriteOption, type Values } from './options.ts';
import { requireRoom, withOut } from './outFolder.ts';
import { readRunRecord } from './runRecord.ts';
import { readBytes, writeInto } from './runtime.ts';
import { dataSource, modelSource, surroundings } from './sources.ts';
import { note, print } from './terminal.ts';

/** The files that a project is known by. */
export const PROJECT_HOLDS = ['README.md', 'settings.py'];

/** Writes a project's files below a folder. */
export async function writeProject(project: PythonProject, out: string): Promise<void> {
  for (const { name, bytes } of project.files) await writeInto(out, name, bytes);
}

const options = {
  run: { type: 'string', required: true, value: 'DIR', about: 'the folder that finetune wrote' },
  out: { type: 'string', required: true, value: 'DIR', about: 'where the project goes' },
  model: { type: 'string', about: 'where the model lies now', otherwise: 'where the run found it' },
  overwrite: overwriteOption,
  data: { type: 'string', about: 'where the data lie now', otherwise: 'where the run found them' },
} as const satisfies OptionTable;

export const pythonCommand = command(
  {
    name: 'python',
    about:
      'Writes the Python project that goes on with a run of finetune: scripts with transformers, peft and accelerate, the adapter, the data, the base model.',
    options,
  },
  python,
);

type PythonValues = Values<typeof options>;

function python(values: PythonValues): Promise<number> {
  return withOut([{ path: values.out, overwrite: values.overwrite, holds: PROJECT_HOLDS }], () =>
    pythonInto(values),
  );
}

async function pythonInto(values: PythonValues): Promise<number> {
  const { run: folder, out } = values;
  const run = await readRunRecord(folder);
  const files = ['adapter_config.json', 'adapter_model.safetensors'];
  const project = await storedProject(
    {
      model: await modelSource(values.model ?? run.model),
      data: { ...(await dataSource(values.data ?? run.data)), options: run.dataOptions },
      method: methodById(run.method).id,
      config: run.config,
      training: run.training,
    },
    surroundings,
    {
      adapter: await Promise.all(
        files.map(async (name) => ({ name, bytes: await readBytes(join(folder, name)) })),
      ),
      quality: run.evaluations.findLast((e) => e.step === run.steps) ?? null,
    },
  );
  const bytes = project.files.reduce((sum, file) => sum + file.bytes.length, 0);
  await requireRoom([{ folder: out, bytes }], 'The project');
  await writeProject(project, out);
  for (const warning of project.warnings) note(`${warning}\n`);
  print(`written to ${out}; start with its README.md\n`);
  return 0;
}
