/** `papilio finetune`: the whole loop without a page - open, train, evaluate; finetuneResult.ts merges, checks and writes. */
import { join, resolve } from 'node:path';
import { readAdapter } from '../adapters.ts';
import { fail, type InputFile, PapilioError } from '../common.ts';
import { DEFAULT_METHOD, methodById } from '../methods.ts';
import type { EvalMetric, ModelSource, RunRequest } from '../protocol.ts';
import { type Backend, openSession, reportData, type Session } from '../trainer.ts';
import { openEngine } from './engine.ts';
import {
  adapterConfig,
  budgetBytes,
  DATA_NOTES,
  dataOptions,
  type FinetuneValues,
  options,
  trainingSettings,
} from './finetuneOptions.ts';
import {
  checkpointIn,
  createKeeper,
  type Part,
  partOf,
  saveUnfinished,
  trainInParts,
  whatIsKept,
} from './finetuneParts.ts';
import { finishRun, type RunOfCommand, scoreOf, settingsOf } from './finetuneResult.ts';
import { describeForecast, forecastBefore, forecastOf } from './forecast.ts';
import { command } from './options.ts';
import { type OutFolder, refuseOlder, requireRoom, type WantedOut, withOut } from './outFolder.ts';
import { PROJECT_HOLDS } from './python.ts';
import { kindOf, readBytes } from './runtime.ts';
import { cliHost, dataSource, modelSource } from './sources.ts';
import { note, print, progressBar, wordsOf } from './terminal.ts';

export const finetuneCommand = command(
  {
    name: 'finetune',
    about:
      'Trains an adapter, evaluates on held-out examples, merges it and checks the merged file against onnxruntime.',
    options,
    notes: DATA_NOTES,
  },
  finetune,
);

async function finetune(values: FinetuneValues): Promise<number> {
  const part = partOf(values['checkpoint-every']);
  if (values.forecast) {
    const request = await requestOf(values);
    return withEngine(values, (on) => forecastOnly(values, request, on));
  }
  const resume = await resumedFrom(values);
  // What cannot be written is found out before an hour of training.
  const isAgain = values.resume === '';
  return withOut(placesOf({ ...values, resume }, isAgain), async (places) => {
    const request = await requestOf(values);
    await roomForModel(request.model, places);
    const checkpoint = resume === undefined ? null : await readBytes(resume);
    return withEngine(values, (on) =>
      train({ ...values, resume }, request, on, { checkpoint, part, places }),
    );
  });
}

async function withEngine(values: FinetuneValues, use: (on: Backend) => Promise<number>): Promise<number> {
  const on = await openEngine(values);
  try {
    return await use(on);
  } finally {
    on.close();
  }
}

/** The checkpoint that the run goes on from. `--resume` alone is the same command again, also for a run that was killed before it kept any. */
async function resumedFrom({ resume, out }: FinetuneValues): Promise<string | undefined> {
  if (resume !== '') {
    if (resume !== undefined && (await kindOf(resume)) === null)
      fail(
        'not-found',
        `${resume} cannot be read: there is no such file. --resume alone takes the checkpoint in --out.`,
        { path: resume },
      );
    return resume;
  }
  const own = checkpointIn(out);
  if ((await kindOf(own)) === 'file') return own;
  note(`There is no checkpoint in ${out}: the run begins at its first step.\n`);
  return undefined;
}

interface Beginning {
  readonly checkpoint: Uint8Array | null;
  readonly part: Part;
  readonly places: readonly OutFolder[];
}

/** A run that goes on from an adapter begins with it; one that is resumed has noted how that was. */
async function scoreAtStart(session: Session): Promise<EvalMetric> {
  const { evals } = session.history;
  if (session.position().step === 0 && evals.length === 0) evals.push(await session.evaluate('adapted'));
  return evals.find(({ step }) => step === 0) ?? session.evaluate('base');
}

async function requestOf(values: FinetuneValues): Promise<RunRequest> {
  const start = await startFrom(values);
  const budget = budgetBytes(values.budget);
  return {
    model: { ...(await modelSource(values.model)), precision: values.precision },
    data: { ...(await dataSource(values.data)), ...dataOptions(values) },
    ...start,
    training: trainingSettings(values, start.method),
    ownRate: values.lr === undefined,
    ...(values.recompute ? { recompute: true } : {}),
    ...(budget === undefined ? {} : { budgetBytes: budget }),
  };
}

async function forecastOnly(values: FinetuneValues, request: RunRequest, on: Backend): Promise<number> {
  const report = await forecastOf(on, request, request.budgetBytes);
  print(values.json ? `${JSON.stringify(report)}\n` : `${describeForecast(report).join('\n')}\n`);
  return report.refusal === null ? 0 : 1;
}

async function train(
  values: FinetuneValues,
  request: RunRequest,
  on: Backend,
  { checkpoint, part, places }: Beginning,
): Promise<number> {
  const bar = progressBar('train', { isQuiet: values.json });
  const say = (line: string): void => {
    if (!values.json) print(`${line}\n`);
  };
  const session = await openSession(
    on,
    request,
    cliHost,
    (event) => {
      if (event.type === 'step') bar.update(event.metric.step, total, wordsOf(event.metric));
      if (event.type === 'eval') bar.log(`step ${event.metric.step}: held-out ${scoreOf(event.metric)}`);
    },
    checkpoint ? { checkpoint } : {},
  );
  const { step: begun, total } = session.position();
  const { training } = session.setup;
  const own = checkpointIn(values.out);
  const isThere = values.resume !== undefined && resolve(values.resume) === resolve(own);
  const keeper = createKeeper(session, own, isThere ? begun : null, (line) => bar.log(line));
  try {
    if (!values.overwrite && values.resume === undefined)
      await refuseOlder(
        values.out,
        session.opened.sidecars.map(({ name }) => name),
      );
    await roomForRun(session, places);
    const data = reportData(session.data, session.batches.options);
    for (const line of [...data.notes, ...session.warnings]) note(`${line}\n`);
    say(
      `${request.method}${request.adapter === undefined && values.method === undefined ? ' (no --method given)' : ''}: ${session.counts.stored} trainable numbers (${session.counts.free} free), ${total} steps of ${training.batchSize * training.gradientAccumulation} at rate ${training.learningRate}`,
    );
    const forecast = await forecastBefore(on, session.setup);
    const before = { ...(await session.evaluate('base')), step: 0 };
    say(`before: held-out ${scoreOf(before)}`);
    const start = request.adapter ? await scoreAtStart(session) : before;
    if (start !== before) say(`with the adapter as given: held-out ${scoreOf(start)}`);
    if (begun > 0)
      say(begun < total ? `goes on after step ${begun}` : 'every step was done: writes the results again');
    const ended = await trainInParts(session, keeper, part);
    bar.end();
    const run: RunOfCommand = { values, request, on, data, forecast, before, start };
    return ended.kind === 'finished'
      ? await finishRun(session, run, say).catch((error: unknown) => {
          if (!(error instanceof PapilioError) || error.kind === 'internal') throw error;
          const { kind, message, details } = error;
          throw new PapilioError(kind, `${message} ${whatIsKept(keeper, values.out)}`, details);
        })
      : await saveUnfinished(session, keeper, ended, values.out, {
          ...settingsOf(session, run),
          evaluations: [before, ...session.history.evals],
        });
  } finally {
    await session.close();
  }
}

/**
 * What is trained: a method begun anew by --method and --config, or the adapter in the folder of --adapter, gone on with.
 * @throws PapilioError 'bad-argument' for flags that contradict each other; as reading an adapter does
 */
async function startFrom(values: FinetuneValues): Promise<Pick<RunRequest, 'method' | 'config' | 'adapter'>> {
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
  const files: InputFile[] = await Promise.all(
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

// Where it writes, and how much of it: known and tried before it trains.

/** The files that a model folder for the Hub is known by. */
const HUB_HOLDS = ['onnx', 'config.json'];

/** The places of --out, --folder and --python. */
function placesOf({ out, folder, python, overwrite, resume }: FinetuneValues, isAgain: boolean): WantedOut[] {
  // The same command again finds there what it wrote itself.
  const again = overwrite || resume !== undefined;
  return [
    { path: out, overwrite, resume, isAgain },
    ...(folder === undefined ? [] : [{ path: folder, overwrite: again, holds: HUB_HOLDS }]),
    ...(python === undefined ? [] : [{ path: python, overwrite: again, holds: PROJECT_HOLDS }]),
  ];
}

const WHAT = 'The run (a merged model in each folder, adapter and checkpoint)';
/** Figures, curve and small files beside the model. */
const SMALL = 2 ** 20;
/** A checkpoint holds a weight with the moments of its optimiser, and lies beside the older one while it is written. */
const PER_WEIGHT = 4 * (1 + 2 * 3);

/** The model alone, as far as its files tell before they are read. @throws PapilioError 'quota' */
async function roomForModel(source: ModelSource, places: readonly OutFolder[]): Promise<void> {
  if (source.kind !== 'files') return;
  const bytes = source.files.reduce(
    (sum, file) => sum + (file.bytes instanceof Blob ? file.bytes.size : file.bytes.length),
    0,
  );
  await requireRoom(
    places.map(({ folder }) => ({ folder, bytes })),
    WHAT,
  );
}

/** Everything, once it is known what is trained. @throws PapilioError 'quota' */
async function roomForRun({ opened, counts }: Session, places: readonly OutFolder[]): Promise<void> {
  const model = [...opened.bytes, ...opened.sidecars.map(({ bytes }) => bytes)];
  const size = model.reduce((sum, { length }) => sum + length, 0);
  await requireRoom(
    places.map(({ folder }) => ({ folder, bytes: size + counts.stored * PER_WEIGHT + SMALL })),
    WHAT,
  );
}
