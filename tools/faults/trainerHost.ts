/**
 * A trainer in a worker, as the page has it, that is ended in the middle: what was kept last opens a new one. In Node the worker is a thread,
 * in Deno a web worker. What is kept lies in a file, as the page's lies in its database, since a worker that ends while drivers compute may take
 * the process with it. Arguments: the model, the data, the folder of the undisturbed run, that of the result, steps of a part, and the moments
 * as JSON.
 */
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker as Thread } from 'node:worker_threads';
import { type Endpoint, proxy, type Remote, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter';
import type { MethodId } from '../../src/adapters/registry.ts';
import { readRunRecord } from '../../src/cli/python.ts';
import { kindOf, readBytes, writeBytes } from '../../src/cli/runtime.ts';
import { cliHost, dataSource, modelSource } from '../../src/cli/sources.ts';
import { serve } from '../../src/lib/workers.ts';
import { decodeCheckpoint } from '../../src/training/checkpoint.ts';
import type { RunRequest, StepMetric, TrainerApi, TrainerEvent } from '../../src/training/protocol.ts';
import { createTrainer } from '../../src/training/trainer.ts';

/** When a worker ends: so long after a step is heard of. */
interface Moment {
  readonly after: number;
  readonly ms: number;
}

const KEPT = 'kept.safetensors';
const isDeno = 'Deno' in globalThis;
const isWorker = isDeno ? 'WorkerGlobalScope' in globalThis : !isMainThread;

if (isWorker) {
  const endpoint = isDeno ? (globalThis as unknown as Endpoint) : nodeEndpoint(parentPort!);
  serve(createTrainer(cliHost), [], endpoint);
} else await host();

function hire(): { readonly api: Remote<TrainerApi>; end(): Promise<unknown> } {
  if (isDeno) {
    const worker = new Worker(import.meta.url, { type: 'module' });
    return { api: wrap<TrainerApi>(worker), end: async () => worker.terminate() };
  }
  const thread = new Thread(fileURLToPath(import.meta.url));
  return { api: wrap<TrainerApi>(nodeEndpoint(thread)), end: () => thread.terminate() };
}

async function host(): Promise<void> {
  const [model, data, run, folder, part, moments] = process.argv.slice(2) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const record = await readRunRecord(run);
  const request: RunRequest = {
    model: await modelSource(model),
    data: await dataSource(data),
    method: record.method as MethodId,
    config: record.config,
    training: record.training,
  };
  const ends = JSON.parse(moments) as Moment[];
  const lost: number[] = [];
  for (;;) {
    const { heard, losses, files } = await live(request, join(folder, KEPT), Number(part), ends.shift());
    if (files) {
      await writeBytes(join(folder, 'result.json'), JSON.stringify({ losses, lost, files }));
      process.exit(0);
    }
    const kept = await readKept(join(folder, KEPT));
    lost.push(heard - (kept ? (await decodeCheckpoint(kept)).step : 0));
    process.stderr.write('fault: the worker is ended\n');
  }
}

async function readKept(path: string): Promise<Uint8Array | undefined> {
  return (await kindOf(path)) === 'file' ? readBytes(path) : undefined;
}

interface Life {
  readonly heard: number;
  readonly losses: readonly number[];
  /** Base64 of the adapter, where the run came to its end. */
  readonly files: Readonly<Record<string, string>> | null;
}

/** One worker, from its beginning to its end or that of the run. */
async function live(
  request: RunRequest,
  path: string,
  part: number,
  moment: Moment | undefined,
): Promise<Life> {
  const { api, end } = hire();
  const checkpoint = await readKept(path);
  let heard = 0;
  const steps: StepMetric[] = [];
  let settle: {
    readonly over: (life: 'ended' | 'finished') => void;
    readonly failed: (error: unknown) => void;
  };
  const gone = new Promise<'ended' | 'finished'>((over, failed) => {
    settle = { over, failed };
  });
  let isEnding = false;
  const maybeEnd = (): void => {
    if (!moment || isEnding || heard < moment.after) return;
    isEnding = true;
    setTimeout(() => void end().then(() => settle.over('ended')), moment.ms);
  };
  // What was asked of a worker that is gone is not answered.
  const failed = (error: unknown): void => void (isEnding || settle.failed(error));
  const next = async (): Promise<void> => {
    if (heard > 0 && heard % part === 0) await writeBytes(path, await api.checkpoint());
    await api.step();
  };
  const onEvent = (event: TrainerEvent): void => {
    if (event.type === 'open') {
      steps.unshift(...event.report.history.steps);
      heard = event.report.resumedAt;
      maybeEnd();
    }
    if (event.type === 'error') failed(new Error(event.error.message));
    if (event.type === 'step') {
      steps.push(event.metric);
      heard = event.metric.step;
      process.stderr.write(`heard of ${heard}\n`);
      maybeEnd();
    }
    if (event.type === 'state' && event.state === 'paused') next().catch(failed);
    if (event.type === 'state' && event.state === 'finished') settle.over('finished');
  };
  const open = async (): Promise<void> => {
    await api.open(request, proxy(onEvent), checkpoint);
    await api.step();
  };
  open().catch(failed);
  maybeEnd();
  const how = await gone;
  if (how === 'ended') return { heard, losses: [], files: null };
  const { files } = await api.exportAdapter();
  const encoded = files.map(({ name, bytes }) => [name, Buffer.from(bytes).toString('base64')]);
  return { heard, losses: steps.map((s) => s.loss), files: Object.fromEntries(encoded) };
}
