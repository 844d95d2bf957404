/** "Make a lesson of this": a lab or a page of the textbook as it stands, for whoever hands it to others. The form comes when it is opened. */
import { useEffect, useState } from 'react';
import { say } from '../../common.ts';
import type { ValueNow } from '../lessons/LessonCard.tsx';
import { useHeld } from '../parts/held.tsx';
import { Icon } from '../parts/Icon.tsx';
import { later } from '../parts/later.tsx';
import type { LabEntry } from './catalogue.ts';
import { useLab } from './useLab.ts';
import { worksOf } from './works.ts';

const Machine = later('Machine', () => import('../lessons/Machine.tsx'));
const LessonForm = later('LessonForm', () => import('../lessons/LessonForm.tsx'));

/** The number of that name that the lab shows now. */
export const valueIn =
  (shown: ReadonlyMap<string, number>): ValueNow =>
  (quantity) =>
    shown.get(quantity) ?? null;

export function MakeLesson({ entry }: { readonly entry: LabEntry }) {
  const { id, controls, values, changed, drawn, shown, lesson } = useLab();
  const [isOpen, setOpen] = useHeld('making', () => false);
  const [onScreen, setOnScreen] = useState<readonly string[]>([]);
  // Controls come and go with values of others, and say so before this is asked.
  useEffect(() => {
    const now = [...drawn];
    setOnScreen((before) => (before.join(' ') === now.join(' ') ? before : now));
  });
  return (
    <details
      className="fold advanced"
      open={isOpen}
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
    >
      <summary data-testid="make-lesson">
        <Icon name="chevron" /> {say`Make a lesson of this`}
      </summary>
      {isOpen ? (
        <LessonForm
          place={{
            id,
            controls: controls.map(({ name, title }) => ({
              name,
              title: title?.() ?? name,
              isAway: !onScreen.includes(name),
            })),
            quantities: entry.quantities,
            start: changed,
            valueNow: valueIn(shown),
            lesson,
          }}
        >
          <Machine works={worksOf([entry], values)} />
        </LessonForm>
      ) : null}
    </details>
  );
}
