/**
 * Whether the page opens without a network, and its next version: a newer one is announced, and let in when one asks for it, never while a run
 * trains. Runs that are kept stay, and open in it.
 */
import type { Workbox } from 'workbox-window';
import { createStore } from 'zustand/vanilla';

export interface OfflineView {
  /** 'none': no service workers here, or a visit that keeps nothing; 'keeping': files are on their way. */
  readonly files: 'none' | 'keeping' | 'kept' | 'failed';
  /** A newer version: there to be taken, or taken by another tab, so that this one should be loaded anew. */
  readonly next: 'waiting' | 'elsewhere' | null;
}

type Worker = Pick<Workbox, 'register' | 'addEventListener' | 'messageSkipWaiting' | 'update'>;

/** How often a page that stays open looks for a newer version. */
const LOOK_EVERY_MS = 60 * 60 * 1000;

/**
 * @param reload loads the page anew
 * @param keep saves what there is of a run
 */
export function createOffline(reload: () => void, keep: () => Promise<void>) {
  const view = createStore<OfflineView>(() => ({ files: 'none', next: null }));
  let worker: Worker | undefined;
  let isAsked = false;

  /** Registers the service worker; without one the page works as long as there is a network. */
  async function start(load: () => Promise<Worker>): Promise<void> {
    view.setState({ files: 'keeping' });
    try {
      worker = await load();
      worker.addEventListener('installed', () => view.setState({ files: 'kept' }));
      worker.addEventListener('activated', () => view.setState({ files: 'kept' }));
      worker.addEventListener('waiting', () => view.setState({ files: 'kept', next: 'waiting' }));
      worker.addEventListener('controlling', ({ isUpdate }) => {
        if (isAsked) reload();
        else if (isUpdate) view.setState({ next: 'elsewhere' });
      });
      worker.addEventListener('redundant', () => {
        if (view.getState().files === 'keeping') view.setState({ files: 'failed' });
      });
      const registration = await worker.register();
      if (registration?.active) view.setState({ files: 'kept' });
      setInterval(() => void worker?.update().catch(() => undefined), LOOK_EVERY_MS);
    } catch {
      view.setState({ files: 'failed' });
    }
  }

  /** Goes over to the newer version: what a run has is kept first. */
  async function take(): Promise<void> {
    await keep();
    if (view.getState().next === 'elsewhere') {
      reload();
      return;
    }
    isAsked = true;
    worker?.messageSkipWaiting();
  }

  return { view, start, take };
}
