/** What comes before training: no WebGPU and what to do, a session to resume, a software adapter. */
import { Button } from 'react-aria-components';
import { ago } from '../../app/format.ts';
import { usePage, useRun, useUi } from '../usePage.ts';

const HEADINGS = {
  'no-webgpu': 'This browser has no WebGPU, so nothing can be trained here',
  'no-adapter': 'Your browser knows WebGPU, but your GPU is blocked',
  insecure: 'WebGPU is not available at this address',
} as const;

export function ReaderBanner() {
  const gpu = useUi((s) => s.gpu);
  if (gpu === null || gpu.state === 'ready') return null;
  return (
    <section className="notice-card reader" aria-label="No WebGPU">
      <h3>{HEADINGS[gpu.state]}</h3>
      <ol>
        {gpu.steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      <p>
        Everything that needs no GPU works: settings, target modules, parameter counts, and the patterns under
        See.{' '}
        <Button
          className="text-button"
          onPress={() =>
            void navigator.clipboard.writeText(
              JSON.stringify({ webgpu: gpu.state, browser: navigator.userAgent, secure: isSecureContext }),
            )
          }
        >
          copy diagnostics
        </Button>
      </p>
    </section>
  );
}

export function ResumeBanner() {
  const page = usePage();
  const saved = useRun((s) => s.saved);
  const isIdle = useRun((s) => s.current === null);
  const gpu = useUi((s) => s.gpu);
  if (saved === null || !isIdle) return null;
  return (
    <section className="notice-card resume" aria-label="A run to resume">
      <p>
        Resume <b>{saved.name}</b>, step {saved.step} of {saved.totalSteps}{' '}
        <span className="hint">({ago(Date.now() - saved.savedAt)})</span>
      </p>
      <Button
        className="button button-strong"
        isDisabled={gpu?.state !== 'ready'}
        onPress={() => void page.controller.resumeSaved()}
      >
        Resume
      </Button>
      <Button className="text-button" onPress={() => void page.controller.forgetSaved()}>
        forget it
      </Button>
    </section>
  );
}
