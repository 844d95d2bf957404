/** What the run will take, before it begins: bytes by kind against what the device allows, seconds a step, and ways to make it fit. */
import { useState } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import type { ForecastReport } from '../../../protocol.ts';
import { brief, bytes, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Lines } from '../../parts/Facts.tsx';
import { Icon } from '../../parts/Icon.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { useHeard } from '../../parts/useHeard.ts';
import { Waiting } from '../../parts/Waiting.tsx';
import { isUnderWay } from '../../stores.ts';
import { useChoice, usePage, useRun, useUi } from '../../usePage.ts';

const PARTS = () =>
  [
    ['weights', say`Weights`],
    ['activations', say`Activations`],
    ['adapter', say`Adapter`],
    ['optimiser', say`Optimiser`],
    ['other', say`Other`],
  ] as const;

export function Forecast() {
  const page = usePage();
  const { busy, report, error, isStale } = useStore(page.forecast.view);
  const isBusy = busy !== null;
  const isKnown = useUi((s) => s.gpu !== null);
  const isTraining = useRun((s) => isUnderWay(s.state));
  const hasModel = useChoice((s) => s.report !== null);
  // A run that has begun is measured instead.
  const isOver = useRun((s) => s.open !== null);
  if (isOver && (report === null || !isStale)) return null;
  return (
    <section className="stack forecast" aria-label={say`Forecast`} aria-busy={isBusy}>
      <p className="row forecast-head">
        <Action
          text={
            isBusy ? (
              <Waiting what={say`Planning`} />
            ) : report === null ? (
              say`Forecast memory and time`
            ) : (
              say`Forecast again`
            )
          }
          isDisabled={!isKnown || !hasModel || isBusy || isTraining}
          onPress={() => void page.forecast.ask()}
        />
        {isBusy ? <Action kind="link" text={say`stop`} onPress={() => page.forecast.stop()} /> : null}
        {isStale && report !== null ? (
          <span className="hint">{say`The settings have changed since.`}</span>
        ) : null}
      </p>
      {error === null ? null : <ErrorText report={error} />}
      {report === null ? null : <Report report={report} />}
    </section>
  );
}

function Report({ report }: { readonly report: ForecastReport }) {
  const { bytes: parts, largest, secondsPerStep, dispatchesPerStep } = report;
  const isPlanned = !Number.isNaN(parts.peak);
  const isOnGpu = report.engine === 'webgpu';
  return (
    <>
      {isPlanned ? (
        <>
          <div className="forecast-bar" aria-hidden="true">
            {PARTS().map(([key], i) => (
              <span key={key} style={{ flex: `${parts[key]} 0 0`, background: `var(--line-${i})` }} />
            ))}
          </div>
          <dl className="row forecast-parts">
            {PARTS().map(([key, title], i) => (
              <div key={key}>
                <dt>
                  <i className="swatch" style={{ background: `var(--line-${i})` }} />
                  {title}
                </dt>
                <dd>{bytes(parts[key])}</dd>
              </div>
            ))}
            <div>
              <dt>{say`Peak`}</dt>
              <dd style={{ fontWeight: 650 }}>{bytes(parts.peak)}</dd>
            </div>
          </dl>
          <p className="hint">
            <Sentences>
              {secondsPerStep === null
                ? ''
                : dispatchesPerStep === null
                  ? say`About ${brief(secondsPerStep)} a step, from parts of it timed on this device.`
                  : say`About ${brief(secondsPerStep)} a step, from parts of it timed on this device and ${whole(dispatchesPerStep)} dispatches.`}
              {isOnGpu
                ? say`Largest buffer ${bytes(largest.bytes)}; this device allows ${bytes(report.bufferLimitBytes)}.`
                : say`onnxruntime computes, in memory of its own.`}
            </Sentences>
            <Measured of="forecast-bytes" about={say`forecast of memory`} />
            {secondsPerStep === null ? null : <Measured of="forecast-time" about={say`forecast of time`} />}
          </p>
        </>
      ) : null}
      {isOnGpu ? (
        <>
          <Recompute />
          <Budget />
        </>
      ) : null}
      <Verdict report={report} />
    </>
  );
}

/** Whether it fits, and if not, what would. */
function Verdict({ report }: { readonly report: ForecastReport }) {
  const page = usePage();
  const now = useHeard();
  if (report.refusal === null)
    return (
      <p className="verdict is-good">
        <Icon name="check" />
        {report.limitBytes === null
          ? say`It fits what the device says of itself. How much memory it has, WebGPU does not tell.`
          : say`It fits into ${bytes(report.limitBytes)}.`}
      </p>
    );
  return (
    <div className="verdict is-bad">
      <Icon name="cross" />
      <div>
        <p>{now(report.refusal)}</p>
        {report.ways.length === 0 ? (
          <p>{say`No smaller batch, shorter text or lower precision makes it fit: choose a smaller model.`}</p>
        ) : (
          <ul className="stack ways">
            {report.ways.map((way) => (
              <li key={way.what} className="row">
                <Action text={say`Use ${now(way.what)}`} onPress={() => page.forecast.apply(way)} />
                <span className="hint">{bytes(way.peakBytes)}</span>
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}

function Recompute() {
  const page = usePage();
  const isOn = useChoice((s) => s.recompute);
  if (!isOn) return null;
  return (
    <p className="hint">
      <Sentences>
        {say`Activations are computed again in the backward pass, in less memory and more time.`}
        <Action
          kind="link"
          text={say`keep them`}
          onPress={() => page.choice.setState({ recompute: false })}
        />
      </Sentences>
    </p>
  );
}

function Budget() {
  const page = usePage();
  const budget = useStore(page.forecast.view, (s) => s.budgetBytes);
  const [text, setText] = useState(budget === null ? '' : String(Math.round(budget / 2 ** 20)));
  const commit = () => {
    const wanted = text.trim() === '' ? null : Number(text) * 2 ** 20;
    if (wanted === budget || (wanted !== null && !(wanted > 0))) return;
    page.forecast.setBudget(wanted);
  };
  return (
    <label className="row forecast-budget">
      {say`GPU memory it may take`}
      <input
        className="box box-number"
        inputMode="numeric"
        placeholder={say`any`}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onBlur={commit}
        onKeyDown={(event) => {
          if (event.key === 'Enter') commit();
        }}
      />
      MB
    </label>
  );
}

/** Forecast and measurement of the run on screen. */
export function ForecastBeside({ pace }: { readonly pace: number | null }) {
  const page = usePage();
  const ofRun = useStore(page.forecast.view, (s) => s.ofRun);
  const current = useRun((s) => s.current);
  const peak = useRun((s) => s.open?.counts.gpu?.peakBytes ?? null);
  if (ofRun === null || ofRun.id !== current?.id || peak === null) return null;
  const { bytes: parts, secondsPerStep } = ofRun.report;
  return (
    <div className="row">
      <Lines
        label={say`Forecast and measurement`}
        head={['', say`forecast`, say`measured`]}
        rows={[
          [say`GPU memory, peak`, bytes(parts.peak), bytes(peak)],
          [
            say`A step`,
            secondsPerStep === null ? '–' : brief(secondsPerStep),
            pace === null ? say`after 10 steps` : brief(pace),
          ],
        ]}
      />
      <Measured of="forecast-beside" about={say`forecast and measurement`} />
    </div>
  );
}
