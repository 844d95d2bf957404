/** The curves of runs: held-out accuracy and loss by step, with where they came to in a sentence. */
import { greatest, paragraph, say } from '../../../common.ts';
import { percent, real, whole } from '../../format.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { deviceName } from '../deviceName.ts';
import { LabFigure } from '../LabFigure.tsx';
import { Plot, type PlotLine } from '../Plot.tsx';
import { type FirstRun, type FirstRunList, keyOf, lookOf, runName, runTitle } from './runList.ts';
import { HELD_OUT, type Which } from './setup.ts';

/** A run, as it is called beside the others, also at the beginning of a sentence. */
export type Curves = readonly { readonly run: FirstRun; readonly name: string; readonly title: string }[];

/** The runs of some kinds, kind by kind. */
export const curvesOf = (runs: FirstRunList, kinds: readonly Which[]): Curves =>
  kinds.flatMap((which) =>
    runs
      .filter((run) => run.which === which)
      .map((run) => ({ run, name: runName(run, runs), title: runTitle(run, runs) })),
  );

/** Held-out accuracy of a run as it is now; null before it was scored. */
export const accuracyOf = ({ evals }: FirstRun): number | null => evals.at(-1)?.value ?? null;

/** Numbers that a run trains; null before it is open. */
export const numbersOf = ({ open }: FirstRun): number | null => open?.counts.trainable.free ?? null;

/** What a model comes to that gives each class the same probability. */
export const guessing = (classes: number) => ({
  accuracy: 1 / classes,
  loss: Math.log(classes),
});

/** Where an axis from zero is marked. */
function ticksOf(high: number): number[] {
  const wide = [1, 2, 5, 10, 20, 50, 100].find((step) => high / step <= 6) ?? 100;
  return Array.from({ length: Math.floor(high / wide) + 1 }, (_, i) => i * wide);
}

function sentenceOf({ run, title: name }: Curves[number]): string {
  const numbers = numbersOf(run);
  const [first, last] = [run.evals[0], run.evals.at(-1)];
  const step = run.steps.at(-1);
  if (first === undefined || last === undefined || numbers === null) return say`${name} is being opened.`;
  if (step === undefined)
    return say`${name} trains ${whole(numbers)} numbers. Before the first step ${percent(first.value)} of ${first.examples} held-out letters are right.`;
  const rate = greatest(run.steps.map(({ learningRate }) => learningRate));
  return paragraph([
    say`${name} trains ${whole(numbers)} numbers. At step ${step.step} the loss is ${real(step.loss)}; of ${last.examples} held-out letters ${percent(last.value)} are right at step ${last.step}, and ${percent(first.value)} were before.`,
    say`The learning rate went up to ${real(rate)}.`,
  ]);
}

export function CurveFigure(props: {
  readonly id: string;
  readonly title: string;
  readonly curves: Curves;
  readonly isDone: boolean;
}) {
  const { id, title, curves, isDone } = props;
  const device = curves.findLast(({ run }) => run.open !== null)?.run.open?.device;
  return (
    <LabFigure
      id={id}
      title={title}
      isDone={isDone}
      sentence={
        <Sentences>
          {curves.map((curve) => (
            <span key={keyOf(curve.run)}>{sentenceOf(curve)}</span>
          ))}
          {device === undefined ? null : (
            <span className="hint">{say`Computed by ${deviceName(device)}.`}</span>
          )}
        </Sentences>
      }
      how={say`How each number was got: the loss is the mean cross-entropy of the batch of a step, before its update; the accuracy is the share of held-out letters whose likeliest class is the right one, asked of the run itself between two steps. Held-out letters are never learnt from; ${HELD_OUT} of them are asked, the same each time, since all would take longer than the steps between.`}
      table={{
        head: [say`Run`, say`Step`, say`Loss`, say`Held-out accuracy`],
        rows: curves.flatMap(({ run, name }) =>
          run.evals.map(({ step, value }) => [
            name,
            String(step),
            real(run.steps.find((one) => one.step === Math.max(1, step))?.loss ?? Number.NaN),
            percent(value),
          ]),
        ),
      }}
    >
      <Plots curves={curves} />
    </LabFigure>
  );
}

/** Accuracy and loss by step, and what guessing comes to. */
function Plots({ curves }: { readonly curves: Curves }) {
  const steps = greatest(curves.map(({ run }) => run.request.training.steps));
  const x = { title: say`steps`, isLog: false, low: 0, high: steps, ticks: ticksOf(steps), format: String };
  const lines = (points: (run: FirstRun) => PlotLine['points'], isMarked: boolean) =>
    curves.map(({ run, name }): PlotLine => {
      const { color, dash, mark } = lookOf(run);
      return { id: keyOf(run), name, color, dash, points: points(run), ...(isMarked ? { mark } : {}) };
    });
  const losses = curves.flatMap(({ run }) => run.steps.map(({ loss }) => loss));
  const classes = curves[0]?.run.open?.data.labels?.length ?? 0;
  // How many letters there are is known once the run is open.
  const guess = classes === 0 ? null : guessing(classes);
  const top = Math.max(1, Math.ceil(greatest([...(losses.length > 0 ? losses : [4]), guess?.loss ?? 0])));
  const baseline = (value: number | undefined): PlotLine[] =>
    value === undefined
      ? []
      : [
          {
            ...{ id: 'guess', name: say`guessing among ${classes} letters`, color: '--ink-2', dash: '1 4' },
            points: [0, steps].map((step) => [step, value] as const),
          },
        ];
  return (
    <>
      <p className="lab-axis-title">{say`Held-out letters that are right`}</p>
      <Plot
        label={say`Held-out letters that are right, by step`}
        x={x}
        y={{
          ...{ title: '', isLog: false, low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1] },
          format: (share) => `${Math.round(100 * share)} %`,
        }}
        height={230}
        lines={[
          ...baseline(guess?.accuracy),
          ...lines((run) => run.evals.map(({ step, value }) => [step, value] as const), true),
        ]}
      />
      <p className="lab-axis-title">{say`Loss of each step`}</p>
      <Plot
        label={say`Loss, by step`}
        x={x}
        y={{
          ...{ title: '', isLog: false, low: 0, high: top },
          ...{ ticks: ticksOf(top), format: String },
        }}
        height={190}
        lines={[
          ...baseline(guess?.loss),
          ...lines((run) => run.steps.map(({ step, loss }) => [step, loss] as const), false),
        ]}
      />
    </>
  );
}
