/** A link that would end what is under way asks first. */
import { useEffect } from 'react';

/** @param question what is asked; null while nothing would be lost */
export function useAskBeforeLeaving(question: string | null): void {
  useEffect(() => {
    if (question === null) return;
    const ask = (event: MouseEvent) => {
      const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
      if (!(link instanceof HTMLAnchorElement) || link.target === '_blank' || link.download !== '') return;
      if (event.ctrlKey || event.metaKey || event.shiftKey || confirm(question)) return;
      event.preventDefault();
      event.stopPropagation();
    };
    // Closing the tab asks in the browser's own words.
    const keep = (event: BeforeUnloadEvent) => event.preventDefault();
    document.addEventListener('click', ask, { capture: true });
    addEventListener('beforeunload', keep);
    return () => {
      document.removeEventListener('click', ask, { capture: true });
      removeEventListener('beforeunload', keep);
    };
  }, [question]);
}
