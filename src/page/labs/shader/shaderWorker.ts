/** The shader lab's worker as the page calls it, and what the page keeps of its answers. */
import { useEffect, useRef, useState } from 'react';
import { ASKED_ANEW, asPapilioError, PapilioError, say, WorkerHost } from '../../../common.ts';
import type {
  DeviceReport,
  KernelName,
  ShaderAnswer,
  ShaderApi,
  ShaderKernel,
  ShaderTexts,
} from '../../../labs.ts';

let host: WorkerHost<ShaderApi> | undefined;

function shaderWorker(): ShaderApi {
  host ??= new WorkerHost<ShaderApi>(
    () =>
      new Worker(new URL('../../../labs/shader/worker.ts', import.meta.url), {
        ...{ type: 'module', name: 'shaders' },
      }),
    { what: () => say`The shader lab’s worker`, wayOn: () => say`press Run to ask again` },
  );
  return host.api;
}

/** A check of a text, by which it is known which text the answer is for. */
export interface Checked {
  readonly name: KernelName;
  readonly texts: ShaderTexts;
  readonly answer: ShaderAnswer;
}

/** A kernel's files and what they should give; null until they have come. */
export function useKernel(name: KernelName) {
  const [known, setKnown] = useState<{ readonly name: KernelName; readonly kernel: ShaderKernel } | null>(
    null,
  );
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let isCurrent = true;
    shaderWorker()
      .kernel(name)
      .then(
        (kernel) => {
          if (isCurrent) setKnown({ name, kernel });
        },
        (error: unknown) => {
          if (isCurrent) setProblem(asPapilioError(error).message);
        },
      );
    return () => {
      isCurrent = false;
    };
  }, [name]);
  return { kernel: known?.name === name ? known.kernel : null, problem };
}

/** What there is to run on: asked once; a sentence where there is nothing. */
export function useDevice(): { readonly device: DeviceReport | null; readonly without: string | null } {
  const [found, setFound] = useState<Awaited<ReturnType<typeof useDevice>>>({ device: null, without: null });
  useEffect(() => {
    shaderWorker()
      .device()
      .then(
        (device) => setFound({ device, without: null }),
        (error: unknown) => setFound({ device: null, without: asPapilioError(error).message }),
      );
  }, []);
  return found;
}

/** How long a check of the kernel's own text takes, once there is a device. */
export async function secondsOfCheck(name: KernelName): Promise<number> {
  const worker = shaderWorker();
  const [{ files }] = await Promise.all([worker.kernel(name), worker.device()]);
  const from = performance.now();
  const { kind } = await worker.check(name, files);
  if (kind !== 'checked')
    throw new PapilioError(
      'device-lost',
      say`The kernel did not run here; reload the page and measure again.`,
    );
  return (performance.now() - from) / 1000;
}

/** Checks texts on the device, one at a time; of what comes while one is checked only the newest counts. */
export function useCheck() {
  const [checked, setChecked] = useState<Checked | null>(null);
  const [isRunning, setRunning] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const current = useRef<AbortController | null>(null);
  useEffect(() => () => current.current?.abort(ASKED_ANEW), []);
  const run = async (name: KernelName, texts: ShaderTexts): Promise<void> => {
    current.current?.abort(ASKED_ANEW);
    const own = new AbortController();
    current.current = own;
    setRunning(true);
    setProblem(null);
    try {
      const answer = await shaderWorker().check(name, texts, own.signal);
      if (current.current === own) setChecked({ name, texts, answer });
    } catch (error) {
      const { kind, message } = asPapilioError(error);
      if (current.current === own) setProblem(kind === 'aborted' ? null : message);
    } finally {
      if (current.current === own) setRunning(false);
    }
  };
  /** Leaves what is under way; a worker that hangs in it is ended. */
  const stop = (): void => current.current?.abort();
  return { checked, isRunning, problem, run, stop };
}
