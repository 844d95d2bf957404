/** The fits of what is set now: all shapes at once, a few steps at a time, until they are done or stopped; begun anew when target, size or seed change. */
import { useEffect, useRef, useState } from 'react';
import {
  type DeviceReport,
  FIT_STEPS,
  type FitAnswer,
  type FitShape,
  shapesOf,
  type TargetName,
} from '../../../labs.ts';
import { labWorker, sentenceOf } from '../labWorker.ts';

/** Between two pictures. */
const AT_ONCE = 10;
/** A slider that moves asks once, when it stands. */
const PAUSE_MS = 300;

export interface Fits {
  readonly d: number;
  readonly target: TargetName;
  readonly seed: number;
  readonly shapes: readonly FitShape[];
  readonly answer: FitAnswer;
  readonly device: DeviceReport;
  /** The target and the fit of the shape that is picked, [d, d]. */
  readonly picked: {
    readonly shape: FitShape;
    readonly target: readonly number[];
    readonly fitted: readonly number[];
  };
}

export const indexOfShape = (shapes: readonly FitShape[], { m, b }: FitShape): number =>
  shapes.findIndex((shape) => shape.m === m && shape.b === b);

interface Wanted {
  readonly target: TargetName;
  readonly d: number;
  readonly seed: number;
}

export function useFits({ target, d, seed }: Wanted, picked: FitShape) {
  const [fits, setFits] = useState<Fits | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isRunning, setRunning] = useState(false);
  const [round, setRound] = useState(0);
  const pick = useRef(picked);
  pick.current = picked;
  const isStopped = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another round is the same asked again.
  useEffect(() => {
    const left = new AbortController();
    const isLeft = () => left.signal.aborted;
    const run = async () => {
      const shapes = shapesOf(d);
      isStopped.current = false;
      setRunning(true);
      try {
        const device = await labWorker().device();
        if (isLeft()) return;
        await labWorker().openFit({ target, d, seed, shapes, steps: FIT_STEPS });
        for (let step = 0; step < FIT_STEPS && !isLeft() && !isStopped.current; ) {
          const answer = await labWorker().advance(AT_ONCE);
          const shape = Math.max(0, indexOfShape(shapes, pick.current));
          const shown = await labWorker().fitted(shape);
          step = answer.step;
          if (!isLeft())
            setFits({
              ...{ d, target, seed, shapes, answer, device },
              picked: { shape: shapes[shape]!, ...shown },
            });
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
  }, [target, d, seed, round]);
  const key = `${picked.m} ${picked.b}`;
  // biome-ignore lint/correctness/useExhaustiveDependencies: while fits run, each look has the shape that is picked.
  useEffect(() => {
    if (isRunning || fits === null) return;
    const shape = indexOfShape(fits.shapes, pick.current);
    if (shape < 0) return;
    void labWorker()
      .fitted(shape)
      .then((shown) => setFits((now) => now && { ...now, picked: { shape: fits.shapes[shape]!, ...shown } }))
      .catch(() => {});
  }, [key, isRunning]);
  return {
    ...{ fits, problem, isRunning },
    stop: () => {
      isStopped.current = true;
    },
    again: () => setRound((before) => before + 1),
  };
}
