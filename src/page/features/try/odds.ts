/** How differently two models hold a token likely, in five steps: colour, line and words of each. */
import { say } from '../../../common.ts';
import type { TextBeforeAfter, TokenOdds } from '../../../protocol.ts';

/** From "much likelier before" to "much likelier after". */
export const STEPS = ['much-less', 'less', 'alike', 'more', 'much-more'] as const;
export type OddsStep = (typeof STEPS)[number];

/** So many times as likely is a difference, and so many a large one. */
const SOME = 2;
const MUCH = 10;

/** The step of a token: by how many times one probability is the other. */
export function stepOf({ before, after }: Pick<TokenOdds, 'before' | 'after'>): OddsStep {
  if (before === after) return 'alike';
  const ratio = Math.max(before, after) / Math.min(before, after);
  if (ratio < SOME) return 'alike';
  if (after > before) return ratio < MUCH ? 'more' : 'much-more';
  return ratio < MUCH ? 'less' : 'much-less';
}

/** A token by its place, so that its figures are those of the texts on screen. */
export interface Pointed {
  readonly side: 'before' | 'after';
  readonly index: number;
}

/** What both models hold of the token that is pointed at; null where there is none, or no longer one. */
export const tokenAt = (odds: TextBeforeAfter['odds'], pointed: Pointed | null): TokenOdds | null =>
  (pointed && odds[pointed.side][pointed.index]) ?? null;

export const STEP_WORDS = (): Readonly<Record<OddsStep, string>> => ({
  'much-less': say`${MUCH} times and more likelier before`,
  less: say`${SOME} to ${MUCH} times likelier before`,
  alike: say`about as likely`,
  more: say`${SOME} to ${MUCH} times likelier after`,
  'much-more': say`${MUCH} times and more likelier after`,
});
