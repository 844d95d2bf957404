/** Where there is no WebGPU: that the processor trains, and how to get a GPU. */
import { say } from '../../../common.ts';
import { Fold } from '../../parts/Controls.tsx';
import { Copy } from '../../parts/Copy.tsx';
import { useUi } from '../../usePage.ts';
import { stepsToGpu } from '../../webgpu.ts';

const HEADINGS = () =>
  ({
    'no-webgpu': say`This browser has no WebGPU: the processor trains`,
    'no-adapter': say`Your browser knows WebGPU, but your GPU is blocked: the processor trains`,
    insecure: say`WebGPU is not available at this address: the processor trains`,
  }) as const;

export function ReaderBanner() {
  const gpu = useUi((s) => s.gpu);
  if (gpu === null || gpu.state === 'ready') return null;
  return (
    <section className="notice-card" aria-label={say`No WebGPU`}>
      <h3>{HEADINGS()[gpu.state]}</h3>
      <Fold summary={say`Everything works meanwhile; a GPU is many times faster: how to get it`}>
        <p>{say`onnxruntime computes on the processor; “Forecast memory and time” says beforehand how long a step takes.`}</p>
        <ol>
          {stepsToGpu(gpu.state, navigator.userAgent).map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
        <Copy
          text={say`copy diagnostics`}
          of={JSON.stringify({ webgpu: gpu.state, browser: navigator.userAgent, secure: isSecureContext })}
        />
      </Fold>
    </section>
  );
}
