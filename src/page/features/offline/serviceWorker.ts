/**
 * The service worker, sw.js: keeps the page's files, so that it opens without a network, and answers with the headers of isolation, so that
 * onnxruntime has its threads from the second visit on even where the server sends none. A newer version waits until the page lets it in.
 */
import { PrecacheController, PrecacheRoute } from 'workbox-precaching';
import { registerRoute } from 'workbox-routing';
import { CacheFirst } from 'workbox-strategies';

/** The build writes both lists into the file: see src/cli/offlineFiles.ts. */
declare const PAGE_FILES: readonly { readonly url: string; readonly revision: string | null }[];
declare const LATER_FILES: readonly string[];

interface WorkerEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface Scope extends EventTarget {
  readonly registration: { readonly scope: string };
  skipWaiting(): Promise<void>;
}
const scope = globalThis as unknown as Scope;

/** What is large and not always needed is kept once it was fetched. */
const LATER = 'papilio-later';

const isolated = {
  handlerWillRespond: async ({ response }: { readonly response: Response }): Promise<Response> => {
    const { status, statusText } = response;
    const headers = new Headers(response.headers);
    headers.set('Cross-Origin-Opener-Policy', 'same-origin');
    headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
    return new Response(response.body, { status, statusText, headers });
  },
};

const laterUrls = new Set(LATER_FILES.map((file) => new URL(file, scope.registration.scope).href));

const pageFiles = new PrecacheController({ plugins: [isolated] });
pageFiles.addToCacheList([...PAGE_FILES]);
// The page's settings stand behind the #, and whatever stands behind a ? is the same page.
registerRoute(new PrecacheRoute(pageFiles, { ignoreURLParametersMatching: [/./] }));
registerRoute(
  ({ url }) => laterUrls.has(url.href),
  new CacheFirst({ cacheName: LATER, plugins: [isolated] }),
);

scope.addEventListener('message', ({ data }: Event & { readonly data?: { readonly type?: unknown } }) => {
  if (data?.type === 'SKIP_WAITING') void scope.skipWaiting();
});

scope.addEventListener('install', (event) => {
  const installation = event as WorkerEvent;
  installation.waitUntil(pageFiles.install(installation));
});

scope.addEventListener('activate', (event) => {
  const activation = event as WorkerEvent;
  activation.waitUntil(Promise.all([pageFiles.activate(activation), forgetOlder()]));
});

/** Drops large files of an older version. */
async function forgetOlder(): Promise<void> {
  const cache = await caches.open(LATER);
  for (const { url } of await cache.keys()) if (!laterUrls.has(url)) await cache.delete(url);
}
