/** What is not learnt of a spectrum: a place that was pointed at, and a new run that learns more. */
import { useMemo } from 'react';
import { say } from '../../../common.ts';
import { whole } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { usePage, useRun } from '../../usePage.ts';
import { fullConfig, layersOf } from '../setup/settings.ts';
import { periods, signed } from './spectrum.ts';
import { countWith, learnMore, mirrored, type Place } from './unlearnt.ts';

export function MoreFrequencies(props: {
  readonly module: string;
  /** How many are learnt. */
  readonly count: number;
  readonly size: { readonly rows: number; readonly columns: number };
  /** Pointed at, and not learnt there. */
  readonly place: Place | null;
  /** Whether its wave is learnt all the same, at its other place. */
  readonly isLearnt: boolean;
}) {
  const { module, count, size, place, isLearnt } = props;
  const page = usePage();
  const current = useRun((s) => s.current);
  const report = useRun((s) => s.open?.model ?? null);
  const isStill = useRun(({ state }) => state === 'paused' || state === 'finished');
  const all = size.rows * size.columns;
  const needed = useMemo(() => {
    const layer = report === null ? undefined : layersOf(report).find(({ name }) => name === module);
    return place === null || isLearnt || layer === undefined || current === null
      ? null
      : countWith(layer, fullConfig(current.settings, report), place);
  }, [place, isLearnt, current, report, module]);
  if (current === null || report === null || count >= all) return null;
  const next = needed ?? Math.min(all, 2 * count);
  return (
    <div className="stack frequency" data-testid="more-frequencies">
      <p className="hint" role="status">
        {toldOf(place, size, isLearnt, needed)}
      </p>
      <p className="row tools">
        <Action
          text={say`New run with ${whole(next)} frequencies here`}
          isDisabled={!isStill}
          onPress={() => learnMore(page, current.settings, report, module, next)}
        />
      </p>
    </div>
  );
}

function toldOf(
  place: Place | null,
  size: { readonly rows: number; readonly columns: number },
  isLearnt: boolean,
  needed: number | null,
): string {
  if (place === null)
    return say`Which places are learnt follows from their number and the seed, as in PEFT: more of them keep these and add the next ones of the same order.`;
  const at = ({ row, column }: Place) =>
    [signed(periods(row, size.rows)), signed(periods(column, size.columns))] as const;
  const [down, across] = at(place);
  if (isLearnt) {
    const [otherDown, otherAcross] = at(mirrored(place, size));
    return say`${down} periods along the outputs and ${across} along the inputs are the same wave as ${otherDown} and ${otherAcross}, which is learnt: it is chosen here.`;
  }
  return needed === null
    ? say`Nothing is learnt at ${down} periods along the outputs and ${across} along the inputs.`
    : say`Nothing is learnt at ${down} periods along the outputs and ${across} along the inputs. The seed draws that wave as number ${whole(needed)} of ${whole(size.rows * size.columns)} places.`;
}
