/** `papilio python --run DIR --out DIR`: the Python project that goes on with a run that `finetune` left in a folder, read from its run.json. */
import { join } from 'node:path';
import { createBudget, fail, jsonOf, PapilioError, passOn } from '../common.ts';
import { checkMapping } from '../data.ts';
import { givenFields, methodById } from '../methods.ts';
import { type DataOptions, type EvalMetric, type TrainingSettings, trainingSchema } from '../protocol.ts';
import { z } from '../schema.ts';
import {
  checkTask,
  entryList,
  evalsOf,
  issueOf,
  type PythonProject,
  storedProject,
  UnfitRecord,
} from '../trainer.ts';
import { command, type OptionTable, overwriteOption, type Values } from './options.ts';
import { requireRoom, withOut } from './outFolder.ts';
import { readBytes, readText, writeInto } from './runtime.ts';
import { cliHost, dataSource, modelSource } from './sources.ts';
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
    cliHost,
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

/** run.json as far as it is read. */
interface RunRecord {
  readonly model: string;
  readonly data: string;
  readonly dataOptions: DataOptions;
  readonly method: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly training: TrainingSettings;
  readonly steps: number;
  readonly evaluations: readonly EvalMetric[];
}

const schema = z.object({
  model: z.string(),
  data: z.string(),
  /** How the data was read; absent in runs of older versions. */
  dataOptions: z
    .strictObject({
      header: z.boolean(),
      delimiter: z.string().length(1),
      quotes: z.boolean(),
      decimal: z.enum(['point', 'comma']),
      mapping: givenFields,
      task: z.string(),
      keepClasses: z.boolean(),
      padding: z.enum(['length', 'longest']),
    })
    .partial()
    .default({}),
  method: z.string(),
  config: givenFields,
  training: trainingSchema,
  steps: z.int().min(0),
  evaluations: entryList,
});

/** @throws PapilioError 'not-found' or 'malformed-file' naming the file and the field */
export async function readRunRecord(folder: string): Promise<RunRecord> {
  const path = join(folder, 'run.json');
  const text = await readText(path);
  const refuse = (why: string): never =>
    fail(
      'malformed-file',
      `${path} is not what finetune writes (${why}); give a folder that it has written.`,
    );
  let json: unknown;
  try {
    json = jsonOf(text, path, createBudget('settingsBytes', text.length));
  } catch (cause) {
    passOn(cause);
    return refuse('no JSON');
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) return refuse(issueOf(parsed.error));
  const { dataOptions, ...run } = parsed.data;
  try {
    return {
      ...run,
      dataOptions: checked(dataOptions),
      evaluations: evalsOf(run.evaluations, 'evaluations'),
    };
  } catch (error) {
    if (error instanceof UnfitRecord || (error instanceof PapilioError && error.kind === 'bad-argument'))
      return refuse(error.message);
    throw error;
  }
}

/** Roles and tasks that there are. @throws PapilioError 'bad-argument' */
function checked(options: z.output<typeof schema>['dataOptions']): DataOptions {
  const { mapping, task, ...table } = options;
  return {
    ...(table as DataOptions),
    ...(mapping === undefined ? {} : { mapping: checkMapping(mapping) }),
    ...(task === undefined ? {} : { task: checkTask(task) }),
  };
}
