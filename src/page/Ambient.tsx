/** What the page does without being looked at: title, wake lock, spoken progress, short messages. */
import { useEffect, useState } from 'react';
import { say } from '../common.ts';
import type { RunState } from '../protocol.ts';
import { smooth } from './features/training/series.ts';
import { metricText, real, scoreText } from './format.ts';
import type { Page } from './page.ts';
import { Action } from './parts/Action.tsx';
import { IconButton } from './parts/Icon.tsx';
import { usePage, useRun, useUi } from './usePage.ts';

const SPEAK_EVERY_MS = 10_000;

function progress(page: Page): {
  readonly share: number;
  readonly step: number;
  readonly loss: number | null;
} {
  const { current, open } = page.run.getState();
  const step = current?.series.column('step').at(-1) ?? 0;
  const losses = current?.series.column('loss');
  const loss = losses && losses.length > 0 ? smooth(losses, page.ui.getState().smoothing).at(-1)! : null;
  return { share: open === null ? 0 : step / open.totalSteps, step, loss };
}

const TITLE_EVERY_MS = 1000;

/** Keeps the document's title at what the run does; in a tab behind others, where timers hardly run, with what comes from the worker. */
function useTitle(page: Page, state: RunState): void {
  const series = useRun((s) => s.current?.series ?? null);
  useEffect(() => {
    let written = 0;
    const title = () => {
      written = performance.now();
      const { share, loss } = progress(page);
      const figures = loss === null ? '' : ` – ${say`loss ${real(loss)}`}`;
      const sign = state === 'running' ? '▶ ' : state === 'paused' ? '❚❚ ' : '';
      document.title =
        state === 'running' || state === 'paused' || state === 'finished'
          ? `${sign}${Math.round(share * 100)} %${figures} · Papilio`
          : 'Papilio';
    };
    title();
    const timer = setInterval(title, TITLE_EVERY_MS);
    const end = series?.subscribe(() => {
      if (performance.now() - written >= TITLE_EVERY_MS) title();
    });
    return () => {
      clearInterval(timer);
      end?.();
    };
  }, [page, state, series]);
}

const spokenState = (state: Exclude<RunState, 'idle'>): string =>
  ({
    loading: say`Training loading.`,
    compiling: say`Training compiling.`,
    ready: say`Training ready.`,
    running: say`Training running.`,
    paused: say`Training paused.`,
    finished: say`Training finished.`,
    failed: say`Training failed.`,
  })[state];

/** What a screen reader says of the run. */
function useSpokenProgress(page: Page, state: RunState): string {
  const [spoken, setSpoken] = useState('');
  useEffect(() => {
    if (state !== 'running') {
      setSpoken(state === 'idle' ? '' : spokenState(state));
      return;
    }
    const timer = setInterval(() => {
      const { step, loss } = progress(page);
      const last = page.run.getState().current?.series.evals.at(-1);
      const at = say`Step ${step}, loss ${loss === null ? '–' : real(loss)}`;
      if (loss !== null)
        setSpoken(
          last === undefined ? at : say`${at}, held-out ${metricText(last.metric)} ${scoreText(last)}`,
        );
    }, SPEAK_EVERY_MS);
    return () => clearInterval(timer);
  }, [page, state]);
  return spoken;
}

/** Keeps the screen on while a run trains in sight. */
function useWakeLock(state: RunState): void {
  useEffect(() => {
    if (state !== 'running') return;
    let lock: WakeLockSentinel | undefined;
    let isOver = false;
    const take = () => {
      if (document.hidden || isOver) return;
      // Refused on low battery; training goes on without.
      void navigator.wakeLock
        ?.request('screen')
        .then((taken) => {
          if (isOver) void taken.release();
          else lock = taken;
        })
        .catch(() => undefined);
    };
    take();
    document.addEventListener('visibilitychange', take);
    return () => {
      isOver = true;
      document.removeEventListener('visibilitychange', take);
      void lock?.release();
    };
  }, [state]);
}

const NOTICE_MS = 20_000;

/** What was reset can be had back beside the buttons too: the next run need not go on under the words about it. */
function useNoticeEnd(page: Page, state: RunState, isOfReset: boolean): void {
  useEffect(() => {
    if (!isOfReset || state !== 'running') return;
    const timer = setTimeout(() => page.ui.setState({ notice: null }), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [page, isOfReset, state]);
}

export function Ambient() {
  const page = usePage();
  const state = useRun((s) => s.state);
  const notice = useUi((s) => s.notice);
  const undo = useRun((s) => s.undo);
  const isOfReset = notice !== null && notice === undo?.notice;
  useTitle(page, state);
  useWakeLock(state);
  useNoticeEnd(page, state, isOfReset);
  const spoken = useSpokenProgress(page, state);
  return (
    <>
      <p className="hidden" role="status" aria-live="polite">
        {spoken}
      </p>
      {notice === null ? null : (
        <div className="toast" role="status" data-testid="notice">
          <span>{notice}</span>
          {!isOfReset ? null : (
            <Action kind="link" text={say`undo`} onPress={() => void page.controller.undoReset()} />
          )}
          <IconButton icon="cross" label={say`Close`} onPress={() => page.ui.setState({ notice: null })} />
        </div>
      )}
    </>
  );
}
