/** How long runs will take: by the pace that was measured in one like them, or by the forecast. */
import type { ForecastReport } from '../../../protocol.ts';
import type { PageSettings } from '../setup/settings.ts';
import type { RunRow } from './rows.ts';

export interface Duration {
  /** Of training alone. */
  readonly seconds: number;
  /** Where the pace comes from, e.g. "the pace of calm-apollo, 0.28 s a step". */
  readonly by: string;
}

const perStep = (seconds: number): string =>
  `${seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`} a step`;

/** Whether steps of the two cost about the same, but for the method and its size. */
const isAlike = (a: PageSettings, b: PageSettings): boolean =>
  a.model === b.model &&
  a.data === b.data &&
  a.training.sequenceLength === b.training.sequenceLength &&
  a.training.gradientAccumulation === b.training.gradientAccumulation;

/** The newest run like these settings that was timed, the same method before others. */
function timed(settings: PageSettings, rows: readonly RunRow[]): RunRow | undefined {
  const alike = rows.filter(
    ({ run, figures }) => figures?.secondsPerStep != null && isAlike(run.settings, settings),
  );
  return alike.findLast(({ run }) => run.settings.method === settings.method) ?? alike.at(-1);
}

/**
 * The time that runs take one after the other; null where nothing was timed, or where epochs decide the steps. A step on larger batches is taken to
 * last as much longer.
 *
 * @param forecast of the settings that are chosen now, while it is of them
 */
export function durationOf(
  runs: readonly PageSettings[],
  rows: readonly RunRow[],
  forecast: Pick<ForecastReport, 'secondsPerStep'> | null,
): Duration | null {
  let seconds = 0;
  const by = new Set<string>();
  for (const settings of runs) {
    const { steps, epochs, batchSize } = settings.training;
    if (epochs > 0) return null;
    const like = timed(settings, rows);
    const measured = like?.figures?.secondsPerStep ?? null;
    if (like !== undefined && measured !== null) {
      seconds += steps * measured * (batchSize / like.run.settings.training.batchSize);
      by.add(`the pace of ${like.run.name}, ${perStep(measured)}`);
    } else if (forecast?.secondsPerStep != null) {
      seconds += steps * forecast.secondsPerStep;
      by.add(`the forecast, ${perStep(forecast.secondsPerStep)}`);
    } else return null;
  }
  return runs.length === 0 ? null : { seconds, by: [...by].join('; ') };
}
