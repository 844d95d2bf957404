/** A word where what is on screen belongs to another step than the one the run has come to. */

import { useSeries } from '../features/training/useSeries.ts';
import { useRun } from '../usePage.ts';

export function OfStep({ step, isAsked = false }: { readonly step: number; readonly isAsked?: boolean }) {
  const series = useRun((s) => s.current?.series ?? null);
  useSeries(series);
  const now = series?.column('step').at(-1) ?? 0;
  if (now === step) return null;
  return (
    <p className="hint" role="status" data-testid="stale">
      Of step {step}; the run is at step {now}
      {isAsked ? ', and is being asked again …' : '.'}
    </p>
  );
}
