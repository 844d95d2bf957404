/** What the run will take, before it begins: bytes by kind against what the device allows, seconds a step, and ways to make it fit. */
import { useState } from 'react';
import { Button } from 'react-aria-components';
import { useStore } from 'zustand';
import type { ForecastReport } from '../../../training/protocol.ts';
import { brief, bytes, whole } from '../../format.ts';
import { ErrorText } from '../../parts/Errors.tsx';
import { Icon } from '../../parts/Icon.tsx';
import { Waiting } from '../../parts/Waiting.tsx';
import { useChoice, usePage, useRun, useUi } from '../../usePage.ts';

const PARTS = [
  ['weights', 'Weights'],
  ['activations', 'Activations'],
  ['adapter', 'Adapter'],
  ['optimiser', 'Optimiser'],
  ['other', 'Other'],
] as const;

export function Forecast() {
  const page = usePage();
  const { busy, report, error, isStale } = useStore(page.forecast.view);
  const isBusy = busy !== null;
  const hasGpu = useUi((s) => s.gpu?.state === 'ready');
  const isTraining = useRun((s) => s.state === 'running' || s.state === 'loading' || s.state === 'compiling');
  const hasModel = useChoice((s) => s.report !== null);
  // A run that has begun is measured instead.
  const isOver = useRun((s) => s.open !== null);
  if (isOver && (report === null || !isStale)) return null;
  return (
    <section className="forecast" aria-label="Forecast" aria-busy={isBusy}>
      <p className="forecast-head">
        <Button
          className="button"
          isDisabled={!hasGpu || !hasModel || isBusy || isTraining}
          onPress={() => void page.forecast.ask()}
        >
          {isBusy ? (
            <Waiting what="Planning" />
          ) : report === null ? (
            'Forecast memory and time'
          ) : (
            'Forecast again'
          )}
        </Button>
        {isBusy ? (
          <Button className="text-button" onPress={() => page.forecast.stop()}>
            stop
          </Button>
        ) : null}
        {isStale && report !== null ? <span className="hint">The settings have changed since.</span> : null}
      </p>
      {error === null ? null : <ErrorText report={error} />}
      {report === null ? null : <Report report={report} />}
    </section>
  );
}

function Report({ report }: { readonly report: ForecastReport }) {
  const page = usePage();
  const { bytes: parts, largest, refusal, secondsPerStep, dispatchesPerStep } = report;
  const isPlanned = !Number.isNaN(parts.peak);
  return (
    <>
      {isPlanned ? (
        <>
          <div className="forecast-bar" aria-hidden="true">
            {PARTS.map(([key]) => (
              <span key={key} data-part={key} style={{ flexGrow: parts[key] }} />
            ))}
          </div>
          <dl className="forecast-parts">
            {PARTS.map(([key, title]) => (
              <div key={key} data-part={key}>
                <dt>{title}</dt>
                <dd>{bytes(parts[key])}</dd>
              </div>
            ))}
            <div className="is-peak">
              <dt>Peak</dt>
              <dd>{bytes(parts.peak)}</dd>
            </div>
          </dl>
          <p className="hint">
            {secondsPerStep === null
              ? ''
              : `About ${brief(secondsPerStep)} a step, from a short probe of this device and ${whole(dispatchesPerStep)} dispatches. `}
            Largest buffer {bytes(largest.bytes)}; this device allows {bytes(report.bufferLimitBytes)}.
          </p>
        </>
      ) : null}
      <Recompute />
      <Budget />
      {refusal === null ? (
        <p className="verdict is-good">
          <Icon name="check" />
          {report.limitBytes === null
            ? 'It fits what the device says of itself. How much memory it has, WebGPU does not tell.'
            : `It fits into ${bytes(report.limitBytes)}.`}
        </p>
      ) : (
        <div className="verdict is-bad">
          <Icon name="cross" />
          <div>
            <p>{refusal}</p>
            {report.ways.length === 0 ? (
              <p>No smaller batch, shorter text or lower precision makes it fit: choose a smaller model.</p>
            ) : (
              <ul className="ways">
                {report.ways.map((way) => (
                  <li key={way.what}>
                    <Button className="button" onPress={() => page.forecast.apply(way)}>
                      Use {way.what}
                    </Button>
                    <span className="hint">{bytes(way.peakBytes)}</span>
                  </li>
                ))}
              </ul>
            )}
          </div>
        </div>
      )}
    </>
  );
}

function Recompute() {
  const page = usePage();
  const isOn = useChoice((s) => s.recompute);
  if (!isOn) return null;
  return (
    <p className="hint">
      Activations are computed again in the backward pass, in less memory and more time.{' '}
      <Button className="text-button" onPress={() => page.choice.setState({ recompute: false })}>
        keep them
      </Button>
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
    <label className="forecast-budget">
      GPU memory it may take
      <input
        className="box box-number"
        inputMode="numeric"
        placeholder="any"
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
  const peak = useRun((s) => s.open?.counts.peakBytes ?? null);
  if (ofRun === null || ofRun.id !== current?.id || peak === null) return null;
  const { bytes: parts, secondsPerStep } = ofRun.report;
  return (
    <table className="beside" aria-label="Forecast and measurement">
      <thead>
        <tr>
          <td />
          <th scope="col">forecast</th>
          <th scope="col">measured</th>
        </tr>
      </thead>
      <tbody>
        <tr>
          <th scope="row">GPU memory, peak</th>
          <td>{bytes(parts.peak)}</td>
          <td>{bytes(peak)}</td>
        </tr>
        <tr>
          <th scope="row">A step</th>
          <td>{secondsPerStep === null ? '–' : brief(secondsPerStep)}</td>
          <td>{pace === null ? 'after 10 steps' : brief(pace)}</td>
        </tr>
      </tbody>
    </table>
  );
}
