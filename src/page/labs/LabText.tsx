/** The text of a lab: its steps, and what to try. */
import type { ReactNode } from 'react';
import { say } from '../../common.ts';

/** One step of a lab: a short text, and what belongs to it. */
export function Step(props: { readonly title: string; readonly children: ReactNode }) {
  return (
    <section className="lab-step">
      <h2>{props.title}</h2>
      {props.children}
    </section>
  );
}

/** What to try: a few things to do, each with what to look at. */
export function TryThis({ items }: { readonly items: readonly ReactNode[] }) {
  return (
    <section className="lab-try" aria-label={say`What to try`}>
      <h2>{say`What to try`}</h2>
      <ul>
        {items.map((item, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the list of a lab does not change.
          <li key={i}>{item}</li>
        ))}
      </ul>
    </section>
  );
}
