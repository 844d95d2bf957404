/** Where there is no WebGPU: that the processor trains, and how to get a GPU. */
import { Fold } from '../../parts/Controls.tsx';
import { Copy } from '../../parts/Copy.tsx';
import { useUi } from '../../usePage.ts';

const HEADINGS = {
  'no-webgpu': 'This browser has no WebGPU: the processor trains',
  'no-adapter': 'Your browser knows WebGPU, but your GPU is blocked: the processor trains',
  insecure: 'WebGPU is not available at this address: the processor trains',
} as const;

export function ReaderBanner() {
  const gpu = useUi((s) => s.gpu);
  if (gpu === null || gpu.state === 'ready') return null;
  return (
    <section className="notice-card" aria-label="No WebGPU">
      <h3>{HEADINGS[gpu.state]}</h3>
      <Fold summary="Everything works meanwhile; a GPU is many times faster: how to get it">
        <p>
          onnxruntime computes on the processor; “Forecast memory and time” says beforehand how long a step
          takes.
        </p>
        <ol>
          {gpu.steps.map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
        <Copy
          text="copy diagnostics"
          of={JSON.stringify({ webgpu: gpu.state, browser: navigator.userAgent, secure: isSecureContext })}
        />
      </Fold>
    </section>
  );
}
