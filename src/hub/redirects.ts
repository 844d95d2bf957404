/** Redirects followed by hand, so that a token stays with its server and no answer leads to where addresses may not. */
import { webAddress } from './names.ts';
import { refuse } from './refusals.ts';

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
    return refuse('network', 'choose', `${url.host} leads from one address to another without end.`, {
      isRefused: true,
    });
  };

function nextOf(location: string, from: URL): URL {
  const next = URL.canParse(location, from.href) ? new URL(location, from.href) : null;
  if (next === null || (isLocal(next) && !isLocal(from)))
    return refuse('network', 'choose', `${from.host} leads to an address that is not fetched.`, {
      isRefused: true,
    });
  return webAddress(next.href);
}
