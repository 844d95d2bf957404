/**
 * The way back: a slider that takes the trained adapter towards the base, all factors together or one after the other, with score, answers and
 * the chosen layer following (figure 10 of the paper of BOFT sets one factor after the other to the identity).
 */
import { useEffect, useMemo } from 'react';
import { useStore } from 'zustand';
import { say } from '../../../common.ts';
import { METHODS } from '../../../methods.ts';
import type { BeforeAfter } from '../../../protocol.ts';
import { degrees, fixed, metricText, percent, pretty, real, scoredOn, scoreText } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Chart, type ChartSpec } from '../../parts/Chart.tsx';
import { Fold, Segments } from '../../parts/Controls.tsx';
import { Block, Facts, Figure, Lines } from '../../parts/Facts.tsx';
import { Picture } from '../../parts/Pictures.tsx';
import { Range } from '../../parts/Range.tsx';
import { Waiting } from '../../parts/Waiting.tsx';
import { useRun } from '../../usePage.ts';
import { RotationMap } from '../inspect/Learnt.tsx';
import { BothBars } from '../try/BeforeAfter.tsx';
import { alongWay, stations, strengthsAt, type Way } from './back.ts';
import type { Weights } from './weights.ts';
import type { BackView } from './whatIf.ts';

/** Examples on screen. */
const SHOWN = 4;
const NONE = [] as const;

export function Back({ weights, module }: { readonly weights: Weights; readonly module: string | null }) {
  const back = useStore(weights.whatIf, (s) => s.back);
  const isAsking = useStore(weights.whatIf, (s) => s.isAsking);
  const state = useRun((s) => s.state);
  const hasFresh = useRun((s) => (s.open?.data.labels.length ?? 0) > 0);
  const run = useRun((s) => s.current?.id ?? null);
  const isStill = state === 'paused' || state === 'finished';
  // The first question tells how many factors there are, and is the end of the way.
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked anew for another run as well.
  useEffect(() => {
    if (isStill) void weights.moving.goTo(weights.whatIf.getState().back.at, module);
  }, [weights, module, isStill, run]);
  const { way, at, count } = back;
  if (count === 0)
    return (
      <Block title={say`Back to the base`}>
        <p className="hint">{say`Nothing of this run has a base to go back to: it trains a new head and nothing else.`}</p>
      </Block>
    );
  return (
    <Block
      title={say`Back to the base`}
      beside={
        <span className="hint" aria-live="polite">
          {count === null
            ? say`once the run pauses or ends`
            : isAsking
              ? say`following …`
              : say`the run itself is untouched`}
        </span>
      }
    >
      {(count ?? 0) > 1 ? (
        <Segments
          label={say`Which way`}
          value={way}
          items={[
            { id: 'together', title: say`All factors together` },
            { id: 'in-turn', title: say`One after the other` },
          ]}
          onChange={(next: Way) => void weights.moving.goBy(next, module)}
        />
      ) : null}
      <Range
        label={say`From base to trained`}
        value={at}
        min={0}
        max={count === null ? 0 : 1}
        step={0.05}
        format={(value) => fixed(value, 2)}
        onChange={(next) => void weights.moving.goTo(next, module)}
      />
      {count === null ? null : <Strengths way={way} at={at} count={count} />}
      {back.answer === null ? null : <Said back={back} />}
      {count === null ? null : <Curve back={back} weights={weights} />}
      {back.answers === null ? null : (
        <section aria-label={say`Answers on the way`} data-testid="back-answers">
          <Answers at={back.answers.at} comparison={back.answers.comparison} />
        </section>
      )}
      <HowBack back={back} hasFresh={hasFresh} />
    </Block>
  );
}

/** How much of each factor counts, where there are several. */
function Strengths({ way, at, count }: { readonly way: Way; readonly at: number; readonly count: number }) {
  if (count < 2) return null;
  return (
    <p className="hint tabular" data-testid="strengths">
      {strengthsAt(way, at, count)
        .map((t, k) => `${pretty(`B_${k}`)} ${fixed(t, 2)}`)
        .join(' · ')}
    </p>
  );
}

/** What was measured where the slider was when it was asked. */
function Said({ back: { answer } }: { readonly back: BackView }) {
  if (answer === null) return null;
  const { at, metric, inspection } = answer;
  const rotation = inspection?.rotation;
  return (
    <>
      <dl className="figures figures-small" data-testid="back-figures" data-at={at}>
        <Figure
          name={say`Held out, at ${fixed(at, 2)}`}
          how="held-out"
          value={scoreText(metric)}
          note={say`${metricText(metric.metric)} on ${scoredOn(metric)}, loss ${real(metric.loss)}`}
          isStrong
        />
        {inspection === null ? null : (
          <Figure name={'‖ΔW‖ / ‖W‖'} how="change" value={percent(inspection.delta.relative)} />
        )}
        {rotation === undefined ? null : (
          <>
            <Figure name={say`Largest angle`} how="angle" value={degrees(rotation.maxAngle, 2)} />
            <Figure name={'‖RᵀR − I‖'} how="orthogonality" value={real(rotation.orthogonality)} />
          </>
        )}
      </dl>
      {rotation === undefined ? null : (
        <div className="strip strip-1">
          <RotationMap rotation={rotation} />
        </div>
      )}
    </>
  );
}

/** The score along the way, of the points that were measured. */
function Curve({ back, weights }: { readonly back: BackView; readonly weights: Weights }) {
  const { way, points, count, isSweeping } = back;
  const along = useMemo(() => alongWay(points, way), [points, way]);
  const measured = along[0]?.metric.metric;
  const metric = measured === undefined ? say`score` : metricText(measured);
  const spec = useMemo(
    () => (): ChartSpec => ({
      lines: [
        {
          name: metric,
          x: along.map(({ at }) => at),
          y: along.map((point) => point.metric.value),
          color: '--line-0',
          width: 2,
          hasMarkers: true,
        },
      ],
      xTitle: say`from base (0) to trained (1)`,
      yTitle: '',
      names: { x: 'strength', y: metric },
      isShare: metric === 'accuracy',
      isLog: false,
    }),
    [along, metric],
  );
  return (
    <>
      <p className="row tools">
        {isSweeping ? (
          <>
            <Action text={say`Stop`} onPress={() => weights.moving.stopSweep()} />
            <span className="hint">
              <Waiting
                what={say`${along.length} of ${stations(way, count ?? 1).length} measured`}
                news={along.length}
              />
            </span>
          </>
        ) : (
          <Action text={say`Measure the curve`} onPress={() => void weights.moving.sweep()} />
        )}
      </p>
      {along.length < 2 ? null : (
        <>
          <Chart
            spec={spec}
            sources={NONE}
            name={say`Held-out ${metric} on the way`}
            label={say`Held-out ${metric} on the way, figures in the table below`}
            height={180}
          />
          <Fold summary={say`The points as a table`}>
            <Lines
              label={say`Points on the way`}
              head={[say`strength`, metric, say`loss`]}
              rows={along.map((point) => [
                fixed(point.at, 2),
                scoreText(point.metric),
                real(point.metric.loss),
              ])}
            />
          </Fold>
        </>
      )}
    </>
  );
}

function Answers({ at, comparison }: { readonly at: number; readonly comparison: BeforeAfter }) {
  const title = say`at ${fixed(at, 2)}`;
  if (comparison.kind === 'text')
    return (
      <Lines
        label={say`What is written`}
        head={['', say`“${comparison.prompt.trim()}” goes on`]}
        rows={[
          [say`base`, comparison.before],
          [title, comparison.after],
        ]}
      />
    );
  if (comparison.kind === 'text-value')
    return (
      <Lines
        head={[say`text`, say`true`, say`base`, title]}
        rows={comparison.examples
          .slice(0, SHOWN)
          .map(({ text, value, before, after }) => [text, real(value), real(before), real(after)])}
      />
    );
  const { labels } = comparison;
  const examples =
    comparison.kind === 'image'
      ? comparison.examples.map(({ pixels, width, height, label, before, after }) => ({
          ...{ label, before, after },
          shown: <Picture pixels={pixels} width={width} height={height} label={say`a ${labels[label]!}`} />,
        }))
      : comparison.examples.map(({ text, label, before, after }) => ({
          ...{ label, before, after },
          shown: <span className="clip">{text}</span>,
        }));
  return (
    <ul>
      {examples.slice(0, SHOWN).map(({ label, before, after, shown }, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the same examples each time, in their order.
        <li key={i} className="example">
          <figure>
            {shown}
            <figcaption>{labels[label] ?? ''}</figcaption>
          </figure>
          <BothBars labels={labels} before={before} after={after} truth={label} title={title} />
        </li>
      ))}
    </ul>
  );
}

function HowBack({
  back: { answer, count },
  hasFresh,
}: {
  readonly back: BackView;
  readonly hasFresh: boolean;
}) {
  const run = useRun((s) => s.current);
  const isRotation = run !== null && METHODS[run.settings.method].family === 'rotation';
  return (
    <Fold summary={say`How each number was got`}>
      <Facts
        of={{
          [say`Strength`]: isRotation
            ? (count ?? 0) > 1
              ? say`each skew matrix Q is multiplied by t before Cayley’s transform, so that every point on the way is a rotation; scales and biases go along with the mean of the factors.`
              : say`each skew matrix Q is multiplied by t before Cayley’s transform, so that every point on the way is a rotation.`
            : say`the numbers that make ΔW go on a straight line to where they change nothing; where ΔW is a product with one of them, it becomes t ΔW, as PEFT’s scale_layer does.`,
          ...(hasFresh
            ? {
                [say`Head`]: say`a new head for other classes has no base to go back to and stays as trained; one of the same classes goes back like the rest.`,
              }
            : {}),
          [say`Score`]:
            answer === null
              ? say`not measured yet.`
              : say`measured by the engine of the run: ${scoredOn(answer.metric)}, the same for every point. Of step ${answer.metric.step}.`,
          [say`The layer`]: say`computed by the graph that trains, with the adapter at that strength.`,
        }}
      />
    </Fold>
  );
}
