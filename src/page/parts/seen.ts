/** Whether an element is within what is on screen, told whenever that changes. */

/** @returns ends it */
export function watchSeen(element: Element, told: (isSeen: boolean) => void): () => void {
  // On a busy page several come at once, in their order: the last is how it stands.
  const watch = new IntersectionObserver((entries) => told(entries.at(-1)!.isIntersecting));
  watch.observe(element);
  return () => watch.disconnect();
}
