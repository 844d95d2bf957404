/** Says what is waited for, for how long nothing has been heard of it, and what ends it: no line of progress stands still in silence. */
import { type ReactNode, useEffect, useRef, useState } from 'react';

/** Seconds before the silence is worth a word, and before the way out of it is. */
const WORTH_A_WORD = 2;
const WORTH_A_WAY = 5;

/** Whole seconds since `news` was another value, or since `isOn`; 0 while they are few. */
export function useSilence(news: unknown, isOn = true): number {
  const [seconds, setSeconds] = useState(0);
  const heard = useRef({ news, at: 0 });
  if (heard.current.news !== news || heard.current.at === 0) heard.current = { news, at: performance.now() };
  useEffect(() => {
    setSeconds(0);
    if (!isOn) return;
    heard.current = { ...heard.current, at: performance.now() };
    const timer = setInterval(() => {
      const silent = Math.floor((performance.now() - heard.current.at) / 1000);
      setSeconds(silent < WORTH_A_WORD ? 0 : silent);
    }, 500);
    return () => clearInterval(timer);
  }, [isOn]);
  return seconds;
}

/** Not read aloud: a voice would count along. */
export function Silence({ seconds, way }: { readonly seconds: number; readonly way?: string | undefined }) {
  if (seconds === 0) return null;
  return (
    <span className="silence" aria-hidden="true">
      {` ${seconds} s`}
      {way !== undefined && seconds >= WORTH_A_WAY ? `; ${way}` : ''}
    </span>
  );
}

export function Waiting(props: {
  /** "Reading the model" */
  readonly what: string;
  /** Another value whenever there is something new. */
  readonly news?: unknown;
  /** What ends it: "another choice ends it". */
  readonly way?: string;
  readonly children?: ReactNode;
}) {
  const { what, news, way, children } = props;
  const silence = useSilence(news);
  return (
    <>
      {what} …<Silence seconds={silence} way={way} />
      {children !== undefined && silence > 0 ? <> {children}</> : null}
    </>
  );
}
