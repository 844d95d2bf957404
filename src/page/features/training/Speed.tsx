/** The benchmark on the visitor's machine: the chosen method's step beside LoRA's, and its kernels one by one. */
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import type { SpeedReport } from '../../../protocol.ts';
import { brief, bytes, percent, rate, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Lines } from '../../parts/Facts.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { Waiting } from '../../parts/Waiting.tsx';
import { isUnderWay } from '../../stores.ts';
import { useChoice, usePage, useRun, useUi } from '../../usePage.ts';
import { Timeline } from './Timeline.tsx';

export function Speed() {
  const page = usePage();
  const { busy, report, error } = useStore(page.speed.view);
  const isKnown = useUi((s) => s.gpu !== null);
  const isTraining = useRun((s) => isUnderWay(s.state));
  const isChosen = useChoice((s) => s.report !== null && s.data !== null);
  return (
    <section className="stack forecast" aria-label={say`Speed of this machine`} aria-busy={busy !== null}>
      <p className="row forecast-head">
        <Action
          kind="link"
          text={busy === null ? say`Measure the speed of this machine` : <Waiting what={say`Measuring`} />}
          isDisabled={!isKnown || !isChosen || isTraining || busy !== null}
          onPress={() => void page.speed.ask()}
        />
        {busy === null ? null : <Action kind="link" text={say`stop`} onPress={page.speed.leave} />}
      </p>
      {error === null ? null : <ErrorText report={error} />}
      {report === null ? null : <Found report={report} />}
    </section>
  );
}

const orDash = (n: number | null, show: (n: number) => string): string => (n === null ? '–' : show(n));

/** Kernels that are listed. */
const DEAREST = 8;

function Found({ report }: { readonly report: SpeedReport }) {
  const { device, unit, steps, peaks, kernels, timeline } = report;
  const all = (kernels ?? []).reduce((n, k) => n + k.count * k.microseconds, 0);
  return (
    <>
      <p className="hint">
        <Sentences>
          {say`Measured on ${device}, methods in turns.`}
          {peaks === null
            ? ''
            : say`The roofline is the best that it did here: ${rate(peaks.workPerSecond / 1e9)} G multiply-adds a second in a product, ${rate(peaks.bytesPerSecond / 1e9)} GB a second in a long sum.`}
        </Sentences>
        <Measured of="speed" about={say`speed of a step`} />
      </p>
      <div className="table-scroll is-unbroken">
        <Lines
          label={say`Speed of a step`}
          head={[
            '',
            say`a step`,
            unit === 'pictures' ? say`pictures a second` : say`tokens a second`,
            say`numbers`,
            say`dispatches`,
            say`submits`,
            say`memory`,
            say`of roofline`,
          ]}
          rows={steps.map((step) => [
            step.method,
            brief(step.secondsPerStep),
            rate(step.perSecond),
            whole(step.trainable),
            orDash(step.dispatches, whole),
            orDash(step.submits, whole),
            orDash(step.peakBytes, bytes),
            orDash(step.rooflineShare, percent),
          ])}
        />
      </div>
      {kernels === null ? null : (
        <p className="hint">
          {say`The dearest kernels`} <Measured of="kernels" about={say`time of a kernel`} />
        </p>
      )}
      {kernels === null ? null : (
        <Lines
          label={say`Kernels of the step`}
          head={[say`kernel`, say`times`, say`each`, say`of the step`, say`of roofline`]}
          rows={kernels
            .slice(0, DEAREST)
            .map((k) => [
              k.kernel,
              whole(k.count),
              brief(k.microseconds / 1e6),
              percent((k.count * k.microseconds) / all),
              orDash(k.rooflineShare, percent),
            ])}
        />
      )}
      <StepInKernels timeline={timeline} step={steps[0]} />
    </>
  );
}

/** The step kernel by kernel, or why only the whole of it is known. */
function StepInKernels(props: {
  readonly timeline: SpeedReport['timeline'];
  readonly step: SpeedReport['steps'][number] | undefined;
}) {
  const { timeline, step } = props;
  if (step === undefined) return null;
  if (timeline !== null && timeline.length > 0)
    return <Timeline parts={timeline} secondsPerStep={step.secondsPerStep} />;
  return (
    <p className="hint" data-testid="no-timeline">
      {step.dispatches === null
        ? say`onnxruntime computes the step as one graph and tells no time of a part of it: the step took ${brief(step.secondsPerStep)} in all.`
        : say`The device gives no timestamps (WebGPU’s timestamp-query), so that kernels cannot be timed one by one: the step took ${brief(step.secondsPerStep)} in all.`}
    </p>
  );
}
