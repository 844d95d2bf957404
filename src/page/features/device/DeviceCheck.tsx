/** "Check my device": every op of the engine on this machine against its reference, with what failed named, and a report to copy. */
import { memo } from 'react';
import { useStore } from 'zustand';
import { paragraph, say } from '../../../common.ts';
import {
  CHECK_FIGURES,
  checkTitle,
  checkVerdict,
  type DeviceCheckReport,
  ENGINE_TITLES,
  marginText,
  type OpCheckRow,
} from '../../../protocol.ts';
import { saveFile } from '../../exports.ts';
import { power, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Fold } from '../../parts/Controls.tsx';
import { Copy } from '../../parts/Copy.tsx';
import { ErrorText } from '../../parts/Errors.tsx';
import { Lines } from '../../parts/Facts.tsx';
import { Icon } from '../../parts/Icon.tsx';
import { rich } from '../../parts/rich.ts';
import { Waiting } from '../../parts/Waiting.tsx';
import { isUnderWay } from '../../stores.ts';
import { useChoice, usePage, useRun, useUi } from '../../usePage.ts';
import { engineOf } from '../setup/choice.ts';
import { type DeviceCheck as Check, deviceCheckOf, reportText } from './deviceCheck.ts';

const COMMAND = <code>papilio check</code>;

export function DeviceCheck() {
  const page = usePage();
  const check = deviceCheckOf(page);
  const isBusy = useStore(check.view, (s) => s.busy !== null);
  const error = useStore(check.view, (s) => s.error);
  const rows = useStore(check.view, (s) => s.rows);
  const report = useStore(check.view, (s) => s.report);
  const isKnown = useUi((s) => s.gpu !== null);
  const engine = useChoice((s) => engineOf(s).engine ?? 'webgpu');
  const isTraining = useRun((s) => isUnderWay(s.state));
  return (
    <Fold summary={say`Check my device`}>
      <section className="stack forecast" aria-label={say`Check my device`} aria-busy={isBusy}>
        <p className="hint">
          {engine === 'onnxruntime'
            ? rich`Every op of the engine in all its cases, here on ${ENGINE_TITLES[engine]}, on the processor: its numbers against a reference in float64, its gradient against finite differences. The same cases as ${COMMAND}. Nothing is sent.`
            : rich`Every op of the engine in all its cases, here on ${ENGINE_TITLES[engine]}: its numbers against a reference in float64, its gradient against finite differences. The same cases as ${COMMAND}. Nothing is sent.`}
        </p>
        <p className="row forecast-head">
          <Action
            text={rows.length === 0 ? say`Check my device` : say`Check again`}
            isDisabled={!isKnown || isTraining || isBusy}
            onPress={() => void check.start(engine)}
          />
          {!isBusy ? null : <Action kind="link" text={say`stop`} onPress={() => void check.stop()} />}
          {isTraining ? <span className="hint">{say`Not while a run trains: pause it first.`}</span> : null}
        </p>
        {isBusy ? <Progress check={check} /> : null}
        {error === null ? null : <ErrorText report={error} />}
        {rows.length === 0 ? null : <Found rows={rows} report={report} isBusy={isBusy} />}
      </section>
    </Fold>
  );
}

/** Which case of how many: alone in being drawn for each. */
function Progress({ check }: { readonly check: Check }) {
  const { busy, now } = useStore(check.view);
  return (
    <>
      <p className="hint" role="status">
        <Waiting
          what={now === null ? (busy ?? '') : say`Checking ${now.op}`}
          news={now}
          way={say`stop ends it`}
        />
      </p>
      {now === null ? null : (
        <span
          className="clock-bar"
          role="progressbar"
          aria-label={say`Cases checked`}
          aria-valuemin={0}
          aria-valuemax={now.total}
          aria-valuenow={now.done}
          aria-valuetext={say`${whole(now.done)} of ${whole(now.total)} cases`}
        >
          <span style={{ transform: `scaleX(${now.done / now.total})` }} />
        </span>
      )}
    </>
  );
}

const Found = memo(function Found(props: {
  readonly rows: readonly OpCheckRow[];
  readonly report: DeviceCheckReport | null;
  readonly isBusy: boolean;
}) {
  const { rows, report, isBusy } = props;
  const failures = rows.flatMap((row) => row.failures);
  const left = rows.filter((row) => row.left.length > 0);
  const isGood = failures.length === 0;
  return (
    <>
      <p
        className={`verdict ${isGood ? 'is-good' : 'is-bad'}`}
        role={isBusy ? undefined : isGood ? 'status' : 'alert'}
        data-testid="device-verdict"
      >
        <Icon name={isGood ? 'check' : 'cross'} />
        {isBusy
          ? say`So far: ${checkVerdict({ rows, ended: null })}`
          : checkVerdict(report ?? { rows, ended: null })}
      </p>
      {isGood ? null : (
        <div className="table-scroll">
          <Lines
            label={say`Cases that failed`}
            head={[say`op`, say`case`, say`check`, say`error`, say`allowed`, '']}
            rows={failures.map((r) => [
              r.op,
              r.case,
              checkTitle(r.what),
              power(r.error),
              power(r.tolerance),
              r.message ?? '',
            ])}
          />
        </div>
      )}
      <Fold summary={say`All figures, ${rows.length} ops`}>
        <p className="hint">{say`Of each op the case that came nearest to its tolerance: the largest error over the largest number of the reference, and what is allowed.`}</p>
        <OpTable rows={rows} />
      </Fold>
      {left.length === 0 ? null : (
        <Fold summary={say`What this engine cannot be asked, in ${left.length} ops`}>
          <Lines head={[say`op`, say`why`]} rows={left.map((row) => [row.op, paragraph(row.left)])} />
        </Fold>
      )}
      {report === null ? null : <Report text={reportText(report)} />}
    </>
  );
});

function OpTable({ rows }: { readonly rows: readonly OpCheckRow[] }) {
  return (
    <div className="table-scroll is-unbroken">
      <Lines
        label={say`Checks by op`}
        head={[say`op`, say`cases`, say`failed`, ...CHECK_FIGURES.map(checkTitle)]}
        rows={rows.map(({ op, cases, failures, worst }) => [
          op,
          whole(cases),
          whole(failures.length),
          ...CHECK_FIGURES.map((kind) => marginText(worst[kind])),
        ])}
      />
    </div>
  );
}

/** The report for a bug: device, limits, browser, version, figures. */
function Report({ text }: { readonly text: string }) {
  return (
    <>
      <p className="row tools">
        <Copy kind="plain" text={say`Copy the report`} of={text} />
        <Action
          kind="link"
          text={say`save it`}
          onPress={() => saveFile('papilio-device.md', text, 'text/markdown')}
        />
      </p>
      <Fold summary={say`The report`}>
        <pre className="snippet">{text}</pre>
      </Fold>
    </>
  );
}
