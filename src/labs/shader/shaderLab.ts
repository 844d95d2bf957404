/** {@link ShaderApi} on a device of its own: what the shader lab's worker serves. */
import { type Device, openDevice } from '../../gpu/device.ts';
import { createShaderLibrary, shaderLibrary } from '../../gpu/pipelines.ts';
import { fail, PapilioError } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { functionsOf } from './budget.ts';
import { createReader, DoesNotCompile, MOST_MESSAGES } from './compile.ts';
import { DeviceGone, NOTHING, Refused, runPlan, type Waiting } from './execute.ts';
import { dispatchesOf, expectedOf, KERNEL_FILES, planOf, trialsOf } from './kernels.ts';
import {
  allowedOf,
  type CheckedCase,
  fileName,
  type KernelName,
  type Matrices,
  MOST_LETTERS,
  type ShaderAnswer,
  type ShaderApi,
  type ShaderKernel,
  type ShaderTexts,
} from './protocol.ts';

/** How long a device may say nothing. On a processor in its place a first run compiles, too. */
const SILENT_MS = { hardware: 3000, software: 15_000, compile: 20_000, opening: 20_000 } as const;

/** @param gpu asked for at the first call, and again after a device is gone */
export function createShaderLab(gpu: () => Promise<GPU>): ShaderApi & { close(): void } {
  let opening: Promise<Device> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const device = (): Promise<Device> => {
    opening ??= gpu().then(openDevice);
    opening.catch(() => {
      opening = undefined;
    });
    return opening;
  };
  const leave = (): void => {
    void opening?.then((one) => one.destroy());
    opening = undefined;
  };
  const kernels = new Map<KernelName, Promise<ShaderKernel>>();
  return {
    async device() {
      const { info, caps } = await device();
      return { ...info, engine: 'webgpu', isSoftware: caps.software };
    },
    kernel(name) {
      const known = kernels.get(name) ?? kernelOf(name);
      kernels.set(name, known);
      return known;
    },
    // One after the other: two would share the seconds that a device has.
    check(name, texts) {
      const answer = last.then(async () => {
        try {
          return await checked(await opened(device()), name, texts);
        } catch (error) {
          if (error instanceof PapilioError && error.kind !== 'device-lost') throw error;
          leave();
          return answerTo(error);
        }
      });
      last = answer.catch(() => {});
      return answer;
    },
    close: leave,
  };
}

function answerTo(error: unknown): ShaderAnswer {
  if (error instanceof DeviceGone || error instanceof PapilioError)
    return { kind: 'lost', reason: error.message };
  throw error;
}

async function kernelOf(name: KernelName): Promise<ShaderKernel> {
  const trials = trialsOf(name);
  const files: ShaderTexts = Object.fromEntries(
    KERNEL_FILES[name].map((path) => [path, shaderLibrary.files[path]!]),
  );
  const cases = await Promise.all(
    trials.map(async (trial) => ({
      sizes: trial.sizes,
      inputs: trial.inputs,
      expected: await expectedOf(trial),
    })),
  );
  const reached = new Set<string>();
  for (const { shader, conditions, entry } of trials.flatMap(dispatchesOf)) {
    const { code } = await shaderLibrary.link(shader, conditions ?? {});
    const fns = new Map(functionsOf(code).map((fn) => [fn.name, fn]));
    const visit = (one: string): void => {
      if (reached.has(one) || !fns.has(one)) return;
      reached.add(one);
      for (const call of fns.get(one)!.calls) visit(call.name);
    };
    visit(entry);
  }
  return { files, cases, reached: [...reached] };
}

async function checked(device: Device, name: KernelName, texts: ShaderTexts): Promise<ShaderAnswer> {
  const [main] = KERNEL_FILES[name];
  for (const path of KERNEL_FILES[name]) {
    const text = texts[path] ?? fail('bad-argument', `There is no text for ${path}.`);
    if (text.length > MOST_LETTERS)
      return {
        kind: 'refused',
        reason: say`${fileName(path)} has ${text.length} letters; here it may have ${MOST_LETTERS}.`,
      };
    if (path === main && text.trim() === '')
      return { kind: 'refused', reason: say`${fileName(path)} is empty: there is nothing to run.` };
  }
  const waiting = waitFor(device);
  const reader = createReader(device, createShaderLibrary({ ...shaderLibrary.files, ...texts }), waiting);
  try {
    const cases: CheckedCase[] = [];
    const trials = trialsOf(name).map((trial) => ({ trial, plan: planOf(trial) }));
    for (const { plan } of trials)
      for (const step of plan.steps) if (step.kind === 'dispatch') await reader.prepare(step);
    for (const { trial, plan } of trials) {
      const ran = await runPlan(device, plan, trial.feeds, reader.pipelineOf, waiting);
      if ('loop' in ran) return { kind: 'budget', ...reader.loopOf(ran.step.dispatch, ran.loop) };
      cases.push(compared(ran.words, await expectedOf(trial)));
    }
    return { kind: 'checked', cases };
  } catch (error) {
    if (error instanceof DoesNotCompile)
      return { kind: 'compile', messages: error.messages.slice(0, MOST_MESSAGES) };
    if (error instanceof Refused) return { kind: 'refused', reason: error.message };
    // A device that was lost meanwhile explains whatever failed.
    device.assertAlive();
    throw error;
  }
}

/** Every cell against the reference; what is no finite number is wrong. */
function compared(words: Uint32Array, expected: Matrices): CheckedCase {
  const numbers = new Float32Array(words.buffer);
  const allowed = allowedOf(expected);
  const found: CheckedCase['found'] = expected.values.map((_, at) =>
    words[at] === NOTHING ? null : numbers[at]!,
  );
  const wrong = expected.values.flatMap((value, at) =>
    Math.abs((found[at] ?? Number.NaN) - value) <= allowed ? [] : [at],
  );
  return { found, wrong };
}

/** @throws DeviceGone with the sentence where it takes longer than it may */
async function within<T>(news: Promise<T>, ms: number, sentence: (seconds: number) => string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeviceGone(sentence(ms / 1000))), ms);
  });
  try {
    return await Promise.race([news, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A browser whose GPU still hangs in what ran before opens none. */
const opened = (opening: Promise<Device>): Promise<Device> =>
  within(
    opening,
    SILENT_MS.opening,
    (seconds) => say`No device was opened in ${seconds} seconds; if that goes on, reload the page.`,
  );

function waitFor(device: Device): Waiting {
  const silent = device.caps.software ? SILENT_MS.software : SILENT_MS.hardware;
  return {
    heard(news, what) {
      const lost = device.raw.lost.then(({ message }) => {
        throw new DeviceGone(
          say`The device was lost: ${message.split('\n')[0] || say`it does not say why`}.`,
        );
      });
      lost.catch(() => {});
      const either = Promise.race([device.heard(news), lost]);
      return what === 'compile'
        ? within(
            either,
            SILENT_MS.compile,
            (seconds) => say`The compiler said nothing for ${seconds} seconds.`,
          )
        : within(either, silent, (seconds) => say`The device said nothing for ${seconds} seconds.`);
    },
  };
}
