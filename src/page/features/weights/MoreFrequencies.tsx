/** What is not learnt of a spectrum: a place that was pointed at, and a new run that learns more. */
import { useMemo } from 'react';
import { say } from '../../../common.ts';
import { whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { usePage, useRun } from '../../usePage.ts';
import { fullConfig, layersOf } from '../setup/settings.ts';
import { periods, signed } from './spectrum.ts';
import { countWith, learnMore, type Place } from './unlearnt.ts';

export function MoreFrequencies(props: {
  readonly module: string;
  /** How many are learnt. */
  readonly count: number;
  readonly size: { readonly rows: number; readonly columns: number };
  /** Pointed at, and not learnt. */
  readonly place: Place | null;
}) {
  const { module, count, size, place } = props;
  const page = usePage();
  const current = useRun((s) => s.current);
  const report = useRun((s) => s.open?.model ?? null);
  const isStill = useRun(({ state }) => state === 'paused' || state === 'finished');
  const all = size.rows * size.columns;
  const needed = useMemo(() => {
    const layer = report === null ? undefined : layersOf(report).find(({ name }) => name === module);
    return place === null || layer === undefined || current === null
      ? null
      : countWith(layer, fullConfig(current.settings, report), place);
  }, [place, current, report, module]);
  if (current === null || count >= all) return null;
  const next = needed ?? Math.min(all, 2 * count);
  return (
    <div className="stack frequency" data-testid="more-frequencies">
      <p className="hint" role="status">
        {place === null
          ? say`Which places are learnt follows from their number and the seed, as in PEFT: more of them keep these and add the next ones of the same order.`
          : needed === null
            ? say`Nothing is learnt at ${signed(periods(place.row, size.rows))} periods along the outputs and ${signed(periods(place.column, size.columns))} along the inputs.`
            : say`Nothing is learnt at ${signed(periods(place.row, size.rows))} periods along the outputs and ${signed(periods(place.column, size.columns))} along the inputs. The seed draws that place as number ${whole(needed)} of ${whole(all)}.`}
      </p>
      <p className="row tools">
        <Action
          text={say`New run with ${whole(next)} frequencies here`}
          isDisabled={!isStill}
          onPress={() => learnMore(page, current.settings, module, next)}
        />
      </p>
    </div>
  );
}
