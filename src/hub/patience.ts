/** A server that says nothing is waited for so long and no longer, and an answer is read up to a size. */
import { type Budget, createBudget } from '../lib/budget.ts';
import { refuse } from './refusals.ts';

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
      `${new URL(url).host} has sent nothing for ${seconds} s; what has arrived is kept. Try again, or later.`,
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
