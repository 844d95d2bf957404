/** The buttons of a run of the lab, what it does now in a line, and the runs before it. */
import { say } from '../../../common.ts';
import type { Progress, RunState } from '../../../protocol.ts';
import { bytes, duration } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { isUnderWay } from '../../stores.ts';
import { stepsWithScoring } from '../seconds.ts';
import { useLab } from '../useLab.ts';
import { earlierOf, type FirstRun, keyOf, newestOf, runName, runTitle, stepOf } from './runList.ts';
import type { FirstRuns, FirstView } from './runs.ts';
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

/** What the run does: of those that the trainer has not, whether they were left while they were paused. */
const stateOf = (view: FirstView, run: FirstRun | undefined): RunState => {
  if (run === undefined) return 'idle';
  if (view.current === keyOf(run)) return view.state;
  return run.paused === null ? 'idle' : 'paused';
};

function stateText(view: FirstView, run: FirstRun | undefined): string {
  if (run === undefined) return say`Not trained yet.`;
  const [step, total] = [stepOf(run), run.request.training.steps];
  const state = stateOf(view, run);
  switch (state) {
    case 'loading':
    case 'compiling':
    case 'ready':
      return openingText(view.progress);
    case 'running':
      return secondsLeft(run) === null
        ? say`Training: step ${step} of ${total}.`
        : say`Training: step ${step} of ${total}, about ${duration(secondsLeft(run)!)} left.`;
    case 'paused':
      return say`Paused at step ${step} of ${total}.`;
    case 'finished':
      return say`${runTitle(run, view.runs)}: finished after ${total} steps.`;
    case 'failed':
      return run.paused === null
        ? say`It stopped at step ${step}. Press the button to begin anew.`
        : say`It stopped at step ${step}. It can go on from where it was last paused, or begin anew.`;
    case 'idle':
      return view.current === keyOf(run)
        ? say`Stopped at step ${step} of ${total}.`
        : say`Its curve and its answers are kept.`;
  }
}

const isBusy = ({ state }: FirstView): boolean => isUnderWay(state) || state === 'ready';

/** Whether a run was paused and can go on now. */
const canGoOn = (view: FirstView, run: FirstRun): boolean =>
  !isBusy(view) && (run.paused !== null || stateOf(view, run) === 'paused');

interface Line {
  readonly which: Which;
  readonly runs: FirstRuns;
  readonly view: FirstView;
}

export function RunLine(
  props: Line & {
    /** What the button that trains says. */
    readonly text: string;
    /** Why it cannot be trained as it is set. */
    readonly obstacle: string | null;
  },
) {
  const { which, text, obstacle, runs, view } = props;
  const lab = useLab();
  const run = newestOf(view.runs, which);
  const state = stateOf(view, run);
  const isMine = run !== undefined && view.current === keyOf(run);
  return (
    <>
      <p className="row">
        {state === 'running' ? (
          <Action icon="pause" text={say`Pause`} onPress={() => void runs.pause()} />
        ) : null}
        {run !== undefined && canGoOn(view, run) ? (
          <Action
            icon="play"
            text={say`Go on`}
            isDisabled={view.busy !== null}
            onPress={() => void runs.goOn(run)}
          />
        ) : null}
        {isMine && isBusy(view) ? (
          <Action icon="reset" text={say`Stop`} onPress={() => void runs.stop()} />
        ) : (
          <Action
            data-testid={`train-${which}`}
            icon="play"
            kind={run === undefined ? 'strong' : 'plain'}
            text={text}
            isDisabled={obstacle !== null || isBusy(view) || view.busy !== null}
            onPress={() => void runs.train(which, requestOf(which, lab.values))}
          />
        )}
      </p>
      {obstacle === null ? null : <p className="hint">{obstacle}</p>}
      <p className="hint" data-testid={`state-${which}`} data-state={state}>
        {stateText(view, run)}
      </p>
      <EarlierRuns {...{ which, runs, view }} />
    </>
  );
}

/** Runs that a newer one has followed: their curves are in the picture until they are taken away. */
function EarlierRuns({ which, runs, view }: Line) {
  const earlier = earlierOf(view.runs, which);
  if (earlier.length === 0) return null;
  return (
    <ul className="first-earlier" data-testid={`earlier-${which}`} aria-label={say`Runs before this one`}>
      {earlier.map((run) => {
        const name = runName(run, view.runs);
        const [step, total] = [stepOf(run), run.request.training.steps];
        return (
          <li key={keyOf(run)} className="row">
            <span className="hint">
              {run.paused === null
                ? say`${runTitle(run, view.runs)}: ${step} of ${total} steps.`
                : say`${runTitle(run, view.runs)}: paused at step ${step} of ${total}.`}
            </span>
            {canGoOn(view, run) ? (
              <Action
                kind="link"
                text={say`Go on with ${name}`}
                isDisabled={view.busy !== null}
                onPress={() => void runs.goOn(run)}
              />
            ) : null}
            <Action kind="link" text={say`Take ${name} away`} onPress={() => runs.remove(run)} />
          </li>
        );
      })}
    </ul>
  );
}
