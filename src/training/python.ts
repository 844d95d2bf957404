/** "Continue in Python": what a run in this room is to the project that goes on with it. */
import { validateForRun } from '../adapters/config.ts';
import { readFolder } from '../adapters/folder.ts';
import { chooseAdapter, countPlan, loadMethod } from '../adapters/plan.ts';
import { methodById } from '../adapters/registry.ts';
import type { AdapterMethod } from '../adapters/types.ts';
import type { Dataset } from '../data/types.ts';
import { fail } from '../lib/errors.ts';
import type { LoadedModel } from '../models/load.ts';
import type { PythonProject } from '../python/base.ts';
import { pythonProject } from '../python/project.ts';
import type { BatchPlan } from './batchPlan.ts';
import { type Host, type OpenedModel, openModel } from './openModel.ts';
import type { EvalMetric, NamedFile, RunRequest } from './protocol.ts';
import type { Session } from './session.ts';
import type { TrainingSettings } from './settings.ts';
import { beginsWith, readStart, trainingOf } from './setup.ts';
import { prepareTask } from './task.ts';

interface RunParts {
  readonly opened: OpenedModel;
  /** With the classes of the data. */
  readonly model: LoadedModel;
  readonly dataset: Dataset;
  readonly batches: BatchPlan;
  readonly method: AdapterMethod;
  readonly settings: TrainingSettings;
  readonly adapter: readonly NamedFile[];
  readonly trainable: number;
  /** Evaluated with the adapter's present weights; null where it was not. */
  readonly quality: EvalMetric | null;
}

/** What {@link evaluateHeld} measures on this data. */
function metricOf({ kind }: Dataset): EvalMetric['metric'] {
  if (kind === 'text' || kind === 'instruction') return 'perplexity';
  if (kind === 'masked-text') return 'pseudo-perplexity';
  return kind === 'text-value' ? 'rmse' : 'accuracy';
}

/** The project of a run that is kept as parts, without a device. */
function projectOf(parts: RunParts): PythonProject {
  const { opened, model, dataset, batches, quality } = parts;
  const { tokenizer } = opened;
  return pythonProject({
    modelName: opened.name,
    model,
    sidecars: opened.sidecars,
    dataset,
    batchOptions: batches.options,
    method: parts.method,
    settings: parts.settings,
    adapter: parts.adapter,
    trainable: parts.trainable,
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
function requireAdapterOf(method: AdapterMethod, files: readonly NamedFile[]): void {
  const named = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const [adapter] = readFolder(named).values();
  if (adapter!.method.id !== method.id)
    fail(
      'malformed-adapter',
      `The run was trained with ${method.title}, and the adapter beside it is of ${adapter!.method.title}; give the folder as finetune has written it.`,
    );
}

/** The parts of a run that is kept as files: its request, its adapter, and its last evaluation if that was at the end. */
export async function storedProject(
  request: RunRequest,
  host: Host,
  end: { readonly adapter: readonly NamedFile[]; readonly quality: EvalMetric | null },
): Promise<PythonProject> {
  const method = methodById(request.method);
  const first = await openModel(request.model, host);
  const task = await prepareTask(first, request.data, request.training, host);
  const { opened, model, data, dataset, batches } = task;
  const start = await readStart(request);
  const { config } = start
    ? start.loaded
    : validateForRun(method, beginsWith(request, model, data.task).config, batches.totalSteps);
  const { plan } = chooseAdapter(await loadMethod(method), config, model.targets, model.parameters);
  requireAdapterOf(method, end.adapter);
  return projectOf({
    opened,
    model,
    dataset,
    batches,
    method,
    settings: trainingOf(request, task, plan),
    trainable: countPlan(plan).stored,
    ...end,
  });
}

/** Files as the export of an adapter gives them. */
const adapterFiles = (files: {
  readonly 'adapter_config.json': string;
  readonly 'adapter_model.safetensors': Uint8Array;
}): NamedFile[] => [
  { name: 'adapter_config.json', bytes: new TextEncoder().encode(files['adapter_config.json']) },
  { name: 'adapter_model.safetensors', bytes: files['adapter_model.safetensors'] },
];

/** The project of an open run as it stands; it should not be playing. */
export async function sessionProject(session: Session): Promise<PythonProject> {
  const { opened, model, dataset, batches, plan } = session;
  const { step } = session.position();
  const quality = session.history.evals.findLast((e) => e.step === step) ?? null;
  return projectOf({
    opened,
    model,
    dataset,
    batches,
    method: plan.method,
    settings: session.setup.training,
    adapter: adapterFiles(await session.exportAdapter()),
    trainable: session.counts.stored,
    quality: step === 0 ? null : quality,
  });
}
