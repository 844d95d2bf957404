/** What stands where something is still to come, or has been overtaken: no line of progress stands still in silence. */
import { useEffect, useRef, useState } from 'react';
import { say } from '../../common.ts';
import { useRun, useSeries } from '../usePage.ts';
import { Action } from './Action.tsx';

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
  return isOn ? seconds : 0;
}

/** Not read aloud: a voice would count along. */
export function Silence({ seconds, way }: { readonly seconds: number; readonly way?: string | undefined }) {
  if (seconds === 0) return null;
  return (
    <span aria-hidden="true">
      {` ${seconds} s`}
      {way !== undefined && seconds >= WORTH_A_WAY ? `; ${way}` : ''}
    </span>
  );
}

/** Says what is waited for, for how long nothing has been heard of it, and what ends it. */
export function Waiting(props: {
  /** "Reading the model" */
  readonly what: string;
  /** Another value whenever there is something new. */
  readonly news?: unknown;
  /** What ends it: "another choice ends it". */
  readonly way?: string;
  /** Ends it; offered once there is silence. */
  readonly onStop?: () => void;
}) {
  const { what, news, way, onStop } = props;
  const silence = useSilence(news);
  return (
    <>
      {say`${what} …`}
      <Silence seconds={silence} way={way} />
      {onStop !== undefined && silence > 0 ? (
        <>
          {' '}
          <Action kind="link" text={say`stop`} onPress={onStop} />
        </>
      ) : null}
    </>
  );
}

/** A word where what is on screen belongs to another step than the one the run has come to. */
export function OfStep({ step, isAsked = false }: { readonly step: number; readonly isAsked?: boolean }) {
  const series = useRun((s) => s.current?.series ?? null);
  useSeries(series);
  const now = series?.column('step').at(-1) ?? 0;
  if (now === step) return null;
  return (
    <p className="hint" role="status" data-testid="stale">
      {isAsked
        ? say`Of step ${step}; the run is at step ${now}, and is being asked again …`
        : say`Of step ${step}; the run is at step ${now}.`}
    </p>
  );
}
