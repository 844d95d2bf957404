/** run.json, as far as other commands read it: what `finetune` noted of a run. */
import { join } from 'node:path';
import { z } from 'zod';
import { checkMapping } from '../data/files/columns.ts';
import { fail, PapilioError, passOn } from '../lib/errors.ts';
import { jsonOf } from '../lib/json.ts';
import type { DataOptions, EvalMetric } from '../training/protocol.ts';
import { evalsOf, issueOf, UnfitRecord } from '../training/records.ts';
import { type TrainingSettings, trainingSchema } from '../training/settings.ts';
import { checkTask } from '../training/tasks.ts';
import { readText } from './runtime.ts';

export interface RunRecord {
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
      mapping: z.record(z.string(), z.unknown()),
      task: z.string(),
      keepClasses: z.boolean(),
      padding: z.enum(['length', 'longest']),
    })
    .partial()
    .default({}),
  method: z.string(),
  config: z.record(z.string(), z.unknown()),
  training: trainingSchema,
  steps: z.int().min(0),
  evaluations: z.array(z.unknown()),
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
    json = jsonOf(text, path);
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
