/** What the labs' worker answers to what is set now: of questions that come while one is answered only the newest is asked. */
import { useEffect, useRef, useState } from 'react';
import { sentenceOf } from '../labWorker.ts';

export interface Answered<Q, A> {
  /** The question that it answers, which may be one before the last. */
  readonly question: Q;
  readonly answer: A;
}

/** @param question plain data; equal questions are one */
export function useAnswer<Q, A>(question: Q, ask: (question: Q) => Promise<A>) {
  const [answered, setAnswered] = useState<Answered<Q, A> | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const wanted = useRef('');
  const isAsking = useRef(false);
  const asking = useRef(ask);
  asking.current = ask;
  const key = JSON.stringify(question);
  useEffect(() => {
    wanted.current = key;
    const askOn = async () => {
      if (isAsking.current) return;
      isAsking.current = true;
      try {
        for (let asked = ''; asked !== wanted.current; ) {
          asked = wanted.current;
          const one = JSON.parse(asked) as Q;
          setAnswered({ question: one, answer: await asking.current(one) });
          setProblem(null);
        }
      } catch (error) {
        setProblem(sentenceOf(error));
      } finally {
        isAsking.current = false;
      }
    };
    void askOn();
  }, [key]);
  return { answered, problem };
}
