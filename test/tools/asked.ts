/**
 * What a browser asked of the network, pages and all their workers alike, and what of it nobody asked for: anything but a plain GET of a
 * file of the page, or of an address that a test names. Chromium's own log says it: nothing on the page can hide from that.
 */
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Asked {
  readonly method: string;
  readonly url: string;
}

interface LogEvent {
  readonly type: number;
  readonly params?: { readonly method?: string; readonly url?: string; readonly initiator?: string };
}

/** The log is one JSON object with an event on each line; a browser that was killed leaves its end open. */
function eventsOf(line: string): LogEvent[] {
  try {
    return [JSON.parse(line.replace(/\]?,\s*$/, '')) as LogEvent];
  } catch {
    return [];
  }
}

/** Requests that pages made, in their order; what the browser asks for itself (its updates) has no page that it comes from. */
export function askedIn(netLog: string, url: string): Asked[] {
  const [head = '', ...lines] = readFileSync(netLog, 'utf8').split('\n');
  const { logEventTypes } = JSON.parse(head.replace(/^\{"constants":\s*/, '').replace(/,\s*$/, '')) as {
    logEventTypes: Readonly<Record<string, number>>;
  };
  const started = logEventTypes.URL_REQUEST_START_JOB;
  if (started === undefined) throw new Error('The log of the browser has another form.');
  return lines.flatMap(eventsOf).flatMap(({ type, params }) => {
    if (type !== started || params?.url === undefined || params.method === undefined) return [];
    const isOfPage = params.initiator !== 'not an origin' || params.url.startsWith(url);
    // What follows "#" stays in the browser.
    return isOfPage ? [{ method: params.method, url: params.url.replace(/#.*$/, '') }] : [];
  });
}

const isFile = (path: string): boolean =>
  statSync(fileURLToPath(new URL(`../../dist/${path}`, import.meta.url)), {
    throwIfNoEntry: false,
  })?.isFile() ?? false;

/**
 * Requests that are none of these: a GET, without a query, of a file that was built; anything of the other origins.
 *
 * @param url the page's address with a slash at the end
 */
export function unasked(asked: readonly Asked[], url: string, elsewhere: readonly string[]): Asked[] {
  return asked.filter((one) => {
    const { origin, href, search } = new URL(one.url);
    if (elsewhere.includes(origin)) return false;
    const isOwn = one.method === 'GET' && search === '' && href.startsWith(url);
    return !isOwn || !(href === url || isFile(decodeURIComponent(href.slice(url.length))));
  });
}

/** Each method and address once, with how often it was asked for. */
export function summary(asked: readonly Asked[]): string {
  const counts = new Map<string, number>();
  for (const { method, url } of asked) {
    const line = `${method} ${url.replace(/^(https?:\/\/127\.0\.0\.1):\d+/, '$1')}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([line, n]) => `${String(n).padStart(5)} ${line}\n`)
    .join('');
}
