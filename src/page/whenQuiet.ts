/** What waits until no worker has been asked anything for a while. */
import { callsInFlight } from '../common.ts';
import { whenIdle } from './whenIdle.ts';

const QUIET_MS = 3000;
const LOOK_MS = 500;

/**
 * Once the page is there, and no call of a worker has been in flight for three seconds. A service worker is installed then: in Firefox a thread of
 * onnxruntime that is begun while one is being installed comes in about two of three visits, and in the others never.
 */
export function whenQuiet(start: () => void): void {
  whenIdle(() => {
    let quietFrom = performance.now();
    const timer = setInterval(() => {
      if (callsInFlight() > 0) quietFrom = performance.now();
      if (performance.now() - quietFrom < QUIET_MS) return;
      clearInterval(timer);
      start();
    }, LOOK_MS);
  });
}
