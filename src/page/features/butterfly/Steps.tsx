/** Steps of the run that were looked into: taken while it trains and this is on screen, and gone back to with a slider. */
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { say } from '../../../common.ts';
import type { Inspection, OfStep } from '../../../protocol.ts';
import { bytes } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Range } from '../../parts/Range.tsx';
import { watchSeen } from '../../parts/seen.ts';
import { OfStep as StepNote } from '../../parts/Waiting.tsx';
import { useIsRecorded, usePage, useRun, useRunStore } from '../../usePage.ts';
import { MOST_BYTES, MOST_STEPS, recordingOf } from './recording.ts';

/** Milliseconds that the run is left alone between two looks: so many times as long as a look took, within these. */
const REST_MS = 1000;
const MOST_REST_MS = 10_000;
const REST_TIMES = 4;

/** Looks inside again and again while the run trains and the element is on screen. */
export function useLooking(element: React.RefObject<HTMLElement | null>, isWanted: boolean): void {
  const page = usePage();
  const isRunning = useRun((s) => s.state === 'running');
  useEffect(() => {
    if (!isRunning || !isWanted) return;
    let isSeen = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isAlive = true;
    const look = async () => {
      if (isSeen && !document.hidden) {
        const begun = performance.now();
        await page.inspection.inspect();
        const took = performance.now() - begun;
        const rest = Math.min(MOST_REST_MS, Math.max(REST_MS, REST_TIMES * took));
        if (isAlive) timer = setTimeout(() => void look(), rest);
      } else if (isAlive) timer = setTimeout(() => void look(), REST_MS);
    };
    const endWatch = watchSeen(element.current!, (now) => {
      isSeen = now;
    });
    timer = setTimeout(() => void look(), 0);
    return () => {
      isAlive = false;
      clearTimeout(timer);
      endWatch();
    };
  }, [page, isRunning, isWanted, element]);
}

export interface Recorded {
  readonly steps: readonly OfStep<Inspection>[];
  /** The one that is shown: the chosen one, or the latest. */
  readonly shown: OfStep<Inspection> | null;
  readonly isLatest: boolean;
  /** By step; null: follow the run. */
  choose(step: number | null): void;
}

/** The recorded steps of a module; none where what is drawn is not what is trained. */
export function useRecorded(module: string | null): Recorded {
  const run = useRunStore();
  const recording = useMemo(() => recordingOf({ run }), [run]);
  const all = useSyncExternalStore(recording.subscribe, () => recording.steps);
  const [chosen, choose] = useState<number | null>(null);
  const steps = useMemo(() => all.filter(({ value }) => value.module === module), [all, module]);
  // Of a step that was thinned out the one before it.
  const shown = chosen === null ? steps.at(-1) : (steps.findLast(({ step }) => step <= chosen) ?? steps[0]);
  return { steps, shown: shown ?? null, isLatest: chosen === null || shown === steps.at(-1), choose };
}

export function Steps({ recorded }: { readonly recorded: Recorded }) {
  const isInspecting = useRun((s) => s.isInspecting);
  // A run that was recorded for the page has its end alone.
  const isEnd = useIsRecorded();
  const { steps, shown, isLatest, choose } = recorded;
  if (shown === null || isEnd) return null;
  const at = steps.indexOf(shown);
  return (
    <div className="steps" data-testid="steps" data-step={shown.step} data-count={steps.length}>
      <Range
        label={say`Recorded step`}
        value={at}
        min={0}
        max={steps.length - 1}
        step={1}
        format={() => String(shown.step)}
        onChange={(next) => choose(next === steps.length - 1 ? null : steps[next]!.step)}
      />
      <p className="hint row">
        <span>{say`${steps.length} recorded; at most ${MOST_STEPS} and ${bytes(MOST_BYTES)}, then every second one goes.`}</span>
        {isLatest ? null : <Action kind="link" text={say`follow the run`} onPress={() => choose(null)} />}
      </p>
      {isLatest ? <StepNote step={shown.step} isAsked={isInspecting} /> : null}
    </div>
  );
}
