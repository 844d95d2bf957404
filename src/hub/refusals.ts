/** What a server's refusal means, as sentences with a way on. `details.way` says which: the page makes a button of it. */
import { type ErrorKind, PapilioError } from '../lib/errors.ts';
import { pageAddress, shown } from './names.ts';
import type { Around, RepoKind } from './types.ts';

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
  new PapilioError('aborted', `${what} was broken off; what has arrived is kept.`, { way: 'resume' });

/** A request that no answer came to. A browser does not tell a dead line from a server that lets no other page read. */
export function unreachable(
  url: string,
  { isOutsideBrowser = false }: Pick<Around, 'isOutsideBrowser'>,
): PapilioError {
  const { host } = new URL(url);
  const why = isOutsideBrowser
    ? 'there is no connection, or no server answers there'
    : 'there is no connection, or it does not allow other pages to read it (CORS)';
  return new PapilioError('network', `${host} cannot be reached: ${why}. What is already here can be used.`, {
    way: 'resume',
    host,
  });
}

/** Throws what the status of a Hub's answer means. */
export function refuseAnswer(response: Response, asked: Asked): never {
  const { status } = response;
  const code = response.headers.get('x-error-code') ?? '';
  const { hub, kind, repo, path, hasToken } = asked;
  const page = pageAddress(hub, kind, repo);
  const what = path === undefined ? `${repo}` : `${path} of ${repo}`;
  const details = { status, code, repo };
  if (code === 'GatedRepo' || (status === 403 && code !== 'RepoNotFound'))
    return refuse(
      'forbidden',
      'token',
      hasToken
        ? `${repo} is gated and your token has no access to it yet: accept its licence on ${page}, and see that the token may read gated repositories.`
        : `${repo} is gated: accept its licence on ${page}, then give an access token of yours.`,
      details,
    );
  if (code === 'RevisionNotFound')
    return refuse('not-found', 'choose', `${repo} has no revision "${asked.revision ?? ''}".`, details);
  if (code === 'EntryNotFound' || (status === 404 && path !== undefined))
    return refuse('not-found', 'choose', `${what} does not exist at this revision.`, details);
  if (status === 401 && hasToken && code !== 'RepoNotFound')
    return refuse('forbidden', 'token', 'The Hub does not know this access token; paste it anew.', details);
  if (status === 401 || status === 404)
    return refuse(
      'not-found',
      hasToken ? 'choose' : 'token',
      `There is no ${kind} ${repo} on the Hub, or it is private${hasToken ? ' and your token has no access' : ''}.`,
      { ...details, isMissing: true },
    );
  if (status === 429)
    return refuse('network', 'resume', 'The Hub has had too many requests; wait a minute.', details);
  return refuse('network', 'resume', `The Hub answers ${status} for ${what}; try again later.`, details);
}

/** Throws what the status of any other server's answer means. */
export function refuseUrl(response: Response, address: string): never {
  const { status } = response;
  const url = shown(address);
  const details = { status, url };
  if (status === 404 || status === 410)
    return refuse('not-found', 'choose', `There is nothing at ${url} (status ${status}).`, details);
  if (status === 401 || status === 403)
    return refuse(
      'forbidden',
      'choose',
      `${url} is not public (status ${status}); download it and drop it here.`,
      details,
    );
  return refuse('network', 'resume', `${url} answers with status ${status}; try again later.`, details);
}
