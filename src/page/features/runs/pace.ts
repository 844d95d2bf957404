/** How long runs will take: by the pace that was measured in one like them, or by the forecast. */
import { listOf, say } from '../../../common.ts';
import type { EngineName, ForecastReport } from '../../../protocol.ts';
import { brief, duration, whole } from '../../format.ts';
import type { PageSettings } from '../setup/settings.ts';
import type { RunRow } from './rows.ts';

export interface Duration {
  /** Of training alone. */
  readonly seconds: number;
  /** Where the pace comes from, e.g. "the pace of calm-apollo, 0.28 s a step". */
  readonly by: string;
}

const perStep = (seconds: number): string => say`${brief(seconds)} a step`;

/** What is chosen beside the settings, by its own names; null while it is not known. */
export interface Here {
  readonly engine: EngineName | null;
  readonly model: string | null;
  readonly data: string | null;
}

/** Whether steps of a run cost about as much as those of these settings here, but for the method and its size. */
function costsAlike({ run, figures }: RunRow, settings: PageSettings, here: Here): boolean {
  const before = run.settings;
  return (
    figures !== null &&
    (['engine', 'model', 'data'] as const).every((what) => figures[what] === here[what]) &&
    before.training.sequenceLength === settings.training.sequenceLength &&
    before.training.gradientAccumulation === settings.training.gradientAccumulation
  );
}

/** The newest run like these settings that was timed, the same method before others. */
function timed(settings: PageSettings, rows: readonly RunRow[], here: Here): RunRow | undefined {
  const alike = rows.filter((row) => row.figures?.secondsPerStep != null && costsAlike(row, settings, here));
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
  here: Here,
  forecast: Pick<ForecastReport, 'secondsPerStep'> | null,
): Duration | null {
  let seconds = 0;
  const by = new Set<string>();
  for (const settings of runs) {
    const { steps, epochs, batchSize } = settings.training;
    if (epochs > 0) return null;
    const like = timed(settings, rows, here);
    const measured = like?.figures?.secondsPerStep ?? null;
    if (like !== undefined && measured !== null) {
      seconds += steps * measured * (batchSize / like.run.settings.training.batchSize);
      by.add(say`the pace of ${like.run.name} (${perStep(measured)})`);
    } else if (forecast?.secondsPerStep != null) {
      seconds += steps * forecast.secondsPerStep;
      by.add(say`the forecast (${perStep(forecast.secondsPerStep)})`);
    } else return null;
  }
  return runs.length === 0 ? null : { seconds, by: listOf([...by]) };
}

/** What a sweep costs, in words. */
export function costText(
  runs: readonly PageSettings[],
  rows: readonly RunRow[],
  here: Here,
  forecast: Parameters<typeof durationOf>[3],
): string {
  if (runs.length === 0) return say`No combination can be trained.`;
  if (runs.some(({ training }) => training.epochs > 0))
    return say`How long is not known: passes over the data decide how many steps there are.`;
  const steps = runs.reduce((sum, { training }) => sum + training.steps, 0);
  const cost = durationOf(runs, rows, here, forecast);
  if (cost === null)
    return say`${whole(steps)} steps in all. How long is not known: nothing like it was timed. A first run or a forecast tells.`;
  return say`${whole(steps)} steps in all, about ${duration(cost.seconds)} by ${cost.by}; opening and scoring come on top.`;
}
