/**
 * What the browser lets the page do: the Content-Security-Policy, for the built index.html (as a meta element) and for the server (as a
 * header, which covers workers too), with the hashes of the inline scripts that index.html has.
 */
import { createHash } from 'node:crypto';

/** The inline scripts of a page, by the hash that a policy names them by. */
function scriptHashes(html) {
  const inline = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)];
  return inline.map(([, text]) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`);
}

/**
 * Scripts, workers and styles are the page's own and nothing is evaluated from text. The page may ask its own origin and, since people open Hubs and addresses
 * of their own, https ones.
 */
function policyOf(html) {
  return {
    'default-src': ["'none'"],
    'script-src': ["'self'", "'wasm-unsafe-eval'", ...scriptHashes(html)],
    // react-aria and plotly write style attributes and elements.
    'style-src': ["'self'", "'unsafe-inline'"],
    'img-src': ["'self'", 'data:', 'blob:'],
    'font-src': ["'self'", 'data:'],
    'worker-src': ["'self'", 'blob:'],
    'connect-src': ["'self'", 'https:'],
    'manifest-src': ["'self'"],
    'base-uri': ["'none'"],
    'form-action': ["'none'"],
  };
}

const written = (policy) =>
  Object.entries(policy)
    .map(([directive, sources]) => [directive, ...sources].join(' '))
    .join('; ');

/** index.html with the policy before anything that it speaks of; only a header can say who may frame the page. */
export function withPolicy(html) {
  const meta = `<meta http-equiv="Content-Security-Policy" content="${written(policyOf(html))}" />`;
  return html.replace(/<meta charset="[^"]*" \/>/, (charset) => `${charset}\n    ${meta}`);
}

/** The headers of everything that the server of a built page gives. */
export function pageHeaders(html) {
  return {
    'Content-Security-Policy': written({ ...policyOf(html), 'frame-ancestors': ["'none'"] }),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    // Isolation gives the page shared memory, which onnxruntime's threads need, and precise timers.
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
  };
}
