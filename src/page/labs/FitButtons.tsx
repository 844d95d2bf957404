/** Stops what a lab fits, or begins it again; and what went wrong, in a sentence. */
import { say } from '../../common.ts';
import { Action } from '../parts/Action.tsx';

export function FitButtons(props: {
  readonly isRunning: boolean;
  readonly problem: string | null;
  readonly stop: () => void;
  readonly again: () => void;
  /** What beginning again is called. */
  readonly title: string;
}) {
  const { isRunning, problem, stop, again, title } = props;
  return (
    <>
      <p className="row">
        {isRunning ? (
          <Action icon="pause" text={say`Stop`} onPress={stop} />
        ) : (
          <Action icon="play" text={title} onPress={again} />
        )}
      </p>
      {problem === null ? null : (
        <p className="error-text" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}
