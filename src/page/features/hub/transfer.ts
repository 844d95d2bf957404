/** How a download stands: what was kept before it began, what the network has brought since, for how long, and how long it may still take. */
import { facts, say } from '../../../common.ts';
import { bytes, duration } from '../../format.ts';

export interface Transfer {
  /** Bytes that are here, those of before among them. */
  readonly done: number;
  readonly total: number;
  /** Bytes that the browser had kept when it began. */
  readonly kept: number;
  /** Milliseconds, as `now` has them. */
  readonly since: number;
}

/** Less time than this tells no pace. */
const TELLING_S = 2;

/** @returns seconds so far, and those to come by the pace of the network so far; null while that is not known */
export function transferTimes(
  { done, total, kept, since }: Transfer,
  now: number,
): { readonly seconds: number; readonly left: number | null } {
  const seconds = Math.max(0, now - since) / 1000;
  const fetched = done - kept;
  const isTelling = seconds >= TELLING_S && fetched > 0 && total > done;
  return { seconds, left: isTelling ? ((total - done) / fetched) * seconds : null };
}

/** "3 MB from the network in 4 s, 1 MB kept from before, about 12 s left" */
export function transferText(transfer: Transfer, now: number): string {
  const { seconds, left } = transferTimes(transfer, now);
  const { done, kept } = transfer;
  return facts([
    say`${bytes(Math.max(0, done - kept))} from the network in ${duration(seconds)}`,
    ...(kept > 0 ? [say`${bytes(kept)} kept from before`] : []),
    ...(left === null ? [] : [say`about ${duration(left)} left`]),
  ]);
}
