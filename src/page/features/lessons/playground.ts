/** The page as a place of lessons: its start, and the numbers of the run that a lesson may ask for. */
import { say } from '../../../common.ts';
import type { EvalMetric } from '../../../protocol.ts';
import type { Quantity } from '../../labs/controls.ts';
import type { ValueNow } from '../../lessons/LessonCard.tsx';
import type { Page } from '../../page.ts';
import { derivedOf } from '../../usePage.ts';
import { type Series, smooth } from '../training/series.ts';

/** What a link of the page has of these settings, as a lesson's start. */
export function startIn(hash: string): Record<string, string> {
  const { v: _, lesson: __, ...start } = Object.fromEntries(new URLSearchParams(hash.replace(/^#/, '')));
  return start;
}

/** Where a lesson's start is read: the link that says it. */
export const hashOfStart = (start: Readonly<Record<string, string>>): string =>
  `#${new URLSearchParams(start).toString()}`;

/** As the page writes a score: an accuracy in percent. */
const scoreOf = (score: EvalMetric | undefined): number | null =>
  score === undefined ? null : score.metric === 'accuracy' ? 100 * score.value : score.value;

const lossAt = (series: Series | undefined, step: number | undefined): number | null => {
  const at = series?.column('step').indexOf(step ?? Number.NaN) ?? -1;
  return at < 0 ? null : series!.column('loss')[at]!;
};

interface PageQuantity extends Quantity {
  readonly of: (page: Page, step: number | undefined) => number | null;
}

const seriesOf = (page: Page): Series | undefined => page.run.getState().current?.series;

const QUANTITIES: readonly PageQuantity[] = [
  {
    name: 'heldOut',
    title: () => say`Held-out score of the run now; an accuracy in percent`,
    of: (page) => scoreOf(seriesOf(page)?.evals.at(-1)),
  },
  {
    name: 'heldOutBefore',
    title: () => say`Held-out score before training; an accuracy in percent`,
    of: (page) => scoreOf(seriesOf(page)?.evals[0]),
  },
  {
    name: 'loss',
    title: () => say`Loss of the run now, smoothed as on screen`,
    of: (page) => {
      const losses = seriesOf(page)?.column('loss');
      return losses && losses.length > 0 ? smooth(losses, page.ui.getState().smoothing).at(-1)! : null;
    },
  },
  {
    name: 'lossAt',
    title: () => say`Loss of one step, as measured`,
    isAtStep: true,
    of: (page, step) => lossAt(seriesOf(page), step),
  },
  {
    name: 'step',
    title: () => say`Step that the run has come to`,
    of: (page) => seriesOf(page)?.column('step').at(-1) ?? null,
  },
  {
    name: 'trainable',
    title: () => say`Trainable parameters, as stored`,
    of: (page) => derivedOf(page).count?.stored ?? null,
  },
  {
    name: 'free',
    title: () => say`Free parameters`,
    of: (page) => derivedOf(page).count?.free ?? null,
  },
  {
    name: 'share',
    title: () => say`Share of the model that trains, in percent`,
    of: (page) => (derivedOf(page).count === null ? null : 100 * derivedOf(page).share),
  },
];

export const PLAYGROUND_QUANTITIES: readonly Quantity[] = QUANTITIES;

export const valueOn =
  (page: Page): ValueNow =>
  (quantity, step) =>
    QUANTITIES.find(({ name }) => name === quantity)?.of(page, step) ?? null;
