/** The rotation of what is set now, from the labs' worker: of questions that come while one is answered only the newest is asked. */
import { useEffect, useRef, useState } from 'react';
import type { CayleyAnswer, DeviceReport } from '../../../labs.ts';
import { labWorker, sentenceOf } from '../labWorker.ts';

export interface Turned {
  readonly b: number;
  readonly skew: readonly number[];
  readonly answer: CayleyAnswer;
  readonly device: DeviceReport;
}

export function useCayley(b: number, skew: readonly number[]) {
  const [turned, setTurned] = useState<Turned | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const wanted = useRef('');
  const isAsking = useRef(false);
  const key = JSON.stringify([b, skew]);
  useEffect(() => {
    wanted.current = key;
    const ask = async () => {
      if (isAsking.current) return;
      isAsking.current = true;
      try {
        for (let asked = ''; asked !== wanted.current; ) {
          asked = wanted.current;
          const [size, entries] = JSON.parse(asked) as [number, number[]];
          const device = await labWorker().device();
          setTurned({ b: size, skew: entries, answer: await labWorker().cayley(size, entries), device });
          setProblem(null);
        }
      } catch (error) {
        setProblem(sentenceOf(error));
      } finally {
        isAsking.current = false;
      }
    };
    void ask();
  }, [key]);
  return { turned, problem };
}
