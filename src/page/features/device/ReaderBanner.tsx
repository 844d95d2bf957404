/** Where no GPU trains: that the processor does, why, what a step takes meanwhile, and how to get a GPU. */
import type { ReactNode } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { ENGINE_TITLES } from '../../../protocol.ts';
import { brief } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Fold } from '../../parts/Controls.tsx';
import { Copy } from '../../parts/Copy.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { usePage, useUi } from '../../usePage.ts';
import { type GpuSupport, type Hindrance, statusPage, stepsToGpu } from '../../webgpu.ts';

/**
 * Seconds of a step of the first preset (BOFT, batch 16) in Chromium on two cores of an Intel Xeon, without a GPU. docs/performance.md has them with
 * what else was measured there; a test holds one against the other.
 */
export const RECORDED = { onnxruntime: 0.082, software: 0.63 } as const;

function headingOf(hindrance: Hindrance, gpu: GpuSupport): ReactNode {
  switch (hindrance) {
    case 'no-webgpu':
      return say`The browser gives no GPU, since it has no WebGPU: the processor trains`;
    case 'no-adapter':
      return say`The browser gives no GPU, though it has WebGPU: the processor trains`;
    case 'insecure':
      return say`The browser gives no GPU at this address: the processor trains`;
    case 'software':
      return rich`The browser gives no GPU, only software in its place (${<span>{gpu.state === 'ready' ? gpu.name : ''}</span>}): the processor trains`;
  }
}

const hindranceOf = (gpu: GpuSupport): Hindrance | null =>
  gpu.state !== 'ready' ? gpu.state : gpu.isSoftware ? 'software' : null;

export function ReaderBanner() {
  const gpu = useUi((s) => s.gpu);
  const hindrance = gpu === null ? null : hindranceOf(gpu);
  if (gpu === null || hindrance === null) return null;
  const { userAgent } = navigator;
  const status = statusPage(userAgent);
  return (
    <section
      className="notice-card"
      aria-label={hindrance === 'software' ? say`Software instead of a GPU` : say`No WebGPU`}
    >
      <h3>{headingOf(hindrance, gpu)}</h3>
      <Fold summary={say`Everything works meanwhile: what a step takes, and how to get a GPU`}>
        <Pace isSoftware={hindrance === 'software'} />
        <ol>
          {stepsToGpu(hindrance, userAgent).map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
        {status === null || hindrance === 'insecure' ? null : (
          <p>
            <Sentences>
              {rich`What the browser makes of the GPU, and why, stands at ${<code>{status}</code>}.`}
              {say`No page may link there: copy the address into a new tab.`}
              <Copy text={say`copy the address`} of={status} />
            </Sentences>
          </p>
        )}
        <Copy
          text={say`copy diagnostics`}
          of={JSON.stringify({
            webgpu: hindrance,
            ...(gpu.state === 'ready' ? { adapter: gpu.name } : { reason: gpu.reason }),
            browser: userAgent,
            secure: isSecureContext,
          })}
        />
      </Fold>
    </section>
  );
}

/** What training takes without a GPU: recorded elsewhere, and found on this machine. */
function Pace({ isSoftware }: { readonly isSoftware: boolean }) {
  const page = usePage();
  const { report, busy, isStale } = useStore(page.forecast.view);
  const { engine, secondsPerStep: seconds } =
    report === null || isStale ? { engine: null, secondsPerStep: null } : report;
  return (
    <p>
      <Sentences>
        {isSoftware
          ? say`That software computes on the processor too, and slower than onnxruntime, which trains here unless you choose WebGPU.`
          : say`onnxruntime trains on the processor.`}
        {isSoftware
          ? say`Recorded on another machine, two cores without a GPU, the first preset: ${RECORDED.onnxruntime} s a step with onnxruntime, ${RECORDED.software} s with WebGPU in software, ${Math.round(RECORDED.software / RECORDED.onnxruntime)} times as long.`
          : say`Recorded on another machine, two cores without a GPU, the first preset: ${RECORDED.onnxruntime} s a step.`}
        {say`No GPU has been timed yet, so how much faster one is here is not known.`}
        {engine === null || seconds === null ? (
          <Action
            kind="link"
            text={say`Forecast a step on this machine`}
            isDisabled={busy !== null}
            onPress={() => void page.forecast.ask()}
          />
        ) : (
          say`Timed on this machine, what is chosen now: ${brief(seconds)} a step with ${ENGINE_TITLES[engine]}.`
        )}
        {seconds === null ? null : <Measured of="forecast-time" about={say`A step`} />}
      </Sentences>
    </p>
  );
}
