/** The buttons of one of the lab's two runs, and what it does now in a line. */
import { say } from '../../../common.ts';
import type { Progress } from '../../../protocol.ts';
import { bytes, duration } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { isUnderWay } from '../../stores.ts';
import { stepsWithScoring } from '../seconds.ts';
import { useLab } from '../useLab.ts';
import { runTitle } from './CurveFigure.tsx';
import type { FirstRun, FirstRuns, FirstView } from './runs.ts';
import { requestOf, type Which } from './setup.ts';

/** Steps before the time that is left is told. */
const FIRST_STEPS = 10;

/** What is waited for before the first step. */
function openingText(progress: Progress | null): string {
  if (progress?.clock === 'download' && progress.doneBytes < progress.totalBytes)
    return say`Loading: ${bytes(progress.doneBytes)} of ${bytes(progress.totalBytes)} …`;
  if (progress?.clock === 'compile' && progress.done < progress.total)
    return say`Making the engine ready: ${progress.done} of ${progress.total} …`;
  return say`Reading the model, and scoring it before the first step …`;
}

/** Steps that the time left is told by: a machine may become busy while it trains. */
const RECENT_STEPS = 40;

/** Of a run that trains, by the seconds of its last steps, with the scorings that are still to come; null for the first few, which say little. */
export function secondsLeft(run: Pick<FirstRun, 'steps' | 'request'> | undefined): number | null {
  const last = run?.steps.at(-1);
  if (run === undefined || last === undefined || last.step < FIRST_STEPS) return null;
  const from = run.steps.at(-1 - RECENT_STEPS) ?? { step: 0, seconds: 0 };
  const { training } = run.request;
  const perStep = (last.seconds - from.seconds) / (last.step - from.step);
  return perStep * (stepsWithScoring(training) / training.steps) * (training.steps - last.step);
}

function stateText({ state, progress, runs }: FirstView, which: Which): string {
  const run = runs[which];
  const [step, total] = [run?.steps.at(-1)?.step ?? 0, run?.request.training.steps ?? 0];
  switch (state) {
    case 'loading':
    case 'compiling':
    case 'ready':
      return openingText(progress);
    case 'running':
      return secondsLeft(run) === null
        ? say`Training: step ${step} of ${total}.`
        : say`Training: step ${step} of ${total}, about ${duration(secondsLeft(run)!)} left.`;
    case 'paused':
      return say`Paused at step ${step} of ${total}.`;
    case 'finished':
      return say`${runTitle(run!)}: finished after ${total} steps.`;
    case 'failed':
      return say`It stopped at step ${step}. Press the button to begin anew.`;
    case 'idle':
      return run === undefined ? say`Not trained yet.` : say`Stopped at step ${step} of ${total}.`;
  }
}

export function RunLine(props: {
  readonly which: Which;
  /** What the button that trains says. */
  readonly text: string;
  /** Why it cannot be trained as it is set. */
  readonly obstacle: string | null;
  readonly runs: FirstRuns;
  readonly view: FirstView;
}) {
  const { which, text, obstacle, runs, view } = props;
  const lab = useLab();
  const { state } = view;
  const isMine = view.which === which;
  const isBusy = isUnderWay(state) || state === 'ready';
  const run = view.runs[which];
  return (
    <>
      <p className="row">
        {isMine && state === 'running' ? (
          <Action icon="pause" text={say`Pause`} onPress={() => void runs.pause()} />
        ) : null}
        {isMine && state === 'paused' ? (
          <Action icon="play" text={say`Go on`} onPress={() => void runs.resume()} />
        ) : null}
        {isMine && isBusy ? (
          <Action icon="reset" text={say`Stop`} onPress={() => void runs.stop()} />
        ) : (
          <Action
            data-testid={`train-${which}`}
            icon="play"
            kind={run === undefined ? 'strong' : 'plain'}
            text={text}
            isDisabled={obstacle !== null || isBusy || view.busy !== null}
            onPress={() => void runs.train(which, requestOf(which, lab.values))}
          />
        )}
      </p>
      {obstacle === null ? null : <p className="hint">{obstacle}</p>}
      <p className="hint" data-testid={`state-${which}`} data-state={isMine ? state : 'idle'}>
        {isMine || run === undefined
          ? stateText(isMine ? view : { ...view, state: 'idle' }, which)
          : say`Its curve and its answers are kept.`}
      </p>
    </>
  );
}
