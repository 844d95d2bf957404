/**
 * What may go wrong with a request: what a server's refusal means, as sentences with a way on (`details.way` says which: the page makes a button of it),
 * how long an answer may take and how large it may be, and where it may be redirected.
 */
import { type Budget, createBudget } from '../lib/budget.ts';
import { type ErrorKind, PapilioError } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { pageAddress, shown, webAddress } from './names.ts';
import type { HubHost, RepoKind } from './types.ts';

/** What helps: go on from what is there, begin anew, give a token, choose something else, free room. */
export type Way = 'resume' | 'again' | 'token' | 'choose' | 'free';

/** Throws; an expression, so that it can stand after `??`. */
export function refuse(
  kind: ErrorKind,
  way: Way,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): never {
  throw new PapilioError(kind, message, { ...details, way });
}

/** Whom a request is about. */
export interface Asked {
  readonly hub: string;
  readonly kind: RepoKind;
  readonly repo: string;
  /** A file of it, where one was asked for. */
  readonly path?: string;
  readonly revision?: string;
  readonly hasToken: boolean;
}

export const isAbort = (error: unknown): boolean =>
  error instanceof Error && (error.name === 'AbortError' || (error as PapilioError).kind === 'aborted');

/** What a person broke off. */
export const aborted = (what: string): PapilioError =>
  new PapilioError('aborted', say`${what} was broken off; what has arrived is kept.`, { way: 'resume' });

/** A request that no answer came to. A browser does not tell a dead line from a server that lets no other page read. */
export function unreachable(
  url: string,
  { isOutsideBrowser = false }: Pick<HubHost, 'isOutsideBrowser'>,
): PapilioError {
  const { host } = new URL(url);
  const why = isOutsideBrowser
    ? say`there is no connection, or no server answers there`
    : say`there is no connection, or it does not allow other pages to read it (CORS)`;
  return new PapilioError(
    'network',
    say`${host} cannot be reached: ${why}. What is already here can be used.`,
    {
      way: 'resume',
      host,
    },
  );
}

function missing(kind: RepoKind, repo: string, hasToken: boolean): string {
  if (kind === 'model')
    return hasToken
      ? say`There is no model ${repo} on the Hub, or it is private and your token has no access.`
      : say`There is no model ${repo} on the Hub, or it is private.`;
  return hasToken
    ? say`There is no dataset ${repo} on the Hub, or it is private and your token has no access.`
    : say`There is no dataset ${repo} on the Hub, or it is private.`;
}

/** Throws what the status of a Hub's answer means. */
export function refuseAnswer(response: Response, asked: Asked): never {
  const { status } = response;
  const code = response.headers.get('x-error-code') ?? '';
  const { hub, kind, repo, path, hasToken } = asked;
  const page = pageAddress(hub, kind, repo);
  const what = path === undefined ? `${repo}` : say`${path} of ${repo}`;
  const details = { status, code, repo };
  if (code === 'GatedRepo' || (status === 403 && code !== 'RepoNotFound'))
    return refuse(
      'forbidden',
      'token',
      hasToken
        ? say`${repo} is gated and your token has no access to it yet: accept its licence on ${page}, and see that the token may read gated repositories.`
        : say`${repo} is gated: accept its licence on ${page}, then give an access token of yours.`,
      details,
    );
  if (code === 'RevisionNotFound')
    return refuse('not-found', 'choose', say`${repo} has no revision "${asked.revision ?? ''}".`, details);
  if (code === 'EntryNotFound' || (status === 404 && path !== undefined))
    return refuse('not-found', 'choose', say`${what} does not exist at this revision.`, details);
  if (status === 401 && hasToken && code !== 'RepoNotFound')
    return refuse(
      'forbidden',
      'token',
      say`The Hub does not know this access token; paste it anew.`,
      details,
    );
  if (status === 401 || status === 404)
    return refuse('not-found', hasToken ? 'choose' : 'token', missing(kind, repo, hasToken), {
      ...details,
      isMissing: true,
    });
  if (status === 429)
    return refuse('network', 'resume', say`The Hub has had too many requests; wait a minute.`, details);
  return refuse('network', 'resume', say`The Hub answers ${status} for ${what}; try again later.`, details);
}

/** Throws what the status of any other server's answer means. */
export function refuseUrl(response: Response, address: string): never {
  const { status } = response;
  const url = shown(address);
  const details = { status, url };
  if (status === 404 || status === 410)
    return refuse('not-found', 'choose', say`There is nothing at ${url} (status ${status}).`, details);
  if (status === 401 || status === 403)
    return refuse(
      'forbidden',
      'choose',
      say`${url} is not public (status ${status}); download it and drop it here.`,
      details,
    );
  return refuse('network', 'resume', say`${url} answers with status ${status}; try again later.`, details);
}

// A server that says nothing is waited for so long and no longer, and an answer is read up to a size.

/** Between two signs of life: a slow line sends something every few seconds. */
export const SILENCE_MS = 60_000;
/** After so long it is said what is waited for. */
const SAY_MS = 5000;

export interface Patience {
  readonly silenceMs: number;
  readonly onWaiting?: () => void;
}

/**
 * What a server is asked for, if it comes in time.
 * @param task is given a signal, which ends what it has begun when nobody waits for it any longer
 * @throws PapilioError 'network' where nothing comes
 */
export async function inTime<T>(
  url: string,
  { silenceMs, onWaiting = () => {} }: Patience,
  signal: AbortSignal | undefined,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const silence = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), silenceMs);
  });
  const saying = setInterval(onWaiting, SAY_MS);
  const asked = task(signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]));
  try {
    const first = await Promise.race([asked.then((value) => ({ value })), late]);
    if (first !== 'late') return first.value;
    asked.catch(() => {});
    silence.abort();
    const seconds = Math.round(silenceMs / 1000);
    return refuse(
      'network',
      'resume',
      say`${new URL(url).host} has sent nothing for ${seconds} s; what has arrived is kept. Try again, or later.`,
    );
  } finally {
    clearTimeout(timer);
    clearInterval(saying);
  }
}

/** The text of an answer. @throws PapilioError 'too-large' for one that no Hub gives, 'network' as {@link inTime} */
export async function textOf(
  response: Response,
  { url, what, silenceMs }: { readonly url: string; readonly what: string; readonly silenceMs: number },
): Promise<string> {
  const budget: Budget = createBudget('hubAnswerBytes');
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  if (reader === undefined) return '';
  let text = '';
  try {
    for (;;) {
      const { value, done } = await inTime(url, { silenceMs }, undefined, () => reader.read());
      if (done) return text + decoder.decode();
      budget.take(value.length, what);
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

// Redirects followed by hand, so that a token stays with its server and no answer leads to where addresses may not.

const MOST = 10;
const REDIRECTS = [301, 302, 303, 307, 308];
const isLocal = ({ hostname }: URL): boolean => /^(?:localhost|127\.0\.0\.1|\[::1\])$/.test(hostname);

/**
 * `fetch` for runtimes that let a program follow redirects; a page's browser does this by itself.
 * At another origin no Authorization is sent, nor at those after it. Throws PapilioError 'network' for a redirect that is not followed.
 */
export const followed =
  (send: typeof fetch): typeof fetch =>
  async (input, init) => {
    let url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    for (let hops = 0; hops <= MOST; hops++) {
      const response = await send(url.href, { ...init, headers, redirect: 'manual' });
      const location = response.headers.get('location');
      if (!REDIRECTS.includes(response.status) || location === null) return response;
      await response.body?.cancel();
      const next = nextOf(location, url);
      if (next.origin !== url.origin) headers.delete('authorization');
      url = next;
    }
    return refuse('network', 'choose', say`${url.host} leads from one address to another without end.`, {
      isRefused: true,
    });
  };

function nextOf(location: string, from: URL): URL {
  const next = URL.canParse(location, from.href) ? new URL(location, from.href) : null;
  if (next === null || (isLocal(next) && !isLocal(from)))
    return refuse('network', 'choose', say`${from.host} leads to an address that is not fetched.`, {
      isRefused: true,
    });
  return webAddress(next.href);
}
