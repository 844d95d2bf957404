/**
 * Every op's cases on the visitor's own engine, in a device of their own, so that what fails there leaves an open run alone. Loaded only when it is
 * asked for: references and cases come with it.
 */

import { type Device, openDevice } from '../gpu/device.ts';
import { checkOf } from '../graph/interpret.ts';
import { schedule } from '../graph/schedule.ts';
import type { AnyOp, Caps, DeviceData, Graph, Tensor } from '../graph/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { halfToFloat32 } from '../lib/half.ts';
import { say } from '../lib/say.ts';
import { othersTurn } from '../lib/turn.ts';
import { encodeModel } from '../onnx/encode.ts';
import type { OrtRuntime } from '../onnxruntime/runtime.ts';
import { toOnnx } from '../onnxruntime/toOnnx.ts';
import { ops } from '../ops/checks.ts';
import { type CheckEngine, type Limit, limited, MOST_UNANSWERED } from './checkEngine.ts';
import type {
  CheckKind,
  CheckResult,
  DeviceCheckEvent,
  DeviceCheckReport,
  OpCheckRow,
  WorstCheck,
} from './checkReport.ts';
import { toDevice } from './checkTensors.ts';
import { runOnce } from './graphRuns.ts';
import { checkOp, type OpChecks } from './opCheck.ts';
import type { Host } from './openModel.ts';
import type { EngineName } from './protocol.ts';

/** @param caps narrows what the device offers */
export function gpuChecks(device: Device, caps: Caps = device.caps): CheckEngine {
  return {
    keepsWeights: false,
    async messages(graph) {
      const messages: string[] = [];
      for (const step of schedule(graph, caps).steps)
        if (step.kind === 'dispatch') messages.push(...(await device.pipelines.messages(step.dispatch)));
      return messages;
    },
    async run(graph, feeds, states) {
      const inputs = Object.fromEntries(graph.inputs.map(({ name }) => [name, toDevice(feeds.get(name)!)]));
      const read = await runOnce(device, schedule(graph, caps), inputs, Object.keys(graph.outputs), states);
      return Object.fromEntries(
        Object.entries(read).map(([name, data]) => [name, asNumbers(graph.outputs[name]?.dtype, data)]),
      );
    },
  };
}

const asNumbers = (dtype: Tensor['dtype'] | undefined, data: DeviceData): ArrayLike<number> =>
  dtype === 'f16' ? halfToFloat32(data as Uint16Array) : data;

/** Ops whose form in ONNX computes again what the forward pass has kept, which their own cases make up; each with the op whose gradient goes through it. */
const COMPUTED_AGAIN: Readonly<Record<string, string>> = {
  attentionGrad: 'attention',
  crossEntropyGrad: 'crossEntropy',
};

/** Ops that read weights in fewer bits. */
const WIDENS: readonly string[] = ['cast', 'dequantize'];

/** @throws PapilioError('unsupported-onnx') with why a graph cannot be asked of onnxruntime as its cases have it */
function requireForm({ nodes }: Graph): void {
  for (const { op, inputs, outputs } of nodes) {
    const odd = [...inputs, ...outputs].find(({ dtype }) => dtype !== 'f32' && dtype !== 'i32');
    if (odd && !WIDENS.includes(op.name))
      fail('unsupported-onnx', say`Values of ${odd.dtype} are widened before ${op.name} reads them.`);
    const by = nodes.length === 1 ? COMPUTED_AGAIN[op.name] : undefined;
    if (by !== undefined)
      fail(
        'unsupported-onnx',
        say`It computes again what the forward pass has kept, which the cases of ${op.name} make up; the gradient of ${by} goes through it.`,
      );
    if (op.mutates) fail('unsupported-onnx', say`What ${op.name} writes in place is done beside the graph.`);
  }
}

/** Ops in ONNX's operators; those that write in place have no such form. */
const ortChecks = (ort: OrtRuntime): CheckEngine => ({
  keepsWeights: true,
  messages: null,
  async run(graph, feeds) {
    requireForm(graph);
    const { model, inputs } = toOnnx(graph);
    const session = await ort.open(encodeModel(model));
    try {
      return await session.run(
        new Map(
          [...inputs].map(([name, { name: own, shape }]) => [
            name,
            { shape, data: toDevice(feeds.get(own)!) },
          ]),
        ),
      );
    } finally {
      await session.release();
    }
  },
});

/** The largest error of each kind, by its own tolerance. */
function worstOf(results: readonly CheckResult[]): OpCheckRow['worst'] {
  const worst: Partial<Record<CheckKind, WorstCheck>> = {};
  const share = ({ error, tolerance }: WorstCheck) => (error === 0 ? 0 : error / tolerance);
  for (const { what, error, tolerance, case: name } of results) {
    const before = worst[what];
    const one = { error, tolerance, case: name };
    if (before === undefined || share(one) > share(before)) worst[what] = one;
  }
  return worst;
}

const rowOf = (op: AnyOp, { cases, results, left }: OpChecks): OpCheckRow => ({
  op: op.name,
  cases,
  checks: results.length,
  worst: worstOf(results),
  failures: results.filter(({ ok }) => !ok),
  left,
});

/** The ops of these names, or all. @throws PapilioError('bad-argument') naming those that there are not */
export function opsNamed(names: readonly string[] | undefined): readonly AnyOp[] {
  const unknown = names?.filter((name) => !ops.some((op) => op.name === name)) ?? [];
  if (unknown.length > 0)
    fail('bad-argument', say`There is no op ${unknown.join(', ')}; take names of src/ops.`);
  return names === undefined ? ops : ops.filter((op) => names.includes(op.name));
}

/**
 * Checks ops one after the other. Between cases others have their turn. A case that gets no answer from the engine counts as failed; after some of
 * those in a row the check ends.
 *
 * @param heard is told of every case before it, and of every op after it
 * @returns why it came to an end early, or null
 */
export async function checkOps(
  engine: CheckEngine,
  chosen: readonly AnyOp[],
  heard: (event: DeviceCheckEvent) => unknown,
  { signal, limitMs }: Pick<Limit, 'signal' | 'limitMs'> = {},
): Promise<DeviceCheckReport['ended']> {
  let unanswered = 0;
  const asked = limited(engine, {
    ...{ signal, ...(limitMs === undefined ? {} : { limitMs }) },
    heard: (isAnswered) => {
      unanswered = isAnswered ? 0 : unanswered + 1;
    },
  });
  const isSilent = () => unanswered >= MOST_UNANSWERED;
  const total = chosen.reduce((n, op) => n + checkOf(op).cases.length, 0);
  let done = 0;
  for (const op of chosen) {
    const goesOn = async (name: string) => {
      await othersTurn();
      if (isSilent()) return false;
      if (!signal?.aborted) await heard({ type: 'case', op: op.name, case: name, done, total });
      done++;
      return !signal?.aborted;
    };
    try {
      const checks = await checkOp(asked, op, goesOn);
      if (checks.cases > 0) await heard({ type: 'row', row: rowOf(op, checks) });
    } catch (error) {
      if (!(error instanceof PapilioError && error.kind === 'device-lost')) throw error;
      return { why: 'lost', op: op.name, message: error.message };
    }
    if (signal?.aborted) return { why: 'stopped' };
    if (isSilent()) return { why: 'silent', cases: MOST_UNANSWERED };
  }
  return null;
}

function gpuFacts({ info, caps, raw, timestamps }: Device): DeviceCheckReport['facts'] {
  return {
    engine: 'webgpu',
    isSoftware: caps.software,
    device: [...new Set([info.description, info.vendor, info.architecture])].filter(Boolean).join(', '),
    bufferBytes: raw.limits.maxBufferSize,
    bindingBytes: caps.maxStorageBindingBytes,
    bindings: caps.maxStorageBuffersPerStage,
    workgroupBytes: caps.maxWorkgroupStorageBytes,
    invocations: caps.maxInvocationsPerWorkgroup,
    timestamps,
    features: [...raw.features],
  };
}

const ortFacts = (ort: OrtRuntime): DeviceCheckReport['facts'] => ({
  engine: 'onnxruntime',
  device: `${ort.name} ${ort.version}, ${ort.cpu}`,
  threads: ort.threads,
  memoryBytes: ort.memoryBytes,
});

/** Checks what the engine of this name computes here. @throws PapilioError where there is no such engine */
export async function checkDevice(
  { gpu, onnxruntime }: Pick<Host, 'gpu' | 'onnxruntime'>,
  name: EngineName,
  heard: (event: DeviceCheckEvent) => unknown,
  signal: AbortSignal,
): Promise<DeviceCheckReport> {
  const from = performance.now();
  const rows: OpCheckRow[] = [];
  const run = async (engine: CheckEngine, facts: DeviceCheckReport['facts']): Promise<DeviceCheckReport> => {
    const ended = await checkOps(
      engine,
      ops,
      (event) => {
        if (event.type === 'row') rows.push(event.row);
        return heard(event);
      },
      { signal },
    );
    return { engine: name, facts, rows, ended, seconds: (performance.now() - from) / 1000 };
  };
  if (name === 'onnxruntime') {
    const ort = await (onnxruntime?.() ?? fail('bad-argument', say`There is no onnxruntime here.`));
    return run(ortChecks(ort), ortFacts(ort));
  }
  const device = await openDevice(await gpu());
  try {
    return await run(gpuChecks(device), gpuFacts(device));
  } finally {
    device.destroy();
  }
}
