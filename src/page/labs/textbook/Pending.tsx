/** A picture whose numbers the worker has still to give, or what stopped it. */
import type { ReactNode } from 'react';
import { say } from '../../../common.ts';
import type { Answered } from './useAnswer.ts';

export function Pending<Q, A>(props: {
  /** What is waited for, where that is not the engine's start. */
  readonly waiting?: string;
  readonly of: { readonly answered: Answered<Q, A> | null; readonly problem: string | null };
  readonly children: (answered: Answered<Q, A>) => ReactNode;
}) {
  const { answered, problem } = props.of;
  return (
    <>
      {problem === null ? null : (
        <p className="error-text" role="alert">
          {problem}
        </p>
      )}
      {answered === null ? (
        <p className="hint">{props.waiting ?? say`The engine is being started …`}</p>
      ) : (
        props.children(answered)
      )}
    </>
  );
}
