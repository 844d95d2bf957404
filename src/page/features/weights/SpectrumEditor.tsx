/** FourierFT's spectrum under the hand: a coefficient is moved or left out, and ΔW and the score follow through the kernel that trains. */
import { useEffect, useMemo, useState } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import type { EvalMetric, Inspection } from '../../../protocol.ts';
import { metricText, percent, real, scoredOn, scoreText, whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Fold, Toggle } from '../../parts/Controls.tsx';
import { Block, Facts, Figure } from '../../parts/Facts.tsx';
import { Range } from '../../parts/Range.tsx';
import { rich } from '../../parts/rich.ts';
import { useRun } from '../../usePage.ts';
import { DeltaMap } from '../inspect/Learnt.tsx';
import { FrequencyPlane } from './FrequencyPlane.tsx';
import { MoreFrequencies } from './MoreFrequencies.tsx';
import {
  AS_TRAINED,
  alone,
  bySize,
  coefficient,
  isEdited,
  movedTo,
  periods,
  rangeOf,
  type Spectrum,
  type SpectrumEdit,
  signed,
  toggled,
} from './spectrum.ts';
import { learntAs, type Place } from './unlearnt.ts';
import type { Weights } from './weights.ts';

/** The frequency that is looked at in a module, and the place that was pressed last where none is learnt. */
function usePlace(module: string, first: number) {
  const [at, setAt] = useState<{ readonly module: string; readonly k?: number; readonly missed?: Place }>({
    module,
  });
  const here = at.module === module ? at : { module };
  return {
    chosen: here.k ?? first,
    missed: here.missed ?? null,
    choose: (k: number) => setAt({ module, k }),
    /** @param k the frequency of the same wave, if it is learnt at its other place */
    miss: (missed: Place, k: number | null) => setAt({ ...here, ...(k !== null && { k }), missed }),
  };
}

export function SpectrumEditor(props: {
  readonly weights: Weights;
  /** What the run is like at this step. */
  readonly step: number;
  readonly inspection: Inspection;
  readonly spectrum: Spectrum;
}) {
  const { weights, step, inspection, spectrum } = props;
  const { module, delta } = inspection;
  const view = useStore(weights.whatIf, (s) => s.spectrum);
  const isStill = useRun(({ state }) => state === 'paused' || state === 'finished');
  const isAsking = useStore(weights.whatIf, (s) => s.isAsking);
  const isHere = view.module === module;
  const edit = isHere ? view.edit : AS_TRAINED;
  const order = useMemo(() => bySize(spectrum), [spectrum]);
  const range = useMemo(() => rangeOf(spectrum), [spectrum]);
  const { chosen, choose, missed, miss } = usePlace(module, order[0]!);
  const answer = isHere && isEdited(edit) ? view.answer : null;
  const trained = isHere && view.trained?.step === step ? view.trained : null;
  const score = answer?.metric ?? trained;
  const shown = answer?.inspection.delta ?? delta;
  const change = (next: SpectrumEdit) => void weights.moving.editSpectrum(module, spectrum, next);
  // Of other numbers everything is another: the score as trained, and what was moved.
  // biome-ignore lint/correctness/useExhaustiveDependencies: an edit is asked for when it is made.
  useEffect(() => {
    if (isStill) change(edit);
  }, [weights, module, spectrum, isStill]);
  return (
    <Block
      title={say`The spectrum`}
      beside={
        <span className="hint" aria-live="polite">
          {isEdited(edit)
            ? isAsking
              ? say`following …`
              : say`what if: the run itself is untouched`
            : say`as trained`}
        </span>
      }
    >
      <div className="strip strip-2">
        <figure className="matrix">
          <FrequencyPlane
            spectrum={spectrum}
            edit={edit}
            size={delta}
            largest={range.largest}
            limit={range.limit}
            chosen={chosen}
            onChoose={choose}
            onMiss={(place) => miss(place, learntAs(spectrum, delta, place))}
            onMove={(k, value) => change(movedTo(edit, k, value))}
          />
          <figcaption className="is-still">{say`Frequencies along the outputs (down) and the inputs (across), 0 in the middle, the finest waves at the rim. Click one; drag it up or down.`}</figcaption>
        </figure>
        <DeltaMap delta={shown} />
      </div>
      <OneFrequency
        {...{ spectrum, edit, order, chosen, change }}
        size={delta}
        limit={range.limit}
        onChoose={choose}
      />
      <MoreFrequencies
        module={module}
        count={spectrum.values.length}
        size={delta}
        place={missed}
        isLearnt={missed !== null && learntAs(spectrum, delta, missed) !== null}
      />
      <Figures
        {...{ shown, score, delta }}
        trained={answer === null ? null : trained}
        counting={[spectrum.values.length - edit.off.size, spectrum.values.length]}
      />
    </Block>
  );
}

/** What ΔW and score are, beside what they are as trained, and how that was got. */
function Figures(props: {
  readonly shown: Inspection['delta'];
  readonly delta: Inspection['delta'];
  readonly score: EvalMetric | null;
  readonly trained: EvalMetric | null;
  /** How many frequencies count, of how many. */
  readonly counting: readonly [number, number];
}) {
  const { shown, delta, score, trained, counting } = props;
  return (
    <>
      <dl className="figures figures-small" data-testid="spectrum-figures">
        <Figure
          name="‖ΔW‖ / ‖W‖"
          how="change"
          value={percent(shown.relative)}
          note={shown === delta ? '' : say`as trained ${percent(delta.relative)}`}
        />
        <Figure
          name={say`Counting`}
          how="frequencies"
          value={say`${whole(counting[0])} of ${whole(counting[1])}`}
        />
        {score === null ? null : (
          <Figure
            name={say`Held-out ${metricText(score.metric)}`}
            how="held-out"
            value={scoreText(score)}
            note={
              trained === null ? scoredOn(score) : say`as trained ${scoreText(trained)}; ${scoredOn(score)}`
            }
          />
        )}
      </dl>
      <Fold summary={say`How each number was got`}>
        <Facts
          of={{
            ΔW: say`computed by the engine of the run: the same graph as in training (the sparse inverse transform), with the moved coefficients in place of the run’s own, which are put back bit for bit before its next step.`,
            '‖ΔW‖ / ‖W‖': say`derived from that ΔW: Frobenius norms, in float64.`,
            [say`Score`]:
              score === null
                ? say`measured when the run pauses or ends, or something is moved.`
                : say`measured in this run: ${scoredOn(score)}, with every other layer as trained. The same examples each time.`,
          }}
        />
      </Fold>
    </>
  );
}

/** One frequency in words, with its controls. */
function OneFrequency(props: {
  readonly spectrum: Spectrum;
  readonly edit: SpectrumEdit;
  readonly order: readonly number[];
  readonly chosen: number;
  readonly size: { readonly rows: number; readonly columns: number };
  readonly limit: number;
  readonly change: (edit: SpectrumEdit) => void;
  readonly onChoose: (k: number) => void;
}) {
  const { spectrum, edit, order, chosen, size, limit, change, onChoose } = props;
  const count = spectrum.values.length;
  const down = periods(spectrum.rows[chosen]!, size.rows);
  const across = periods(spectrum.columns[chosen]!, size.columns);
  return (
    <div className="stack frequency" data-testid="frequency">
      <p>{rich`A wave of ${<b>{signed(down)}</b>} periods along the outputs and ${<b>{signed(across)}</b>} along the inputs, coefficient ${<b>{real(coefficient(spectrum, edit, chosen))}</b>} (trained: ${real(spectrum.values[chosen]!)}).`}</p>
      <Range
        label={say`Frequency`}
        value={order.indexOf(chosen) + 1}
        min={1}
        max={count}
        step={1}
        format={(value) => say`${value} of ${count} by size`}
        onChange={(value) => onChoose(order[value - 1]!)}
      />
      <Range
        label={say`Coefficient`}
        value={coefficient(spectrum, edit, chosen)}
        min={-limit}
        max={limit}
        step={limit / 200}
        format={real}
        onChange={(value) => change(movedTo(edit, chosen, value))}
      />
      <p className="row tools">
        <Toggle
          isOn={!edit.off.has(chosen)}
          onChange={() => change(toggled(edit, chosen))}
        >{say`It counts`}</Toggle>
        <Action text={say`Only this one`} onPress={() => change(alone(edit, chosen, count))} />
        <Action text={say`As trained`} isDisabled={!isEdited(edit)} onPress={() => change(AS_TRAINED)} />
      </p>
    </div>
  );
}
