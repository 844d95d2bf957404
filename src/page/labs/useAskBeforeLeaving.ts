/** What would end what is under way asks first: a link, the browser's Back, another address, closing the tab. */
import { useEffect } from 'react';
import { lessonIn } from '../lessons/state.ts';
import { labIn } from './link.ts';
import { standAgain } from './scrolling.ts';
import { useLab } from './useLab.ts';

/** @param question what is asked; null while nothing would be lost */
export function useAskBeforeLeaving(question: string | null): void {
  const { id, address, lessonLink } = useLab();
  useEffect(
    () => (question === null ? undefined : askBeforeLeaving(question, { id, address, lessonLink })),
    [question, id, address, lessonLink],
  );
}

/** Where one is: a lab with its lesson, and its address as it stands. */
interface Here {
  readonly id: string;
  readonly address: string;
  /** The lesson as links have it; null without one. */
  readonly lessonLink: string | null;
}

/** A link that has not begun to lead away after so long leads nowhere: to here, to another program, or to what the page itself does with it. */
export const LEADS_AWAY_MS = 1000;

/** @returns what ends it */
export function askBeforeLeaving(question: string, { id, address, lessonLink }: Here): () => void {
  /** Of a link that was asked about: on the way there nothing asks again. */
  let accepted: string | null = null;
  let forgetting: ReturnType<typeof setTimeout> | undefined;
  const accept = (href: string | null) => {
    clearTimeout(forgetting);
    accepted = href;
    if (href !== null) forgetting = setTimeout(() => accept(null), LEADS_AWAY_MS);
  };
  const atLink = (event: MouseEvent) => {
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (!(link instanceof HTMLAnchorElement) || link.target === '_blank' || link.download !== '') return;
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (confirm(question)) {
      accept(link.href);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  // The address is another one already, and nobody has drawn it: that happens at the event after this one, `hashchange`.
  const atAddress = () => {
    const isAccepted = accepted === location.href;
    accept(null);
    if (labIn(location.hash) === id && lessonIn(location.hash) === lessonLink) return;
    if (!isAccepted && !confirm(question)) standAgain(address);
  };
  // Closing the tab asks in the browser's own words.
  const keep = (event: BeforeUnloadEvent) => {
    if (accepted === null) event.preventDefault();
  };
  document.addEventListener('click', atLink, { capture: true });
  addEventListener('popstate', atAddress);
  addEventListener('beforeunload', keep);
  return () => {
    clearTimeout(forgetting);
    document.removeEventListener('click', atLink, { capture: true });
    removeEventListener('popstate', atAddress);
    removeEventListener('beforeunload', keep);
  };
}
