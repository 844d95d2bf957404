/** "Continue in Python": what a run in this room is to the project that goes on with it. */

import { readFolder } from '../adapters/folder.ts';
import { countPlan } from '../adapters/plan.ts';
import type { AdapterMethod } from '../adapters/types.ts';
import type { Dataset } from '../data/types.ts';
import type { InputFile } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import type { PythonProject } from '../python/base.ts';
import { pythonProject } from '../python/project.ts';
import type { Host } from './openModel.ts';
import type { EvalMetric, RunRequest } from './protocol.ts';
import type { Session } from './session.ts';
import { adapterFiles, type RunSetup, setUpRun } from './setup.ts';

interface RunEnd {
  readonly adapter: readonly InputFile[];
  /** Evaluated with the adapter's present weights; null where it was not. */
  readonly quality: EvalMetric | null;
}

/** What {@link evaluateHeld} measures on this data. */
function metricOf({ kind }: Dataset): EvalMetric['metric'] {
  if (kind === 'text' || kind === 'instruction') return 'perplexity';
  if (kind === 'masked-text') return 'pseudo-perplexity';
  return kind === 'text-value' ? 'rmse' : 'accuracy';
}

function projectOf(setup: RunSetup, { adapter, quality }: RunEnd): PythonProject {
  const { opened, model, dataset, batches, method, plan, training: settings } = setup;
  const { tokenizer } = opened;
  return pythonProject({
    ...{ modelName: opened.name, sidecars: opened.sidecars, batchOptions: batches.options },
    ...{ model, dataset, method, settings, adapter },
    trainable: countPlan(plan).stored,
    metric: metricOf(dataset),
    recorded: quality && {
      metric: quality.metric,
      value: quality.value,
      loss: quality.loss,
      step: quality.step,
      examples: quality.examples,
    },
    decode: tokenizer ? (ids) => tokenizer.decode(ids, { specials: true }) : null,
  });
}

/** Refuses files that are no adapter, or another method's than the run's. @throws PapilioError as reading an adapter does */
function requireAdapterOf(method: AdapterMethod, files: readonly InputFile[]): void {
  const named = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const [adapter] = readFolder(named).values();
  if (adapter!.method.id !== method.id)
    fail(
      'malformed-adapter',
      say`The run was trained with ${method.title}, and the adapter beside it is of ${adapter!.method.title}; give the folder as finetune has written it.`,
    );
}

/** The project of a run that is kept as files: its request, its adapter, and its last evaluation if that was at the end. */
export async function storedProject(request: RunRequest, host: Host, end: RunEnd): Promise<PythonProject> {
  const setup = await setUpRun(request, host);
  requireAdapterOf(setup.method, end.adapter);
  return projectOf(setup, end);
}

/** The project of an open run as it stands; it should not be playing. */
export async function sessionProject(session: Session): Promise<PythonProject> {
  const { step } = session.position();
  const quality = session.history.evals.findLast((e) => e.step === step) ?? null;
  const adapter = adapterFiles(await session.exportAdapter());
  return projectOf(session.setup, { adapter, quality: step === 0 ? null : quality });
}
