/** The last step in the order of its parts, in what was measured of it: forward, loss, backward, update. */
import { say } from '../../../common.ts';
import type { TrainingSettings } from '../../../protocol.ts';
import { real, whole } from '../../format.ts';
import { useRun, useSeries } from '../../usePage.ts';
import { type Series, unitOf } from './series.ts';

/** A part of a step: its name, and what came of it. */
export type Part = readonly [name: string, what: string];

/** @param unit what a batch is counted in */
export function partsOfStep(
  { column }: Pick<Series, 'column'>,
  unit: 'tokens' | 'examples',
  { maxGradNorm, optimizer }: Pick<TrainingSettings, 'maxGradNorm' | 'optimizer'>,
): readonly Part[] {
  const [now, before = 0] = [column(unit).at(-1)!, column(unit).at(-2)];
  const [loss, norm, rate] = (['loss', 'gradNorm', 'learningRate'] as const).map((name) =>
    real(column(name).at(-1)!),
  );
  const isClipped = maxGradNorm > 0 && column('gradNorm').at(-1)! > maxGradNorm;
  const count = whole(now - before);
  return [
    [
      say`forward`,
      unit === 'tokens' ? say`${count} tokens through the model` : say`${count} examples through the model`,
    ],
    [say`loss`, loss!],
    [
      say`backward`,
      isClipped
        ? say`gradient of norm ${norm!}, clipped to ${real(maxGradNorm)}`
        : say`gradient of norm ${norm!}`,
    ],
    [say`update`, say`${optimizer === 'adamw' ? 'AdamW' : 'SGD'} at rate ${rate!}`],
  ];
}

/** While the run is paused: what its last step did. */
export function LastStep() {
  const current = useRun((s) => s.current);
  const open = useRun((s) => s.open);
  const isPaused = useRun((s) => s.state === 'paused');
  useSeries(current?.series ?? null);
  if (!isPaused || current === null || open === null || current.series.length === 0) return null;
  const step = current.series.column('step').at(-1)!;
  return (
    <section className="last-step" aria-label={say`The last step`} data-testid="last-step">
      <b>{say`Step ${whole(step)}, part by part`}</b>
      <ol className="row small tabular">
        {partsOfStep(current.series, unitOf(open), current.settings.training).map(([name, what]) => (
          <li key={name}>
            <b>{name}</b> {what}
          </li>
        ))}
      </ol>
    </section>
  );
}
