/** Merge into the ONNX file, check it against onnxruntime, run it, take everything away. */
import { say } from '../../../common.ts';
import { percent, power } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Fold, Segments } from '../../parts/Controls.tsx';
import { Block, Figure, Lines, ParityVerdict } from '../../parts/Facts.tsx';
import { Sentences } from '../../parts/Sentences.tsx';
import { OfStep, Waiting } from '../../parts/Waiting.tsx';
import type { MergeResult } from '../../stores.ts';
import { isOpening } from '../../stores.ts';
import { useChoice, usePage, useRun } from '../../usePage.ts';
import { RunIt } from '../try/RunIt.tsx';
import { Downloads } from './Downloads.tsx';

export function Merge() {
  const page = usePage();
  const hasRun = useRun((s) => s.open !== null && !isOpening(s.state));
  const merged = useRun((s) => s.merged);
  const busy = useRun((s) => s.busy);
  return (
    <>
      <p>{say`Merging folds the adapter into the weights: same graph, same size, no adapter left. The merged file then runs in onnxruntime, here, on the inputs that the trainer has just answered, and the two answers are compared.`}</p>
      <Action
        kind="strong"
        text={busy ?? (merged === null ? say`Merge and check` : say`Merge again`)}
        isDisabled={!hasRun || busy !== null}
        onPress={() => void page.merging.merge()}
      />
      {hasRun ? null : <p className="hint">{say`Train first, if only for a step.`}</p>}
      {merged === null ? null : <Parity merged={merged} />}
      <RunIt />
      <Downloads />
    </>
  );
}

/** How far the merged file's answers are from the trainer's. */
function Parity({ merged }: { readonly merged: MergeResult }) {
  const page = usePage();
  const { parity, changed, written, step } = merged;
  return (
    <Block title={say`Trainer against onnxruntime`} label={say`Parity with onnxruntime`}>
      {parity === null ? (
        <p className="hint">
          <Waiting what={say`Running the merged file`} onStop={() => page.merging.stopChecking()} />
        </p>
      ) : (
        <>
          <dl className="figures figures-small">
            <Figure
              name={say`max |a−b| / max |b|`}
              how="parity-relative"
              value={power(parity.maxRel)}
              isStrong
            />
            <Figure name={say`max |a−b|`} how="parity-absolute" value={power(parity.maxAbs)} />
            <Figure name={say`Allowed`} how="parity-bound" value={power(parity.bound)} />
            <Figure name={say`Weights changed`} how="weights-changed" value={changed.length} />
          </dl>
          <ParityVerdict parity={parity} />
          <Written written={written} />
          <OfStep step={step} />
        </>
      )}
    </Block>
  );
}

const HOW = () =>
  ({
    exact: 'exact',
    f16: say`rounded to 16 bits`,
    bf16: say`rounded to bfloat16`,
    requantised: say`in codes again`,
    float: say`in floats`,
  }) as const;

/** What writing did to each changed weight, and what becomes of those that the file keeps in codes. */
function Written({ written }: { readonly written: MergeResult['written'] }) {
  const inCodes = written.filter(({ how }) => how === 'requantised' || how === 'float');
  const inexact = written.filter(({ maxError }) => maxError > 0);
  if (inCodes.length === 0 && inexact.length === 0) return null;
  return (
    <div className="written">
      {inCodes.length === 0 ? null : <InCodes isFloat={inCodes[0]!.how === 'float'} />}
      {inexact.length === 0 ? null : <Rounding inexact={inexact} />}
    </div>
  );
}

const IN_CODES = () => say`Changed layers that the file keeps in codes`;

/** Whether they are written in codes again or as floats. */
function InCodes({ isFloat }: { readonly isFloat: boolean }) {
  const page = usePage();
  const quantised = useChoice((s) => s.quantised);
  return (
    <>
      <span className="field-label">{IN_CODES()}</span>
      <Segments
        label={IN_CODES()}
        value={quantised}
        items={[
          { id: 'requantise', title: say`requantise` },
          { id: 'float', title: say`keep in floats` },
        ]}
        onChange={(to) => page.choice.setState({ quantised: to })}
      />
      <p className="hint">
        <Sentences>
          {quantised === 'requantise'
            ? say`Same size, rounded once more, by the errors below.`
            : say`Exact, and larger: these layers take four bytes a weight, or two in a file of 16 bits.`}
          {isFloat === (quantised === 'float') ? '' : say`Merge again to write it so.`}
        </Sentences>
      </p>
    </>
  );
}

function Rounding({ inexact }: { readonly inexact: MergeResult['written'] }) {
  const worst = inexact.reduce((most, { relativeError }) => Math.max(most, relativeError), 0);
  return (
    <Fold summary={say`Rounding of ${inexact.length} weights, at most ${percent(worst)} of a weight’s norm`}>
      <div className="table-scroll">
        <Lines
          head={[say`weight`, say`written`, say`largest error`, say`of the norm`]}
          rows={inexact.map(({ name, how, maxError, relativeError }) => [
            <code key={name}>{name}</code>,
            HOW()[how],
            power(maxError),
            percent(relativeError),
          ])}
        />
      </div>
    </Fold>
  );
}
