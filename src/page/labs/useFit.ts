/** A fit of what is set now, in the labs' worker: a few steps at a time until it is done or stopped, and begun anew when what is fitted changes. */
import { useEffect, useRef, useState } from 'react';
import { type DeviceReport, FIT_STEPS, type FitAnswer, type Fitted } from '../../labs.ts';
import { useHeld } from '../parts/held.tsx';
import { labWorker, sentenceOf } from './labWorker.ts';

/** Between two pictures. */
const AT_ONCE = 10;
/** A slider that moves asks once, when it stands. */
const PAUSE_MS = 300;

/** What runs in the worker, as functions that stay the same; only one runs at a time. */
export interface FitSource<W, F, A, P> {
  readonly steps: number;
  /** Begins it, and gives what is known before its first step. */
  open(wanted: W): Promise<F>;
  /** Some steps more. */
  advance(): Promise<A>;
  /** One of its parts, as of the last step. */
  look(part: number): Promise<P>;
}

/** The part that is picked, with what was fitted. */
export type Picked = Fitted & { readonly part: number };

export interface FitShown<W, F, A = FitAnswer, P = Picked> {
  readonly wanted: W;
  readonly facts: F;
  readonly answer: A;
  readonly device: DeviceReport;
  readonly picked: readonly P[];
}

/** Fits to a matrix. */
export const matrixFits = <W, F>(open: (wanted: W) => Promise<F>): FitSource<W, F, FitAnswer, Picked> => ({
  steps: FIT_STEPS,
  open,
  advance: () => labWorker().advance(AT_ONCE),
  look: async (part) => ({ part, ...(await labWorker().fitted(part)) }),
});

/**
 * @param wanted plain data
 * @param source the same every time
 * @param picks parts that are looked into
 */
export function useFit<W, F, A extends { readonly step: number }, P>(
  wanted: W,
  source: FitSource<W, F, A, P>,
  picks: readonly number[],
) {
  const [shown, setShown] = useHeld<FitShown<W, F, A, P> | null>('fit', () => null);
  const [wasStopped, setWasStopped] = useHeld('fit-stopped', () => false);
  const [problem, setProblem] = useState<string | null>(null);
  const [isRunning, setRunning] = useState(false);
  const [round, setRound] = useState(0);
  const pick = useRef(picks);
  pick.current = picks;
  const isStopped = useRef(false);
  const key = JSON.stringify(wanted);
  /** What was on screen in another language goes on from there, unless something else is set by now. */
  const before = useRef(shown !== null && JSON.stringify(shown.wanted) === key ? shown : null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another round is the same asked again.
  useEffect(() => {
    const left = new AbortController();
    const isLeft = () => left.signal.aborted;
    const asked = JSON.parse(key) as W;
    const from = before.current;
    before.current = null;
    if (from !== null && wasStopped) return;
    const run = async () => {
      isStopped.current = false;
      setWasStopped(false);
      setRunning(true);
      try {
        const device = await labWorker().device();
        if (isLeft()) return;
        const facts = from?.facts ?? (await source.open(asked));
        for (let step = from?.answer.step ?? 0; step < source.steps && !isLeft() && !isStopped.current; ) {
          const answer = await source.advance();
          const picked = await Promise.all(pick.current.map(source.look));
          step = answer.step;
          if (!isLeft()) setShown({ wanted: asked, facts, answer, device, picked });
        }
        if (!isLeft()) setProblem(null);
      } catch (error) {
        if (!isLeft()) setProblem(sentenceOf(error));
      } finally {
        if (!isLeft()) setRunning(false);
      }
    };
    const timer = setTimeout(() => void run(), PAUSE_MS);
    return () => {
      clearTimeout(timer);
      left.abort();
    };
  }, [key, source, round]);
  const picksKey = picks.join(' ');
  // biome-ignore lint/correctness/useExhaustiveDependencies: while it runs, each look has the parts that are picked.
  useEffect(() => {
    if (isRunning || shown === null) return;
    void Promise.all(pick.current.map(source.look))
      .then((picked) => setShown((now) => now && { ...now, picked }))
      .catch(() => {});
  }, [picksKey, isRunning]);
  return {
    ...{ problem, isRunning },
    /** Null until there is something of what is set now. */
    fit: shown !== null && JSON.stringify(shown.wanted) === key ? shown : null,
    stop: () => {
      isStopped.current = true;
      setWasStopped(true);
    },
    again: () => setRound((before) => before + 1),
  };
}
