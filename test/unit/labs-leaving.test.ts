/**
 * Leaving a lab while something is under way: links, the browser's Back, other addresses and closing the tab ask, once. Seen to fail with: no ear for
 * `popstate`, an accepted link that is asked about again on arrival, one that leads nowhere and stays accepted, a time that goes on for the link after it.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askBeforeLeaving, LEADS_AWAY_MS } from '../../src/page/labs/useAskBeforeLeaving.ts';

class Anchor {
  target = '';
  download = '';
  constructor(readonly href: string) {}
  closest = () => this;
}
const HERE = 'http://x/labs.html#lab=first&steps=30';
const place = { href: HERE, hash: '#lab=first&steps=30' };
let end: () => void;
const confirm = vi.fn<(question: string) => boolean>();
const pushState = vi.fn((_state: unknown, _title: string, address: string) => goTo(address));

function goTo(hash: string): void {
  Object.assign(place, { href: `http://x/labs.html${hash}`, hash });
}

beforeEach(() => {
  goTo('#lab=first&steps=30');
  const [page, view] = [new EventTarget(), new EventTarget()];
  const stubs = {
    ...{ document: page, location: place, history: { pushState }, scrollY: 70, confirm },
    ...{ Element: Anchor, HTMLAnchorElement: Anchor },
    addEventListener: view.addEventListener.bind(view),
    removeEventListener: view.removeEventListener.bind(view),
    dispatchEvent: view.dispatchEvent.bind(view),
  };
  for (const [name, stub] of Object.entries(stubs)) vi.stubGlobal(name, stub);
  confirm.mockReset().mockReturnValue(false);
  pushState.mockClear();
  end = askBeforeLeaving('Leave?', { id: 'first', address: '#lab=first&steps=30', lessonLink: null });
});
afterEach(() => {
  end();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** The browser is elsewhere already when it says so. */
function goBackTo(hash: string): void {
  goTo(hash);
  dispatchEvent(new Event('popstate'));
}

/** @returns whether the browser follows */
function follow(href: string): boolean {
  const event = new Event('click', { cancelable: true });
  Object.defineProperty(event, 'target', { value: new Anchor(href) });
  document.dispatchEvent(event);
  return !event.defaultPrevented;
}

/** @returns whether the browser asks before it closes the tab */
const closes = (): boolean => !dispatchEvent(new Event('beforeunload', { cancelable: true }));

describe('leaving a lab', () => {
  it('by Back or another address asks, and who stays is where they were', () => {
    for (const elsewhere of ['#start', '#lab=cayley', '', '#lab=first&lesson=abc']) {
      goBackTo(elsewhere);
      expect(pushState).toHaveBeenLastCalledWith({ y: 70 }, '', '#lab=first&steps=30');
      expect(place.href).toBe(HERE);
    }
    expect(confirm).toHaveBeenCalledTimes(4);
    confirm.mockReturnValue(true);
    goBackTo('#start');
    expect([pushState.mock.calls.length, place.hash]).toEqual([4, '#start']);
  });

  it('is not what other values of the same lab are', () => {
    goBackTo('#lab=first&steps=40');
    expect([confirm.mock.calls.length, place.hash]).toEqual([0, '#lab=first&steps=40']);
  });

  it('by a link asks once, and not again on the way', () => {
    expect([follow('http://x/labs.html#start'), closes()]).toEqual([false, true]);
    confirm.mockReturnValue(true);
    expect(follow('http://x/labs.html#start')).toBe(true);
    expect(closes()).toBe(false);
    goBackTo('#start');
    expect([confirm.mock.calls.length, pushState.mock.calls.length]).toEqual([2, 0]);
    // The next one is asked about again.
    confirm.mockReturnValue(false);
    goBackTo('#lab=cayley');
    expect([confirm.mock.calls.length, closes()]).toEqual([3, true]);
  });

  it('by a link that leads nowhere is asked about again', () => {
    vi.useFakeTimers();
    confirm.mockReturnValue(true);
    expect(follow('mailto:a@b')).toBe(true);
    vi.advanceTimersByTime(LEADS_AWAY_MS - 1);
    expect(closes()).toBe(false);
    vi.advanceTimersByTime(1);
    expect(closes()).toBe(true);
    // Each link has its own time.
    follow('mailto:a@b');
    vi.advanceTimersByTime(LEADS_AWAY_MS - 1);
    follow('http://x/labs.html#start');
    vi.advanceTimersByTime(LEADS_AWAY_MS - 1);
    expect(closes()).toBe(false);
  });

  it('asks nothing once nothing would be lost', () => {
    end();
    goBackTo('#start');
    expect([follow('http://x/'), closes(), confirm.mock.calls.length]).toEqual([true, false, 0]);
  });
});
