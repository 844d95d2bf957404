/** A run whose weights have not moved: that it is so, why, and the control that is the cause. */
import { say } from '../../../common.ts';
import type { SectionName } from '../../page.ts';
import { Action } from '../../parts/Action.tsx';
import type { RunView } from '../../stores.ts';
import { usePage, useRun } from '../../usePage.ts';

/** Steps after which an unchanged weight is worth a word. */
const STILL_AFTER = 20;

interface Cause {
  readonly text: string;
  readonly jump: string;
  readonly section: SectionName;
  readonly control: string;
}

/** Why nothing has moved, as far as the run itself says; null while something has, or it is too early to tell. */
export function stillness({ current, inspection }: Pick<RunView, 'current' | 'inspection'>): Cause | null {
  if (current === null || inspection === null) return null;
  if (inspection.step < STILL_AFTER || inspection.value.delta.relative !== 0) return null;
  const { module } = inspection.value;
  if (current.series.column('learningRate').every((rate) => rate === 0))
    return {
      text: say`After ${inspection.step} steps ${module} is as it was: the learning rate was 0 at every step.`,
      ...{ jump: say`Set the learning rate`, section: 'training', control: 'training-learningRate' },
    };
  return {
    text: say`After ${inspection.step} steps ${module} is as it was, though the learning rate was not 0: either no gradient reaches it, or its steps are lost in the rounding of 32 bits. See whether the modules that are targeted have a part in the answer.`,
    ...{ jump: say`Show the targets`, section: 'targets', control: 'target-box' },
  };
}

export function Still() {
  const page = usePage();
  const current = useRun((s) => s.current);
  const inspection = useRun((s) => s.inspection);
  const cause = stillness({ current, inspection });
  if (cause === null) return null;
  return (
    <section className="notice-card row resume" aria-label={say`A weight does not move`} data-testid="still">
      <div>
        <h3>{say`A weight does not move`}</h3>
        <p>{cause.text}</p>
      </div>
      <Action kind="strong" text={cause.jump} onPress={() => page.show(cause.section, cause.control)} />
    </section>
  );
}
