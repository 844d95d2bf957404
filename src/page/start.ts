/** The page in a browser: the real trainer, sessions in IndexedDB, the address's hash, checkpoints when the page is hidden. */
import { takeLink } from './features/setup/link.ts';
import { startNext } from './features/start/next.ts';
import { startStart } from './features/start/started.ts';
import { takeDropped } from './features/training/dropped.ts';
import { browserSessions, type Sessions } from './features/training/sessions.ts';
import { loadSaved, Tabs } from './features/training/tabs.ts';
import { startTuning } from './features/training/tuningChoice.ts';
import { lessonIn } from './lessons/state.ts';
import { createPage, type Page } from './page.ts';
import { trainerClient } from './trainerClient.ts';
import { detectGpu } from './webgpu.ts';
import { whenIdle } from './whenIdle.ts';

/** @param root address of the folder that holds the embedded models, with a slash at the end */
export function startPage(root: string): Page {
  const sessions = browserSessions();
  const page = createPage({
    trainer: trainerClient(),
    sessions,
    tabs: new Tabs({
      locks: navigator.locks,
      channel: typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('papilio.run'),
    }),
    storage: navigator.storage as StorageManager | undefined,
    async hub(adopt) {
      const { createHub, sourceClient } = await import('./features/hub/hub.ts');
      return createHub(sourceClient(), adopt, localStorage);
    },
    inference: async () => (await import('./inferenceClient.ts')).inferenceClient(),
    root,
  });
  startTuning(page);
  startStart(page, () => localStorage);
  startNext(page, () => localStorage);
  // Not worth a word: without it the page is as empty as it was before it had one.
  page.recorded.load(root).catch(() => undefined);
  whenIdle(() => void page.keptRuns());
  keepFiles(page);
  void connectPage(page, sessions);
  void detectGpu(navigator, isSecureContext).then((gpu) => {
    // A software adapter computes on the processor too, and many times slower than onnxruntime does.
    const isGpu = gpu.state === 'ready' && !gpu.isSoftware;
    page.choice.setState({ suited: isGpu ? 'webgpu' : 'onnxruntime' });
    page.ui.setState({ gpu });
  });
  return page;
}

/** What the page keeps for later must not delay it. Where there are no service workers it needs a network. */
function keepFiles(page: Page): void {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  const start = () =>
    void page.offline.start(async () => {
      const { Workbox } = await import('workbox-window');
      return new Workbox('./sw.js', { updateViaCache: 'none' });
    });
  whenIdle(start);
}

/** What a link follows from. */
const IN_LINK = [
  'settings',
  'engine',
  'reading',
  'model',
  'data',
  'named',
  'recompute',
  'quantised',
] as const;

/** A page that nobody sees may be closed without another word: a checkpoint is taken when it is hidden. */
export function saveWhenHidden(
  page: Pick<Document, 'hidden' | 'addEventListener'>,
  controller: Pick<Page['controller'], 'save'>,
): void {
  page.addEventListener('visibilitychange', () => {
    if (page.hidden) void controller.save();
  });
}

/** Connects a page to the browser: the hash, the saved session, checkpoints when the page is hidden.  */
async function connectPage(page: Page, sessions: Sessions): Promise<void> {
  const read = () => {
    const { hash } = location;
    const packed = lessonIn(hash);
    const { lesson: before } = page.ui.getState();
    // A link with settings was moved on from the lesson's start, which comes once the lesson is open.
    const isFresh = packed !== null && !hash.includes('preset=');
    if (packed !== before?.packed || isFresh)
      page.ui.setState({ lesson: packed === null ? null : { packed, lesson: null, problems: [], isFresh } });
    if (!isFresh) takeLink(page, hash);
  };
  read();
  window.addEventListener('hashchange', () => {
    if (location.hash !== page.hash()) read();
  });
  page.choice.subscribe((now, before) => {
    const isOther = IN_LINK.some((part) => now[part] !== before[part]);
    if (isOther) history.replaceState(null, '', page.hash());
  });
  for (const type of ['dragover', 'drop'] as const)
    window.addEventListener(type, (event) => takeDropped(page, event));
  saveWhenHidden(document, page.controller);
  await loadSaved(page, sessions);
  await page.room.measure();
}
