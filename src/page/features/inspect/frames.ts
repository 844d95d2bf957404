/** Drawing in turns: what is to be drawn is drawn within a few milliseconds of each frame, the rest in the next ones. */

/** Milliseconds of a frame that drawing may take; a drawing that has begun is finished. */
const EACH_FRAME_MS = 4;

const waiting = new Map<object, () => void>();
let asked = false;

function frame(): void {
  const end = performance.now() + EACH_FRAME_MS;
  for (const [key, draw] of waiting) {
    waiting.delete(key);
    draw();
    if (performance.now() >= end) break;
  }
  asked = waiting.size > 0;
  if (asked) requestAnimationFrame(frame);
}

/**
 * Draws soon, in the order in which it was asked for.
 *
 * @param key of drawings with the same key only the last is drawn
 * @returns takes the drawing back if it has not been made
 */
export function drawSoon(key: object, draw: () => void): () => void {
  waiting.set(key, draw);
  if (!asked) {
    asked = true;
    requestAnimationFrame(frame);
  }
  return () => {
    if (waiting.get(key) === draw) waiting.delete(key);
  };
}
